"""Leases outlive a disk that was full: nobody's beats could be written, so nobody is ended for having sent none."""

import asyncio
import contextlib
from dataclasses import replace

import pytest
from sqlalchemy import text

from jupyter_guardrails.control import lifetimes, recovery
from jupyter_guardrails.control.interface.messages import KernelSettle
from jupyter_guardrails.errors import RecordsUnwritable
from jupyter_guardrails.records import audit, leases
from tests.records.conftest import away, fresh_database, postgres  # noqa: F401 - a fixture


def full(connection):
    connection.execute(text(f"pragma max_page_count={connection.execute(text('pragma page_count')).scalar()}"))


def free(connection):
    connection.execute(text("pragma max_page_count=1073741823"))


def use_up(desk):
    """Records until not one more goes in."""
    desk.state.records.write_sync(full)
    with contextlib.suppress(RecordsUnwritable):
        while True:
            desk.run(desk.state.audit("test", "x" * 3000))


def read_only(desk, switch):
    """The writer's connection takes nothing any more, or again; past the writer, whose transactions it refuses already."""
    raw = desk.state.records._writing.raw_connection()
    raw.cursor().execute(f"pragma query_only={switch}")
    raw.close()


def live(desk):
    return [row["kernel_id"] for row in desk.state.records.read_sync(leases.live, None)]


@pytest.mark.parametrize("was_full", [True, False])
def test_only_leases_that_could_have_been_told_of_expire(desk, was_full):
    desk.begin("k1")
    disk = recovery.Disk(desk.now)
    with use_and_free(desk) if was_full else contextlib.nullcontext():
        desk.later(seconds=70)
    assert desk.run(recovery.recover(desk.state, disk)) is was_full
    desk.run(lifetimes.sweep(desk.state))
    assert live(desk) == (["kernel-k1"] if was_full else [])
    assert desk.run(recovery.recover(desk.state, disk)) is False, "told once"
    told = [r["reason"] for r in desk.state.records.read_sync(audit.newest, limit=1000) if r["action"] == "records.recovered"]
    assert len(told) == was_full
    assert all("from 2025-03-01T12:00:00.000000Z on 1 changes could not be recorded" in reason for reason in told)


@contextlib.contextmanager
def use_and_free(desk):
    use_up(desk)
    yield
    desk.state.records.write_sync(free)


def test_nothing_answers_a_kernel_whose_end_could_not_be_recorded(desk):
    admission = desk.begin("k1")
    closed = []
    desk.state.kernels[admission.lease].servers.append(type("Server", (), {"close": lambda self: closed.append(1)})())
    read_only(desk, "on")
    with pytest.raises(RecordsUnwritable):
        desk.ask(KernelSettle(lease=admission.lease, reason="shut down"))
    assert closed == [1]
    read_only(desk, "off")
    desk.settle(admission)
    assert live(desk) == []


def test_a_start_on_a_full_disk_is_refused_and_leaves_nothing(desk):
    read_only(desk, "on")
    with pytest.raises(RecordsUnwritable, match="records can't be written"):
        desk.admit("k1")
    read_only(desk, "off")
    assert live(desk) == []
    assert desk.admit("k1").lease


def test_kernels_outlive_a_database_that_was_away(world, desk_for, postgres):  # noqa: F811 - pytest's way
    """The watch over leases goes on meanwhile, and gives them their time again when it can."""
    world.settings = replace(world.settings, records=fresh_database(postgres))
    desk = desk_for("ana")
    desk.begin("k1")
    desk.state = desk.service.state = replace(desk.state, lease_ttl_s=0.6)

    async def watched():
        watch = asyncio.create_task(lifetimes.sweep_forever(desk.state))
        with away(world.settings.records):
            seen = desk.state.records.unwritten
            desk.later(seconds=70)
            while desk.state.records.unwritten < seen + 2 and not watch.done():
                await asyncio.sleep(0.02)
            assert not watch.done()
        while not recovered(desk):
            assert not watch.done()
            await asyncio.sleep(0.02)
        watch.cancel()

    desk.run(asyncio.wait_for(watched(), 60))
    assert live(desk) == ["kernel-k1"]
    desk.later(seconds=70)
    desk.run(lifetimes.sweep(desk.state))
    assert live(desk) == [], "who sends no beats although they could be recorded is ended as ever"


def recovered(desk):
    with contextlib.suppress(RecordsUnwritable):
        return [r for r in desk.state.records.read_sync(audit.newest, limit=1000) if r["action"] == "records.recovered"]
