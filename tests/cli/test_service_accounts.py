"""Control as a service of its own account, and two others beside each other: whatever crosses from one to the other is refused."""

import json
import os
import shutil
import subprocess

import pytest
import service_machine
from service_machine import ACCOUNTS, NAMELESS

WHY_NOT = service_machine.why_not()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-")]
AWAY = "this machine's control, a service at /run/jupyter-guardrails/control.sock, does not answer"


@pytest.fixture(scope="module")
def machine():
    made = service_machine.make()
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(made.root)


@pytest.fixture(scope="module")
def service(machine):
    return machine.start_service()


def test_each_account_is_itself_whatever_it_says(machine, service):
    lies = {"LOGNAME": "ana", "USER": "ana", "HOME": str(machine.home("ana")), "GUARDRAILS_AS": "ana", "GUARDRAILS_POLICY": "/tmp/mine.yaml"}
    lies |= {"GUARDRAILS_STATE_DIR": "/tmp/mine", "GUARDRAILS_CONTROL": "/tmp/mine.sock", "GUARDRAILS_CATALOG": "/tmp/mine"}
    for account, person in (("ana", "ana"), ("ben", "ben"), (NAMELESS, f"uid-{NAMELESS}"), (0, "root")):
        for environment in ({}, lies):
            me = machine.ask(account, "m.Me()", **environment)
            assert (me["person"], me["mode"]) == (person, "service")
            assert me["policy"]["path"] == "/etc/jupyter/guardrails/guardrails.yaml"
            assert me["boundary"].startswith("The policy is this machine's admin's; control runs as an account of its own")


def test_nobody_but_the_service_starts_a_control(machine, service):
    for account in ("ana", 0):
        own = machine.guardrails(account, "control", "--state-dir=/tmp/mine", "--socket=/tmp/mine.sock")
        assert (own.returncode, "this machine's control is a service for all accounts" in own.stderr) == (1, True), own.stderr
    acting = machine.guardrails("jupyter-guardrails", "control", "--service", "--as=ana")
    assert "--as is for demos" in acting.stderr
    assert "runs as an account of its own, not as root" in machine.guardrails(0, "control", "--service").stderr
    assert "belongs to uid" in machine.guardrails("ana", "control", "--service").stderr
    assert machine.ask("ana", "m.Me()")["person"] == "ana"


def test_its_records_keys_and_memory_are_out_of_reach(machine, service):
    program = "import os, sys\nfor path in sys.argv[1:]:\n try: os.listdir(path) if os.path.isdir(path) else open(path).close(); print('open')\n"
    program += " except PermissionError: print('shut')"
    pid = next(line for line in subprocess.check_output(["pgrep", "-u", str(ACCOUNTS["jupyter-guardrails"])], text=True).split())
    places = ["/var/lib/jupyter-guardrails", "/var/lib/jupyter-guardrails/records.sqlite", f"/proc/{pid}/environ", f"/proc/{pid}/fd"]
    assert machine.run("ana", "-c", program, *places).stdout.split() == ["shut"] * 4
    assert machine.run("jupyter-guardrails", "-c", program, *places[:2]).stdout.split() == ["open"] * 2, "the probe works"
    for path, mode in (("run/jupyter-guardrails", 0o755), ("run/jupyter-guardrails/control.sock", 0o666), ("run/jupyter-guardrails/token", 0o644)):
        found = os.stat(machine.root / path)
        assert (found.st_mode & 0o7777, found.st_uid) == (mode, ACCOUNTS["jupyter-guardrails"])


TRY = """
import json, os, socket, struct
found = {}
try:
    found["token"] = open("/run/jupyter-guardrails/token").read()
except OSError as error:
    found["token"] = type(error).__name__
try:
    with socket.socket(socket.AF_UNIX) as control:
        control.connect("/run/jupyter-guardrails/control.sock")
        body = json.dumps({"v": 1, "op": "me", "args": {}, "token": found["token"]}).encode()
        control.sendall(struct.pack(">I", len(body)) + body)
        found["socket"] = json.loads(control.recv(1 << 20)[4:])["ok"]
except OSError as error:
    found["socket"] = type(error).__name__
print("FOUND" + json.dumps(found) + "END")
"""


def found_in(text):
    return json.loads(text.rpartition("FOUND")[2].partition("END")[0])


def test_an_exec_can_not_speak_to_it_and_its_account_can(machine, service):
    outside = found_in(machine.run("ana", "-c", TRY).stdout)
    assert (outside["socket"], len(outside["token"]) > 20) == (True, True)
    done = machine.guardrails("ana", "exec", "--workspace", str(machine.home("ana") / "work"), "--", "python3", "-c", TRY)
    inside = found_in(done.stdout)
    assert inside["token"] in ("FileNotFoundError", "PermissionError"), done.stderr
    assert inside["socket"] in (False, "FileNotFoundError", "PermissionError")
    assert machine.ask("ana", "m.Kernels()")["kernels"] == []


def test_while_it_is_away_nothing_answers_in_its_place(machine, service):
    """The last test but those that need another service."""
    service.terminate()
    assert service.wait(30) == 0
    assert AWAY in machine.ask("ana", "m.Me()")["error"]
    done = machine.guardrails("ana", "exec", "--workspace", str(machine.home("ana") / "work"), "--", "true")
    assert (done.returncode, AWAY in done.stderr) == (1, True), done.stderr
    assert not (machine.home("ana") / ".local").exists(), "no control of its own was started"
    machine.start_service()
    assert machine.ask("ana", "m.Me()")["person"] == "ana"
