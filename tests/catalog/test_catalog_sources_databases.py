"""Tables of real databases: PostgreSQL and SQLite keep what every source keeps; types, hostile names, and what goes wrong in bounded time."""

import json
import os
import socket
import sqlite3
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pyarrow as pa
import pytest

from jupyter_guardrails.catalog.sources import connecting, databases, open_source
from jupyter_guardrails.errors import Conflict, GuardrailsError, NotFound, Refused, SourceAway
from jupyter_guardrails.policy.rowfilter import parse_filter
from tests.catalog.source_contract import BoundedMemory, SourceContract, read
from tests.records.conftest import fresh_database, postgres  # noqa: F401 - a fixture

SECRET = "hunter2-secret"
BIG_ROWS = 5_000_000 if os.environ.get("GUARDRAILS_SOAK") == "1" else 400_000
SQL = {pa.int64(): "bigint", pa.string(): "text", pa.float64(): "double precision"}


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def create(execute, executemany, table, name, mark):
    columns = ", ".join(f"{quoted(field.name)} {SQL[field.type]}" for field in table.schema)
    execute(f"drop table if exists {quoted(name)}")
    execute(f"create table {quoted(name)} ({columns})")
    executemany(f"insert into {quoted(name)} values ({', '.join([mark] * table.num_columns)})", [tuple(row.values()) for row in table.to_pylist()])


class OfPostgres:
    """A database of its own; its place and the account that reads it."""

    def __init__(self, url):
        import psycopg

        self.url = fresh_database(url)
        self.connect = lambda **options: psycopg.connect(self.url, autocommit=True, **options)
        with self.connect() as connection:
            connection.execute("do $$ begin create role reader login; exception when duplicate_object then null; end $$")
            connection.execute("alter default privileges grant select on tables to reader")
        host, name = self.url.partition("host=")[2], self.url.partition("@/")[2].partition("?")[0]
        self.place = {"kind": "database", "dialect": "postgresql", "host": host, "port": 5432, "database": name, "schema": "public", "table": "t"}
        self.credentials = {"user": "reader", "password": SECRET, "options": {}}

    def run(self, *statements):
        with self.connect() as connection:
            for statement in statements:
                connection.execute(statement)

    def one(self, statement):
        with self.connect() as connection:
            return connection.execute(statement).fetchone()[0]


@pytest.fixture(scope="module")
def dwh(postgres):  # noqa: F811 - the fixture
    return OfPostgres(postgres)


class TestPostgres(SourceContract, BoundedMemory):
    most_kib = 280 << 10  # 245 MiB with the drivers of today; all of the rows in Python: 375 MiB

    @pytest.fixture
    def placed(self, dwh):
        made = set()

        def place(table, name):
            if name not in made:
                with dwh.connect() as connection, connection.cursor() as cursor:
                    create(cursor.execute, lambda sql, rows: copy(cursor, name, rows), table, name, "%s")
                made.add(name)
            return dwh.place | {"table": name}, dwh.credentials

        return place

    @pytest.fixture
    def connections(self, dwh):
        return lambda: dwh.one("select count(*) from pg_stat_activity where usename = 'reader'")

    @pytest.fixture
    def placed_big(self, dwh):
        dwh.run(f"create table if not exists large as select i as id, md5(i::text) as text, i * 0.5 as x from generate_series(1, {BIG_ROWS}) i")
        return dwh.place | {"table": "large"}, dwh.credentials, BIG_ROWS


def copy(cursor, name, rows):
    with cursor.copy(f"copy {quoted(name)} from stdin") as into:
        for row in rows:
            into.write_row(row)


