"""Quality rules: what a contract may say, what is counted in real files of every kind, and that memory and words stay bounded."""

import datetime
import json
import os
import random
import tempfile
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from jupyter_guardrails.catalog import load_catalog
from jupyter_guardrails.catalog.cache import ContractCache
from jupyter_guardrails.catalog.measuring import TOO_MANY, measured
from jupyter_guardrails.catalog.quality import OPERATORS, QualityRule, digest_of
from jupyter_guardrails.catalog.sources import open_source
from jupyter_guardrails.catalog.spill import DIGEST_BYTES, Distinct, Spill, SpillFull

PEOPLE = pa.table(
    {
        "id": [1, 2, 3, 3, 4],
        "email": ["a@example.com", "b@example.com", None, "", "N/A"],
        "region": ["EU", "US", "EU", "CH", None],
        "salary": pa.array([Decimal("10.50"), None, Decimal("10.5"), Decimal("7.00"), Decimal("1.00")], pa.decimal128(9, 2)),
        "score": [1.0, 2.5, 2.5, None, float("nan")],
        "born": [datetime.date(2000, 1, 1)] * 4 + [datetime.date(1900, 1, 1)],
        "home": [{"zip": "10"}, {"zip": None}, None, {"zip": "20"}, {"zip": "20"}],
        "tags": [["x", "y"], [], None, ["x"], [None]],
    }
)


def rule(metric, column="", operator="mustBe", bound=(0,), unit="rows", **arguments):
    return QualityRule("", column, metric, arguments, operator, tuple(bound), unit)


def measure(table, rules, tmp_path, **more):
    path = tmp_path / "t.parquet"
    pq.write_table(table, path, row_group_size=2)
    return measure_file(path, rules, **more)


def measure_file(path, rules, look_up=lambda: None):
    fd = os.open(path, os.O_RDONLY)
    place = {"kind": "files", "path": str(path), "format": path.suffix[1:]}
    try:
        with tempfile.TemporaryFile(buffering=0) as spill:
            return measured(rules, lambda columns: open_source(place, columns=columns, fds=[fd]), spill.fileno(), look_up)
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    ("asked", "count", "of"),
    [
        (rule("nullValues", "email"), 1, 5),
        (rule("nullValues", "home.zip"), 2, 5),
        (rule("nullValues", "tags[]"), 1, 4),
        (rule("missingValues", "email"), 2, 5),
        (rule("missingValues", "email", missingValues=[None, "", "N/A"]), 3, 5),
        (rule("missingValues", "email", missingValues=["N/A"]), 1, 5),
        (rule("missingValues", "id", missingValues=[4, "none"]), 1, 5),
        (rule("invalidValues", "region", validValues=["EU", "US"]), 1, 5),
        (rule("invalidValues", "id", validValues=[1, 2, 3]), 1, 5),
        (rule("invalidValues", "salary", validValues=[10.5, "7"]), 1, 5),
        (rule("invalidValues", "born", validValues=["2000-01-01"]), 1, 5),
        (rule("invalidValues", "email", pattern="[a-z]@example\\.com|"), 1, 5),
        (rule("invalidValues", "id", pattern="[1-3]"), 1, 5),
        (rule("invalidValues", "email", pattern=".*", validValues=["a@example.com"]), 3, 5),
        (rule("duplicateValues", "id"), 1, 5),
        (rule("duplicateValues", "salary"), 1, 5),
        (rule("duplicateValues", "region"), 1, 5),
        (rule("duplicateValues", "home"), 1, 5),
        (rule("duplicateValues", properties=["region", "born"]), 1, 5),
        (rule("duplicateValues", properties=["id", "region"]), 0, 5),
    ],
)
def test_what_is_counted(tmp_path, asked, count, of):
    found = measure(PEOPLE, [asked], tmp_path)
    assert found["rows"] == 5
    (one,) = found["results"]
    assert (one["count"], one["percent"], one["reason"]) == (count, 100 * count / of, "")
    assert one["state"] == ("passed" if count == 0 else "failed")


def test_rows_are_counted_without_reading_every_column(tmp_path):
    found = measure(PEOPLE, [rule("rowCount", operator="mustBeBetween", bound=(5, 9)), rule("rowCount", operator="mustBe", bound=(4,))], tmp_path)
    assert [(one["state"], one["count"], one["percent"]) for one in found["results"]] == [("passed", 5, None), ("failed", 5, None)]


@pytest.mark.parametrize(
    ("operator", "bound", "passing", "failing"),
    [
        ("mustBe", (3,), [3], [2.9, 4]),
        ("mustNotBe", (3,), [2, 4], [3]),
        ("mustBeGreaterThan", (3,), [3.1], [3, 0]),
        ("mustBeGreaterOrEqualTo", (3,), [3, 4], [2.9]),
        ("mustBeLessThan", (3,), [2.9], [3, 4]),
        ("mustBeLessOrEqualTo", (3,), [3, 0], [3.1]),
        ("mustBeBetween", (3, 5), [3, 4, 5], [2, 6]),
        ("mustNotBeBetween", (3, 5), [2, 6], [3, 4, 5]),
    ],
)
def test_every_operator_passes_and_fails(operator, bound, passing, failing):
    asked = rule("nullValues", "a", operator, bound)
    assert all(asked.passes(value) for value in passing)
    assert not any(asked.passes(value) for value in failing)
    assert "null values in a" in asked.limit
    assert len(OPERATORS) == 8


