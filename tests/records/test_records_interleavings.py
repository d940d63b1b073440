"""Any order of starts, beats, restarts, ends, expiry, other policies and clocks: the sums in a budget's row are those of its buckets and leases."""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from test_records_budgets import TTL_S, assert_sums_are_right, beat, reserve, settle, start, wanted

from jupyter_guardrails.errors import Conflict
from jupyter_guardrails.records import leases, open_records
from jupyter_guardrails.records.budgets import DoesNotFit
from jupyter_guardrails.records.windows import HOUR_S, Limit, Window

PEOPLE, KEYS = ("ana", "ben"), tuple("abcde")
LIMITS = st.builds(
    Limit,
    holder=st.just(""),
    window=st.sampled_from([Window(2 * HOUR_S), Window(7 * 86400), Window(None)]),
    cpu_hours=st.sampled_from([None, 0.05, 0.5, 5.0]),
    memory_gib_hours=st.sampled_from([None, 1.0]),
    gpu_hours=st.sampled_from([None, 0.3]),
)
people = st.sampled_from(PEOPLE)
keys = st.sampled_from(KEYS)


class Interleavings(RuleBasedStateMachine):
    """Two people, alone or sharing, against one database; the clock of the records goes on, mostly."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.records = open_records(Path(self.folder.name) / "r.sqlite")
        self.now = datetime(2025, 1, 31, 22, 30, tzinfo=UTC)
        self.leases = {}

    @initialize(limit=LIMITS, shared=st.booleans())
    def set_policy(self, limit, shared):
        self.limit, self.shared = limit, shared

    @rule(limit=LIMITS, shared=st.booleans())
    def change_policy(self, limit, shared):
        self.set_policy(limit, shared)

    def of(self, person):
        holder = "rule/both" if self.shared else person
        return Limit(holder, self.limit.window, self.limit.cpu_hours, self.limit.memory_gib_hours, self.limit.gpu_hours)

    @rule(person=people, key=keys, cpus=st.sampled_from([0.5, 1.0, 4.0]), gpus=st.sampled_from([0, 1]), kind=st.sampled_from(leases.KINDS))
    def ask(self, person, key, cpus, gpus, kind):
        item = wanted(key, principal=person, kind=kind, cpus=cpus, gpus=gpus, holder=self.of(person).holder)
        try:
            row = reserve(self.records, item, self.now, None if kind == "terminal" else self.of(person), most=2)
        except (DoesNotFit, Conflict):
            return
        if row is not None:
            self.leases[person, key] = row

    @rule(person=people, key=keys)
    def begin(self, person, key):
        if row := self.leases.get((person, key)):
            try:
                start(self.records, row, self.now)
            except Conflict:
                return

    @rule(person=people, key=keys, cpu_s=st.sampled_from([0.0, 1.5, 100.0, 4000.0]))
    def use(self, person, key, cpu_s):
        if row := self.leases.get((person, key)):
            beat(self.records, row, self.now, cpu_s=cpu_s, holder=self.of(person).holder)

    @rule(person=people, key=keys)
    def begin_to_end(self, person, key):
        if row := self.leases.get((person, key)):
            self.records.write_sync(leases.close, row["id"], person)

    @rule(person=people, key=keys, cpu_s=st.sampled_from([0.0, 50.0]))
    def end(self, person, key, cpu_s):
        if row := self.leases.get((person, key)):
            settle(self.records, row, self.now, cpu_s=cpu_s)

    @precondition(lambda self: self.leases)
    @rule()
    def sweep(self):
        self.records.write_sync(leases.sweep, now=self.now)

    @rule(span_s=st.sampled_from([5, 30, 61, HOUR_S, 26 * HOUR_S, -5, -3 * HOUR_S]))
    def go_on(self, span_s):
        self.now += timedelta(seconds=span_s)

    @rule()
    def reprieve(self):
        self.records.write_sync(leases.reprieve, now=self.now, ttl_s=TTL_S)

    @invariant()
    def sums_are_right(self):
        assert_sums_are_right(self.records)

    def teardown(self):
        self.records.close()
        self.folder.cleanup()


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(
    max_examples=25, stateful_step_count=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