class TestSqlite(SourceContract, BoundedMemory):
    most_kib = 280 << 10  # 215 MiB; all of the rows in Python: 330 MiB

    @pytest.fixture
    def placed(self, tmp_path):
        made = set()
        file = tmp_path.resolve() / "über uns?#%.sqlite"

        def place(table, name):
            if name not in made:
                with sqlite3.connect(file) as connection:
                    create(connection.execute, connection.executemany, table, name, "?")
                connection.close()
                made.add(name)
            return {"kind": "database", "dialect": "sqlite", "path": str(file), "table": name}, None

        return place

    @pytest.fixture
    def connections(self, tmp_path):
        mine = str(tmp_path.resolve())  # other tests of this process may hold databases of their own
        return lambda: sum(os.path.realpath(f"/proc/self/fd/{fd}").startswith(mine) for fd in os.listdir("/proc/self/fd"))

    @pytest.fixture
    def placed_big(self, tmp_path):
        file = tmp_path.resolve() / "big.sqlite"
        with sqlite3.connect(file) as connection:
            connection.execute("create table large (id integer, text text, x real)")
            numbers = f"with recursive n(i) as (select 1 union all select i + 1 from n where i < {BIG_ROWS})"
            connection.execute(f"insert into large {numbers} select i, hex(i * 1000003), i * 0.5 from n")
        connection.close()
        return {"kind": "database", "dialect": "sqlite", "path": str(file), "table": "large"}, None, BIG_ROWS


