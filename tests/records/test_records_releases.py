"""Databases as each release left them, with rows of its own, brought to this version's tables on both databases."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Float, MetaData, cast, create_engine, func, select, text

from jupyter_guardrails.records import audit, leases, open_records, upgrade
from jupyter_guardrails.records.tables import metadata
from tests.records.conftest import NOW, fresh_database

RELEASES = Path(__file__).with_name("releases")
REVISIONS = sorted({path.name.split(".")[0] for path in RELEASES.glob("*.sql")})
BAD = """
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = "bad", {head!r}, None, None
def upgrade():
    op.add_column("charges", sa.Column("half", sa.Integer(), nullable=True))
    op.execute("update charges set half = 1")
    raise RuntimeError("a migration of ours is wrong")
"""
OPEN = "import sys; from jupyter_guardrails.records import open_records; sys.stdin.readline(); open_records(sys.argv[1]).close()"


def load(kind, revision, request, folder):
    """A database with the release's tables and rows."""
    script = (RELEASES / f"{revision}.{kind}.sql").read_text()
    if kind == "sqlite":
        place = str(folder / "records.sqlite")
        with sqlite3.connect(place) as connection:
            connection.executescript(script)
        connection.close()
        return place
    psycopg = pytest.importorskip("psycopg")
    place = fresh_database(request.getfixturevalue("postgres"))
    with psycopg.connect(place) as connection:
        connection.execute(script)
    return place


@pytest.fixture(params=[(kind, revision) for kind in ("sqlite", "postgresql") for revision in REVISIONS], ids="-".join)
def released(request, tmp_path):
    return load(*request.param, request, tmp_path)


def rows_of(place):
    """Table -> its rows, by what the database itself says of its columns."""
    engine = create_engine(f"sqlite:///{place}" if "://" not in place else place.replace("postgresql://", "postgresql+psycopg://"))
    found = MetaData()
    found.reflect(engine)
    with engine.connect() as connection:
        rows = {name: [dict(row) for row in connection.execute(select(table)).mappings()] for name, table in found.tables.items()}
    engine.dispose()
    rows.pop("alembic_version")
    return {name: sorted(values, key=str) for name, values in rows.items()}


def test_each_revision_that_was_released_is_here():
    known = {script.revision for script in ScriptDirectory(str(upgrade.MIGRATIONS)).walk_revisions()}
    assert {"0001", "0002"} <= set(REVISIONS) <= known


def test_every_row_is_kept_and_the_tables_are_those_of_this_version(released):
    before = rows_of(released)
    assert all(before.values()), "each table of a release holds rows"
    records = open_records(released)
    after = rows_of(released)
    differences = records.read_sync(lambda c: compare_metadata(MigrationContext.configure(c, opts={"compare_type": True}), metadata))
    assert differences == []
    for name, rows in before.items():
        kept = [{column: row[column] for column in rows[0]} for row in after[name]]
        assert sorted(kept, key=str) == rows, name
    verified = records.read_sync(audit.verify_table)
    assert (verified.problems, verified.count) == ((), 6)
    records.close()


def test_what_a_release_left_goes_on(released):
    records = open_records(released)
    records.write_sync(leases.settle, "l1", "ana", now=NOW, ttl_s=60, reason="upgraded")
    said = {"principal": "ana", "action": "a", "resource": "r", "allowed": True, "reason": "", "rule": "", "policy_digest": ""}
    records.write_sync(audit.append, now=NOW, **said)
    assert records.read_sync(leases.get, "l1", "ana")["state"] == "settled"
    assert records.read_sync(audit.verify_table).ok
    records.close()


def test_a_migration_that_fails_leaves_the_revision_before(released, tmp_path, monkeypatch):
    before = rows_of(released)
    broken = tmp_path / "migrations"
    shutil.copytree(upgrade.MIGRATIONS, broken)
    head = ScriptDirectory(str(broken)).get_current_head()
    (broken / "versions" / "bad.py").write_text(BAD.format(head=head))
    with monkeypatch.context() as patched:
        patched.setattr(upgrade, "MIGRATIONS", broken)
        with pytest.raises(RuntimeError, match="a migration of ours is wrong"):
            open_records(released)
    assert rows_of(released) == before
    open_records(released).close()
    assert revision_of(released) == head


def revision_of(place):
    engine = create_engine(f"sqlite:///{place}" if "://" not in place else place.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        found = connection.execute(text("select version_num from alembic_version")).scalars().all()
    engine.dispose()
    assert len(found) == 1
    return found[0]


def test_several_processes_that_upgrade_at_once_do_not_collide(released):
    waiting = [subprocess.Popen([sys.executable, "-c", OPEN, released], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for process in waiting:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in waiting:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    assert revision_of(released) == ScriptDirectory(str(upgrade.MIGRATIONS)).get_current_head()


def test_a_sum_over_a_release_is_what_was_charged(released):
    """Floats survive to the last bit, also through SQL text."""
    records = open_records(released)
    charges = metadata.tables["charges"]
    query = select(func.sum(cast(charges.c.cpu_s, Float))).where(charges.c.principal == "ben")
    assert records.read_sync(lambda connection: connection.execute(query).scalar()) == 0.1 + 0.2
    records.close()
