"""Read-only SQL of a person, run by their database as the account that an admin made for them: what that may see, masked views for one, they see.

The connection logs in as that account. A login that could become several people's (SET ROLE) would be no boundary: `set_config('role', …)` inside
of one SELECT, with `query_to_xml` behind it, reads as another. So there is nobody else to become, and `RESET ROLE` leads nowhere.
One statement in the extended protocol, in a read-only transaction, with the server's own timeout, and bounded in rows and bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from jupyter_guardrails.catalog.servers import shown
from jupyter_guardrails.catalog.sources.connecting import CONNECT_S, in_our_words
from jupyter_guardrails.catalog.sources.deadline import Deadline
from jupyter_guardrails.errors import BadRequest, GuardrailsError, LimitReached, Refused, SourceAway

TIMEOUT_S, GRACE_S = 60, 10
MOST_ROWS, MOST_BYTES = 1_000_000, 256 << 20
LONGEST_SQL = 100_000
STARTS = ("select", "with", "values", "table")
SPACE = re.compile(r"(\s+|--[^\n]*(\n|$)|/\*([^*]|\*(?!/))*\*/)*")
ROLE_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,62}")
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


def role_of(template: str, person: str) -> str:
    """The account of a person by `role_per_person`; Refused for a name that is none."""
    role = template.replace("{person}", person)
    if not ROLE_NAME.fullmatch(role):
        raise Refused(f"{person} has no account in this database", next_step="ask an admin: the name can't be one of an account there")
    return role


def run_sql(place: Mapping[str, Any], role: str, sql: str, *, password: str | None = None, options: Mapping[str, Any] | None = None) -> pa.Table:
    """What one SELECT gives as that account, whole: more than 1,000,000 rows or 256 MiB are LimitReached, never a part.

    BadRequest with the server's own sentence for SQL that is wrong: it is the person's own, run with their own rights.
    """
    _one_select(sql)
    deadline = Deadline(shown(place), TIMEOUT_S + GRACE_S)
    try:
        return deadline.call(lambda: _run(place, role, sql, {"password": password} | dict(options or {})))
    finally:
        deadline.end(lambda: None)


def _run(place: Mapping[str, Any], role: str, sql: str, login: Mapping[str, Any]) -> pa.Table:
    import psycopg  # an extra

    try:
        server = {"host": place["host"], "port": place["port"], "dbname": place["database"], "connect_timeout": CONNECT_S}
        with psycopg.connect(**server, user=role, **login) as connection:
            connection.execute("SET TRANSACTION READ ONLY")
            connection.execute(f"SET LOCAL statement_timeout = {TIMEOUT_S * 1000}")
            connection.execute("SET LOCAL TimeZone = 'UTC'")
            too_much = connection.execute(TOO_MUCH).fetchone()
            if too_much is None or too_much[0]:
                raise _unsafe(place, str(too_much and too_much[0]))
            with connection.cursor() as cursor:
                return _table(cursor, sql)
    except GuardrailsError:
        raise
    except psycopg.Error as error:
        raise _said(error, place) from None


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
    rows, size = [], 0
    columns: list[tuple[str, int]] = []
    for row in cursor.stream(sql.encode(), size=1):  # psycopg sends it with PQsendQueryParams, which takes one statement
        columns = columns or [(column.name, column.type_code) for column in cursor.description]
        rows.append(row)
        size += 64 + sum(len(value) if isinstance(value, (str, bytes)) else 16 for value in row)
        if len(rows) > MOST_ROWS or size > MOST_BYTES:
            raise LimitReached(f"more than {MOST_ROWS:,} rows or {MOST_BYTES >> 20} MiB", next_step="GROUP BY or WHERE in the database, or LIMIT")
    columns = columns or _described(cursor, sql)
    types = [NATIVE.get(code, pa.string()) for _, code in columns]
    values = list(zip(*rows, strict=True)) if rows else [()] * len(types)
    arrays = [pa.array(list(_plain(column, kind)), kind) for column, kind in zip(values, types, strict=True)]
    return pa.Table.from_arrays(arrays, names=[name for name, _ in columns])


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