def test_percent_is_of_the_values_and_of_nothing_it_is_none(tmp_path):
    asked = [rule("nullValues", "email", "mustBeLessOrEqualTo", (20,), "percent"), rule("nullValues", "email", "mustBeLessThan", (20,), "percent")]
    assert [one["state"] for one in measure(PEOPLE, asked, tmp_path)["results"]] == ["passed", "failed"]
    assert [one["percent"] for one in measure(PEOPLE.slice(0, 0), asked, tmp_path)["results"]] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (rule("nullValues", "ghost"), "the data has no column ghost"),
        (rule("nullValues", "home.ghost"), "the data has no column home.ghost"),
        (rule("invalidValues", "id", validValues=["x"]), "none of its valid values is of the column's type, int64"),
        (rule("invalidValues", "region", pattern="(?<=secret)x"), "the pattern can't be used"),
        (rule("invalidValues", "home", pattern="x"), "the pattern can't be used"),
        (rule("duplicateValues", properties=["id", "tags[]"]), "items of lists can't be looked at together"),
    ],
)
def test_what_cannot_be_measured_is_not_checked_and_stops_nothing_else(tmp_path, asked, words):
    first, second = measure(PEOPLE, [asked, rule("nullValues", "id")], tmp_path)["results"]
    assert (first["state"], first["count"]) == ("not_checked", None)
    assert words in first["reason"]
    assert second["state"] == "passed"


def test_rules_of_other_engines_and_sentences_are_not_measured(tmp_path):
    asked = [QualityRule("", text="looks right", shown_only=True), QualityRule("", unchecked="sql rules are written for other engines")]
    found = measure(PEOPLE, asked, tmp_path)
    assert [(one["state"], one["reason"]) for one in found["results"]] == [("text", ""), ("not_checked", asked[1].unchecked)]


