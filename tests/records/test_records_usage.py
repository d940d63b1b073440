"""Sums of use, samples over time, and leases that become sums: nothing is lost or counted twice."""

import itertools
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from jupyter_guardrails.control import usage as control_usage
from jupyter_guardrails.records import history, leases, past_use, usage
from jupyter_guardrails.records.tables import charges, samples
from jupyter_guardrails.records.tables import leases as leases_table

GIB = 1 << 30
STEP = st.tuples(
    st.sampled_from(["ana", "ben"]), st.sampled_from(["small", "large"]), st.sampled_from([None, "a.ipynb", "é/b.ipynb"]), st.integers(0, 200)
)


def begin(records, name, now, person="ana", **more):
    said = {"kind": "kernel", "kernel_id": f"kernel-{name}", "kernelspec": "python3", "workspace": "/w", "profile": "small", "rule": "r"}
    said |= {"policy_digest": "", "memory_limit_bytes": GIB, "cpus": 1.0} | more
    records.write_sync(leases.reserve, leases.Wanted(name, name, person, **said), now=now, ttl_s=60, max_kernels=10_000)
    records.write_sync(leases.start, name, person, now=now, ttl_s=60, pid=1, report={})


def use(records, name, now, *, cpu_s, person="ana", memory_bytes=GIB):
    uses = {name: leases.Use(cpu_s, memory_bytes, memory_bytes)}
    return records.write_sync(control_usage.beat, uses, person, now=now, ttl_s=60)


def settle(records, name, now, person="ana"):
    records.write_sync(leases.settle, name, person, now=now, ttl_s=60, reason="done")


def shown(records, by, now, person=None, since=timedelta(days=3650)):
    return records.read_sync(usage.grouped, person, by=by, now=now, since=since)


def test_use_by_each_of_the_five(records, now):
    begin(records, "a", now, notebook="x.ipynb")
    begin(records, "b", now, "ben", kernelspec="ir", profile="large")
    for name, person in (("a", "ana"), ("b", "ben")):
        use(records, name, now + timedelta(seconds=30), cpu_s=36.0, person=person)
        settle(records, name, now + timedelta(seconds=60), person)
    keys = {by: [(row["person"], row["key"]) for row in shown(records, by, now)] for by in ("person", "day", "profile", "notebook", "kernelspec")}
    assert keys == {
        "person": [("ana", "ana"), ("ben", "ben")],
        "day": [("ana", "2025-03-01"), ("ben", "2025-03-01")],
        "profile": [("ana", "small"), ("ben", "large")],
        "notebook": [("ana", "x.ipynb"), ("ben", "")],
        "kernelspec": [("ana", "python3"), ("ben", "ir")],
    }
    for by in keys:
        (mine,) = shown(records, by, now, "ana")
        assert (mine["kernels"], mine["cpu_hours"], mine["memory_gib_hours"]) == (1, 0.01, pytest.approx(30 / 3600))


def test_what_was_used_before_is_left_out(records, now):
    begin(records, "old", now - timedelta(days=10))
    settle(records, "old", now - timedelta(days=10))
    begin(records, "new", now)
    for by in ("person", "day", "profile", "notebook", "kernelspec"):
        assert [row["kernels"] for row in shown(records, by, now, since=timedelta(days=7))] == [1]
        assert sum(row["kernels"] for row in shown(records, by, now)) == 2


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, min_size=1, max_size=12), keep_days=st.integers(0, 200), at_once=st.integers(1, 5))
def test_sums_stay_when_leases_become_sums(records, now, steps, keep_days, at_once):
    for person, profile, notebook, days in steps:
        _count(records)
        name, began = f"l{_count.number}", now - timedelta(days=days, minutes=10)
        begin(records, name, began, person, profile=profile, notebook=notebook)
        use(records, name, began + timedelta(seconds=30), cpu_s=days + 0.1, person=person)
        if days % 3:
            settle(records, name, began + timedelta(seconds=50), person)
    before = {by: shown(records, by, now) for by in ("person", "day", "profile", "notebook", "kernelspec")}
    while records.write_sync(past_use.compact, now=now, keep=timedelta(days=keep_days), at_once=at_once):
        pass
    after = {by: shown(records, by, now) for by in before}
    for by, rows in before.items():
        assert [(r["person"], r["key"], r["kernels"]) for r in after[by]] == [(r["person"], r["key"], r["kernels"]) for r in rows]
        for name in ("cpu_hours", "memory_gib_hours"):
            assert [row[name] for row in after[by]] == pytest.approx([row[name] for row in rows])
    charged = records.read_sync(lambda c: c.execute(select(func.sum(charges.c.cpu_s))).scalar()) / 3600
    assert charged == pytest.approx(sum(row["cpu_hours"] for row in after["profile"])), "charges and leases tell the same"
    old = leases_table.c.ended_at < now - timedelta(days=keep_days)
    assert records.read_sync(lambda c: c.execute(select(func.count()).where(old)).scalar()) == 0
    assert records.read_sync(lambda c: c.execute(select(func.count()).where(leases_table.c.ended_at.is_(None))).scalar()) == _live(records)


