"""Scans of real files: masks, row filters, the reader's filter after the masks, and what makes a scan refuse."""

import datetime
import json
import os
from decimal import Decimal

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from jupyter_guardrails.catalog import scan as scans
from jupyter_guardrails.catalog.filters import read_filter
from jupyter_guardrails.catalog.masks import KINDS, Masker, plain
from jupyter_guardrails.catalog.plan import ScanPlan
from jupyter_guardrails.catalog.sources import open_source
from jupyter_guardrails.errors import BadRequest, Conflict, GuardrailsError
from jupyter_guardrails.policy.rowfilter import parse_filter

SALT = b"s" * 32
PEOPLE = pa.table(
    {
        "name": ["Ada Lovelace", "Bob", None, "Zoë Ünal"],
        "email": ["ada@example.com", "bob@example.com", None, "zoe.unal@example.com"],
        "salary": [91_250, 48_700, None, -7],
        "region": ["EU", "US", "EU", None],
    }
)
KNOWN = ("name", "email", "salary", "region")


def written(folder, form, table=PEOPLE):
    path = folder / f"people.{form}"
    if form == "parquet":
        pq.write_table(table, path)
    elif form == "csv":
        pyarrow.csv.write_csv(table, path)
    elif form == "json":
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    else:
        with pa.ipc.new_file(path, table.schema) as file:
            file.write_table(table)
    return path


def run(path, salt=SALT, form="", place=None, **said):
    plan = ScanPlan(**{"dataset": "hr/people", "version": "1", "owner": "dana", "place": {"kind": "files", "path": str(path), "format": form}} | said)
    fd = os.open(path, os.O_RDONLY)
    source = None
    try:
        source = open_source(plan.place | (place or {}), columns=plan.needed, predicate=plan.pushed, fds=[fd])
        made = scans.Scan(plan, source, salt)
        return pa.Table.from_batches(list(made.batches()), made.schema)
    finally:
        if source is not None:
            source.close()
        os.close(fd)


FORMATS = pytest.mark.parametrize("form", ["parquet", "csv", "json", "arrow"])


@FORMATS
def test_every_format_gives_the_same_rows(tmp_path, form):
    assert run(written(tmp_path, form), place={"types": {"region": "string"}}).to_pylist() == PEOPLE.to_pylist()


@FORMATS
def test_masks_come_before_anything_of_the_reader(tmp_path, form):
    path = written(tmp_path, form)
    found = run(path, known=KNOWN, masks={"email": "hash", "salary": "blank", "name": "partial"})
    assert found["salary"].null_count == 4
    assert found["name"].to_pylist() == ["A***", "***", None, "Z***"]
    assert all(value is None or len(value) == 32 for value in found["email"].to_pylist())
    assert run(path, known=KNOWN, masks={"email": "hash"}).column("email").to_pylist() == found["email"].to_pylist()
    assert run(path, b"x" * 32, known=KNOWN, masks={"email": "hash"}).column("email").to_pylist() != found["email"].to_pylist()


def test_a_filter_on_a_masked_column_compares_what_is_masked(tmp_path):
    path = written(tmp_path, "parquet")
    asked = {"known": KNOWN, "columns": ("region",)}
    probes = ["salary > 90000", "salary < 0", "salary = 91250", "email = 'ada@example.com'", "name = 'Bob'"]
    for probe in probes:
        hidden = run(path, masks=dict.fromkeys(KNOWN[:3], "blank"), where=read_filter(probe), **asked)
        assert hidden.num_rows == 0, probe
        assert run(path, where=read_filter(probe), **asked).num_rows == 1, probe  # the twin: without a mask the same probe finds the row
    token = run(path, known=KNOWN, masks={"email": "hash"})["email"][0].as_py()
    assert run(path, masks={"email": "hash"}, where=read_filter([["email", "=", token]]), **asked).num_rows == 1


def test_the_policys_rows_compare_raw_values_and_nulls_never_pass(tmp_path):
    path = written(tmp_path, "parquet")
    found = run(path, known=KNOWN, masks={"salary": "blank", "region": "constant"}, keep=parse_filter("region = 'EU' and salary > 50000"))
    assert found.select(["name", "region"]).to_pylist() == [{"name": "Ada Lovelace", "region": "***"}]
    assert run(path, keep=parse_filter("region != 'EU'"))["name"].to_pylist() == ["Bob"]
    assert run(path, keep=parse_filter("region in ('EU', 'CH') or salary < 0")).num_rows == 3


