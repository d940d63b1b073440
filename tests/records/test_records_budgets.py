"""Budgets: a start takes its room by one UPDATE, what ends gives it back, windows move on, and the sums are those of buckets and leases."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import IntegrityError

from jupyter_guardrails.records import budgets, leases, open_records
from jupyter_guardrails.records.budgets import DoesNotFit
from jupyter_guardrails.records.database import _engine
from jupyter_guardrails.records.leases import Use, Wanted
from jupyter_guardrails.records.tables import budgets as budget_rows
from jupyter_guardrails.records.tables import charges
from jupyter_guardrails.records.upgrade import MIGRATIONS
from jupyter_guardrails.records.windows import GIB, HOUR_S, NAMES, Limit, Window

TTL_S = 60.0
WEEK = Window(7 * 86400)
HOUR = timedelta(hours=1)


def wanted(key, *, principal="ana", kind="kernel", memory=GIB, cpus=1.0, **more):
    said = {"kernel_id": key, "kernelspec": "python3", "workspace": "/w", "profile": "small", "rule": "r", "policy_digest": "d"}
    return Wanted(id=uuid.uuid4().hex, key=key, principal=principal, kind=kind, memory_limit_bytes=memory, cpus=cpus, **said | more)


def reserve(records, item, now, limit, *, most=1000):
    return records.write_sync(leases.reserve, item, now=now, ttl_s=TTL_S, max_kernels=most, limit=limit)


def start(records, row, now):
    return records.write_sync(leases.start, row["id"], row["principal"], now=now, ttl_s=TTL_S, pid=1, report={})


def beat(records, row, now, *, cpu_s, memory=GIB, holder=""):
    return records.write_sync(leases.beat, {row["id"]: Use(cpu_s, memory, memory)}, row["principal"], now=now, ttl_s=TTL_S, holder=holder)


def settle(records, row, now, **use):
    return records.write_sync(leases.settle, row["id"], row["principal"], now=now, ttl_s=TTL_S, reason="shut down", **use)


def standing(records, limit, now):
    return records.read_sync(budgets.standing, limit, now=now)


def amount(records, limit, now, name="cpu_hours"):
    return next(item for item in standing(records, limit, now).amounts if item.name == name)


def assert_sums_are_right(records):
    """Every row: what is used is the sum of its buckets, what is reserved the sum over live leases; and buckets are what leases were charged."""
    rows = records.read_sync(lambda connection: connection.execute(select(budget_rows)).mappings().all())
    live = records.read_sync(leases.live, None)
    for row in rows:
        inside = (charges.c.principal == row["holder"]) & (charges.c.hour >= row["first_hour"])
        for name in NAMES:
            total = select(func.coalesce(func.sum(charges.c[f"{name}_s"]), 0.0)).where(inside)
            assert row[f"used_{name}_s"] == pytest.approx(records.read_sync(lambda c, q=total: c.execute(q).scalar()), abs=1e-6)
            promised = sum(lease[f"reserved_{name}_s"] for lease in live if lease["holder"] == row["holder"])
            assert row[f"reserved_{name}_s"] == pytest.approx(promised, abs=1e-6)
    return rows


OLD_LEASE = """INSERT INTO leases (id, key, principal, kind, kernel_id, kernelspec, workspace, profile, rule, policy_digest, memory_limit_bytes, cpus,
state, created_at, beat_at, expires_at, reason, cpu_s, cpu_counter_s, cpu_percent, memory_bytes, memory_peak_bytes, memory_gib_s, idle_s)
VALUES ('L', 'k', 'ana', 'kernel', 'K', 'python3', '/w', 'small', 'r', 'd', 1, 1.0, 'active', :t, :t, :t + 60, '', 50.0, 50.0, 0.0, 0, 0, 0.0, 0.0)"""


def test_leases_and_charges_from_before_budgets_had_rows_count_on(place, now):
    """A database as the second revision left it, with a kernel that still runs."""
    engine = _engine(place if "://" in place else f"sqlite:///{place}", writer=True)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        connection.execute(text(OLD_LEASE), {"t": now.timestamp()})
        hour = {"h": int(now.timestamp() // HOUR_S)}
        connection.execute(text("INSERT INTO charges (principal, hour, cpu_s, memory_gib_s, kernels) VALUES ('ana', :h, 50.0, 7.0, 1)"), hour)
    engine.dispose()
    records = open_records(place)
    limit = Limit("ana", WEEK, cpu_hours=400 / HOUR_S)
    beat(records, {"id": "L", "principal": "ana"}, now, cpu_s=60.0)
    assert amount(records, limit, now).used == pytest.approx(60 / HOUR_S)
    assert reserve(records, wanted("b"), now, limit)
    with pytest.raises(DoesNotFit):
        reserve(records, wanted("c"), now, limit)
    assert settle(records, {"id": "L", "principal": "ana"}, now)["cpu_s"] == 60.0
    assert_sums_are_right(records)
    records.close()


def test_fifty_starts_at_once_take_exactly_the_room_that_there_is(place, now):
    """Several processes' worth of writers; room for 7 starts of 300 processor-seconds each."""
    opened = [open_records(place) for _ in range(3)]
    limit = Limit("ana", WEEK, cpu_hours=7 * 300 / HOUR_S)
    gate = threading.Barrier(50)

    def attempt(index):
        gate.wait()
        try:
            return reserve(opened[index % 3], wanted(f"k{index}"), now, limit)
        except DoesNotFit:
            return None

    try:
        with ThreadPoolExecutor(50) as pool:
            admitted = [row for row in pool.map(attempt, range(50)) if row]
        assert len(admitted) == 7
        assert len(assert_sums_are_right(opened[0])) == 1
    finally:
        for item in opened:
            item.close()


