"""SQL of a person against a real PostgreSQL: what their account may see they get, and nobody else's rights, no write, no second statement."""

import time
from datetime import date
from decimal import Decimal

import pytest

from jupyter_guardrails.catalog.sources import person_sql
from jupyter_guardrails.errors import BadRequest, LimitReached, SourceAway
from tests.records.conftest import fresh_database, postgres  # noqa: F401 - a fixture

SETUP = """
create role p_ana login; create role p_ben login; create role p_boss login superuser; create role p_two login; create role p_files login;
create role analysts nologin; grant analysts to p_ana; grant p_ben to p_two; grant pg_read_server_files to p_files;
create table salaries (name text, region text, pay numeric(10, 2), since date);
insert into salaries select 'person ' || i, case i % 2 when 0 then 'north' else 'south' end, i, date '2024-01-01' + i from generate_series(1, 100) i;
create view masked as select 'x' as name, region, pay, since from salaries; grant select on masked to analysts;
create view of_ben as select * from salaries; grant select on of_ben to p_ben;
create function write_it() returns integer language sql security definer as 'insert into salaries values (''new'') returning 1';
"""


@pytest.fixture(scope="module")
def dwh(postgres):  # noqa: F811 - the fixture
    import psycopg

    url = fresh_database(postgres)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SETUP)
    host, name = url.partition("host=")[2], url.partition("@/")[2].partition("?")[0]
    yield {"kind": "database", "dialect": "postgresql", "host": host, "port": 5432, "database": name, "schema": "public", "table": "masked"}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("drop owned by p_ana, p_ben, p_two, p_files, analysts; drop role p_ana, p_two, p_ben, p_boss, p_files, analysts")


def run_sql(place, role, sql, password=None):
    return person_sql.run_sql(place, {"user": role, "password": password}, sql)


def test_a_person_s_own_question(dwh):
    columns = "region, count(*) as n, sum(pay) as pay, min(since) as first, '{\"a\": 1}'::json as j, null as none, '100%' as p"
    table = run_sql(dwh, "p_ana", f"-- mine\nselect {columns} from masked group by 1 order by 1")
    assert table.schema.names == ["region", "n", "pay", "first", "j", "none", "p"]
    first = table.to_pylist()[0]
    assert (first["region"], first["n"], Decimal(first["pay"]), first["first"], first["none"]) == ("north", 50, Decimal(2550), date(2024, 1, 3), None)
    assert run_sql(dwh, "p_ana", "select * from masked where false").schema.names == ["name", "region", "pay", "since"]
    assert run_sql(dwh, "p_ben", "table of_ben").num_rows == 100


@pytest.mark.parametrize("start", ["  (select 1)", "/* a */ with a as (select 1) select * from a", "values (1)", "-- x\n--y\nTABLE masked limit 1"])
def test_what_a_select_may_begin_with(dwh, start):
    assert run_sql(dwh, "p_ana", start).num_rows == 1


ATTACKS = {
    "the table behind the view": "select * from salaries",
    "somebody else's view": "select * from of_ben",
    "another role": "select set_config('role', 'p_ben', false)",
    "another role, then text that is run": "select set_config('role', 'p_ben', true), query_to_xml('select * from of_ben', true, true, '')",
    "another session": "select set_config('session_authorization', 'p_ben', false)",
    "no role, then text that is run": "select set_config('role', 'none', true), query_to_xml('select * from salaries', true, true, '')",
    "two statements": "select 1; select 2",
    "a second one after a comment": "select 1 /* ; */; set role p_ben",
    "a write in a with": "with w as (insert into salaries values ('x') returning 1) select * from w",
    "a write in a function": "select write_it()",
    "a write after a setting": "select set_config('transaction_read_only', 'off', true), write_it()",
    "into a table": "select * into stolen from masked",
    "a lock": "select * from masked for update",
    "a file": "select pg_read_file('/etc/passwd')",
    "a large object of a file": "select lo_import('/etc/passwd')",
    "a folder": "select * from pg_ls_dir('/')",
    "passwords": "select * from pg_authid",
    "a syntax error": "select from where",
    "a type": "select 'person 1'::integer",
}


