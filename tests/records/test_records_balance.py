"""The check that books balance finds what it must, and nothing else."""

from datetime import timedelta

from sqlalchemy import insert, update

from jupyter_guardrails.records import balance, leases, tables
from jupyter_guardrails.records.leases import Use, Wanted


def make(records, now, name="k"):
    wanted = Wanted(name, name, "ana", "kernel", f"kernel-{name}", "python3", "/w", "small", "r:1", "d", 1 << 30, 1.0)
    records.write_sync(leases.reserve, wanted, now=now, ttl_s=60, max_kernels=9)
    records.write_sync(leases.start, name, "ana", now=now, ttl_s=60, pid=1, report={})
    records.write_sync(leases.beat, {name: Use(3.0, 1 << 30, 1 << 30)}, "ana", now=now + timedelta(seconds=10), ttl_s=60)
    return now + timedelta(seconds=10)


def found(records, now):
    return records.read_sync(balance.problems, now=now)


def test_use_and_charges_add_up_at_every_point_of_a_lease(records, now):
    assert found(records, now) == []
    later = make(records, now)
    assert found(records, later) == []
    records.write_sync(leases.settle, "k", "ana", now=later + timedelta(seconds=20), ttl_s=60, reason="done", cpu_s=9.0)
    assert found(records, later + timedelta(hours=1)) == []


def test_a_charge_too_much_and_one_that_is_missing_are_found(records, now):
    later = make(records, now)
    records.write_sync(lambda connection: connection.execute(update(tables.charges).values(cpu_s=4.0, kernels=2)))
    assert found(records, later) == [
        "ana: leases used 3 processor seconds, and 4 were charged",
        "ana: leases used 1 kernels, and 2 were charged",
    ]
    extra = {"principal": "ben", "hour": 1, "cpu_s": 0.0, "memory_gib_s": 5.0, "kernels": 0}
    records.write_sync(lambda connection: connection.execute(insert(tables.charges).values(extra)))
    assert "ben: leases used 0 GiB seconds, and 5 were charged" in found(records, later)


def test_a_lease_past_its_time_is_found_once_the_sweep_is_late(records, now):
    later = make(records, now)
    assert found(records, later + timedelta(seconds=60 + balance.LATE_S)) == []
    late = later + timedelta(seconds=61 + balance.LATE_S)
    assert found(records, late) == [f"lease k should have ended at {later + timedelta(seconds=60):%Y-%m-%d %H:%M:%S}"]
    records.write_sync(leases.sweep, now=late)
    assert found(records, late) == []