def test_a_start_that_fits_exactly_fits_and_a_hair_less_does_not(records, now):
    assert reserve(records, wanted("a"), now, Limit("ana", WEEK, cpu_hours=300 / HOUR_S))
    with pytest.raises(DoesNotFit):
        reserve(records, wanted("b"), now, Limit("ana", WEEK, cpu_hours=599 / HOUR_S))
    assert reserve(records, wanted("b"), now, Limit("ana", WEEK, cpu_hours=600 / HOUR_S))
    assert_sums_are_right(records)


def test_a_refused_start_leaves_nothing_behind(records, now):
    limit = Limit("ana", WEEK, cpu_hours=1.0, memory_gib_hours=0.1)
    reserve(records, wanted("a"), now, limit)
    before = standing(records, limit, now)
    with pytest.raises(DoesNotFit):
        reserve(records, wanted("b"), now, limit)
    assert reserve(records, wanted("c", cpus=0.1, memory=1 << 20), now, limit, most=1) is None, "the limit of kernels"
    assert standing(records, limit, now) == before
    assert [row["key"] for row in records.read_sync(leases.live, "ana")] == ["a"]


def test_an_error_of_the_database_grants_nothing(records, now):
    """The lease's id is there already: the INSERT fails after the budget's UPDATE."""
    limit = Limit("ana", WEEK, cpu_hours=1.0)
    first = reserve(records, wanted("a"), now, limit)
    with pytest.raises(IntegrityError):
        reserve(records, replace(wanted("b"), id=first["id"]), now, limit)
    assert amount(records, limit, now).reserved == pytest.approx(300 / HOUR_S)
    assert_sums_are_right(records)
    assert reserve(records, wanted("b"), now, limit)


def test_a_budget_smaller_than_five_minutes_is_taken_whole_by_one(records, now):
    limit = Limit("ana", WEEK, cpu_hours=10 / HOUR_S)
    row = reserve(records, wanted("a"), now, limit)
    assert row["reserved_cpu_s"] == pytest.approx(10.0)
    with pytest.raises(DoesNotFit):
        reserve(records, wanted("b"), now, limit)
    settle(records, row, now)
    assert reserve(records, wanted("b"), now, limit)


def test_beats_keep_the_reservation_and_the_end_gives_it_back(records, now):
    limit = Limit("ana", WEEK, cpu_hours=1.0)
    row = start(records, reserve(records, wanted("a"), now, limit), now)
    for step in (10, 20, 30):
        beat(records, row, now + timedelta(seconds=step), cpu_s=step)
        assert amount(records, limit, now).reserved == pytest.approx(300 / HOUR_S)
    settle(records, row, now + timedelta(seconds=40), cpu_s=40.0)
    settle(records, row, now + timedelta(seconds=40), cpu_s=90.0)  # once is enough
    found = amount(records, limit, now)
    assert (found.used, found.reserved) == (pytest.approx(40 / HOUR_S), pytest.approx(0.0))


def test_what_expires_gives_back_too(records, now):
    limit = Limit("ana", WEEK, cpu_hours=1.0)
    row = start(records, reserve(records, wanted("a"), now, limit), now)
    beat(records, row, now, cpu_s=30.0)
    records.write_sync(leases.sweep, now=now + timedelta(seconds=61))
    found = amount(records, limit, now + timedelta(seconds=61))
    assert (found.used, found.reserved) == (pytest.approx(30 / HOUR_S), pytest.approx(0.0))
    assert_sums_are_right(records)


