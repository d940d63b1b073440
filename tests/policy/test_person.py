"""The indexes of one person: each answers what its entries say one by one."""

from hypothesis import given
from hypothesis import strategies as st
from random_policies import ENTRY, GLOBS, LABELS, NAMES

from jupyter_guardrails.policy import Resource, RuleRef, Value, parse_filter
from jupyter_guardrails.policy.globs import PatternIndex, compile_glob
from jupyter_guardrails.policy.person import MOST_JOINED, LabelIndex, RowIndex, RowRule
from jupyter_guardrails.policy.rowfilter import all_of, fill, render
from jupyter_guardrails.policy.rule import DataEntry

RESOURCE = st.builds(Resource, NAMES, LABELS, LABELS, st.lists(LABELS, max_size=2).map(tuple))
PATTERNS = st.lists(st.one_of(GLOBS, NAMES.filter(lambda name: name and "*" not in name)), max_size=8)
FILTERS = st.sampled_from(["a = 1", "b = {user.name}", "a = 1 and c = 2", "a = 1 or c = 2", "d = {user.site}"])


def fits(entry, resource):
    """What the format says: all keys given must match, labels whatever their case."""
    tags = [tag.casefold() for tag in resource.tags]
    return (
        (entry.name is None or compile_glob(entry.name).fullmatch(resource.name) is not None)
        and (entry.classification is None or entry.classification.casefold() == resource.classification.casefold())
        and (entry.domain is None or entry.domain.casefold() == resource.domain.casefold())
        and (entry.tag is None or entry.tag.casefold() in tags)
    )


@given(st.lists(ENTRY, max_size=6), RESOURCE)
def test_the_first_deny_that_matches_is_found(entries, resource):
    values = tuple(Value(DataEntry.model_validate(entry), RuleRef("g.yaml", number, "r")) for number, entry in enumerate(entries, start=1))
    assert LabelIndex(values).first(resource) == next((value for value in values if fits(value.value, resource)), None)


@given(PATTERNS, NAMES, st.booleans())
def test_all_patterns_that_match_are_found_in_order(patterns, name, from_end):
    index = PatternIndex(((pattern, position) for position, pattern in enumerate(patterns)), from_end=from_end)
    assert index.all(name) == [position for position, pattern in enumerate(patterns) if compile_glob(pattern).fullmatch(name)]


@given(st.lists(st.builds(RowRule, GLOBS, FILTERS), max_size=5), NAMES)
def test_the_row_filters_of_a_dataset_are_joined(rows, name):
    known = {"name": "ana", "groups": ()}
    trees = [parse_filter(row.filter) for row in rows if compile_glob(row.dataset).fullmatch(name)]
    index = RowIndex(rows, known)
    for _ in range(2):
        bound = index.of(name)
        assert (bound.text if bound else "") == (render(fill(all_of(trees), known)) if trees else "")
        assert bound is None or bound.unknown == (("site",) if "user.site" in bound.text else ())


def test_two_filters_for_one_exact_name_are_both_kept():
    index = RowIndex([RowRule("a/x", "b = 1"), RowRule("a/x", "c = 2"), RowRule("a/y", "d = 3")], {})
    assert index.of("a/x").text == "b = 1 and c = 2"
    assert index.of("a/y").text == "d = 3"
    assert index.of("a/z") is None


def test_names_that_somebody_makes_up_do_not_fill_the_memory():
    letters = "abcdefghij"
    index = RowIndex([RowRule(f"**{letter}**", f"{letter} = 1") for letter in letters], {})
    for number in range(1, 2 ** len(letters)):
        name = "".join(letter for position, letter in enumerate(letters) if number >> position & 1)
        assert index.of(name).text == " and ".join(f"{letter} = 1" for letter in name)
    assert len(index._joined) <= MOST_JOINED