def test_csv_is_measured_as_parquet_is(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("id,region\n1,EU\n2,\n2,XX\n")
    asked = [rule("duplicateValues", "id"), rule("missingValues", "region"), rule("invalidValues", "region", validValues=["EU"])]
    assert [one["count"] for one in measure_file(path, asked)["results"]] == [1, 1, 1]


def test_many_values_are_counted_exactly_through_the_file(tmp_path, monkeypatch):
    """More than the memory that counts may use: most digests pass through the file."""
    monkeypatch.setattr("jupyter_guardrails.catalog.spill.HELD_BYTES", 1 << 16)
    numbers = [*range(40_000), *random.Random(5).sample(range(40_000), 777)]
    random.Random(6).shuffle(numbers)
    table = pa.table({"id": numbers, "text": [f"t{number}" for number in numbers]})
    pq.write_table(table, tmp_path / "t.parquet")
    found = measure_file(tmp_path / "t.parquet", [rule("duplicateValues", "id"), rule("duplicateValues", "text")])
    assert [one["count"] for one in found["results"]] == [777, 777]


def test_a_count_that_has_no_room_is_not_checked_and_the_others_are(tmp_path, monkeypatch):
    monkeypatch.setattr("jupyter_guardrails.catalog.measuring.Spill", lambda fd, counts: Spill(fd, counts=10_000, most_bytes=4096))
    table = pa.table({"id": list(range(5000))})
    first, second = measure(table, [rule("duplicateValues", "id"), rule("nullValues", "id")], tmp_path)["results"]
    assert (first["state"], first["reason"], second["state"]) == ("not_checked", TOO_MANY, "passed")


def test_the_file_holds_digests_and_no_values():
    with tempfile.TemporaryFile(buffering=0) as file:
        counting = Distinct(Spill(file.fileno(), counts=1 << 20))
        counting.add([bytes([number]) * DIGEST_BYTES for number in (1, 2, 1)])
        counting.add([bytes([3]) * DIGEST_BYTES])
        assert counting.count() == 3
        assert file.seek(0, os.SEEK_END) == 4 * DIGEST_BYTES
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(SpillFull):
        Spill(full.fileno()).put(b"x")


def test_whoever_waits_no_more_ends_it(tmp_path):
    def gone():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(PEOPLE, [rule("rowCount")], tmp_path, look_up=gone)


RULES = [
    {"metric": "nullValues", "mustBe": 0, "severity": "error", "name": "no-nulls"},
    {"type": "library", "rule": "duplicateValues", "mustBeLessThan": 5, "unit": "percent"},
    {"type": "text", "description": "Ask dana before use"},
    {"type": "sql", "query": "SELECT 1", "mustBe": 1},
    {"type": "custom", "engine": "soda", "implementation": "checks"},
]


def schema(column=None, table=None):
    return [{"name": "t", "properties": [{"name": "origin", "quality": column or []}, {"name": "email"}], "quality": table or []}]


def test_a_contracts_rules_are_read_with_what_they_ask_for(world):
    world.write("nyc/flights", schema=schema(RULES, [{"metric": "rowCount", "mustBeBetween": [1, 9]}]))
    contract = load_catalog(world.folder).contracts["nyc/flights"]
    assert [(one.limit, one.severity) for one in contract.quality[:3]] == [
        ("from 1 to 9 rows", ""),
        ("exactly 0 null values in origin", "error"),
        ("less than 5 % duplicate values in origin", ""),
    ]
    assert [(one.text, one.shown_only, one.unchecked) for one in contract.quality[3:]] == [
        ("Ask dana before use", True, ""),
        ("", False, "sql rules are written for other engines, and are not run here"),
        ("", False, "custom rules are written for other engines, and are not run here"),
    ]
    again = tuple(QualityRule.from_json(json.loads(json.dumps(one.to_json()))) for one in contract.quality)
    assert again == contract.quality
    assert digest_of(again) == digest_of(contract.quality) != digest_of(contract.quality[1:])


def test_rules_survive_in_the_cache_of_contracts(world, tmp_path):
    file = world.write("nyc/flights", schema=schema(RULES))
    contract = load_catalog(world.folder).contracts["nyc/flights"]
    cache = ContractCache(tmp_path / "catalogue.sqlite")
    cache.keep({str(file): ("stamp", contract)}, gone=set())
    assert cache.read({str(file): "stamp"}) == {str(file): contract}


@pytest.mark.parametrize(
    ("column", "table", "words"),
    [
        ({"metric": "freshness", "mustBe": 0}, None, "the metric freshness is not one of nullValues"),
        ({"type": "library", "mustBe": 0}, None, "the metric is missing and is not one of"),
        ({"type": "magic"}, None, "magic is not one of text, library"),
        ({"metric": "nullValues"}, None, "no limit is given"),
        ({"metric": "nullValues", "mustBe": 0, "mustNotBe": 3}, None, "more than one limit is given"),
        ({"metric": "nullValues", "mustBe": "many"}, None, "mustBe needs a number"),
        ({"metric": "nullValues", "mustBe": True}, None, "mustBe needs a number"),
        ({"metric": "nullValues", "mustBeLessThan": -1}, None, "needs a number, 0 or more"),
        ({"metric": "nullValues", "mustBeBetween": [5, 1]}, None, "two numbers, the lower first"),
        ({"metric": "nullValues", "mustBe": 0, "unit": "bananas"}, None, "the unit bananas is not one of"),
        ({"metric": "nullValues", "mustBeLessThan": 101, "unit": "percent"}, None, "a percentage is at most 100"),
        ({"metric": "nullValues", "mustBe": 0, "arguments": {"query": 1}}, None, "has no argument query"),
        ({"metric": "invalidValues", "mustBe": 0}, None, "needs validValues or a pattern"),
        ({"metric": "invalidValues", "mustBe": 0, "arguments": {"validValues": "EU"}}, None, "validValues has to be a list"),
        ({"metric": "invalidValues", "mustBe": 0, "arguments": {"pattern": "("}}, None, "pattern is no regular expression"),
        ({"metric": "rowCount", "mustBe": 1}, None, "rowCount is of a table"),
        (None, {"metric": "nullValues", "mustBe": 0}, "nullValues is of a column"),
        (None, {"metric": "duplicateValues", "mustBe": 0}, "needs the columns to look at together"),
        (None, {"metric": "rowCount", "mustBe": 1, "unit": "percent"}, "rowCount has no percent"),
        ({"metric": "nullValues", "mustBe": 0, "bogus": 1}, None, "unknown key bogus"),
    ],
)
def test_a_mistake_in_a_rule_breaks_the_contract_at_its_line(world, column, table, words):
    file = world.write("nyc/flights", schema=schema([column] if column else [], [table] if table else []))
    (broken,) = load_catalog(world.folder).broken
    problem = next(one for one in broken.problems if words in str(one))
    assert problem.file == str(file)
    lines = file.read_text().splitlines()
    assert problem.line > next(number for number, text in enumerate(lines, 1) if "quality:" in text)
    right = yaml.safe_load(file.read_text()) | {"schema": schema([{"metric": "nullValues", "mustBe": 0}])}
    file.write_text(yaml.safe_dump(right))
    assert load_catalog(world.folder).problems == ()


def test_rules_of_several_tables_are_not_measured(world):
    tables = [*schema([{"metric": "nullValues", "mustBe": 0}]), *schema()]
    world.write("nyc/flights", world.data, schema=tables, servers=[{"server": "h", "type": "local", "path": str(world.data), "format": "directory"}])
    contract = load_catalog(world.folder).contracts["nyc/flights"]
    assert [one.unchecked for one in contract.quality] == ["its contract describes several tables"]
