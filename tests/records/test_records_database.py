"""The database itself: migrations make exactly the tables, one writer serves many, and the folder around it is private."""

import asyncio
import contextlib
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from jupyter_guardrails.errors import Conflict
from jupyter_guardrails.records import audit, choices, open_records
from jupyter_guardrails.records.tables import leases, metadata, profile_choices


def choose(connection, person, now):
    choices.choose(connection, person, None, "small", now=now)


def test_the_migrations_make_exactly_the_tables(records):
    def differences(connection):
        return compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)

    assert records.read_sync(differences) == []


def test_a_column_that_no_migration_knows_would_be_found(records):
    """The comparison above can fail."""
    records.write_sync(lambda connection: connection.execute(text("alter table charges add column extra integer")))
    found = records.read_sync(lambda connection: compare_metadata(MigrationContext.configure(connection), metadata))
    assert len(found) == 1


def test_opening_again_keeps_what_was_written(place, now):
    first = open_records(place)
    first.write_sync(choose, "ana", now)
    first.close()
    second = open_records(place)
    assert second.read_sync(choices.chosen, "ana", None) == "small"
    second.close()


def test_a_glance_sees_what_was_written_and_changes_nothing(records, now):
    records.write_sync(choose, "ana", now)
    assert asyncio.run(records.glance(choices.chosen, "ana", None)) == "small"
    with pytest.raises(DBAPIError):
        asyncio.run(records.glance(choose, "ben", now))
    assert records.read_sync(choices.chosen, "ben", None) is None


def test_what_is_in_the_way_of_a_glance_is_waited_for_in_another_thread(records):
    """The event loop itself waits for no lock."""
    tried = []

    def looked(connection):
        tried.append(threading.current_thread())
        if tried[-1] is threading.main_thread():
            raise OperationalError("select", {}, Exception("database is locked"))
        return connection.execute(text("select 7")).scalar()

    assert asyncio.run(records.glance(looked)) == 7
    assert tried[-1] is not threading.main_thread()


def test_a_database_of_a_newer_version_is_left_alone(place):
    first = open_records(place)
    first.write_sync(lambda connection: connection.execute(text("update alembic_version set version_num = '9999'")))
    first.close()
    with pytest.raises(Conflict, match="revision 9999"):
        open_records(place)


def test_many_writers_all_get_through(records, now):
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: records.write_sync(choose, f"p{number}", now), range(200)))
    assert records.read_sync(lambda connection: connection.execute(select(func.count()).select_from(profile_choices)).scalar()) == 200


def test_one_failing_write_of_a_batch_harms_no_other(records, now):
    """Hold the writer so that what follows is committed together."""
    gate = threading.Event()

    def fails(connection):
        choose(connection, "bad", now)
        raise ValueError("no")

    with ThreadPoolExecutor(3) as pool:
        held = pool.submit(records.write_sync, lambda connection: gate.wait(10))
        good = pool.submit(records.write_sync, choose, "good", now)
        bad = pool.submit(records.write_sync, fails)
        gate.set()
        assert held.result()
        good.result()
        with pytest.raises(ValueError, match="no"):
            bad.result()
    assert records.read_sync(choices.chosen, "good", None) == "small"
    assert records.read_sync(choices.chosen, "bad", None) is None


def test_from_an_event_loop(records, now):
    async def both():
        await records.write(choose, "ana", now)
        return await records.read(choices.chosen, "ana", None)

    assert asyncio.run(both()) == "small"


def test_choices_are_kept_for_all_notebooks_and_for_each_until_they_are_forgotten(records, now):
    records.write_sync(choices.choose, "ana", None, "small", now=now)
    records.write_sync(choices.choose, "ana", "a.ipynb", "large", now=now)
    records.write_sync(choices.choose, "ana", "a.ipynb", "huge", now=now)
    places = (("ana", "a.ipynb"), ("ana", None), ("ana", "b.ipynb"), ("ben", "a.ipynb"))
    assert [records.read_sync(choices.chosen, *place) for place in places] == ["huge", "small", None, None]
    records.write_sync(choices.forget, "ana", "a.ipynb")
    assert [records.read_sync(choices.chosen, *place) for place in places] == [None, "small", None, None]


def test_what_an_undone_operation_kept_on_its_connection_is_undone_too(records):
    def keep(connection, value, *, fails=False):
        connection.info["kept"] = value
        if fails:
            raise ValueError("no")

    records.write_sync(keep, "first")
    with pytest.raises(ValueError, match="no"):
        records.write_sync(keep, "second", fails=True)
    assert records.write_sync(lambda connection: connection.info["kept"]) == "first"


