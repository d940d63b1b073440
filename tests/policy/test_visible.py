"""What a person sees is what `decide` allows, dataset by dataset."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_policies import ATTRIBUTES, GROUPS, PEOPLE, RESOURCES, RULE, build

from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.policy import Resource, decide, effective
from jupyter_guardrails.policy.visible import Visibility

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def bits(policy, person, groups, attributes, resources, action):
    """What `decide` allows, as `Seen` has it."""
    one = effective(policy, person, groups, attributes=attributes)
    return sum(1 << position for position, resource in enumerate(resources) if decide(one, action, resource, NOW).allowed)


@given(st.lists(RULE, max_size=6), st.sampled_from(["observe", "enforce"]), RESOURCES, st.lists(st.tuples(PEOPLE, GROUPS, ATTRIBUTES), max_size=4))
def test_a_person_sees_what_decide_allows(rules, mode, resources, people):
    policy = build(rules, mode=mode)
    visibility = Visibility(policy, resources)
    for person, groups, attributes in people:
        seen = visibility.of(person, groups, attributes=attributes)
        assert seen.readable == bits(policy, person, groups, attributes, resources, "data.read")
        assert seen.requestable == bits(policy, person, groups, attributes, resources, "data.request")


DATASETS = [
    Resource("nyc/weather"),
    Resource("hr/salaries", "Restricted", tags=("pay",)),
    Resource("nyc/flights", "public"),
    Resource("hr/headcount", "internal", "hr"),
]
ANALYSTS = {"for": {"groups": ["analysts"]}, "data": {"read": ["nyc/*"], "request": ["hr/*"]}}
SHUT = {"for": "everyone", "deny": {"data": [{"classification": "restricted", "tag": "PAY"}]}}


def test_what_is_allowed_is_seen_in_the_order_of_the_datasets():
    seen = Visibility(build([ANALYSTS]), DATASETS).of("ana", ["analysts"])
    assert seen.readable_names() == ["nyc/weather", "nyc/flights"]
    assert seen.requestable_names() == ["hr/salaries", "hr/headcount"]
    assert [seen.reads(position) for position in range(4)] == [True, False, True, False]
    assert [seen.requests(position) for position in range(4)] == [False, True, False, True]
    assert (seen.readable.bit_count(), seen.requestable.bit_count()) == (2, 2)


def test_a_deny_takes_away_and_only_from_its_people():
    shut = {**SHUT, "for": {"users": ["**"], "not": {"users": ["carol"]}}}
    visibility = Visibility(build([shut, ANALYSTS]), DATASETS)
    assert visibility.of("ana", ["analysts"]).requestable_names() == ["hr/headcount"]
    assert visibility.of("carol", ["analysts"]).requestable_names() == ["hr/salaries", "hr/headcount"]


def test_somebody_of_no_group_sees_nothing():
    visibility = Visibility(build([ANALYSTS]), DATASETS)
    assert not visibility.of("ben", []).readable_names()
    assert visibility.of("ben", ["analysts"]).readable_names()


def test_a_row_filter_that_nothing_fills_shuts_and_a_filled_one_does_not():
    rows = {"for": "everyone", "rows": {"nyc/f*": "site = {user.site} and owner = {user.name}"}}
    visibility = Visibility(build([ANALYSTS, rows]), DATASETS)
    assert visibility.of("ana", ["analysts"]).readable_names() == ["nyc/weather"]
    assert visibility.of("ana", ["analysts"], attributes={"site": "JFK"}).readable_names() == ["nyc/weather", "nyc/flights"]


def test_what_is_told_about_a_person_replaces_neither_name_nor_groups():
    rows = {"for": "everyone", "rows": {"**": "owner = {user.name} and team in {user.groups} and site = {user.site}"}}
    told = {"site": "JFK", "name": ("ana",), "groups": "analysts"}  # of the wrong kind: in their place the filter couldn't be filled
    assert Visibility(build([ANALYSTS, rows]), DATASETS).of("ana", ["analysts"], attributes=told).readable_names() == ["nyc/weather", "nyc/flights"]


@pytest.mark.parametrize("name", ["", ".", "nyc/..", "nyc//x", "x\ny", "nyc/\u202ex", "x" * 1025])
def test_what_has_no_proper_name_is_never_seen(name):
    seen = Visibility(build([{"for": "everyone", "data": {"read": ["**"], "request": ["**"]}}]), [Resource(name), Resource("x")])
    assert seen.of("ana", []).readable_names() == ["x"]
    assert seen.of("ana", []).requestable_names() == ["x"]


def test_the_groups_of_the_file_count_where_none_are_given():
    visibility = Visibility(build([ANALYSTS], groups={"analysts": ["ana"]}), DATASETS)
    assert visibility.of("ana").readable_names() == ["nyc/weather", "nyc/flights"]
    assert not visibility.of("ana", []).readable_names()


def test_nobody_has_a_name_that_a_decision_refuses():
    with pytest.raises(BadRequest, match="can't be the name of a person"):
        Visibility(build([ANALYSTS]), DATASETS).of("../ana", [])


def test_two_datasets_of_one_name_are_told_apart_by_their_labels():
    seen = Visibility(build([ANALYSTS, SHUT]), [Resource("hr/x", "restricted", tags=("pay",)), Resource("hr/x")]).of("ana", ["analysts"])
    assert (seen.requests(0), seen.requests(1)) == (False, True)


def test_without_datasets_there_is_nothing_to_see():
    assert Visibility(build([ANALYSTS]), []).of("ana", ["analysts"]).readable_names() == []
