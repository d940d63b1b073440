"""Random specifications: refused, or started with every layer that is demanded; nothing leaks, nobody crashes."""

import gc
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
import random_specs

from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.sandbox import meter
from jupyter_guardrails.sandbox.run import start

SOAK = os.environ.get("GUARDRAILS_SOAK") == "1"
TOTAL = 100_000 if SOAK else 10_000
STARTS = 3_000 if SOAK else 300


def descriptors():
    gc.collect()  # what earlier tests left to it must not be closed in between
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.soak
def test_the_hand_over_refuses_or_prepares_and_leaks_nothing():
    before = descriptors()
    prepared, refused = random_specs.hand_over(0, TOTAL)
    print(f"{prepared} prepared, {refused} refused")
    assert prepared + refused == TOTAL
    assert prepared > TOTAL // 10
    assert refused > TOTAL // 10
    assert descriptors() == before


def one(number):
    """ "started" with what was demanded, or "refused: " and a sentence; anything else raises."""
    spec = random_specs.make(number)
    try:
        started = start(spec, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except GuardrailsError as error:
        return f"refused: {error.message}"
    try:
        assert set(spec.require) <= set(started.report.held()), number
        started.process.wait(20)
    finally:
        started.process.kill()
        started.process.wait()
        for fd in started.fds:
            os.close(fd)
    return "started"


@pytest.mark.slow
@pytest.mark.soak
def test_real_starts_have_what_was_demanded_or_are_refused(sandbox):
    before, children = descriptors(), set(meter.sample(os.getpid()).pids)
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(one, range(STARTS)))
    began = outcomes.count("started")
    print(f"{began} started, {STARTS - began} refused, for {len(set(outcomes)) - 1} different reasons")
    assert STARTS // 50 < began < STARTS
    assert all(len(outcome) > len("refused: ") for outcome in outcomes if outcome != "started")
    assert descriptors() == before
    assert set(meter.sample(os.getpid()).pids) <= children  # a server that another test left may have ended one of its own