def test_the_same_key_reserves_once_and_a_larger_profile_the_difference(records, now):
    limit = Limit("ana", WEEK, cpu_hours=900 / HOUR_S)
    reserve(records, wanted("a"), now, limit)
    reserve(records, wanted("a"), now, limit)
    assert amount(records, limit, now).reserved == pytest.approx(300 / HOUR_S)
    reserve(records, wanted("a", cpus=3.0), now, limit)
    assert amount(records, limit, now).reserved == pytest.approx(900 / HOUR_S)
    reserve(records, wanted("a", cpus=1.0), now, limit)
    reserve(records, wanted("b"), now, limit)
    with pytest.raises(DoesNotFit):
        reserve(records, wanted("a", cpus=3.0), now, limit)
    assert amount(records, limit, now).reserved == pytest.approx(600 / HOUR_S)


def test_a_restart_is_not_refused_by_a_budget_that_is_used_up(records, now):
    limit = Limit("ana", WEEK, cpu_hours=1.0)
    row = start(records, reserve(records, wanted("a"), now, limit), now)
    beat(records, row, now, cpu_s=2 * HOUR_S)
    assert reserve(records, wanted("a"), now, limit)["id"] == row["id"]
    with pytest.raises(DoesNotFit):
        reserve(records, wanted("b"), now, limit)


def test_without_a_limit_what_is_reserved_is_booked_all_the_same(records, now):
    """Terminals, and where the policy only observes."""
    limit = Limit("ana", WEEK, cpu_hours=0.1)
    reserve(records, wanted("a"), now, limit)
    reserve(records, wanted("t", kind="terminal"), now, None)
    assert amount(records, limit, now).reserved == pytest.approx(600 / HOUR_S)
    assert_sums_are_right(records)


def test_use_leaves_a_rolling_window_hour_by_hour(records, now):
    limit = Limit("ana", Window(2 * HOUR_S), cpu_hours=1.0)
    row = start(records, reserve(records, wanted("a"), now, limit), now)
    beat(records, row, now, cpu_s=1800.0)
    beat(records, row, now + HOUR, cpu_s=3600.0)
    with pytest.raises(DoesNotFit):
        reserve(records, wanted("b"), now + HOUR, limit)
    found = standing(records, limit, now + HOUR)
    assert (found.share, found.frees_at) == (pytest.approx(1.0), now + 3 * HOUR)
    settle(records, row, now + HOUR)
    assert reserve(records, wanted("b"), now + 3 * HOUR, limit), "noon's use is out of the window"
    assert amount(records, limit, now + 3 * HOUR).used == pytest.approx(0.5)
    assert_sums_are_right(records)


def test_a_month_begins_on_its_first_day(records):
    month, end = Window(None), datetime(2025, 12, 31, 23, 50, tzinfo=UTC)
    limit = Limit("ana", month, cpu_hours=1.0)
    row = start(records, reserve(records, wanted("a"), end, limit), end)
    settle(records, row, end, cpu_s=HOUR_S)
    with pytest.raises(DoesNotFit):
        reserve(records, wanted("b"), end, limit)
    following = datetime(2026, 1, 1, tzinfo=UTC)
    assert standing(records, limit, end).frees_at == following
    assert (month.leaves_at(month.first_hour(end)), month.first_hour(following) * HOUR_S) == (following, following.timestamp())
    assert reserve(records, wanted("b"), following, limit)
    assert standing(records, limit, following).share == 0.0


def test_another_window_counts_what_was_used_before(records, now):
    row = start(records, reserve(records, wanted("a"), now, Limit("ana", WEEK, cpu_hours=2.0)), now)
    beat(records, row, now, cpu_s=HOUR_S)
    for window in (Window(None), Window(3 * HOUR_S), WEEK):
        limit = Limit("ana", window, cpu_hours=1.0)
        assert amount(records, limit, now).used == pytest.approx(1.0)
        with pytest.raises(DoesNotFit):
            reserve(records, wanted("b"), now, limit)
    assert reserve(records, wanted("c"), now, Limit("ana", Window(None), cpu_hours=1.5))
    settle(records, row, now, cpu_s=HOUR_S + 60)
    assert len(assert_sums_are_right(records)) == 2


