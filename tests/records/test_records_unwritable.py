"""What can't be written is refused whole, with the reason; the next write that works finds everything in order."""

import errno
import json
import os
import resource
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from jupyter_guardrails.errors import RecordsUnwritable
from jupyter_guardrails.records import audit, choices, open_records
from tests.records.conftest import away, drop, fresh_database, unprivileged

SAID = {"principal": "ana", "action": "a", "resource": "r" * 300, "allowed": True, "reason": "", "rule": "", "policy_digest": ""}


@pytest.fixture
def lite(tmp_path):
    opened = open_records(tmp_path / "records.sqlite", journal=tmp_path / "audit.jsonl")
    yield opened
    opened.close()


def full(connection):
    """From now on SQLite may not take another page, as on a full disk."""
    connection.execute(text(f"pragma max_page_count={connection.execute(text('pragma page_count')).scalar()}"))


def free(connection):
    connection.execute(text("pragma max_page_count=1073741823"))


def many(connection, now, count=100):
    for _ in range(count):
        audit.append(connection, now=now, **SAID)


def test_a_full_database_refuses_with_the_place_and_takes_everything_afterwards(lite, tmp_path, now):
    lite.write_sync(full)
    with pytest.raises(RecordsUnwritable, match=rf"no space left on the disk of {tmp_path} \(\d+ MiB free\)") as refused:
        lite.write_sync(many, now)
    assert "goes on by itself" in refused.value.next_step
    assert lite.unwritten == 1
    lite.write_sync(free)
    lite.write_sync(many, now)
    assert lite.read_sync(audit.verify_table).count == 100


def test_what_was_written_before_in_the_same_batch_is_not_taken_for_written(lite, now):
    """SQLite undoes the whole transaction when the disk fills up in the middle of it: nobody of that batch may be told that all is well."""
    lite.write_sync(full)
    gate, holding = threading.Event(), threading.Event()

    def hold(connection):
        holding.set()
        gate.wait(10)

    def lose(connection):
        connection.connection.dbapi_connection.rollback()  # what SQLite does by itself
        raise OSError(errno.ENOSPC, "full")

    with ThreadPoolExecutor(4) as pool:
        held = pool.submit(lite.write_sync, hold)
        assert holding.wait(10)
        asked = [pool.submit(lite.write_sync, choices.choose, name, None, "small", now=now) for name in ("ana", "ben")]
        asked.insert(1, pool.submit(lite.write_sync, lose))
        gate.set()
        held.result()
        outcomes = [future.exception() for future in asked]
    known = {name for name in ("ana", "ben") if lite.read_sync(choices.chosen, name, None)}
    told = {name for name, outcome in zip(("ana", None, "ben"), outcomes, strict=True) if outcome is None}
    assert known == told


def test_a_line_that_the_disk_took_in_part_is_cut_off_again(lite, tmp_path, now):
    lite.write_sync(audit.append, now=now, **SAID)
    journal = tmp_path / "audit.jsonl"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((1 << 20) + 100, before[1]))  # below that, SQLite's own files still grow
    journal.write_bytes(b"")
    try:
        with open(journal, "r+b") as file:
            file.write(b" " * ((1 << 20) - 1) + b"\n")
        with pytest.raises(RecordsUnwritable, match="records can't be written"):
            lite.write_sync(audit.append, now=now, **SAID)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert journal.read_bytes().endswith(b" \n"), "no torn line"
    lite.write_sync(audit.append, now=now, **SAID)
    assert [json.loads(line)["seq"] for line in journal.read_text().splitlines()[1:]] == [2, 3]


def test_a_mistake_of_the_caller_stays_that(lite, now):
    with pytest.raises(IntegrityError):
        lite.write_sync(lambda connection: connection.execute(text("insert into charges (principal, hour) values ('a', 1)")))
    assert lite.unwritten == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk for PostgreSQL's own account")
def test_a_full_disk_of_postgresql_is_told_alike(postgres, now):
    psycopg = pytest.importorskip("psycopg")
    account = unprivileged()
    home = Path(postgres.partition("host=")[2])
    small = home / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=24m,uid={account.pw_uid},mode=700", "small", str(small)], check=True)
    url = postgres.replace("/postgres?", "/small?")
    try:
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f"create tablespace small location '{small}'")
            connection.execute("create database small tablespace small")
        records = open_records(url)
        try:
            subprocess.run(["dd", "if=/dev/zero", f"of={small}/ballast", "bs=64k"], preexec_fn=drop(account), capture_output=True)
            with pytest.raises(RecordsUnwritable, match="no space left on the disk of the database server"):
                records.write_sync(many, now, 2000)
            (small / "ballast").unlink()
            records.write_sync(many, now, 2000)
            assert records.read_sync(audit.verify_table).count == 2000
        finally:
            records.close()
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute("drop database small")
            connection.execute("drop tablespace small")
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)
        shutil.rmtree(small)


def test_a_database_that_is_away_is_said_and_everything_goes_on_when_it_is_back(postgres, now, tmp_path):
    url = fresh_database(postgres)
    records = open_records(url, journal=tmp_path / "audit.jsonl")
    try:
        records.write_sync(audit.append, now=now, **SAID)
        with away(url):
            for _ in range(2):  # the connection that breaks, then none that is made
                with pytest.raises(RecordsUnwritable, match="the records can't be reached: their database does not answer") as refusal:
                    records.write_sync(audit.append, now=now, **SAID)
                with pytest.raises(RecordsUnwritable, match="the records can't be reached"):
                    records.read_sync(audit.head)
            assert "not currently accepting connections" in refusal.value.message
            with pytest.raises(RecordsUnwritable, match="the records can't be reached"):
                open_records(url)
        assert records.unwritten == 2
        assert records.write_sync(audit.append, now=now, **SAID)["seq"] == 2
        assert records.read_sync(audit.verify_table).ok
        assert [json.loads(line)["seq"] for line in (tmp_path / "audit.jsonl").read_text().splitlines()] == [1, 2]
    finally:
        records.close()


def test_a_connection_that_breaks_in_the_middle_undoes_everything(postgres, now):
    url = fresh_database(postgres)
    records = open_records(url)

    def broken(connection):
        audit.append(connection, now=now, **SAID)
        with away(url):
            audit.append(connection, now=now, **SAID)

    try:
        with pytest.raises(RecordsUnwritable, match=r"the records can't be reached: .*\(terminating connection"):
            records.write_sync(broken)
        assert records.write_sync(audit.append, now=now, **SAID)["seq"] == 1
    finally:
        records.close()
