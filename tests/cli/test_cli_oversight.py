"""The commands of those who decide, suspend and break the glass, as a person types them."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from test_cli_data import contract, make_place

from jupyter_guardrails.control.interface import Settings, start_own_control
from jupyter_guardrails.control.interface.messages import KernelAdmit, KernelStarted, RequestCreate
from jupyter_guardrails.errors import Refused

pytestmark = pytest.mark.slow
REPORT = {"guarantees": [{"name": name, "held": True, "how": "", "next_step": ""} for name in ("files", "network")]}


class Office:
    """One state directory, and a control for whoever works at the moment."""

    def __init__(self, root):
        self.root = make_place(root)
        shutil.copy(root / "people.parquet", root / "rooms.parquet")
        contract(self.root, "hr/rooms", "rooms.parquet")
        self.settings = Settings(root / "guardrails.yaml", root / "catalog", root / "state", root / "state" / "control.sock", True, None)

    @contextlib.contextmanager
    def as_person(self, person):
        """A running control of this person's."""
        control = start_own_control(replace(self.settings, person=person))
        try:
            yield control.client
        finally:
            control.stop()

    def run(self, *words, code=0, before=()):
        """What a command prints; `code` is its exit code."""
        here = {"GUARDRAILS_POLICY": "guardrails.yaml", "GUARDRAILS_CATALOG": "catalog", "GUARDRAILS_STATE_DIR": "state"}
        environ = os.environ | {name: str(self.root / place) for name, place in here.items()}
        ran = subprocess.run(
            [*before, sys.executable, "-m", "jupyter_guardrails", *words], env=environ, capture_output=True, text=True, timeout=60, check=False
        )
        assert ran.returncode == code, ran
        return ran.stdout + ran.stderr

    def run_inside(self, *words):
        """The same by a process that can't be told from one of a launched server's domain."""
        return self.run(*words, code=1, before=("setpriv", "--no-new-privs"))

    def json(self, *words):
        return json.loads(self.run(*words, "--json"))


@pytest.fixture
def office(tmp_path):
    return Office(tmp_path)


def test_a_request_is_listed_granted_and_taken_back(office):
    with office.as_person("ana") as ana:
        asked = ana.call(RequestCreate(dataset="hr/people", purpose="a study \x1b[2J of turnover", days=20))["id"]
        assert "ana asked for" in office.run("data", "grant", asked, code=1)
    with office.as_person("dana"):
        listed = office.run("data", "requests")
        assert asked in listed
        assert "\x1b" not in listed
        assert f"{asked}: hr/people is granted to ana, 5 days" in office.run("data", "grant", asked, "--days", "5")
        (grant,) = office.json("data", "requests")["grants"]
        assert "may no longer read hr/people" in office.run("data", "revoke", grant["id"], "--reason", "the study is over")
        assert office.json("data", "requests")["grants"] == []
        assert "can't become refused" in office.run("data", "refuse", asked, "--reason", "no", code=1)


def test_a_dataset_is_granted_to_somebody_who_has_not_asked_and_taken_back_by_name(office):
    who_and_what = ("ana", "hr/people")
    with office.as_person("ana"):
        assert "nobody grants hr/people to themselves" in office.run("data", "grant", *who_and_what, "--days", "5", "--reason", "for me", code=1)
    with office.as_person("dana"):
        assert "needs --days and --reason" in office.run("data", "grant", *who_and_what, "--days", "5", code=2)
        assert "neither an id nor a person and a dataset" in office.run("data", "grant", "a", "b", "c", code=2)
        assert "ana has no live grant of hr/people" in office.run("data", "revoke", *who_and_what, "--reason", "it is over", code=1)
        given = office.json("data", "grant", *who_and_what, "--days", "5", "--reason", "the audit of May")
        assert (given["person"], given["dataset"], given["granted_by"]) == ("ana", "hr/people", "dana")
        assert "may read hr/people already" in office.run("data", "grant", *who_and_what, "--days", "5", "--reason", "again", code=1)
        assert given["id"] in office.run("data", "requests")
        assert "ana may no longer read hr/people" in office.run("data", "revoke", *who_and_what, "--reason", "the audit is over")
        assert office.json("data", "requests")["grants"] == []


def test_an_admin_suspends_lists_and_lifts(office):
    with office.as_person("ana"):
        assert "ana is not an admin" in office.run("suspend", "user", "ben", "--reason", "an incident", code=1)
    with office.as_person("carol"):
        assert "user ben is suspended: an incident" in office.run("suspend", "user", "ben", "--reason", "an incident", "--grace", "0")
        office.run("suspend", "dataset", "nyc/flights", "--reason", "a mistake in it", "--end-kernels")
        office.run("suspend", "package", "telnetlib3", "--reason", "CVE-2031-1")
        office.run("suspend", "job", "report", "--reason", "wrong numbers")
        assert {row["kind"] for row in office.json("suspend", "list")["suspensions"]} == {"user", "dataset", "package", "job"}
    with office.as_person("ben"):
        said = office.run("exec", "--workspace", str(office.root), "--", "true", code=1)
        assert "the account ben was suspended by carol" in said
    with office.as_person("carol"):
        assert "user ben is no longer suspended" in office.run("suspend", "lift", "user", "ben", "--reason", "it was nothing")
        assert "is not suspended" in office.run("suspend", "lift", "user", "ben", "--reason", "it was nothing", code=1)
        assert "ben" in office.run("suspend", "list", "--all")
        assert "write it like" in office.run("suspend", "user", "ben", "--reason", "an incident", "--grace", "soon", code=2)


