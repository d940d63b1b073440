"""An admin's own way to the service, on a real systemd: the commands that `init --service` names, an account's launched server, and each way down."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

import pytest
from real_systemd import booted
from service_machine import TOKEN, Served

pytestmark = pytest.mark.slow
UNIT = "jupyter-guardrails.service"
GUARDRAILS = (sys.executable, "-m", "jupyter_guardrails")
PATIENCE_S = 60.0
POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
admins: {users: [carol]}
profiles: {small: {memory: 1GiB, cpus: 1}}
rules:
  - {name: everyone, for: everyone, kernels: {profiles: [small], default: small, max: 3, terminals: small}}
"""
HELLO = "import guarded; from guarded.sources import current; print(len(guarded.datasets()), type(current()).__name__)"


class Accounts:
    """What `Served` asks of a machine (service_machine.py), inside of a systemd's."""

    def __init__(self, inside):
        self.inside = inside

    def home(self, name):
        return Path("/home", name)

    def environment(self, account, **more):
        return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": f"/home/{account}", "JUPYTER_TOKEN": TOKEN, **more}

    def command(self, account, *command):
        return self.inside.command(account, *map(str, command))


@pytest.fixture(scope="module")
def machine():
    """The admin's commands, in the order in which the guide has them."""
    with booted() as found:
        for name in ("ana", "ben", "carol"):
            found.run("useradd", "--create-home", "--shell", "/bin/bash", name)
            found.run("mkdir", f"/home/{name}/work")
            found.run("chown", f"{name}:{name}", f"/home/{name}/work")
        found.write("/etc/jupyter/guardrails/guardrails.yaml", POLICY)
        found.run("mkdir", "/etc/jupyter/guardrails/catalog")
        said = json.loads(found.run(*GUARDRAILS, "init", "--service", "--json").stdout)
        for command in said["next"]:
            if command.startswith("system"):
                found.run(*command.split())
        yield found


def pid_of(machine):
    return machine.property(UNIT, "MainPID")


def until_another(machine, before):
    """Systemd has started control again, and it has said that it is ready."""
    deadline = time.monotonic() + PATIENCE_S
    while pid_of(machine) in ("0", before) or machine.property(UNIT, "SubState") != "running":
        assert time.monotonic() < deadline, machine.journal(UNIT)
        time.sleep(0.1)  # `systemctl show` has no event to wait for


def me(machine, account):
    return json.loads(machine.run(*GUARDRAILS, "usage", "--json", account=account).stdout)


def test_it_runs_as_an_account_of_its_own_which_all_others_reach(machine):
    assert machine.property(UNIT, "ActiveState") == "active", machine.journal(UNIT)
    owner = machine.run("ps", "-o", "user=", "-p", pid_of(machine)).stdout.strip()
    assert owner.startswith("jupyter-"), "ps cuts long names"
    assert machine.run("stat", "--format=%a %U", "/run/jupyter-guardrails/control.sock").stdout.split()[0] == "666"
    assert machine.run("stat", "--format=%a %U", "/var/lib/jupyter-guardrails").stdout.split() == ["700", "jupyter-guardrails"]
    for name in ("ana", "ben"):
        assert {row["person"] for row in me(machine, name)["people"]} <= {name}
        assert machine.run("ls", "/var/lib/jupyter-guardrails", account=name, check=False).returncode != 0


@pytest.fixture(scope="module")
def server(machine):
    served = Served(Accounts(machine), "ana", launcher=("jupyter_guardrails", "server"))
    yield served.wait_ready()
    served.process.kill()
    served.process.wait()


@pytest.fixture(scope="module")
def kernel(server):
    answer = server.rest("POST", "api/kernels", json={"name": "python3"})
    assert answer.status_code == 201, answer.text
    server.execute(answer.json()["id"], "kept = 41")
    return answer.json()["id"]


@pytest.mark.parametrize("down", [("kill", "--signal=KILL", "--kill-whom=main", UNIT), ("restart", UNIT)], ids=["killed", "restarted"])
def test_a_kernel_goes_on_over_a_control_that_is_started_again(machine, server, kernel, down):
    """Its variables, its channel, and starting another; systemd keeps the listeners meanwhile."""
    assert int(machine.property(UNIT, "NFileDescriptorStore")) >= 2
    before = pid_of(machine)
    machine.run("systemctl", *down)
    until_another(machine, before)
    assert server.execute(kernel, "print(kept + 1)") == "42\n"
    assert server.execute(kernel, HELLO) == "0 Channel\n"
    another = server.rest("POST", "api/kernels", json={"name": "python3"})
    assert another.status_code == 201, another.text
    assert server.rest("DELETE", f"api/kernels/{another.json()['id']}").status_code == 204
    again = [record for record in server.rest("GET", "guardrails/audit").json()["records"] if record["action"] == "kernel.reattach"]
    assert again, machine.journal(UNIT)
    assert (again[-1]["kernel"], again[-1]["allowed"]) == (kernel, True)


def test_callers_wait_at_systemds_socket_while_it_is_down(machine):
    """No error: they are answered by the control that comes."""
    machine.run("systemctl", "stop", UNIT)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(me(machine, "ben")))
    asking.start()
    asking.join(PATIENCE_S)
    assert len(answers) == 1, "the socket's unit has started it"
    assert machine.property(UNIT, "ActiveState") == "active"
