"""Leases: the limit holds under a race, retries are harmless, silence expires, and use is charged once."""

import contextlib
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from jupyter_guardrails.errors import Conflict, NotFound
from jupyter_guardrails.records import budgets, leases, open_records
from jupyter_guardrails.records.leases import GIB, Use, Wanted

TTL_S = 60.0
HOUR = timedelta(hours=1)


def wanted(key="k1", *, principal="ana", kind="kernel", **more):
    said = {"kernel_id": f"kernel-{key}", "kernelspec": "python3", "workspace": "/w", "profile": "small", "rule": "p.yaml:3 r", "policy_digest": "d"}
    return Wanted(id=uuid.uuid4().hex, key=key, principal=principal, kind=kind, memory_limit_bytes=2 * GIB, cpus=1.0, **said | more)


def reserve(records, item, now, *, most=3):
    return records.write_sync(leases.reserve, item, now=now, ttl_s=TTL_S, max_kernels=most)


def start(records, row, now):
    return records.write_sync(leases.start, row["id"], "ana", now=now, ttl_s=TTL_S, pid=1, report={"guarantees": []})


def beat(records, row, now, *, cpu_s, memory=GIB):
    use = {row["id"]: Use(cpu_s, memory, memory)}
    return records.write_sync(leases.beat, use, row["principal"], now=now, ttl_s=TTL_S)


def settle(records, row, now, **use):
    return records.write_sync(leases.settle, row["id"], row["principal"], now=now, ttl_s=TTL_S, reason="shut down", **use)


def test_fifty_starts_at_once_against_three_admit_exactly_three(place, now):
    """Several processes' worth of writers on one database, every thread let go at the same moment."""
    opened = [open_records(place) for _ in range(3)]
    try:
        with ThreadPoolExecutor(50) as pool:
            for number in range(5):
                person, gate = f"p{number}", threading.Barrier(50)

                def attempt(index, person=person, gate=gate):
                    gate.wait()
                    return reserve(opened[index % 3], wanted(f"k{index}", principal=person), now)

                admitted = [row for row in pool.map(attempt, range(50)) if row]
                assert len(admitted) == 3
                assert len(opened[0].read_sync(leases.live, person)) == 3
    finally:
        for item in opened:
            item.close()


def test_a_freed_place_is_free_at_once(records, now):
    first = reserve(records, wanted("a"), now, most=1)
    assert reserve(records, wanted("b"), now, most=1) is None
    settle(records, first, now)
    assert reserve(records, wanted("b"), now, most=1)["state"] == "starting"


def test_starts_still_in_flight_and_closing_leases_count(records, now):
    row = reserve(records, wanted("a"), now, most=1)
    start(records, row, now)
    records.write_sync(leases.close, row["id"], "ana")
    assert reserve(records, wanted("b"), now, most=1) is None


@pytest.mark.parametrize("kind", ["terminal", "clean_run", "exec"])
def test_only_kernels_count_and_are_counted(records, now, kind):
    assert reserve(records, wanted("a", kind=kind), now, most=1)
    assert reserve(records, wanted("b"), now, most=1)
    assert reserve(records, wanted("c", kind=kind), now, most=1)


def test_other_people_have_places_of_their_own(records, now):
    assert reserve(records, wanted("a"), now, most=1)
    assert reserve(records, wanted("a", principal="ben"), now, most=1)


def test_the_same_key_is_the_same_lease(records, now):
    first = reserve(records, wanted("a"), now, most=1)
    again = reserve(records, wanted("a"), now, most=1)
    assert again["id"] == first["id"]
    assert len(records.read_sync(leases.live, "ana")) == 1


def test_a_restart_takes_the_profile_as_it_is_now(records, now):
    first = reserve(records, wanted("a"), now)
    larger = replace(wanted("a"), profile="large", memory_limit_bytes=8 * GIB)
    again = reserve(records, larger, now)
    assert (again["id"], again["profile"], again["memory_limit_bytes"]) == (first["id"], "large", 8 * GIB)
    assert records.read_sync(leases.get, first["id"], "ana")["profile"] == "large"


def test_a_key_whose_lease_ended_starts_nothing(records, now):
    settle(records, reserve(records, wanted("a"), now), now)
    with pytest.raises(Conflict, match="settled: shut down"):
        reserve(records, wanted("a"), now)


def test_another_persons_lease_does_not_exist(records, now):
    row = reserve(records, wanted("a"), now)
    with pytest.raises(NotFound):
        records.read_sync(leases.get, row["id"], "ben")
    assert records.read_sync(leases.get, row["id"], "ana")["id"] == row["id"]
    assert beat(records, row | {"principal": "ben"}, now, cpu_s=1.0) == [row["id"]]


def test_beats_charge_processor_time_and_memory_over_time(records, now):
    row = start(records, reserve(records, wanted("a"), now), now)
    beat(records, row, now, cpu_s=0.0, memory=2 * GIB)
    beat(records, row, now + timedelta(seconds=10), cpu_s=5.0, memory=2 * GIB)
    found = records.read_sync(leases.get, row["id"], "ana")
    assert (found["cpu_s"], found["memory_gib_s"], found["cpu_percent"]) == (5.0, 20.0, 50.0)
    spent = records.read_sync(budgets.spent, "ana", now=now, per_s=3600)
    assert spent == budgets.Spent(5 / 3600, 20 / 3600, 1)


def test_a_restarted_kernels_counter_begins_again_and_nothing_is_lost(records, now):
    row = start(records, reserve(records, wanted("a"), now), now)
    beat(records, row, now, cpu_s=5.0)
    start(records, row, now)
    beat(records, row, now, cpu_s=2.0)
    beat(records, row, now, cpu_s=1.0)  # and one that restarted between two beats without a word
    assert records.read_sync(leases.get, row["id"], "ana")["cpu_s"] == 8.0