def _count(records):
    _count.number += 1


_count.number = 0


def _live(records):
    return len(records.read_sync(leases.live, None))


def test_a_kernel_that_runs_is_never_made_a_sum(records, now):
    begin(records, "long", now - timedelta(days=365))
    assert records.write_sync(past_use.compact, now=now) == 0
    settle(records, "long", now - timedelta(days=364))
    assert records.write_sync(past_use.compact, now=now) == 1


def test_a_history_is_fine_near_now_and_coarse_before(records, now):
    begin(records, "a", now)
    moment = now
    for beat in range(1, 241):  # forty minutes
        moment = now + timedelta(seconds=10 * beat)
        records.write_sync(leases.reprieve, now=moment, ttl_s=60)
        use(records, "a", moment, cpu_s=5.0 * beat, memory_bytes=GIB if beat == 1 else 1000)
        if beat % 60 == 0:
            records.write_sync(history.prune, now=moment)
    found = records.read_sync(history.of_kernel, "kernel-a", "ana")
    times = [sample["at"] for sample in found]
    assert times == sorted(set(times))
    assert [sample["every_s"] for sample in found] == sorted((sample["every_s"] for sample in found), reverse=True)
    assert sum(sample["every_s"] == 10 for sample in found) <= 61
    assert found[0]["memory_bytes"] == GIB, "the most of a step is kept"
    assert all(sample["cpu_percent"] == pytest.approx(50, abs=1) for sample in found), "the mean of a step is kept"
    assert all(one["at"] + one["every_s"] <= two["at"] for one, two in itertools.pairwise(found)), "no time is told twice"
    assert records.read_sync(history.of_kernel, "kernel-a", "ben") == []
    assert records.read_sync(history.of_kernel, "kernel-a", None) == found


def test_samples_are_bounded_for_one_and_for_all(records, now):
    for number in range(6):
        begin(records, f"a{number}", now)
        use(records, f"a{number}", now + timedelta(seconds=10 * number), cpu_s=1.0)
    begin(records, "b", now, "ben")
    use(records, "b", now + timedelta(seconds=100), cpu_s=1.0, person="ben")
    assert count(records) == 21
    records.write_sync(history.prune, now=now, most_of_one=9)
    assert count(records, "ana") <= 9
    assert count(records, "ben") == 3
    records.write_sync(history.prune, now=now, most_of_all=4)
    assert count(records) <= 4
    records.write_sync(history.prune, now=now + timedelta(days=8))
    assert count(records) == 0


def count(records, person=None):
    query = select(func.count()).select_from(samples)
    return records.read_sync(lambda c: c.execute(query if person is None else query.where(samples.c.principal == person)).scalar())


def test_an_ended_lease_leaves_no_sample(records, now):
    begin(records, "a", now)
    settle(records, "a", now)
    assert use(records, "a", now + timedelta(seconds=10), cpu_s=1.0) == ["a"]
    assert count(records) == 0