def test_only_what_is_needed_is_read_and_delivered_in_the_order_that_was_asked_for(tmp_path):
    path = written(tmp_path, "parquet")
    found = run(path, columns=("salary", "name"), keep=parse_filter("region = 'EU'"), limit=1)
    assert found.column_names == ["salary", "name"]
    assert found.num_rows == 1
    assert ScanPlan("a", "1", "o", {}, columns=("salary",), keep=parse_filter("region = 'EU'")).needed == ("salary", "region")
    assert run(path, columns=("name",), limit=0).num_rows == 0


@pytest.mark.parametrize(
    ("known", "masks", "words"),
    [
        (KNOWN, {"phone": "hash"}, "masks the column 'phone', which the data lacks"),
        (("name", "mail", "salary", "region"), {"mail": "hash"}, "a column 'email' that its contract lacks"),
        (("name", "Email", "salary", "region"), {"Email": "hash"}, "a column 'email' that its contract lacks"),
        (("name", "salary", "region"), {"salary": "blank"}, "a column 'email' that its contract lacks"),
        (KNOWN, {"email": "rot13"}, "asks for the mask 'rot13'"),
    ],
)
def test_data_that_does_not_fit_its_masks_is_not_delivered(tmp_path, known, masks, words):
    path = written(tmp_path, "parquet")
    with pytest.raises(Conflict) as caught:
        run(path, known=known, masks=masks)
    assert words in str(caught.value)
    assert "dana" in caught.value.next_step
    assert run(path, known=known[:1]).num_rows == 4  # without masks names may be what they are


def test_two_columns_of_one_name_are_not_delivered(tmp_path):
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["x", "x"])
    with pa.ipc.new_file(tmp_path / "t.arrow", table.schema) as file:
        file.write_table(table)
    with pytest.raises(GuardrailsError):
        run(tmp_path / "t.arrow", known=("x",), masks={"x": "blank"})


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("salary = 'x'", "cannot be compared with a text"),
        ("name > 5", "cannot be compared with a number"),
        ("name = true", "cannot be compared with true or false"),
        ("ghost = 1", "names 'ghost', and there is no such column"),
    ],
)
def test_what_cannot_be_compared_is_a_sentence(tmp_path, where, words):
    with pytest.raises(BadRequest, match=words):
        run(written(tmp_path, "parquet"), where=read_filter(where))
    with pytest.raises(BadRequest, match=words):
        run(written(tmp_path, "parquet"), keep=parse_filter(where), known=KNOWN)


NESTED = pa.table(
    {
        "home": pa.array([{"street": "A 1", "zip": "10"}, None, {"street": None, "zip": "20"}]),
        "tags": pa.array([["x", None], None, []], pa.list_(pa.string())),
        "kids": pa.array([[{"name": "Eve", "age": 3}], [], None]),
        "fixed": pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int32(), 2)),
    }
)
PATHS = ("home", "home.street", "home.zip", "tags", "tags[]", "kids", "kids[]", "kids[].name", "kids[].age", "fixed", "fixed[]")


def test_nested_columns_are_masked_where_they_are(tmp_path):
    path = written(tmp_path, "parquet", NESTED)
    found = run(path, known=PATHS, masks={"home.street": "constant", "tags[]": "partial", "kids[].name": "hash", "fixed[]": "constant"})
    assert found["home"].to_pylist() == [{"street": "***", "zip": "10"}, None, {"street": "***", "zip": "20"}]
    assert found["tags"].to_pylist() == [["***", None], None, []]
    assert [item["age"] for item in found["kids"].to_pylist()[0]] == [3]
    assert "Eve" not in str(found.to_pylist())
    assert found["fixed"].to_pylist() == [[0, 0], None, [0, 0]]
    assert run(path, known=PATHS, masks={"home": "blank", "home.street": "hash"})["home"].null_count == 3
    with pytest.raises(Conflict, match=r"home\.zip"):
        run(path, known=tuple(p for p in PATHS if p != "home.zip"), masks={"home.street": "blank"})
    assert run(path, known=("home", "tags", "kids", "fixed"), masks={"tags": "blank"})["tags"].null_count == 3


def test_masks_of_slices_with_offsets(tmp_path):
    batch = NESTED.combine_chunks().to_batches()[0].slice(1)
    masker = Masker({"tags[]": "constant", "home.zip": "constant"}, SALT)
    assert masker.column("tags", batch.column("tags")).to_pylist() == [None, []]
    assert masker.column("home", batch.column("home")).to_pylist() == [None, {"street": None, "zip": "***"}]