def test_what_a_kernel_used_before_a_restart_is_charged_once(records, now):
    """Whoever watches a kernel says its processor time in sum since the lease began, restarts included."""
    row = start(records, reserve(records, wanted("a"), now), now)
    beat(records, row, now, cpu_s=5.0)
    start(records, row, now)
    beat(records, row, now, cpu_s=6.0)
    assert records.read_sync(leases.get, row["id"], "ana")["cpu_s"] == 6.0
    assert records.read_sync(budgets.spent, "ana", now=now, per_s=3600).cpu_hours == 6.0 / 3600


MOVES = {
    "active": lambda records, row, now: start(records, row, now),
    "closing": lambda records, row, now: records.write_sync(leases.close, row["id"], "ana"),
    "settled": lambda records, row, now: settle(records, row, now),
    "expired": lambda records, row, now: records.write_sync(leases.sweep, now=now + HOUR),
}
WAYS = {"starting": [], "active": ["active"], "closing": ["active", "closing"], "settled": ["settled"], "expired": ["active", "expired"]}


@pytest.mark.parametrize("to_state", MOVES)
@pytest.mark.parametrize("state", WAYS)
def test_a_lease_moves_as_the_table_says_and_else_stays(records, now, state, to_state):
    row = reserve(records, wanted("a"), now)
    for step in WAYS[state]:
        MOVES[step](records, row, now)
    before = records.read_sync(leases.get, row["id"], "ana")
    assert before["state"] == state
    with contextlib.suppress(Conflict):
        MOVES[to_state](records, row, now)
    after = records.read_sync(leases.get, row["id"], "ana")
    if to_state in leases.TRANSITIONS[state]:
        assert after["state"] == to_state
    else:
        assert after == before


def test_settling_charges_the_rest_once(records, now):
    row = start(records, reserve(records, wanted("a"), now), now)
    beat(records, row, now, cpu_s=5.0)
    assert settle(records, row, now, cpu_s=7.0)["state"] == "settled"
    assert settle(records, row, now, cpu_s=9.0) is None
    assert records.read_sync(leases.get, row["id"], "ana")["cpu_s"] == 7.0


def test_settling_without_numbers_keeps_what_was_charged(records, now):
    row = start(records, reserve(records, wanted("a"), now), now)
    beat(records, row, now, cpu_s=5.0)
    assert settle(records, row, now)["cpu_s"] == 5.0


def test_silence_expires_and_beats_do_not(records, now):
    quiet = start(records, reserve(records, wanted("a"), now), now)
    lively = start(records, reserve(records, wanted("b"), now), now)
    beat(records, quiet, now, cpu_s=3.0)
    beat(records, lively, now + timedelta(seconds=50), cpu_s=1.0)
    expired = records.write_sync(leases.sweep, now=now + timedelta(seconds=61))
    assert [row["id"] for row in expired] == [quiet["id"]]
    assert (expired[0]["state"], expired[0]["ended_at"], expired[0]["cpu_s"]) == ("expired", now, 3.0)
    assert beat(records, quiet, now + timedelta(seconds=62), cpu_s=9.0) == [quiet["id"]]
    assert beat(records, lively, now + timedelta(seconds=62), cpu_s=2.0) == []


def test_a_start_that_never_came_expires_too(records, now):
    row = reserve(records, wanted("a"), now, most=1)
    records.write_sync(leases.sweep, now=now + timedelta(seconds=61))
    assert records.read_sync(leases.get, row["id"], "ana")["state"] == "expired"
    assert reserve(records, wanted("b"), now, most=1)


def test_after_a_pause_of_control_leases_get_their_time_again(records, now):
    row = start(records, reserve(records, wanted("a"), now), now)
    records.write_sync(leases.reprieve, now=now + HOUR, ttl_s=TTL_S)
    assert records.write_sync(leases.sweep, now=now + HOUR) == []
    assert [item["id"] for item in records.write_sync(leases.sweep, now=now + HOUR * 2)] == [row["id"]]


def test_a_long_gap_charges_memory_only_for_the_time_somebody_watched(records, now):
    row = start(records, reserve(records, wanted("a"), now), now)
    beat(records, row, now, cpu_s=0.0, memory=GIB)
    beat(records, row, now + HOUR, cpu_s=0.0, memory=GIB)
    assert records.read_sync(leases.get, row["id"], "ana")["memory_gib_s"] == TTL_S


def test_budgets_are_the_sum_of_leases(records, now):
    """Whatever order of beats, restarts, ends and expiry: nothing is charged twice and nothing is lost."""
    rows = [start(records, reserve(records, wanted(str(index)), now, most=9), now) for index in range(4)]
    for step in range(1, 30):
        for index, row in enumerate(rows[: 4 - step // 10]):
            beat(records, row, now + timedelta(seconds=7 * step), cpu_s=index * step % 13, memory=(index + 1) * GIB)
    settle(records, rows[0], now + timedelta(seconds=240), cpu_s=99.0)
    records.write_sync(leases.sweep, now=now + HOUR)
    found = [records.read_sync(leases.get, row["id"], "ana") for row in rows]
    spent = records.read_sync(budgets.spent, "ana", now=now + HOUR, per_s=7 * 86400)
    assert spent.cpu_hours * 3600 == pytest.approx(sum(row["cpu_s"] for row in found))
    assert spent.memory_gib_hours * 3600 == pytest.approx(sum(row["memory_gib_s"] for row in found))
    assert {row["state"] for row in found} == {"settled", "expired"}
