"""Row filters: the small grammar and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_guardrails.policy.rowfilter import Attribute, Comparison, Junction, all_of, fill, parse_filter, render, unknown

LITERALS = st.one_of(
    st.text(max_size=8), st.integers(-(10**14), 10**14), st.booleans(), st.decimals(-999, 999, places=3).map(float), st.just(Attribute("region"))
)
COLUMNS = st.sampled_from(["origin", "_x", "Team9"])
COMPARISONS = st.one_of(
    st.builds(Comparison, COLUMNS, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), LITERALS),
    st.builds(Comparison, COLUMNS, st.just("in"), st.lists(LITERALS, max_size=3).map(tuple)),
)
TREES = st.recursive(
    COMPARISONS, lambda inner: st.builds(Junction, st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3).map(tuple)), max_leaves=6
)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("origin='JFK'", "origin = 'JFK'"),
        ("a = 1 AND b != 2 or c in ('x', 'y')", "(a = 1 and b != 2) or c in ('x', 'y')"),
        ("a = 1 and (b = 2 or c = 3)", "a = 1 and (b = 2 or c = 3)"),
        ("team = {user.team}", "team = {user.team}"),
        ("team in {user.groups}", "team in {user.groups}"),
        ("name = 'O''Hara'", "name = 'O''Hara'"),
        ("ok = TRUE and x <= -1.50", "ok = true and x <= -1.5"),
    ],
)
def test_one_canonical_spelling(text, canonical):
    assert render(parse_filter(text)) == canonical


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "origin",
        "origin =",
        "origin == 'x'",
        "= 1",
        "1 = 1",
        "a = b",
        'a = "x"',
        "a = 'x",
        "a = 1; drop table x",
        "a = 1 --",
        "a = 1 or",
        "(a = 1",
        "a = 1)",
        "a in 3",
        "a in (1,)",
        "a like 'x'",
        "a.b = 1",
        "f(a) = 1",
        "a = {user}",
        "a = {other.x}",
        "a = 1e5",
        "a = 0x1",
        "not a = 1",
        "a is null",
        "in = 1",
        None,
        3,
        "(" * 50 + "a = 1" + ")" * 50,
        "a = 1 and " * 500 + "a = 1",
        "a = '\u0660' or b = \u0660",
    ],
)
def test_nothing_else_is_a_filter(bad):
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        parse_filter(bad)


@given(TREES)
def test_the_canonical_spelling_means_the_same(tree):
    text = render(tree)
    assert render(parse_filter(text)) == text


def test_filling_quotes_what_a_person_is_called():
    tree = fill(parse_filter("owner = {user.name}"), {"name": "x' or 1 = 1 or 'a' = 'a"})
    assert render(tree) == "owner = 'x'' or 1 = 1 or ''a'' = ''a'"
    assert isinstance(parse_filter(render(tree)), Comparison)


def test_lists_fill_in_only_and_single_values_elsewhere():
    known = {"name": "ana", "groups": ("a", "b")}
    assert render(fill(parse_filter("team in {user.groups}"), known)) == "team in ('a', 'b')"
    assert unknown(fill(parse_filter("team = {user.groups} or x = {user.name}"), known)) == ("groups",)
    assert unknown(fill(parse_filter("x in ({user.name}, {user.region})"), known)) == ("region",)


def test_filters_join_by_and_without_repeats():
    trees = [parse_filter(text) for text in ("a = 1 or b = 2", "c = 3", "c = 3 and d = 4")]
    assert render(all_of(trees)) == "(a = 1 or b = 2) and c = 3 and d = 4"
    assert all_of(trees[1:2]) == trees[1]
