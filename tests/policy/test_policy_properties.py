"""Promises that hold for every policy: deny wins, order where it counts and only there, explain tells the truth, digests are of the meaning."""

import json
import random
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_guardrails.policy import Resource, decide, effective
from jupyter_guardrails.policy.compiled import compile_policy
from jupyter_guardrails.policy.considered import considered
from jupyter_guardrails.policy.document import Document
from jupyter_guardrails.policy.explain import lines
from jupyter_guardrails.policy.resolve import MASK_STRICTNESS
from jupyter_guardrails.policy.rowfilter import Junction, parse_filter
from jupyter_guardrails.policy.yamltree import read_tree

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GLOBS = st.sampled_from(["**", "*/x", "a/*", "a/x", "b/**", "a/x/*", "*", "b/x"])
NAMES = st.sampled_from(["a/x", "b/x", "a/y", "a/x/z", "b", "c/x"])
LABELS = st.sampled_from(["public", "restricted", ""])
HOSTS = st.sampled_from(["a.example.com:443", "*.example.com:443", "**:*", "10.0.0.1:80", "**.com:80", "b.example.com:*"])
PLACES = st.sampled_from(["a.example.com:443", "b.example.com:80", "10.0.0.1:80", "a.b.example.com:443", "x:1"])
CLASSES = st.sampled_from(["pii", "money"])
WHO = st.sampled_from(["everyone", {"users": ["ana"]}, {"groups": ["g"]}, {"users": ["ben"]}, {"users": ["**"], "not": {"groups": ["g"]}}])
MODES = st.sampled_from(["observe", "warn", "enforce"])
DENY = st.one_of(
    st.fixed_dictionaries(
        {"data": st.lists(st.one_of(GLOBS, st.builds(lambda label: {"classification": label or "x"}, LABELS)), min_size=1, max_size=2)}
    ),
    st.fixed_dictionaries({"network": st.lists(HOSTS, min_size=1, max_size=2)}),
)
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "data": st.fixed_dictionaries({}, optional={"read": st.lists(GLOBS, max_size=3), "request": st.lists(GLOBS, max_size=3)}),
        "network": st.fixed_dictionaries({"allow": st.lists(HOSTS, max_size=3)}),
        "mask": st.dictionaries(CLASSES, st.sampled_from(list(MASK_STRICTNESS)), max_size=2),
        "rows": st.dictionaries(GLOBS, st.sampled_from(["x = 1", "y = 2 or z = 3"]), max_size=2),
        "deny": DENY,
        "soft": MODES,
        "kernels": st.fixed_dictionaries({"max": st.integers(0, 9)}),
    },
)
RULES = st.lists(st.tuples(WHO, PARTS), max_size=5)
QUESTIONS = st.one_of(
    st.tuples(
        st.sampled_from(["data.read", "data.request"]), st.builds(lambda n, c: Resource(n, c, columns={"p": "pii", "m": "money"}), NAMES, LABELS)
    ),
    st.tuples(st.just("network.connect"), st.builds(Resource, PLACES)),
)


def build(parts, **extra):
    """A policy of rules `r0`, `r1`, … through the same loader as files."""
    rules = [{"name": f"r{n}", "for": who, **_written(part)} for n, (who, part) in enumerate(parts)]
    text = json.dumps({"apiVersion": "guardrails/v1", "rules": rules, **extra})
    root, problems = read_tree(text.encode(), "g.yaml")
    assert not problems
    return compile_policy(Path("g.yaml"), Document.model_validate(root.plain()), root)


def _written(part):
    """`soft` stands for a mode of the rule, permitted also where it denies."""
    return {key: value for key, value in part.items() if key != "soft"} | ({"mode": part["soft"], "allow_soft_deny": True} if "soft" in part else {})


def terms(text):
    """What a row filter asks for, each by itself."""
    if not text:
        return set()
    tree = parse_filter(text)
    return set(tree.terms) if isinstance(tree, Junction) and tree.word == "and" else {tree}


def answer(policy, question, person="ana", groups=("g",)):
    return decide(effective(policy, person, groups), question[0], question[1], NOW)


@given(RULES, DENY, st.integers(0, 5), QUESTIONS)
def test_adding_a_deny_never_allows_more(parts, deny, where, question):
    more = [*parts[:where], ("everyone", {"deny": deny}), *parts[where:]]
    assert answer(build(parts), question).allowed or not answer(build(more), question).allowed


@given(RULES, DENY, MODES, MODES, st.integers(0, 5), QUESTIONS)
def test_adding_a_deny_in_any_mode_never_opens_what_was_shut(parts, deny, file_mode, deny_mode, where, question):
    """`blocks` counts modes: a soft deny that matches too doesn't take an enforced one's place."""
    soft = {"deny": deny, "mode": deny_mode, "allow_soft_deny": True}
    more = [*parts[:where], ("everyone", soft), *parts[where:]]
    assert not answer(build(parts, mode=file_mode), question).blocks or answer(build(more, mode=file_mode), question).blocks


@given(RULES, st.sampled_from(["read", "request"]), GLOBS, st.integers(0, 5), QUESTIONS)
def test_adding_an_allow_never_takes_away(parts, key, glob, where, question):
    more = [*parts[:where], ("everyone", {"data": {key: [glob]}}), *parts[where:]]
    assert not answer(build(parts), question).allowed or answer(build(more), question).allowed


@given(RULES, QUESTIONS, st.randoms(use_true_random=False))
def test_the_order_of_rules_changes_no_verdict_and_no_bound(parts, question, order: random.Random):
    """Modes are single values, of which the last wins: so what is compared is the verdict, and what any read is bound to."""
    people = [effective(build(rules), "ana", ["g"]) for rules in (parts, order.sample(parts, len(parts)))]
    one, other = (decide(person, *question, NOW) for person in people)
    assert one.allowed == other.allowed
    bound, bounds = (person.obligations(question[1]) for person in people)
    assert bound.masks == bounds.masks
    assert terms(bound.row_filter) == terms(bounds.row_filter)


