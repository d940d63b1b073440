"""What every source keeps, whatever is behind it: a class of tests inherits it and gives `placed`, which puts a table where the source reads it."""

import contextlib
import json
import operator
import subprocess
import sys
import threading

import pyarrow as pa
import pytest

from jupyter_guardrails.catalog.sources import open_source
from jupyter_guardrails.catalog.sources.shape import MAX_ROWS, TARGET_BYTES
from jupyter_guardrails.errors import Conflict, GuardrailsError
from jupyter_guardrails.policy.rowfilter import Junction, parse_filter

TABLE = pa.table(
    {
        "id": pa.array([1, 2, 3, 4, 5], pa.int64()),
        "origin": pa.array(["JFK", "EWR", None, "jfk", "Åre"]),
        "delay": pa.array([1.5, None, -3.0, 0.0, 12.25]),
        "Größe 数": pa.array(["ä", "b", "c", None, "e"]),
        "we\"ird'; --": pa.array(["a", None, "c", "d", "e"]),
    }
)
FILTERS = [
    "origin = 'JFK'",
    "origin != 'JFK'",
    "origin in ('JFK', 'EWR')",
    "origin in ()",
    "origin < 'b'",
    "delay > 0",
    "delay <= 0 or origin = 'EWR'",
    "id = 3",
    "id != 3",
    "id >= 2 and delay < 100",
    "id in (1, 5) and (origin = 'JFK' or delay > 10.5)",
    "origin = ''' or 1=1 --'",
    "delay = 12.25",
    "id = 99999999999999",
]
RUN = """
import json, sys
import pyarrow as pa
from jupyter_guardrails.catalog.sources import open_source
place, credentials = json.loads(sys.argv[1]), json.loads(sys.argv[2])
source = open_source(place, columns=None, credentials=credentials)
batches = source.batches()
rows, most = next(batches).num_rows, 0
def peak():
    lines = open("/proc/self/status").read().split("\\n")
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
before = peak()
for batch in batches:
    rows, most = rows + batch.num_rows, max(most, batch.nbytes)
print(rows, most, before, peak())
source.close()
"""