VALUES = {
    "int8": pa.array([120, -7, None, 0], pa.int8()),
    "uint64": pa.array([2**64 - 1, 3, None, 0], pa.uint64()),
    "float": pa.array([123.4, float("nan"), None, float("-inf")]),
    "decimal": pa.array([Decimal("91.25"), Decimal("-0.04"), None, Decimal(0)], pa.decimal128(9, 2)),
    "bool": pa.array([True, False, None]),
    "date": pa.array([datetime.date(1987, 6, 5), None]),
    "time": pa.array([datetime.datetime(1987, 6, 5, 4, 3), None], pa.timestamp("ns", "Europe/Berlin")),
    "binary": pa.array([b"\xff\x00", None]),
    "text": pa.array(["päivi@example.com", "", None, "x" * 9], pa.large_string()),
    "category": pa.array(["a@example.com", "bbbb", None]).dictionary_encode(),
    "struct": pa.array([{"a": 1}, None]),
    "list": pa.array([[1, 2], None]),
    "null": pa.nulls(2),
    "duration": pa.array([5, None], pa.duration("s")),
    "view": pa.array(["abcd", None], pa.string_view()),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", VALUES)
def test_every_mask_is_defined_for_every_type(name, kind):
    raw = VALUES[name]
    found = Masker({"c": kind}, SALT).column("c", raw)
    assert len(found) == len(raw)
    found.validate(full=True)
    shown = [value for value in found.to_pylist() if value is not None]
    if kind == "blank":
        assert (shown, found.type) == ([], plain(raw).type)
    kept = {str(value) for value in raw.to_pylist() if value is not None} & {str(value) for value in shown}
    assert kept <= {"0", "0.00", "False", "nan", "-inf", "3", "-7", "-0.04"}, "a value came through"


def test_dictionaries_in_structs_do_not_carry_values_of_other_rows():
    inner = pa.array(["secret-1", "open-2"]).dictionary_encode()
    array = plain(pa.StructArray.from_arrays([inner], ["c"]))
    assert array.type == pa.struct([("c", pa.string())])
    assert array.to_pylist() == [{"c": "secret-1"}, {"c": "open-2"}]


def test_equal_values_have_equal_hashes_whatever_their_type():
    def of(values, kind):
        return Masker({"c": "hash"}, SALT).column("c", pa.array(values, kind)).to_pylist()[0]

    assert of(["5"], pa.string()) == of([5], pa.int16()) == of([5.0], pa.float64()) == of([Decimal("5.00")], pa.decimal128(5, 2))
    assert of(["6"], pa.string()) != of([5], pa.int16())


def test_partial_keeps_little():
    def of(values, kind=None):
        return Masker({"c": "partial"}, SALT).column("c", pa.array(values, kind)).to_pylist()

    assert of([91_250, -48_700, 7, 0]) == [90_000, -40_000, 7, 0]
    assert of([datetime.date(1987, 6, 5)]) == [datetime.date(1987, 1, 1)]
    assert of([datetime.datetime(1987, 6, 5, 4)]) == [datetime.datetime(1987, 1, 1)]
    assert of(["ada.l@example.com", "ab@example.com", "abcd"]) == ["a***@example.com", "***@example.com", "a***"]


def test_no_dictionary_and_no_metadata_of_the_file_comes_along(tmp_path):
    """Both would hold values of rows and columns that are not delivered."""
    table = pa.table({"email": pa.array(["secret-1", "open-2"]).dictionary_encode(), "n": [1, 2]})
    table = table.replace_schema_metadata({"note": "secret-1 lives here"})
    pq.write_table(table, tmp_path / "t.parquet")
    assert pq.read_table(tmp_path / "t.parquet")["email"].chunk(0).dictionary.to_pylist() == ["secret-1", "open-2"]
    found = run(tmp_path / "t.parquet", keep=parse_filter("n = 2"))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, found.schema) as stream:
        stream.write_table(found)
    assert b"secret-1" not in sink.getvalue().to_pybytes()
    assert found["email"].to_pylist() == ["open-2"]


def test_a_folder_is_one_table_with_the_columns_of_its_folders(tmp_path):
    for year in (2023, 2024):
        (tmp_path / "d" / f"year={year}" / "who=a%2Fb").mkdir(parents=True)
        pq.write_table(pa.table({"x": [year]}), tmp_path / "d" / f"year={year}" / "who=a%2Fb" / "p.parquet")
    (tmp_path / "d" / "_SUCCESS").write_text("")
    (tmp_path / "d" / ".hidden.parquet").write_text("no table")
    assert run(tmp_path / "d").to_pylist() == [{"x": 2023, "year": 2023, "who": "a/b"}, {"x": 2024, "year": 2024, "who": "a/b"}]
    assert run(tmp_path / "d", columns=("year",), where=read_filter("year > 2023")).to_pylist() == [{"year": 2024}]
    masked = run(tmp_path / "d", known=("x", "year", "who"), masks={"who": "hash"})
    assert "a/b" not in str(masked.to_pylist())