@given(RULES, QUESTIONS)
def test_the_deciding_rule_alone_gives_the_same_verdict(parts, question):
    found = answer(build(parts), question)
    if found.rule.line:
        alone = answer(build([parts[int(found.rule.name[1:])]]), question)
        assert alone.allowed == found.allowed


@given(RULES, QUESTIONS)
def test_the_chain_of_considered_entries_explains_the_decision(parts, question):
    person = effective(build(parts), "ana", ["g"])
    found, chain = decide(person, *question, NOW), considered(person, *question)
    first = next((entry for entry in chain if entry.matches), None)
    if first is None:
        assert not found.allowed
    elif first.rule != found.rule:  # a soft deny, over something that is refused without it
        assert first.effect == "deny"
        assert person.deny_modes[first.rule] != "enforce"
        assert not found.allowed
    else:
        assert found.allowed == (first.effect != "deny")


@given(RULES, QUESTIONS)
def test_a_mask_is_the_strictest_of_all_that_apply(parts, question):
    found = answer(build(parts), question)
    person = effective(build(parts), "ana", ["g"])
    given_kinds = [rule.rule.mask.get("pii", "") for rule in build(parts).rules if rule.applies(person.person, person.groups)]
    strictest = max((kind for kind in given_kinds if kind), key=MASK_STRICTNESS.__getitem__, default=None)
    if found.allowed and question[0] != "network.connect":
        assert found.obligations.masks.get("p") == strictest


@given(RULES, st.tuples(WHO, PARTS), st.integers(0, 5), QUESTIONS)
def test_another_rule_only_tightens_masks_and_filters(parts, rule, where, question):
    """No rule has an `unmask` here: so each mask stays as strict as it is or becomes stricter, and each filter stays."""
    more = [*parts[:where], rule, *parts[where:]]
    before, after = (effective(build(rules), "ana", ["g"]).obligations(question[1]) for rules in (parts, more))
    for column, kind in before.masks.items():
        assert MASK_STRICTNESS[after.masks[column]] >= MASK_STRICTNESS[kind]
    assert terms(before.row_filter) <= terms(after.row_filter)


@given(RULES, CLASSES, st.integers(0, 5))
def test_an_unmask_lifts_what_stands_before_it_and_nothing_after(parts, label, where):
    with_unmask = [*parts[:where], ("everyone", {"unmask": [label]}), *parts[where:]]
    later_only = effective(build(parts[where:]), "ana", ["g"]).masks
    found = effective(build(with_unmask), "ana", ["g"]).masks
    assert (label in found) == (label in later_only)
    assert not found.get(label) or found[label].value == later_only[label].value


@given(RULES, st.randoms(use_true_random=False))
def test_the_order_inside_lists_and_mappings_changes_no_value(parts, order: random.Random):
    def shuffled(value):
        if isinstance(value, dict):
            return {key: shuffled(value[key]) for key in order.sample(list(value), len(value))}
        return order.sample(value, len(value)) if isinstance(value, list) else value

    one, other = (effective(build(rules), "ana", ["g"]) for rules in (parts, [(who, shuffled(part)) for who, part in parts]))
    assert {(line.key, line.text) for line in lines(one)} == {(line.key, line.text) for line in lines(other)}


@given(RULES, QUESTIONS, st.permutations(["g", "h", "i"]))
def test_the_order_of_groups_changes_no_decision(parts, question, groups):
    found = [answer(build(parts), question, groups=order) for order in (("g", "h", "i"), tuple(groups))]
    assert found[0] == found[1]


@given(RULES, QUESTIONS)
def test_what_a_chain_says_is_enough_for_the_verdict(parts, question):
    """Whoever keeps only the rules that `explain` shows as matching keeps the verdict."""
    person = effective(build(parts), "ana", ["g"])
    shown = {entry.rule.name for entry in considered(person, *question) if entry.matches}
    kept = [(who, part if f"r{number}" in shown else {}) for number, (who, part) in enumerate(parts)]
    bound = [(who, {"rows": part["rows"]}) if "rows" in part else (who, {}) for who, part in parts]
    found = decide(person, *question, NOW)
    assert answer(build([*kept, *bound]), question).allowed == found.allowed


@given(RULES, st.randoms(use_true_random=False))
def test_the_digest_is_stable_over_layout_and_key_order(parts, order: random.Random):
    def shuffled(value):
        if isinstance(value, dict):
            return {key: shuffled(value[key]) for key in order.sample(list(value), len(value))}
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    assert build(parts).digest == build([(shuffled(who), shuffled(part)) for who, part in parts]).digest


@given(RULES, st.integers(0, 5))
def test_the_digest_changes_with_what_is_said(parts, where):
    more = [*parts[:where], ("everyone", {"kernels": {"max": 3}}), *parts[where:]]
    assert len({build(parts).digest, build(more).digest, build(parts, mode="warn").digest}) == 3


@settings(max_examples=30)
@given(RULES)
def test_every_value_that_is_explained_names_a_rule_of_this_person(parts):
    policy = build(parts)
    person = effective(policy, "ana", ["g"])
    mine = {rule.ref for rule in policy.rules if rule.applies("ana", ["g"])}
    for line in lines(person):
        assert line.text
        assert not line.rule.line or line.rule in mine or line.rule in policy.places.values()


@given(RULES, st.sampled_from(["data.read", "network.connect"]), st.text(max_size=30))
def test_no_name_makes_it_fail(parts, action, name):
    assert answer(build(parts), (action, Resource(name))).reason