@pytest.mark.parametrize("sql", ATTACKS.values(), ids=ATTACKS.keys())
def test_what_a_person_may_not_do(dwh, sql):
    with pytest.raises(BadRequest, match="the database says") as refused:
        run_sql(dwh, "p_ana", sql)
    assert refused.value.next_step
    assert run_sql(dwh, "p_ana", "select count(*) from masked").to_pylist() == [{"count": 100}]


@pytest.mark.parametrize(
    "sql",
    [
        *("set role p_ben", "reset role", "copy masked to program 'id'", "do $$ begin end $$", "commit", "insert into salaries values ('x')"),
        *("", ";", "call x()", "explain analyze select 1", "/* select */ drop table salaries", "-- select\ndelete from salaries", "select\0"),
        "select " + "1," * 100_000 + "1",
    ],
)
def test_what_is_not_sent_at_all(dwh, sql):
    with pytest.raises(BadRequest):
        run_sql(dwh, "p_ana", sql)


@pytest.mark.parametrize(
    ("role", "why"), [("p_boss", "superuser"), ("p_two", "it can become p_ben"), ("p_files", "it can become pg_read_server_files")]
)
def test_an_account_that_is_more_than_one_person_s(dwh, role, why):
    with pytest.raises(SourceAway, match=why):
        run_sql(dwh, role, "select 1")


def test_an_account_that_is_not_there_says_no_secret(dwh):
    with pytest.raises(SourceAway) as refused:
        run_sql(dwh, "p_nobody", "select 1", password="hunter2")
    assert "hunter2" not in str(refused.value)


def test_a_statement_that_takes_too_long_ends_whatever_it_sets(dwh, monkeypatch):
    monkeypatch.setattr(person_sql, "TIMEOUT_S", 1)
    with pytest.raises(SourceAway, match="took too long"):
        run_sql(dwh, "p_ana", "select set_config('statement_timeout', '0', false), pg_sleep(30)")


@pytest.mark.parametrize("sql", ["select generate_series(1, 200)", "select repeat('x', 100) from generate_series(1, 90)"])
def test_too_much_is_refused_and_never_cut(dwh, monkeypatch, sql):
    monkeypatch.setattr(person_sql, "MOST_ROWS", 100)
    monkeypatch.setattr(person_sql, "MOST_BYTES", 9000)
    with pytest.raises(LimitReached, match="more than"):
        run_sql(dwh, "p_ana", sql)
    assert run_sql(dwh, "p_ana", "select generate_series(1, 100)").num_rows == 100


def test_an_answer_in_several_batches_is_whole(dwh, monkeypatch):
    monkeypatch.setattr(person_sql, "BATCH_ROWS", 7)
    table = run_sql(dwh, "p_ana", "select i, 'x' || i as t from generate_series(1, 50) i")
    assert (table["i"].to_pylist(), table["t"].to_pylist()[-1]) == (list(range(1, 51)), "x50")


def test_a_cancel_that_comes_between_two_statements_counts_for_the_next(dwh, monkeypatch):
    begin = person_sql._Asking.begin

    def begin_and_cancel(asking, connection):
        begin(asking, connection)
        asking.cancel()  # which a database that does nothing ignores

    monkeypatch.setattr(person_sql._Asking, "begin", begin_and_cancel)
    with pytest.raises(SourceAway):
        run_sql(dwh, "p_ana", "select pg_sleep(20)")


def test_who_stops_waiting_cancels_it_in_the_database(dwh):
    """The twin above waits, and has its rows."""

    def gone():
        raise BadRequest("nobody waits")

    with pytest.raises(BadRequest, match="nobody waits"):
        person_sql.run_sql(dwh, {"user": "p_ana"}, "select pg_sleep(50)", look=gone)
    busy = "select count(*) as n from pg_stat_activity where usename = 'p_ana' and query like '%pg_sleep%' and pid <> pg_backend_pid()"
    deadline = time.monotonic() + 30
    while (left := run_sql(dwh, "p_ana", busy).to_pylist()) != [{"n": 0}]:  # it ends a moment after we have gone
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