def test_links_in_a_folder_are_no_data(tmp_path):
    (tmp_path / "d").mkdir()
    pq.write_table(pa.table({"x": [1]}), tmp_path / "d" / "a.parquet")
    pq.write_table(pa.table({"x": [666]}), tmp_path / "outside.parquet")
    (tmp_path / "d" / "link.parquet").symlink_to(tmp_path / "outside.parquet")
    (tmp_path / "d" / "up").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "d" / "fifo.parquet")
    assert run(tmp_path / "d").to_pylist() == [{"x": 1}]


def test_files_of_a_folder_that_are_not_one_table_are_named(tmp_path):
    (tmp_path / "d").mkdir()
    pq.write_table(pa.table({"x": [1], "y": [2]}), tmp_path / "d" / "a.parquet")
    pq.write_table(pa.table({"y": [4], "x": [3]}), tmp_path / "d" / "b.parquet")
    assert run(tmp_path / "d")["x"].to_pylist() == [1, 3]
    pq.write_table(pa.table({"x": [1], "z": [2]}), tmp_path / "d" / "c.parquet")
    with pytest.raises(Conflict, match=r"c\.parquet and a\.parquet are not of one table"):
        run(tmp_path / "d")
    pq.write_table(pa.table({"x": ["secret-value"], "y": [2]}), tmp_path / "d" / "c.parquet")
    with pytest.raises(Conflict, match="string here and int64 there") as caught:
        run(tmp_path / "d")
    assert "secret-value" not in str(caught.value)


@pytest.mark.parametrize(
    ("form", "data"),
    [
        ("csv", b"a,b\n" + b"1,2\n" * 400_000 + b"secret-value,4\n"),
        ("csv", b"a,b\n1,2\n3,4,secret-value\n"),
        ("json", b'{"a": 1}\n' * 200_000 + b'{"a": "secret-value"}\n'),
        ("json", b'{"a": "secret-value"\n'),
        ("parquet", b"PAR1secret-value"),
        ("parquet", b""),
        ("arrow", b"ARROW1\0\0secret-value"),
        ("arrow", b""),
    ],
)
def test_an_error_of_the_format_quotes_no_values(tmp_path, form, data):
    path = tmp_path / f"t.{form}"
    path.write_bytes(data)
    with pytest.raises(GuardrailsError) as caught:
        run(path)
    assert "secret-value" not in str(caught.value) + str(caught.value.__cause__)
    assert caught.value.next_step


def test_a_delimiter_is_declared_or_found_in_the_first_line(tmp_path):
    (tmp_path / "t.csv").write_text("a;b\n1,5;2\n")
    assert run(tmp_path / "t.csv").to_pylist() == [{"a": "1,5", "b": 2}]
    assert run(tmp_path / "t.csv", place={"delimiter": "|"}).column_names == ["a;b"]


def test_types_of_the_contract_hold_where_a_format_has_none(tmp_path):
    (tmp_path / "t.csv").write_text("zip,day\n00123,2024-05-31\n")
    found = run(tmp_path / "t.csv", place={"types": {"zip": "string", "day": "date"}})
    assert found.to_pylist() == [{"zip": "00123", "day": datetime.date(2024, 5, 31)}]
    assert run(tmp_path / "t.csv", place={"types": {"day": "date"}}, where=read_filter("day >= '2024-01-01'")).num_rows == 1
    with pytest.raises(BadRequest, match="is none: write it like"):
        run(tmp_path / "t.csv", place={"types": {"day": "date"}}, where=read_filter("day >= 'tomorrow'"))


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_file_that_changes_while_it_is_read_ends_the_scan(tmp_path, form):
    table = pa.table({"x": list(range(2_000_000))})
    path = written(tmp_path, form, table)
    fd = os.open(path, os.O_RDONLY)
    source = open_source({"kind": "files", "path": str(path), "format": form}, columns=None, fds=[fd])
    batches = source.batches()
    next(batches)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(Conflict):
        list(batches)
    source.close()
    os.close(fd)


def test_ten_thousand_columns_with_names_of_any_kind(tmp_path):
    names = [f"Spalte ü.{number}" for number in range(10_000)]
    pq.write_table(pa.table({name: [1, 2] for name in names}), tmp_path / "wide.parquet")
    found = run(tmp_path / "wide.parquet", known=tuple(names), masks={names[7]: "blank"}, columns=(names[7], names[9_999]))
    assert found.to_pylist() == [{names[7]: None, names[9_999]: 1}, {names[7]: None, names[9_999]: 2}]
