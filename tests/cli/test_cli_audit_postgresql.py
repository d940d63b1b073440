"""`jupyter guardrails audit verify` of a log whose table is in PostgreSQL: the same verdicts as beside SQLite, and nothing is changed by it."""

import json
import sys
import uuid

import pytest
from sqlalchemy import delete, insert, select, update

from jupyter_guardrails.cli.main import main
from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.records import audit, offline, tables
from jupyter_guardrails.records.snapshot import snapshot
from jupyter_guardrails.records.verify import links_of_table
from tests.records.attacked_log import START, Log
from tests.records.conftest import fresh_database, postgres  # noqa: F401 - a fixture

RECORD = tables.audit.c.seq


@pytest.fixture
def place(tmp_path, monkeypatch):
    """No settings of this machine: a state directory and a home of the test's."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GUARDRAILS_STATE_DIR", str(tmp_path / "state"))
    return tmp_path


@pytest.fixture
def log(place, postgres):  # noqa: F811 - pytest's way
    made = Log(fresh_database(postgres), place / "state")
    yield made
    made.close()


def verify(log, *arguments):
    return main(["audit", "verify", "--records", log.place, *map(str, arguments)])


def together(log):
    return verify(log, "--state-dir", log.folder)


def test_table_and_files_of_a_whole_log_hold(log, capsys):
    assert together(log) == 0
    said = capsys.readouterr().out
    assert "11 records hold: 1 to 11\nanchored up to record 11" in said
    assert f"its key: {log.key}" in said
    assert offline.TABLE_ALONE not in said


ATTACKS = {
    "edited": ([update(tables.audit).where(RECORD == 5).values(principal="eve")], "record 5 was altered\n4 records before that hold"),
    "deleted": ([delete(tables.audit).where(RECORD == 5)], "record 6 stands where 5 should"),
    "cut": ([delete(tables.audit).where(RECORD > 9)], "the log ends at 9, but record 11 was anchored: it was cut"),
    "cut with its anchors": (
        [delete(tables.audit).where(RECORD > 9), delete(tables.anchors).where(tables.anchors.c.seq > 9)],
        "the log ends at 9, but record 11 was anchored: it was cut",  # beside the files
    ),
    "exchanged": (
        [update(tables.audit).where(RECORD == 5).values(seq=99), update(tables.audit).where(RECORD == 6).values(seq=5)],
        "record 5 does not follow the one before it",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_each_change_of_the_table_is_found(log, capsys, attack):
    assert together(log) == 0, "untouched"
    capsys.readouterr()
    statements, problem = ATTACKS[attack]
    log.sql(*statements)
    assert together(log) == 1
    assert f"NOT WHOLE: {problem}" in capsys.readouterr().out


def test_the_rows_put_back_hold_again(log):
    rows = log.records.read_sync(lambda found: found.execute(select(tables.audit).order_by(RECORD)).mappings().all())
    log.sql(delete(tables.audit).where(RECORD == 5))
    assert together(log) == 1
    log.sql(insert(tables.audit).values(dict(rows[4])))
    assert together(log) == 0


def test_a_table_that_is_not_the_one_of_the_files_shows(log, capsys):
    log.append("d")
    assert together(log) == 0
    log.sql(delete(tables.audit).where(RECORD == 12))
    log.append("e")
    assert together(log) == 1
    assert "NOT WHOLE: record 12 of the table is not the one in the files" in capsys.readouterr().out


def test_an_edited_file_beside_a_whole_table_shows(log, capsys):
    path = log.folder / "audit.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"read3", b"read7"))
    assert together(log) == 1
    assert "NOT WHOLE: in the files: record 5 was altered" in capsys.readouterr().out
    path.write_bytes(whole)
    assert together(log) == 0


def test_a_database_by_itself_says_that_no_file_was_compared(log, capsys):
    """From another machine; the key that somebody noted elsewhere vouches for it."""
    assert verify(log, "--key", log.key) == 0
    assert offline.TABLE_ALONE in capsys.readouterr().out
    assert verify(log, "--key", "0" * 64) == 1
    capsys.readouterr()
    assert verify(log, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["count"], offline.TABLE_ALONE in found["notes"]) == (True, 11, True)


def test_a_state_directory_without_files_says_so_too(log, capsys):
    (log.folder / "audit.jsonl").unlink()
    assert together(log) == 0
    assert offline.TABLE_ALONE in capsys.readouterr().out


@pytest.mark.parametrize(
    "secret", ["postgresql://r:hunter2@db.example.com/r", "postgresql://r@db.example.com/r?password=hunter2", "postgresql://r@h/r?pass%77ord=hunter2"]
)
def test_a_password_in_the_arguments_is_refused_and_not_repeated(place, capsys, secret):
    with pytest.raises(SystemExit) as stop:
        main(["audit", "verify", "--records", secret])
    said = capsys.readouterr().err
    assert (stop.value.code, "must hold no password" in said, "~/.pgpass" in said, "hunter2" in said) == (2, True, True, False)


def test_a_database_that_does_not_answer_is_an_error_of_use(place, capsys):
    assert main(["audit", "verify", "--records", f"postgresql://r@/r?host={place}"]) == 2
    said = capsys.readouterr().err
    assert "postgresql://r@/r can't be read: connection " in said
    assert "next: see that it runs; run this as the account that control runs as" in said


def test_a_file_and_a_database_are_not_one_log(log, capsys):
    assert verify(log, log.folder / "audit.jsonl") == 2
    assert "next: leave --records away" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_no_log_without_files(log, capsys):
    assert verify(log, "--state-dir", log.folder / "nowhere") == 2
    assert "there is no folder" in capsys.readouterr().err


def test_an_auditors_account_needs_no_more_than_select(log, capsys):
    psycopg = pytest.importorskip("psycopg")
    role = f"auditor_{uuid.uuid4().hex}"
    with psycopg.connect(log.place, autocommit=True) as owner:
        owner.execute(f"create role {role} login")
        as_auditor = log.place.replace("records@", f"{role}@")
        assert main(["audit", "verify", "--records", as_auditor]) == 2
        assert "GRANT SELECT ON audit, anchors" in capsys.readouterr().err
        owner.execute(f"grant select on audit, anchors to {role}")
    assert main(["audit", "verify", "--records", as_auditor, "--state-dir", str(log.folder)]) == 0


def test_tables_of_another_version_are_named(place, postgres, capsys):  # noqa: F811
    assert main(["audit", "verify", "--records", fresh_database(postgres)]) == 2
    said = capsys.readouterr().err
    assert "does not exist" in said
    assert "next: start control of this version once" in said


def test_without_the_driver_its_name_is_said(log, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert together(log) == 2
    assert "install jupyter_guardrails[postgres]" in capsys.readouterr().err


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request, place):
    database = place / "state" / offline.DATABASE
    made = Log(fresh_database(request.getfixturevalue("postgres")) if request.param == "postgresql" else database, place / "state")
    yield made, made.place if request.param == "postgresql" else database
    made.close()


def test_what_verifies_changes_nothing(either):
    log, database = either
    with pytest.raises(BadRequest, match=r"can't be read: .*read-?only"), snapshot(database) as connection:
        connection.execute(delete(tables.audit))
    assert log.verify_table().count == 11
    log.sql(delete(tables.audit).where(RECORD == 11))  # the twin: the writer can
    assert log.verify_table().count == 10


def test_what_verifies_sees_one_moment(either):
    """Control goes on writing: table and anchors are of the moment in which the reading began."""
    log, database = either
    with snapshot(database) as connection:
        assert audit.head(connection)[0] == 11
        log.append("later")
        log.write(audit.anchor, now=START)
        assert sum(1 for _ in links_of_table(connection)) == 11
    with snapshot(database) as connection:
        assert sum(1 for _ in links_of_table(connection)) == 12


def test_rows_come_page_by_page(log):
    """A cursor of the server's holds them, not this process."""
    with snapshot(log.place) as connection:
        links = links_of_table(connection)
        assert next(links).seq == 1
        open_cursors = connection.connection.cursor().execute("select statement from pg_cursors").fetchall()
        assert any("FROM audit" in statement for (statement,) in open_cursors)
        links.close()