def test_people_of_a_rule_share_one_budget_and_others_do_not(records, now):
    limit = Limit("rule/analysts", WEEK, cpu_hours=600 / HOUR_S)
    rows = [reserve(records, wanted("k", principal=name, holder="rule/analysts"), now, limit) for name in ("ana", "ben")]
    with pytest.raises(DoesNotFit):
        reserve(records, wanted("k", principal="cat", holder="rule/analysts"), now, limit)
    assert reserve(records, wanted("k", principal="dan"), now, Limit("dan", WEEK, cpu_hours=600 / HOUR_S))
    for row in rows:
        settle(records, start(records, row, now), now, cpu_s=60.0)
    assert amount(records, limit, now).used == pytest.approx(120 / HOUR_S)
    assert records.read_sync(budgets.spent, "ana", now=now, per_s=3600).cpu_hours == pytest.approx(60 / HOUR_S)
    assert set(records.read_sync(budgets.people, None, now=now, per_s=None)) == {"ana", "ben"}, "a rule is nobody's use"
    assert_sums_are_right(records)


def test_a_budget_that_goes_to_a_group_takes_along_what_runs(records, now):
    own, shared = Limit("ana", WEEK, cpu_hours=1.0), Limit("rule/g", WEEK, cpu_hours=400 / HOUR_S)
    row = start(records, reserve(records, wanted("a"), now, own), now)
    beat(records, row, now, cpu_s=10.0, holder="rule/g")
    with pytest.raises(DoesNotFit):
        reserve(records, wanted("b", holder="rule/g"), now, shared)
    beat(records, row, now, cpu_s=15.0, holder="rule/g")
    assert amount(records, own, now).used == pytest.approx(15 / HOUR_S)
    assert (amount(records, own, now).reserved, amount(records, shared, now).reserved) == (0.0, pytest.approx(300 / HOUR_S))
    assert amount(records, shared, now).used == pytest.approx(5 / HOUR_S), "from the time on that the policy says so"
    reserve(records, wanted("c", holder="ana"), now, own)  # and back, at the next start already
    assert amount(records, own, now).reserved == pytest.approx(600 / HOUR_S)
    assert_sums_are_right(records)


def test_gpus_are_charged_for_the_time_that_a_kernel_runs(records, now):
    limit = Limit("ana", WEEK, gpu_hours=1.0)
    row = reserve(records, wanted("a", gpus=2), now, limit)
    assert row["reserved_gpu_s"] == 600.0
    start(records, row, now + timedelta(seconds=20))
    beat(records, row, now + timedelta(seconds=30), cpu_s=0.0)
    settle(records, row, now + timedelta(seconds=50))
    assert amount(records, limit, now, "gpu_hours").used == pytest.approx(2 * 30 / HOUR_S), "not while it was starting"


def test_a_kernel_without_gpus_starts_when_their_hours_are_used_up(records, now):
    limit = Limit("ana", WEEK, cpu_hours=10.0, gpu_hours=300 / HOUR_S)
    row = start(records, reserve(records, wanted("a", gpus=1), now, limit), now)
    beat(records, row, now + timedelta(seconds=10), cpu_s=0.0)
    with pytest.raises(DoesNotFit):
        reserve(records, wanted("b", gpus=1), now, limit)
    assert reserve(records, wanted("c"), now, limit)


def test_use_at_a_clock_that_was_put_back_is_in_its_hour_alone(records, now):
    limit = Limit("ana", Window(HOUR_S), cpu_hours=1.0)
    row = start(records, reserve(records, wanted("a"), now, limit), now)
    beat(records, row, now - 5 * HOUR, cpu_s=100.0)
    assert_sums_are_right(records)
    assert amount(records, limit, now).used == pytest.approx(0.0)
    assert amount(records, limit, now - 5 * HOUR).used == pytest.approx(100 / HOUR_S)


def test_two_hundred_beats_are_one_transaction_of_few_statements(records, now):
    """However many: as many statements for 200 as for 2."""
    limit = Limit("ana", WEEK, cpu_hours=1000.0)
    rows = [start(records, reserve(records, wanted(f"k{index}"), now, limit), now) for index in range(200)]

    def count(connection, some):
        seen = []

        def listen(*arguments):
            seen.append(arguments[2])

        event.listen(connection, "before_cursor_execute", listen)
        leases.beat(connection, {row["id"]: Use(5.0, GIB, GIB) for row in some}, "ana", now=now + timedelta(seconds=10), ttl_s=TTL_S)
        event.remove(connection, "before_cursor_execute", listen)
        return len(seen)

    assert records.write_sync(count, rows[:2]) == records.write_sync(count, rows) <= 5
    assert amount(records, limit, now).used == pytest.approx(200 * 5 / HOUR_S)
    assert_sums_are_right(records)
