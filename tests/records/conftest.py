"""Records on both databases: SQLite always, PostgreSQL where its programs are on this machine."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jupyter_guardrails.records import open_records

NOW = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def now():
    return NOW


def unprivileged():
    """Account for PostgreSQL, which refuses to run as root; None = this one will do."""
    if os.geteuid() != 0:
        return None
    return pwd.getpwnam("nobody")


def drop(account):
    def lower():
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)

    return lower if account else None


@pytest.fixture(scope="session")
def postgres():
    """URL of a PostgreSQL server of this test run: loopback-free, on a unix socket of its own."""
    if not (shutil.which("initdb") and shutil.which("pg_ctl")):
        pytest.skip("initdb and pg_ctl are not on this machine's PATH: PostgreSQL is not tested here")
    pytest.importorskip("psycopg", reason="psycopg is not installed: PostgreSQL is not tested here")
    account = unprivileged()
    home = Path(tempfile.mkdtemp(prefix="gr-pg-", dir="/tmp"))
    if account:
        os.chown(home, account.pw_uid, account.pw_gid)
    data = home / "data"
    as_them = {"preexec_fn": drop(account), "check": True, "stdout": subprocess.DEVNULL, "cwd": home}
    subprocess.run(["initdb", "-D", data, "-U", "records", "-A", "trust", "--no-sync"], **as_them)
    options = f"-c listen_addresses='' -c unix_socket_directories={home} -c fsync=off"
    subprocess.run(["pg_ctl", "-D", data, "-w", "-o", options, "-l", home / "log", "start"], **as_them)
    yield f"postgresql://records@/postgres?host={home}"
    subprocess.run(["pg_ctl", "-D", data, "-w", "-m", "immediate", "stop"], **as_them)
    shutil.rmtree(home)


def fresh_database(url):
    """A new empty database on the server; its URL."""
    import psycopg

    name = f"r{uuid.uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    return url.replace("/postgres?", f"/{name}?")


@contextlib.contextmanager
def away(url):
    """The database ends every connection, and lets nobody in until the block ends."""
    import psycopg

    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    with psycopg.connect(url.replace(f"/{name}?", "/postgres?"), autocommit=True) as connection:
        connection.execute(f"alter database {name} allow_connections false")
        connection.execute("select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = %s", [name])
        try:
            yield
        finally:
            connection.execute(f"alter database {name} allow_connections true")


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """Where a database may be opened, twice if need be."""
    if request.param == "sqlite":
        return str(tmp_path / "records.sqlite")
    return fresh_database(request.getfixturevalue("postgres"))


@pytest.fixture
def records(place, tmp_path):
    opened = open_records(place, journal=tmp_path / "audit.jsonl")
    yield opened
    opened.close()
