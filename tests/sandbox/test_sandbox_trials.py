"""The live checks: how a trial is judged, what they say here, and that they notice what is missing."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_guardrails.sandbox import probe_attempts
from jupyter_guardrails.sandbox.probe_trials import HELD, NOT_HELD, TRIALS, UNCLEAR, judge_trial, try_all
from jupyter_guardrails.sandbox.spec import GUARANTEES

SIMULATE = str(Path(__file__).with_name("simulate_host.py"))
SAY = """
import json
from jupyter_guardrails.sandbox.probe_trials import try_all
print(json.dumps({r.trial.name: [r.trial.guarantee, r.verdict, r.detail] for r in try_all()[1]}))
"""
DONE = ("done", "done")


@pytest.mark.parametrize(
    ("inside", "outside", "verdict"),
    [
        (("EACCES", "done"), DONE, HELD),
        (DONE, DONE, NOT_HELD),
        (("done", "EACCES"), None, NOT_HELD),
        (("EACCES", "EACCES"), DONE, UNCLEAR),  # a trial that is broken stops everything
        (("EPROTONOSUPPORT", "done"), ("EPROTONOSUPPORT", "done"), UNCLEAR),  # no such thing on this machine
        (("EACCES", "done"), None, UNCLEAR),
        (None, DONE, UNCLEAR),
    ],
)
def test_a_promise_is_held_only_when_all_three_agree(inside, outside, verdict):
    assert judge_trial(TRIALS[0], inside, outside).verdict == verdict


def test_each_trial_has_an_attempt_and_each_attempt_a_trial(monkeypatch):
    aims = {"outside": "", "workspace": "", "port": 0, "outsider": 0, "memory_bytes": 0, "abstract": ""}
    monkeypatch.setattr(probe_attempts, "CONFIG", aims, raising=False)
    assert {trial.name for trial in TRIALS} == {*probe_attempts.trials(), "daemon"}
    assert {trial.guarantee for trial in TRIALS} == set(GUARANTEES)


@pytest.fixture
def as_outside(monkeypatch):
    """The attempts' module as of a process that nothing holds; what it does to interrupts ends with the test."""
    monkeypatch.setattr(probe_attempts, "CONFIG", {"inside": False}, raising=False)
    before = signal.getsignal(signal.SIGINT)
    yield probe_attempts
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_that_comes_late_meets_no_other_trial(as_outside):
    as_outside.take_memory(1, too_much=True)
    signal.raise_signal(signal.SIGINT)
    as_outside.take_memory(1, too_much=False)


@pytest.mark.parametrize(("too_much", "seen"), [(True, "ENOMEM"), (False, "done")])
def test_an_interrupt_stops_what_is_too_much_alone(as_outside, monkeypatch, too_much, seen):
    monkeypatch.setattr(as_outside, "bytearray", lambda size: signal.raise_signal(signal.SIGINT), raising=False)
    assert as_outside.outcome(lambda: as_outside.take_memory(1, too_much=too_much)) == seen


def test_here_nothing_goes_through_that_the_sandbox_says_it_holds(sandbox):
    report, results = try_all()
    assert [r.trial for r in results] == list(TRIALS)
    held = set(report.held())
    assert held >= {"files", "network", "memory"}
    assert [r for r in results if r.trial.guarantee in held and r.verdict == NOT_HELD] == []
    assert {r.trial.name for r in results if r.verdict == HELD} >= {
        "read",
        "write",
        "truncate",
        "execute",
        "tcp",
        "udp",
        "signal",
        "memory",
        "daemon",
    }


@pytest.mark.parametrize(("kind", "through"), [("nolandlock", {"read", "write", "truncate", "execute", "signal"}), ("seccomp", set())])
def test_on_a_lesser_host_the_trials_see_what_goes_through(sandbox, kind, through):
    ran = subprocess.run([sys.executable, SIMULATE, kind, sys.executable, "-c", SAY], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, (ran.returncode, ran.stderr)
    seen = json.loads(ran.stdout)
    assert {name for name, (_, verdict, _) in seen.items() if verdict == NOT_HELD} >= through, ran.stderr
    assert {name for name in ("tcp", "udp") if seen[name][1] == HELD} == {"tcp", "udp"}
    assert (seen["read"][1] == HELD) is not bool(through)