TYPES = {
    "boolean": ("true", pa.bool_(), True),
    "smallint": ("-3", pa.int16(), -3),
    "integer": ("7", pa.int32(), 7),
    "bigint": ("9007199254740993", pa.int64(), 9007199254740993),
    "real": ("0.5", pa.float64(), 0.5),
    "double precision": ("0.1", pa.float64(), 0.1),
    "numeric(10,2)": ("12.30", pa.decimal128(10, 2), Decimal("12.30")),
    "numeric(50,10)": ("1.5", pa.decimal256(50, 10), Decimal("1.5")),
    "numeric": ("123456789012345678901234567890.000000001", pa.string(), "123456789012345678901234567890.000000001"),
    "varchar(5)": ("'a\u00e4'", pa.string(), "aä"),
    "char(3)": ("'a'", pa.string(), "a  "),
    "date": ("'2024-02-29'", pa.date32(), date(2024, 2, 29)),
    "time": ("'01:02:03.000004'", pa.time64("us"), time(1, 2, 3, 4)),
    "timestamp": ("'2024-02-29 01:02:03.000004'", pa.timestamp("us"), datetime(2024, 2, 29, 1, 2, 3, 4)),
    "timestamptz": ("'2024-02-29 01:02:03+02'", pa.timestamp("us", "UTC"), datetime(2024, 2, 28, 23, 2, 3, tzinfo=UTC)),
    "uuid": ("'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", pa.string(), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "json": ("'{\"a\": 1.10}'", pa.string(), '{"a": 1.10}'),
    "jsonb": ('\'{"b":1,"a":[null]}\'', pa.string(), '{"a": [null], "b": 1}'),
    "bytea": ("'\\x00ff'", pa.binary(), b"\x00\xff"),
    "interval": ("'1 mon 2 days 03:00'", pa.string(), "1 mon 2 days 03:00:00"),
    "inet": ("'10.0.0.0/8'", pa.string(), "10.0.0.0/8"),
    "int4range": ("'[1,5)'", pa.string(), "[1,5)"),
    "integer[]": ("'{1,NULL,3}'", pa.list_(pa.int32()), [1, None, 3]),
    "text[]": ("'{a,\"b,c\"}'", pa.list_(pa.string()), ["a", "b,c"]),
    "uuid[]": ("'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'", pa.string(), "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"),
    "mood": ("'fine'", pa.string(), "fine"),
    "timetz": ("'01:02:03+02'", pa.string(), "01:02:03+02"),
    "bit(3)": ("B'101'", pa.string(), "101"),
}


def test_types_of_postgresql_and_their_nulls(dwh):
    dwh.run("create type mood as enum ('fine', 'bad')")
    dwh.run(f"create table kinds ({', '.join(f'{quoted(kind)} {kind}' for kind in TYPES)})")
    dwh.run(f"insert into kinds values ({', '.join(value for value, _, _ in TYPES.values())})", "insert into kinds default values")
    table = read(dwh.place | {"table": "kinds"}, dwh.credentials)
    first, second = table.to_pylist()
    assert {field.name: field.type for field in table.schema} == {kind: arrow for kind, (_, arrow, _) in TYPES.items()}
    assert first == {kind: value for kind, (_, _, value) in TYPES.items()}
    assert set(second.values()) == {None}


@pytest.mark.parametrize("kind", ["mood", "uuid", "citext-like", "char(3)", "numeric(10,2)", "numeric", "timestamptz", "integer[]", "boolean"])
def test_filters_on_every_kind_of_column_never_lose_a_row(dwh, kind):
    """What a database can't compare as Arrow does, it doesn't compare: all rows come, and the filter is applied afterwards."""
    if kind == "citext-like":
        kind = "text collate case_blind"
        dwh.run("create collation if not exists case_blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    dwh.run("drop table if exists one", f"create table one (x {kind}, y integer)", "insert into one (y) values (1), (2)")
    for text in ("x = 'fine'", "x != 'a'", "x > 'a'", "x = 1", "x < 0.5", "x = true", "x in ('a', 'b')", "x in (1, 'a')", "x = 'a' or y = 1"):
        found = read(dwh.place | {"table": "one"}, dwh.credentials, predicate=parse_filter(text)).to_pylist()
        assert [row["y"] for row in found] in ([], [1], [1, 2]), text
        assert "y = 1" not in text or found[0]["y"] == 1


def test_a_case_blind_collation_keeps_what_differs_in_case_only(dwh):
    dwh.run("create collation if not exists case_blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    dwh.run("drop table if exists one", "create table one (x text collate case_blind)", "insert into one values ('JFK'), ('jfk'), ('EWR')")
    found = read(dwh.place | {"table": "one"}, dwh.credentials, predicate=parse_filter("x != 'JFK'"))
    assert {"jfk", "EWR"} <= set(found["x"].to_pylist())


def test_the_filter_really_is_pushed_down(dwh):
    dwh.run("drop table if exists one", "create table one as select i as x from generate_series(1, 1000) i", "grant select on one to reader")
    assert read(dwh.place | {"table": "one"}, dwh.credentials, predicate=parse_filter("x in (3, 4)")).num_rows == 2


def test_a_filter_with_an_unknown_attribute_reads_nothing(dwh):
    dwh.run("drop table if exists one", "create table one (x text)")
    with pytest.raises(Refused, match="needs region of you"):
        read(dwh.place | {"table": "one"}, dwh.credentials, predicate=parse_filter("x = {user.region}"))


HOSTILE = ['"; drop table victim; --', "a'b", "sel%sect", "a:b", "%(x)s", "select", "A b", "ü\u202e", "x" * 60, "\\", "{}", "$1"]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("engine", ["postgresql", "sqlite"])
def test_hostile_names_are_names(dwh, tmp_path, engine, name):
    columns = f"{quoted(name)} text, y integer"
    if engine == "postgresql":
        dwh.run("create table if not exists victim (x integer)", f"create table {quoted(name)} ({columns})")
        dwh.run(f"insert into {quoted(name)} values ('{name.replace(chr(39), chr(39) * 2)}', 1)")
        place, credentials = dwh.place | {"table": name}, dwh.credentials
    else:
        place, credentials = sqlite_file(tmp_path, f"create table {quoted(name)} ({columns})", f"insert into {quoted(name)} values ('v', 1)"), None
        place |= {"table": name}
    try:
        table = read(place, credentials, columns=[name], predicate=parse_filter("y = 1"))
        assert table.schema.names == [name]
        assert table.num_rows == 1
    finally:
        if engine == "postgresql":
            dwh.run(f"drop table {quoted(name)}", "select * from victim")


def sqlite_file(tmp_path, *statements):
    file = tmp_path.resolve() / "a.sqlite"
    with sqlite3.connect(file) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    return {"kind": "database", "dialect": "sqlite", "path": str(file), "table": "t"}


def test_types_of_sqlite(tmp_path):
    columns = "i integer, r real, t text, b blob, f boolean, d date, dt datetime, n numeric(10,2), j json, u"
    place = sqlite_file(
        tmp_path, f"create table t ({columns})", "insert into t values (1, 0.5, 'ä', x'00ff', 1, '2024-02-29', '2024', 1.25, '[1]', 'x')"
    )
    table = read(place, None)
    expected = {"i": 1, "r": 0.5, "t": "ä", "b": b"\x00\xff", "f": True, "d": "2024-02-29", "dt": "2024", "n": "1.25", "j": "[1]", "u": "x"}
    assert table.to_pylist() == [expected]


SAID = "Max Mustermann's salary"


def test_a_value_that_is_not_of_its_type_is_not_repeated(tmp_path, dwh):
    place = sqlite_file(tmp_path, "create table t (i integer)", f"insert into t values ('{SAID.replace(chr(39), chr(39) * 2)}')")
    with pytest.raises(Conflict, match="column i of table t") as refused:
        read(place, None)
    assert "Mustermann" not in str(refused.value)
    dwh.run("drop table if exists one", "create table one as select 'infinity'::timestamp as x")
    with pytest.raises(Conflict, match="holds a value that its driver can't read"):
        read(dwh.place | {"table": "one"}, dwh.credentials)
    dwh.run("drop table if exists one", "create table one as select '{{1,2},{3,4}}'::int[] as x")
    with pytest.raises(Conflict, match=r"column x of table public\.one"):
        read(dwh.place | {"table": "one"}, dwh.credentials)


def test_a_view_whose_row_fails_says_no_value(dwh):
    dwh.run("drop view if exists bad", f"create view bad as select '{SAID.replace(chr(39), chr(39) * 2)}'::text::integer as x")
    with pytest.raises(GuardrailsError) as refused:
        read(dwh.place | {"table": "bad"}, dwh.credentials)
    assert "Mustermann" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_nothing_can_be_written(dwh, tmp_path):
    """A view that writes when it is read: the transaction is read-only, also where the account may write."""
    dwh.run("drop view if exists writes", "drop function if exists write_it", "drop table if exists target", "create table target (x integer)")
    dwh.run("create function write_it() returns integer language sql security definer as 'insert into target values (1) returning x'")
    dwh.run("create view writes as select write_it() as x")
    with pytest.raises(SourceAway):
        read(dwh.place | {"table": "writes"}, dwh.credentials)
    assert dwh.one("select count(*) from target") == 0
    dwh.run("select write_it()")
    assert dwh.one("select count(*) from target") == 1
    place = sqlite_file(tmp_path, "create table t (x integer)")
    connection = connecting.connect(place, None)
    with pytest.raises(Exception, match=r"readonly|read-only|not authorized"):
        connection.exec_driver_sql("insert into t values (1)")
    with pytest.raises(Exception, match="not authorized"):
        connection.exec_driver_sql(f"attach '{tmp_path}/b.sqlite' as b")
    connection.close()


def test_sqlite_without_the_right_to_write_beside_it(tmp_path):
    place = sqlite_file(tmp_path, "pragma journal_mode = wal", "create table t (x integer)", "insert into t values (1)")
    os.chmod(place["path"], 0o444)
    assert read(place, None).to_pylist() == [{"x": 1}]


def test_a_sqlite_file_that_is_another_one_now(tmp_path):
    place = sqlite_file(tmp_path, "create table t (x integer)")
    with open(place["path"], "rb") as file:
        assert read_with(place, [file.fileno()]).num_rows == 0
        os.rename(place["path"], place["path"] + ".old")
        sqlite_file(tmp_path, "create table t (x integer)", "insert into t values (42)")
        with pytest.raises(Conflict, match="was replaced"):
            read_with(place, [file.fileno()])
    os.rename(place["path"], place["path"] + ".other")
    os.symlink(place["path"] + ".other", place["path"])
    with pytest.raises(Conflict, match="replaced by something else"):
        read(place, None)
    os.unlink(place["path"])
    with pytest.raises(NotFound):
        read(place, None)
    (tmp_path / "a.sqlite").write_text("no database at all " * 100)
    with pytest.raises(Conflict, match="broken, or no SQLite database"):
        read(place, None)


def read_with(place, fds):
    source = open_source(place, columns=None, credentials=None, fds=fds)
    try:
        return pa.Table.from_batches(source.batches(), source.schema)
    finally:
        source.close()


FAILS = {
    "no entry": ({}, None, "no entry with a user"),
    "no user": ({}, {"password": SECRET}, "no entry with a user"),
    "other account": ({}, {"user": "nobody-known", "password": SECRET}, "lets control not in"),
    "no database": ({"database": "none"}, {"user": "reader", "password": SECRET}, "table public.t of postgresql"),
    "no table": ({"table": "none"}, {"user": "reader", "password": SECRET}, "is not there"),
    "no schema": ({"schema": "none"}, {"user": "reader", "password": SECRET}, "is not there"),
    "no right": ({"table": "shut"}, {"user": "reader", "password": SECRET}, "does not let control's account read this"),
    "nobody listens": ({"host": "127.0.0.1", "port": 1}, {"user": "reader", "password": SECRET}, "can't be reached"),
    "no driver": ({"dialect": "oracle", "host": "127.0.0.1"}, {"user": "reader", "password": SECRET}, "oracle can't be read where control"),
}


@pytest.mark.parametrize(("changes", "credentials", "sentence"), FAILS.values(), ids=FAILS.keys())
def test_what_fails_is_said_without_a_secret(dwh, changes, credentials, sentence):
    dwh.run("create table if not exists shut (x integer)", "revoke all on shut from reader")
    with pytest.raises(GuardrailsError) as refused:
        read(dwh.place | changes, credentials)
    assert sentence in str(refused.value)
    assert refused.value.next_step
    assert SECRET not in str(refused.value) + repr(refused.value.__cause__)


@pytest.fixture
def silent():
    """A listener that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_server_that_never_answers_ends_in_bounded_time(dwh, silent, monkeypatch):
    monkeypatch.setitem(connecting.TIMEOUTS, "postgresql", {"connect_timeout": 2})
    with pytest.raises(SourceAway, match="can't be reached"):
        read(dwh.place | {"host": "127.0.0.1", "port": silent}, dwh.credentials)


def test_a_statement_that_takes_too_long_ends(dwh, monkeypatch):
    monkeypatch.setattr(connecting, "STATEMENT_S", 1)
    dwh.run("drop view if exists slow", "create view slow as select pg_sleep(60)::text as x")
    with pytest.raises(SourceAway, match="took too long"):
        read(dwh.place | {"table": "slow"}, dwh.credentials)


def test_a_database_that_hangs_in_the_middle_ends_too(dwh, monkeypatch):
    """Nothing of the server's own ends it: the wait here does."""
    monkeypatch.setattr(databases, "STATEMENT_S", 1)
    monkeypatch.setattr(databases, "GRACE_S", 0)
    dwh.run("drop view if exists slow", "create view slow as select pg_sleep(5)::text as x")
    with pytest.raises(SourceAway, match="did not answer within 1 s"):
        read(dwh.place | {"table": "slow"}, dwh.credentials)


def test_a_connection_that_is_cut_in_the_middle_is_no_end_of_the_rows(dwh):
    dwh.run("drop table if exists one", "create table one as select i as x, md5(i::text) as y from generate_series(1, 200000) i")
    source = open_source(dwh.place | {"table": "one"}, columns=None, credentials=dwh.credentials)
    batches = source.batches()
    next(batches)
    dwh.run("select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 'reader'")
    with pytest.raises(SourceAway):
        list(batches)
    source.close()


def test_a_place_is_plain_data(dwh):
    assert json.loads(json.dumps(dwh.place)) == dwh.place