def test_answers_reach_threads_and_several_event_loops(records, now):
    """One batch for all of them: the writer is held until everybody has asked."""
    gate, people = threading.Event(), [f"p{number}" for number in range(20)]

    async def ask(names):
        done = await asyncio.gather(*(records.write(lambda connection, name: name, name) for name in names), return_exceptions=True)
        with pytest.raises(ValueError, match="no"):
            await records.write(lambda connection: int("no"))
        return done

    with ThreadPoolExecutor(4) as pool:
        held = pool.submit(records.write_sync, lambda connection: gate.wait(10))
        loops = [pool.submit(asyncio.run, ask(people[start : start + 10])) for start in (0, 10)]
        thread = pool.submit(records.write_sync, choose, "thread", now)
        gate.set()
        assert held.result()
        assert [name for loop in loops for name in loop.result()] == people
        thread.result()
    assert records.read_sync(choices.chosen, "thread", None) == "small"


def test_a_caller_that_no_longer_waits_harms_nobody(records, now):
    gate = threading.Event()

    async def give_up():
        records_busy = asyncio.create_task(records.write(lambda connection: gate.wait(10)))
        left = asyncio.create_task(records.write(choose, "left", now))
        await asyncio.sleep(0)
        left.cancel()
        gate.set()
        await asyncio.gather(records_busy, left, return_exceptions=True)
        await records.write(choose, "stayed", now)

    asyncio.run(give_up())
    assert records.read_sync(choices.chosen, "stayed", None) == "small"


def test_readers_can_not_write_sqlite(tmp_path, now):
    opened = open_records(tmp_path / "r.sqlite")
    with pytest.raises(DBAPIError, match="readonly"):
        opened.read_sync(choose, "ana", now)
    opened.write_sync(choose, "ana", now)
    opened.close()


def test_sqlite_is_as_durable_as_promised(tmp_path):
    opened = open_records(tmp_path / "r.sqlite")
    pragma = opened.write_sync(lambda connection: [connection.execute(text(f"pragma {name}")).scalar() for name in ("journal_mode", "synchronous")])
    assert pragma == ["wal", 2]
    opened.close()


def test_a_time_without_a_zone_is_refused(records, now):
    with pytest.raises(Exception, match="without a zone"):
        records.write_sync(choose, "ana", now.replace(tzinfo=None))
    records.write_sync(choose, "ana", now)
    row = records.read_sync(lambda connection: connection.execute(select(profile_choices.c.chosen_at)).scalar())
    assert row == now


def test_closed_records_say_so(tmp_path, now):
    opened = open_records(tmp_path / "r.sqlite")
    opened.close()
    with pytest.raises(RuntimeError, match="closed"):
        opened.write_sync(choose, "ana", now)


KILLED = """
import sys, itertools
from datetime import UTC, datetime
from jupyter_guardrails.records import audit, open_records
records = open_records(sys.argv[1], journal=__import__("pathlib").Path(sys.argv[2]))
for number in itertools.count():
    said = dict(principal="ana", action="a", resource=str(number), allowed=True, reason="", rule="", policy_digest="")
    records.write_sync(audit.append, now=datetime.now(UTC), **said)
    print(number + 1, flush=True)
"""


def test_killed_while_writing_the_chain_verifies_and_nothing_confirmed_is_lost(place, tmp_path):
    journal = tmp_path / "audit.jsonl"
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", KILLED, place, str(journal)], stdout=subprocess.PIPE, text=True)
        for _ in range(25):
            confirmed = process.stdout.readline()
        process.kill()
        confirmed = (process.stdout.read().splitlines() or [confirmed])[-1]
        process.wait()
    opened = open_records(place, journal=journal)
    found = opened.read_sync(audit.verify_table)
    assert found.ok
    assert found.count >= 50 + int(confirmed)
    assert len(journal.read_text().splitlines()) == found.count
    opened.close()


@pytest.mark.parametrize(("state", "fits"), [("active", True), ("invented", False)])
def test_the_database_itself_knows_the_states(records, now, state, fits):
    numbers = {column.name: 0 for column in leases.columns if column.type.python_type in (int, float) and not column.nullable}
    texts = {column.name: "x" for column in leases.columns if column.type.python_type is str and not column.nullable}
    row = numbers | texts | {"created_at": now, "beat_at": now, "expires_at": now, "state": state}
    with contextlib.nullcontext() if fits else pytest.raises(DBAPIError, match="ck_leases_state"):
        records.write_sync(lambda connection: connection.execute(insert(leases).values(row)))


def test_a_read_is_one_snapshot_and_changes_nothing(records, now):
    def look(connection):
        seen = []
        for _ in range(2):
            seen.append(connection.execute(select(func.count()).select_from(profile_choices)).scalar_one())
            records.write_sync(choose, f"person {len(seen)}", now)
        with pytest.raises(DBAPIError, match=r"read-?only"):
            connection.exec_driver_sql("delete from profile_choices")
        return seen

    assert records.read_sync(look) == [0, 0]
    assert records.read_sync(lambda found: found.execute(select(func.count()).select_from(profile_choices)).scalar_one()) == 2
