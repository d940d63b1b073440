"""Read-only SQL of a person, run by their database as the account that an admin made for them: what that may see, masked views for one, they see.

The connection logs in as that account. A login that could become several people's (SET ROLE) would be no boundary: `set_config('role', …)` inside
of one SELECT, with `query_to_xml` behind it, reads as another. So there is nobody else to become, and `RESET ROLE` leads nowhere.
One statement in the extended protocol, in a read-only transaction, with the server's own timeout, and bounded in rows and bytes.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa

from jupyter_guardrails.catalog.servers import shown
from jupyter_guardrails.catalog.sources.connecting import CONNECT_S, in_our_words
from jupyter_guardrails.catalog.sources.deadline import Deadline
from jupyter_guardrails.errors import BadRequest, GuardrailsError, LimitReached, SourceAway

TIMEOUT_S, GRACE_S = 60, 10
MOST_ROWS, MOST_BYTES = 1_000_000, 64 << 20
BATCH_ROWS, BATCH_BYTES = 16_384, 4 << 20  # kept as Arrow from then on: Python's objects take several times as much
LONGEST_SQL = 100_000
STARTS = ("select", "with", "values", "table")
SPACE = re.compile(r"(\s+|--[^\n]*(\n|$)|/\*([^*]|\*(?!/))*\*/)*")
# An account with one of these is nobody's own: it sees or does more than its grants say.
TOO_MUCH = """
select coalesce(string_agg(reason, ', '), '') from (
  select unnest(array[
    case when session_user <> current_user then 'it acts as another' end,
    case when rolsuper then 'it is a superuser' end, case when rolbypassrls then 'it passes by row security' end,
    case when rolcreaterole or rolcreatedb or rolreplication then 'it administers the server' end]) as reason
  from pg_roles where rolname = session_user
  union all select 'it can become ' || quote_ident(rolname) from pg_roles
  where rolname <> session_user and pg_has_role(session_user, oid, 'MEMBER') and (rolsuper or rolbypassrls or rolcanlogin or rolname like 'pg\\_%%')
) found where reason is not null
"""
NATIVE = {16: pa.bool_(), 20: pa.int64(), 21: pa.int16(), 23: pa.int32(), 700: pa.float64(), 701: pa.float64()}
NATIVE |= {1082: pa.date32(), 1083: pa.time64("us"), 1114: pa.timestamp("us"), 1184: pa.timestamp("us", tz="UTC"), 17: pa.binary()}


def run_sql(place: Mapping[str, Any], login: Mapping[str, Any], sql: str, *, look: Callable[[], None] | None = None) -> pa.Table:
    """What one SELECT gives as the account `login` (`{user, password, options}`), whole: more than 1,000,000 rows or 64 MiB are LimitReached.

    BadRequest with the server's own sentence for SQL that is wrong: it is the person's own, run with their own rights. What `look` raises
    while it runs cancels it in the database.
    """
    _one_select(sql)
    deadline, asking = Deadline(shown(place), TIMEOUT_S + GRACE_S), _Asking()
    try:
        return deadline.call(lambda: _run(place, login, sql, asking), look=look)
    except BaseException:
        asking.cancel()
        raise
    finally:
        deadline.end(lambda: None)


class _Asking:
    """The statement under way, which another thread may cancel at any moment, also before it is sent."""

    def __init__(self) -> None:
        self._cancelled = threading.Event()
        self._connection: Any = None

    def begin(self, connection: Any) -> None:
        """Called once connected, and before each statement that may take long: a database that does nothing ignores what cancels.

        SourceAway where nobody waits any more.
        """
        self._connection = connection
        if self._cancelled.is_set():
            raise SourceAway("this statement was cancelled", next_step="run it again")

    def end(self) -> None:
        """There is nothing left to cancel."""
        self._connection = None

    def cancel(self) -> None:
        """Have the database end it, if it runs."""
        self._cancelled.set()
        import psycopg  # an extra

        connection = self._connection
        if connection is not None:
            with suppress(psycopg.Error):  # it has ended meanwhile, or its own timeout ends it
                connection.cancel()


def _run(place: Mapping[str, Any], login: Mapping[str, Any], sql: str, asking: _Asking) -> pa.Table:
    try:
        import psycopg  # an extra
    except ImportError:
        raise SourceAway("SQL can't be run where control is installed", next_step="tell an admin: install psycopg[binary]") from None
    server = {"host": place["host"], "port": place["port"], "dbname": place["database"], "connect_timeout": CONNECT_S}
    account = {"user": login["user"], "password": login.get("password")}
    try:
        with psycopg.connect(**dict(login.get("options") or {}) | server | account) as connection:
            asking.begin(connection)
            connection.execute("SET TRANSACTION READ ONLY")
            connection.execute(f"SET LOCAL statement_timeout = {TIMEOUT_S * 1000}")
            connection.execute("SET LOCAL TimeZone = 'UTC'")
            too_much = connection.execute(TOO_MUCH).fetchone()
            if too_much is None or too_much[0]:
                raise _unsafe(place, str(too_much and too_much[0]))
            asking.begin(connection)
            with connection.cursor() as cursor:
                return _table(cursor, sql)
    except psycopg.Error as error:
        raise _said(error, place) from None
    finally:
        asking.end()


def _one_select(sql: str) -> None:
    start = SPACE.match(sql)
    word = re.match(r"[a-z]*", sql[start.end() if start else 0 :].lstrip("(").lower())
    if len(sql) > LONGEST_SQL or "\0" in sql:
        raise BadRequest(
            f"SQL may have {LONGEST_SQL:,} characters at most", next_step="put data into a table of your own, and a shorter question here"
        )
    if word is None or word.group() not in STARTS:
        raise BadRequest("only one SELECT is run", next_step="begin with SELECT, WITH, VALUES or TABLE")


def _table(cursor: Any, sql: str) -> pa.Table:
    """The rows of one statement that isn't asked for in pieces: what its functions set can't change how the rest of it is read."""
    batches: list[pa.RecordBatch] = []
    rows: list[Any] = []
    kept, schema = 0, None
    for row, size in _rows(cursor, sql):
        schema = schema or _schema([(column.name, column.type_code) for column in cursor.description])
        rows.append(row)
        if len(rows) == BATCH_ROWS or size - kept > BATCH_BYTES:
            batches.append(_batch(rows, schema))
            rows, kept = [], size
    schema = schema or _schema(_described(cursor, sql))
    return pa.Table.from_batches([*batches, _batch(rows, schema)], schema)


def _rows(cursor: Any, sql: str) -> Iterator[tuple[Sequence[Any], int]]:
    """Each row, and about how many bytes have come with it; LimitReached where that is more than an answer may have."""
    size = 0
    for count, row in enumerate(cursor.stream(sql.encode(), size=1), 1):  # psycopg sends it with PQsendQueryParams, which takes one statement
        size += sum(8 + (len(value) if isinstance(value, (str, bytes)) else 8) for value in row)
        if count > MOST_ROWS or size > MOST_BYTES:
            raise LimitReached(f"more than {MOST_ROWS:,} rows or {MOST_BYTES >> 20} MiB", next_step="GROUP BY or WHERE in the database, or LIMIT")
        yield row, size


def _schema(columns: Sequence[tuple[str, int]]) -> pa.Schema:
    return pa.schema([pa.field(name, NATIVE.get(code, pa.string())) for name, code in columns])


def _batch(rows: Sequence[Any], schema: pa.Schema) -> pa.RecordBatch:
    values = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    arrays = [pa.array(list(_plain(column, field.type)), field.type) for column, field in zip(values, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _described(cursor: Any, sql: str) -> list[tuple[str, int]]:
    """The columns of a statement that gave no row."""
    server = cursor.connection.pgconn
    server.prepare(b"described", sql.encode())
    found = server.describe_prepared(b"described")
    return [((found.fname(index) or b"").decode(), found.ftype(index)) for index in range(found.nfields)]


def _plain(values: Any, kind: pa.DataType) -> Iterator[Any]:
    """What Arrow has no type for is text."""
    return (value if value is None or not pa.types.is_string(kind) else str(value) for value in values)


def _unsafe(place: Mapping[str, Any], why: str) -> SourceAway:
    message = f"SQL is not run on {shown(place)}: the account made for you there is more than yours ({why})"
    return SourceAway(message, next_step="tell an admin: it needs LOGIN and SELECT on views, and no other account's rights")


def _said(error: Any, place: Mapping[str, Any]) -> GuardrailsError:
    state = error.sqlstate or ""
    if state[:2] in ("42", "22", "25", "0A") and error.diag.message_primary:
        return BadRequest(f"the database says: {error.diag.message_primary}", next_step="correct the SQL, or ask for the right to read it")
    return in_our_words(error, place)
