"""Files of this machine keep what every source keeps; row groups that the policy's filter rules out are not read, and rows stay the same."""

import io
import os
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jupyter_guardrails.catalog.sources.groups import groups_that_may_pass
from jupyter_guardrails.catalog.sources.shape import Names
from jupyter_guardrails.errors import Conflict
from jupyter_guardrails.policy.rowfilter import Comparison, Junction, parse_filter
from tests.catalog.source_contract import SourceContract, matches, opened, read
from tests.catalog.test_catalog_sources_objects import KINDS, as_arrow, as_csv, as_parquet, as_stream


class OfFolder(SourceContract):
    form, write = "parquet", staticmethod(as_parquet)

    @pytest.fixture
    def placed(self, tmp_path):
        def place(table, name):
            path = tmp_path / f"{name}.{self.form}"
            path.write_bytes(self.write(table))
            types = {field.name: KINDS[field.type] for field in table.schema}
            return {"kind": "files", "path": str(path), "format": self.form, "types": types}, None

        return place

    @pytest.fixture
    def connections(self, tmp_path):
        """Descriptors of its files."""

        def count():
            links = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{fd}")]
            return sum(link.startswith(str(tmp_path)) for link in links)

        return count


class TestParquet(OfFolder):
    def test_no_more_are_decoded_than_are_wanted(self, placed):
        with opened(*placed(pa.table({"id": range(100)}), "some"), most_rows=7) as source:
            assert next(source.batches())["id"].to_pylist() == list(range(7))
        with opened(*placed(pa.table({"id": range(100)}), "some")) as source:
            assert next(source.batches()).num_rows == 100


class TestCsv(OfFolder):
    form, write = "csv", staticmethod(as_csv)


class TestArrow(OfFolder):
    form, write = "arrow", staticmethod(as_arrow)


class TestArrowStream(OfFolder):
    form, write = "arrow", staticmethod(as_stream)


ALL = [0, 1, 2, 3, 4]
GROUPED = pa.table(
    {
        "number": pa.array([1, 2, 3, 4, None, None, 7, 8, 9, 9], pa.int32()),
        "text": ["a", "b", "Å", "é", None, "x", None, None, "z", "z"],
        "day": [date(2024, 1, day) for day in range(1, 11)],
        "moment": [datetime(2024, 1, day, 12, tzinfo=UTC) for day in range(1, 11)],
        "float": [1.0, float("nan"), 3.0, 4.0, None, None, -0.0, 0.0, 9.0, float("nan")],
        "positive": pa.array([2**63 + 5, 1, 3, 4, 5, 6, 7, 8, 9, 10], pa.uint64()),
        "kind": pa.array(["p", "p", "q", "q", "r", "r", "s", "s", "t", "t"]).dictionary_encode(),
        "inner": [{"number": number} for number in range(10)],
    }
)
INNER = Comparison("inner.number", "=", 1)
RULED = [  # filter -> the groups (of two rows) that have to be read
    ("number = 3", [1]),
    ("number > 8", [4]),
    ("number >= 8 and number < 9", [3]),
    ("number < 2 or number = 7", [0, 3]),
    ("number in (1, 9)", [0, 4]),
    ("number != 9", [0, 1, 3]),
    ("text = 'b'", [0]),
    ("text > 'y'", [1, 4]),
    ("day = '2024-01-05'", [2]),
    ("moment < '2024-01-02 13:00:00+00:00'", [0]),
    ("float = 9", ALL),
    ("float != 3", ALL),
    ("positive = 1", ALL),
    ("kind = 'p'", ALL),
    (INNER, ALL),
    (Junction("and", (parse_filter("number = 3"), INNER)), [1]),
    (Junction("or", (parse_filter("number = 3"), INNER)), ALL),
    ("number = 'a text'", [0, 1, 3, 4]),
    ("elsewhere = 1", ALL),
]


def stored(table, **options):
    buffer = io.BytesIO()
    pq.write_table(table, buffer, row_group_size=2, **options)
    return buffer.getvalue()


def groups(data, text, place=None, alike=None):
    metadata = pq.read_metadata(io.BytesIO(data))
    schema = metadata.schema.to_arrow_schema()
    names = Names(place or {}, schema.names, None)
    ours = pa.schema([field.with_name(name) for field, name in zip(schema, names.ours, strict=True)])
    return groups_that_may_pass(metadata, ours, names, keep=parse_filter(text) if isinstance(text, str) and text else text or None, alike=alike)


@pytest.mark.parametrize(("text", "read"), RULED)
def test_groups_that_cannot_pass_are_left_out(text, read):
    """Nulls never pass; floats have NaN, which no statistics tell of."""
    data = stored(GROUPED)
    assert groups(data, text) == read
    assert groups(data, None) == ALL
    assert groups(stored(GROUPED, write_statistics=False), text) == ALL


def test_names_of_the_contract_are_compared_and_other_types_than_those_of_the_first_file_are_not():
    data = stored(GROUPED)
    assert groups(data, "amount = 3", place={"physical": {"amount": "number"}}) == [1]
    assert groups(data, "number = 3", alike=GROUPED.schema) == [1]
    assert groups(data, "number = 3", alike=pa.schema([("number", pa.string())])) == ALL


def test_what_is_left_out_is_not_even_looked_at_and_what_passes_is_all_there(tmp_path):
    """Its bytes are broken there: who reads them sees an error."""
    table = pa.table({"number": pa.array(range(1000), pa.int64()), "text": [f"{number:04d}" for number in range(1000)]})
    path = tmp_path / "t.parquet"
    pq.write_table(table, path, row_group_size=100, compression="zstd")
    place, tree = {"kind": "files", "path": str(path), "format": "parquet"}, parse_filter("number >= 850 or text = '0017'")
    found = [row for row in read(place, None, predicate=tree).to_pylist() if matches(tree, row)]
    assert found == [row for row in table.to_pylist() if matches(tree, row)]
    chunk = pq.read_metadata(path).row_group(4).column(1)
    with open(path, "r+b") as file:
        file.seek(chunk.dictionary_page_offset or chunk.data_page_offset)
        file.write(b"\xff" * chunk.total_compressed_size)
    assert [row for row in read(place, None, predicate=tree).to_pylist() if matches(tree, row)] == found
    with pytest.raises(Conflict, match="cannot be read"):
        read(place, None)
    with pytest.raises(Conflict, match="cannot be read"):
        read(place, None, predicate=parse_filter("number >= 450"))