OPERATORS = {"=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def matches(tree, row):
    """The filter as it is meant, in plain Python: what is NULL never passes."""
    if isinstance(tree, Junction):
        return (all if tree.word == "and" else any)(matches(term, row) for term in tree.terms)
    value, wanted = row[tree.column], tree.literal
    if value is None:
        return False
    if tree.operator == "in":
        return value in wanted
    return OPERATORS[tree.operator](value, wanted)


@contextlib.contextmanager
def opened(place, credentials, **asked):
    """The open source; of local files with a descriptor, as control gives one."""
    with contextlib.ExitStack() as stack:
        fds = (stack.enter_context(open(place["path"], "rb")).fileno(),) if place["kind"] == "files" else ()
        source = open_source(place, **{"columns": None, "credentials": credentials, "fds": fds} | asked)
        stack.callback(source.close)
        yield source


def read(place, credentials, columns=None, predicate=None):
    with opened(place, credentials, columns=columns, predicate=predicate) as source:
        return pa.Table.from_batches(source.batches(), source.schema)


def rows(table):
    return sorted(table.to_pylist(), key=lambda row: row["id"])


def none(connections):
    """Servers take a moment to see that a connection has ended: they are asked until they have, for ten seconds at most."""
    for _ in range(1000):
        if not (found := connections()):
            break
        threading.Event().wait(0.01)
    return found


class SourceContract:
    """Subclasses give `placed` (a function from table and name to place and credentials) and `connections` (counts the open ones)."""

    least_connections = 1  # while it is read

    def test_all_rows_columns_and_nulls(self, placed):
        table = read(*placed(TABLE, "plain"))
        assert table.schema.names == TABLE.schema.names
        assert [field.type for field in table.schema] == [field.type for field in TABLE.schema]
        assert rows(table) == TABLE.to_pylist()

    @pytest.mark.parametrize("columns", [["origin", "id"], ["id", "Größe 数"], ["id", "we\"ird'; --"], ["id"]])
    def test_columns(self, placed, columns):
        table = read(*placed(TABLE, "plain"), columns=columns)
        assert set(table.schema.names) == set(columns)
        assert rows(table) == [{name: row[name] for name in columns} for row in TABLE.to_pylist()]

    @pytest.mark.parametrize("text", FILTERS)
    def test_a_filter_that_is_pushed_down_changes_nothing(self, placed, text):
        place, credentials = placed(TABLE, "plain")
        tree = parse_filter(text)
        found = [row for row in rows(read(place, credentials, predicate=tree)) if matches(tree, row)]
        assert found == [row for row in TABLE.to_pylist() if matches(tree, row)]

    @pytest.mark.parametrize("most", [0, 1, 3, 1000])
    def test_that_only_some_are_wanted_changes_no_row(self, placed, most):
        place, credentials = placed(TABLE, "plain")
        with opened(place, credentials, most_rows=most) as source:
            found = pa.Table.from_batches(source.batches(), source.schema)
        assert rows(found.slice(0, most)) == rows(read(place, credentials).slice(0, most))

    @pytest.mark.parametrize("column", ["ORIGIN", "id; drop table plain", ""])
    def test_a_column_that_is_not_there(self, placed, column):
        with pytest.raises(GuardrailsError) as refused:
            read(*placed(TABLE, "plain"), columns=["id", column])
        assert refused.value.next_step

    def test_columns_under_the_names_of_the_contract(self, placed):
        place, credentials = placed(TABLE, "plain")
        place = place | {"physical": {"number": "id", "size": "Größe 数"}}
        table = read(place, credentials, columns=["number", "size"], predicate=parse_filter("number >= 1"))
        assert sorted(row["number"] for row in table.to_pylist()) == [1, 2, 3, 4, 5]
        with pytest.raises(GuardrailsError):
            read(place, credentials, columns=["id"])
        with pytest.raises(Conflict):
            read(place | {"physical": {"origin": "id"}}, credentials)

    def test_no_rows(self, placed):
        table = read(*placed(TABLE.slice(0, 0), "empty"))
        assert table.schema.names == TABLE.schema.names
        assert table.num_rows == 0

    def test_many_batches_of_bounded_size(self, placed):
        count = 70_000
        big = pa.table({"id": pa.array(range(count), pa.int64()), "text": pa.array([f"{i % 977:060d}" for i in range(count)])})
        with opened(*placed(big, "big")) as source:
            seen = list(source.batches())
        assert len(seen) >= 2
        assert max(batch.num_rows for batch in seen) <= MAX_ROWS
        assert max(batch.get_total_buffer_size() for batch in seen[:1]) <= 8 * TARGET_BYTES
        assert sum(batch.num_rows for batch in seen) == count
        assert sum(sum(batch.column(0).to_pylist()) for batch in seen) == count * (count - 1) // 2

    def test_closed_in_the_middle_it_lets_go_of_its_connection(self, placed, connections):
        count = 70_000
        big = pa.table({"id": pa.array(range(count), pa.int64()), "text": pa.array([f"{i % 977:060d}" for i in range(count)])})
        place, credentials = placed(big, "big")
        assert none(connections) == 0
        with opened(place, credentials) as source:
            next(source.batches())
            assert connections() >= self.least_connections
            source.close()
        assert none(connections) == 0


class BoundedMemory:
    """Subclasses give `placed_big`: place, credentials and how many rows there are."""

    most_kib = 230 << 10  # all of the rows in Python, or a whole file in Arrow, would be more

    def test_memory_does_not_grow_with_the_data(self, placed_big):
        place, credentials, count = placed_big
        done = subprocess.run([sys.executable, "-c", RUN, json.dumps(place), json.dumps(credentials)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (done.returncode, done.stderr)
        found, most, before, after = map(int, done.stdout.split())
        assert found == count, done.stdout
        assert most <= 2 * TARGET_BYTES, done.stdout
        assert after <= self.most_kib, done.stdout
        assert after - before <= 100 << 10, done.stdout


__all__ = ["TABLE", "BoundedMemory", "SourceContract", "matches", "opened", "read", "rows"]
