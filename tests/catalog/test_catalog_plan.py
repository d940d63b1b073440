"""What a reader may ask of a scan: filters as data, never as text of a query language; and a plan's way to the broker."""

import json

import pytest

from jupyter_guardrails.catalog import filters
from jupyter_guardrails.catalog.filters import read_filter
from jupyter_guardrails.catalog.plan import ScanPlan
from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.policy.rowfilter import Comparison, parse_filter


def test_a_filter_is_text_of_the_grammar_or_lists():
    assert read_filter("a > 1 and b = 'x'") == read_filter([["a", ">", 1], ["b", "=", "x"]])
    assert read_filter({"or": [["größe (cm)", "<", 1.5], ["a", "in", [1, 2]]]}).word == "or"
    assert read_filter(["a", "=", "x"]) == Comparison("a", "=", "x")
    assert read_filter(None) is read_filter([]) is None


@pytest.mark.parametrize(
    "given",
    [
        "1=1; drop table people",
        "a = 'x' union select * from secrets",
        "length(a) > 3",
        "a = (select 1)",
        "a like '%x'",
        "a = {user.team}",
        [["a", "==", 1]],
        [["a", "=", None]],
        [["a", "=", {"$ne": 1}]],
        [["a", "=", float("inf")]],
        [["a", "=", 2**70]],
        {"not": [["a", "=", 1]]},
        {"and": []},
        [["a", "in", "xyz"]],
        5,
        [[1, "=", 1]],
        [["a", "=", 1]] * 300,
    ],
)
def test_what_is_no_filter_is_refused_in_a_sentence(given):
    with pytest.raises(BadRequest) as caught:
        read_filter(given)
    assert caught.value.next_step


def test_a_filter_that_is_nested_for_ever_is_refused():
    tree = ["a", "=", 1]
    for _ in range(100):
        tree = {"and": [tree, ["b", "=", 2]]}
    with pytest.raises(BadRequest, match="deeply"):
        read_filter(tree)


def test_hostile_text_stays_a_value():
    hostile = "x' or '1'='1"
    assert read_filter([["a", "=", hostile]]) == Comparison("a", "=", hostile)
    assert read_filter("a = 'x'' or ''1''=''1'") == Comparison("a", "=", hostile)


def test_a_plan_reads_what_it_delivers_and_compares_and_arrives_as_it_was_sent():
    keep, where = parse_filter("region in ('EU', 'US')"), read_filter([["home.street", "=", "x"]])
    plan = ScanPlan("hr/people", "1", "dana", {"kind": "files", "path": "/x"}, ("name", "home"), {"name": "hash"}, keep, ("name",), where, 5)
    assert plan.needed == ("name", "region", "home")
    assert ScanPlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    assert plan.pushed == keep  # never the reader's: what is skipped by it would tell of values behind masks
    assert filters.columns_of(None) == ()
