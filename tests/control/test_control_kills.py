"""kill -9 of control at random moments under load while its records are in PostgreSQL: nothing lost, nothing twice, the books balance."""

import random
import secrets
import shutil
import tempfile
import time
from pathlib import Path

import pytest

from jupyter_guardrails.control.interface.messages import Kernels, SubmissionsList
from jupyter_guardrails.records import offline
from tests.records.conftest import fresh_database, postgres  # noqa: F401 - a fixture
from tests.server.kill_world import KILLS, POLICY, SOAK, Killable, Load, balanced, no_orphans, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.soak, pytest.mark.timeout(3600)]

TIMES = KILLS if SOAK else 3
UNDER_WAY = ("submitted", "checking")


class Alone(Killable):
    """A control without a server, under a supervisor that starts it again."""

    def __init__(self, records):
        self.root, self.records = Path(tempfile.mkdtemp(prefix="gr-", dir="/tmp")), records
        self.workspace, self.state, self.policy = self.root / "ws", self.root / "state", self.root / "guardrails.yaml"
        for folder in ("ws", "catalog"):
            (self.root / folder).mkdir()
        self.policy.write_text(POLICY.replace("MAXIMUM", "6"))
        self.supervisor, self.control = self._own_control()

    def stop(self):
        self.supervisor.terminate()
        self.supervisor.wait(60)


@pytest.fixture
def alone(postgres):  # noqa: F811 - pytest's way
    made = Alone(fresh_database(postgres))
    yield made
    made.stop()
    shutil.rmtree(made.root)


def test_control_killed_at_random_moments_under_load(alone):
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    dice, load = random.Random(seed), Load(alone)
    try:
        for _ in range(TIMES):
            time.sleep(dice.uniform(0, 0.5))  # the moment is what is random
            alone.kill_control()
            before = dict(load.rounds)
            balanced(alone)
            wait_for(lambda before=before: all(load.rounds[name] > before[name] for name in before), what="control did not go on")
    finally:
        load.stop()
    assert load.failures == []
    assert alone.control.call(Kernels())["kernels"] == []
    wait_for(lambda: not under_way(alone), what="submissions that never came to an end")
    alone.stop()
    balanced(alone, load)
    no_orphans(alone)
    found = offline.verify_state(alone.state, alone.records)
    assert (found.problems, found.notes) == ((), ())


def under_way(alone):
    return [one for one in alone.control.call(SubmissionsList())["submissions"] if one["state"] in UNDER_WAY]