def test_the_glass_is_broken_for_a_while(office):
    with office.as_person("carol"):
        said = office.run("break-glass", "dataset", "hr/rooms", "--user", "ana", "--for", "30m", "--reason", "payroll is down, ticket 99")
        assert "dataset hr/rooms is open to ana until" in said
        assert "self-test" in said, "nobody stands behind a control of one's own"
        (row,) = office.json("break-glass", "list")["exemptions"]
        assert "is no longer open to ana" in office.run("break-glass", "end", row["id"])
        assert "ended" in office.run("break-glass", "list")
        assert "fewer than 10 letters" in office.run("break-glass", "profile", "small", "--reason", "because", code=2)
        assert "--for is between" in office.run("break-glass", "profile", "small", "--reason", "payroll is down", "--for", "2d", code=2)


def test_doctor_says_which_target_does_not_answer(office):
    policy = office.root / "guardrails.yaml"
    with office.as_person("carol"):
        assert "names nobody who is told" in office.run("doctor", "--notices")
        policy.write_text(policy.read_text() + 'notify: {webhook: "http://127.0.0.1:9/"}\n')
        assert "DOES NOT ANSWER" in office.run("doctor", "--notices", code=1)


def test_a_reviewer_names_the_digest(office):
    with office.as_person("carol"):
        assert "nothing waits for your review" in office.run("job", "list", "--review")
        assert "there is no submission" in office.run("job", "approve", "s-none", "--digest", "a" * 64, code=1)
    assert "--digest" in office.run("job", "approve", "s-none", code=2)


def test_the_past_is_simulated_and_rules_are_suggested(office):
    policy = office.root / "guardrails.yaml"
    policy.write_text(policy.read_text().replace('request: ["hr/*"]', "browse: all"))
    with office.as_person("ana") as ana:
        for _ in range(2):
            with pytest.raises(Refused, match="no rule lets ana ask for"):
                ana.call(RequestCreate(dataset="hr/rooms", purpose="a study"))
        admitted = {"kernel_id": "k", "kernelspec": "python3", "workspace": str(office.root), "key": "k"}
        kernel = subprocess.Popen(["sleep", "60"])  # control looks whether there is such a process
        ana.call(KernelStarted(lease=ana.admit(KernelAdmit(**admitted)).lease, pid=kernel.pid, report=REPORT))
        kernel.kill()
        kernel.wait()
        assert "ana is not an admin" in office.run("policy", "suggest", code=1)
        assert "ana is not an admin" in office.run("policy", "simulate", str(policy), code=1)
    with office.as_person("carol"):
        written = office.run("policy", "suggest", "--since", "1h")
        assert '- "hr/rooms"  # 2 times by ana; last' in written
        office.run("policy", "suggest", "--since", "1h", "--to", str(office.root / "suggested.yaml"))
        assert (office.root / "suggested.yaml").read_text().splitlines()[1:] == written.splitlines()[1:]
        assert "can't be written: File exists" in office.run("policy", "suggest", "--to", str(office.root / "suggested.yaml"), code=2)
        assert "no mistakes" in office.run("policy", "check", str(office.root / "suggested.yaml"))
        new = office.root / "new.yaml"
        new.write_text(policy.read_text().replace("browse: all", 'request: ["hr/*"]') + "profiles: {tiny: {}}\n")
        said = office.run("policy", "simulate", str(new), "--since", "1h")
        assert re.search(r"allows +ana +data.request +hr/rooms +2 ", said), said
        assert "0 times newly refused" in said
        new.write_text(new.read_text().replace('data: {read: ["nyc/*"]', 'kernels: {profiles: [tiny]}, data: {read: ["nyc/*"]'))
        found = office.json("policy", "simulate", str(new), "--since", "1h")
        (refused,) = [change for change in found["changes"] if change["effect"] == "refuses"]
        assert (refused["person"], refused["action"], refused["resource"], refused["before"]) == ("ana", "kernel.start", "standard", "allowed")
        office.run("policy", "simulate", str(new), "--since", "1h", "--strict", code=1)
        new.write_text("rules: [")
        office.run("policy", "simulate", str(new), code=2)


@pytest.mark.skipif(
    "1" in (Path("/proc/1/status").read_text().partition("NoNewPrivs:")[2].split() or ["0"])[0], reason="everybody here has no_new_privs"
)
def test_no_decision_comes_from_inside_of_a_governed_server(office):
    """Whatever runs in it has the person's account and control's token; the mark of the launcher's domain it can't take off."""
    with office.as_person("carol"):
        decisions = [
            ("suspend", "user", "ben", "--reason", "an incident"),
            ("suspend", "lift", "user", "ben", "--reason", "it was nothing"),
            ("break-glass", "dataset", "hr/rooms", "--reason", "payroll is down, ticket 99"),
            ("break-glass", "end", "b-1"),
            ("data", "grant", "r-1"),
            ("data", "grant", "ben", "hr/people", "--days", "3", "--reason", "a study"),
            ("data", "revoke", "r-1", "--reason", "it is over"),
        ]
        for words in decisions:
            assert "decisions are made outside of JupyterLab" in office.run_inside(*words)
        assert office.json("suspend", "list")["suspensions"] == []
        office.run("suspend", "user", "ben", "--reason", "an incident")
        assert "ben" in office.run("suspend", "list", before=("setpriv", "--no-new-privs")), "looking is no decision"
