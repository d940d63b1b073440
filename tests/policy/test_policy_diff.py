"""Two policies compared: who gains what, who loses what, and nothing where nothing changes."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_guardrails.policy import Resource, decide, effective, load
from jupyter_guardrails.policy.diff import compare
from jupyter_guardrails.policy.named import Subject, subjects

BASE = """apiVersion: guardrails/v1
mode: enforce
groups: {analysts: [ana, ben], leads: [lea]}
profiles: {small: {memory: 2GiB}, large: {memory: 8GiB, lifetime: 1d}}
rules:
- {name: base, for: everyone, kernels: {profiles: [small], max: 5}, data: {read: ["open/*"]}, network: {allow: ["a.example.com:443"]}}
- {name: analysts, for: {groups: [analysts]}, data: {read: ["nyc/*"], request: ["hr/*"]}, mask: {pii: hash}, budget: {cpu_hours: 10}}
- {name: shut, for: everyone, deny: {data: [{classification: restricted}]}}
"""
RESOURCES = [Resource("nyc/a"), Resource("nyc/b", "restricted"), Resource("hr/x"), Resource("open/y")]


@pytest.fixture
def difference(policy):
    """`difference(old, new)` changes BASE by replacing text; gives shared changes and {person: changes}, each as `effect key before|after`."""

    def find(old, new, *, base=BASE, resources=(), people=None):
        assert old in base
        before, after = policy(base, "old.yaml"), policy(base.replace(old, new), "new.yaml")
        shared, groups = compare(before, after, people or subjects([before, after]), resources)
        return [said(change) for change in shared], {person: [said(c) for c in group.changes] for group in groups for person in group.people}

    return find


def said(change):
    return f"{change.effect} {change.key} {change.before}|{change.after}"


ANALYSTS, ALL = {"ana", "ben"}, {"ana", "ben", "lea", "anyone else"}


@pytest.mark.parametrize(
    ("old", "new", "who", "change"),
    [
        ('"nyc/*"', '"nyc/*", "hr/y"', ANALYSTS, "gains data.read |hr/y"),
        ('read: ["nyc/*"], ', "", ANALYSTS, "loses data.read nyc/*|"),
        ("max: 5", "max: 9", ALL, "gains kernels.max 5|9"),
        ("max: 5", "max: 0", ALL, "loses kernels.max 5|0"),
        ("{pii: hash}", "{pii: blank}", ANALYSTS, "loses mask.pii hash|blank"),
        ("{pii: hash}", "{pii: partial}", ANALYSTS, "gains mask.pii hash|partial"),
        ("mask: {pii: hash}, ", "", ANALYSTS, "gains mask.pii hash|"),
        ("cpu_hours: 10", "cpu_hours: 20", ANALYSTS, "gains budget.cpu_hours 10|20"),
        (", budget: {cpu_hours: 10}", "", ANALYSTS, "gains budget.cpu_hours 10|no limit"),
        ("budget: {cpu_hours: 10}", "budget: {cpu_hours: 10}, uploads: {max_size: 1GiB}", ANALYSTS, "gains uploads.max_size off|1GiB"),
        ("classification: restricted", "classification: secret", ALL, "loses deny.data |classification: secret"),
        ("classification: restricted", "classification: secret", ALL, "gains deny.data classification: restricted|"),
        ("mode: enforce", "mode: warn", ALL, "gains mode enforce|warn"),
        ("profiles: [small]", "profiles: [small, large]", ALL, "gains kernels.profiles |large"),
        ('"a.example.com:443"', "", ALL, "loses network.allow a.example.com:443|"),
        ("max: 5}", "max: 5}, workspace: {size: 1GiB}", ALL, "loses workspace.size off|1GiB"),
        ("max: 5}", "max: 5}, rows: {'open/*': x = 1}", ALL, "loses rows.open/* |x = 1"),
        ("[ana, ben]", "[ana]", {"ben"}, "loses data.request hr/*|"),
        ("leads: [lea]", "leads: [lea], platform: [lea]}\nadmins: {groups: [platform]", {"lea"}, "gains roles |admin"),
    ],
)
def test_who_gains_or_loses(difference, old, new, who, change):
    _, people = difference(old, new)
    assert {person for person, changes in people.items() if change in changes} == who


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ("memory: 8GiB", "memory: 4GiB", "loses profiles.large.memory 8GiB|4GiB"),
        ("lifetime: 1d", "lifetime: off", "gains profiles.large.lifetime 1d|off"),
        (", large: {memory: 8GiB, lifetime: 1d}", "", "changes profiles.large 8GiB memory, 1 cpu, ends after 8h idle, lives 1d|"),
        ("mode: enforce", "mode: enforce\naudit: {keep: 90d}", "changes audit.keep off|90d"),
        ("mode: enforce", "mode: enforce\npaths: {write: ['/s/{user}']}", "gains paths.write |/s/{user}"),
        ("mode: enforce", "mode: enforce\nrequire: [files]", "changes require network|"),
        ("mode: enforce", "mode: enforce\npromotion: {packages: {deny: [x]}}", "loses promotion.packages.deny |x"),
    ],
)
def test_what_is_the_same_for_everybody_stands_apart(difference, old, new, change):
    shared, people = difference(old, new)
    assert change in shared
    assert change not in str(people)


def test_people_with_the_same_changes_stand_together(policy):
    before, after = policy(BASE, "old.yaml"), policy(BASE.replace('"nyc/*"', "nyc/a"), "new.yaml")
    _, groups = compare(before, after, subjects([before, after]))
    assert [group.people for group in groups] == [("ana", "ben")]


def test_nothing_changes_by_layout(policy):
    before = policy(BASE, "old.yaml")
    after = policy(BASE.replace("{analysts: [ana, ben], leads: [lea]}", "\n  leads: [lea]\n  analysts:\n  - ana\n  - ben"), "new.yaml")
    assert compare(before, after, subjects([before, after])) == ((), ())


def test_a_loss_names_the_rule_that_gave_it_and_a_gain_the_one_that_gives(policy):
    before, after = policy(BASE, "old.yaml"), policy(BASE.replace('"nyc/*"', "nyc/a"), "new.yaml")
    (change, other) = compare(before, after, [Subject("ana", "ana")])[1][0].changes
    assert {str(change.rule), str(other.rule)} == {"old.yaml:7 analysts", "new.yaml:7 analysts"}


def test_with_a_catalogue_datasets_are_named(difference):
    _, people = difference('"nyc/*"', '"hr/*"', resources=RESOURCES)
    assert "gains may read |hr/x" in people["ana"]
    assert "loses may read nyc/a|" in people["ana"]
    assert "nyc/b" not in str(people), "restricted: she never could read it"
    _, people = difference('"nyc/*"', '"nyc/a"', resources=RESOURCES)
    assert "may read" not in str(people)


def test_a_label_that_is_opened_shows_its_datasets(difference):
    _, people = difference("classification: restricted", "classification: secret", resources=RESOURCES)
    assert "gains may read |nyc/b" in people["ana"]
    assert "gains may read |nyc/b" not in people["lea"]


def test_stand_ins_for_those_whom_the_file_does_not_name(policy):
    text = BASE.replace("{groups: [analysts]}", "{groups: [analysts, from-ldap], users: ['svc-*']}")
    found = subjects([policy(text)])
    assert [subject.label for subject in found] == ["ana", "ben", "lea", "anyone in group from-ldap", "anyone called svc-*", "anyone else"]
    assert found[3].groups == ("from-ldap",)


def test_somebody_else_is_nobody_whom_a_pattern_means(policy):
    found = subjects([policy("rules: [{name: r, for: {users: ['any*', 'some*']}}]")])
    assert found[-1].person == "zz-someone"


GLOBS = st.sampled_from(["**", "nyc/*", "nyc/a", "hr/*", "open/y", "*/x"])
RULES = st.lists(
    st.fixed_dictionaries(
        {"for": st.sampled_from(["everyone", {"users": ["ana"]}, {"groups": ["analysts"]}])},
        optional={
            "data": st.fixed_dictionaries({}, optional={"read": st.lists(GLOBS, max_size=2), "request": st.lists(GLOBS, max_size=2)}),
            "deny": st.fixed_dictionaries({"data": st.lists(GLOBS, min_size=1, max_size=2)}),
            "kernels": st.fixed_dictionaries({"max": st.integers(0, 5)}),
            "mask": st.dictionaries(st.sampled_from(["pii", "money"]), st.sampled_from(["partial", "hash", "blank"]), max_size=2),
        },
    ),
    max_size=3,
)
OPPOSITE = {"gains": "loses", "loses": "gains", "changes": "changes"}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """`built(rules)` loads a policy of these rules."""
    file = tmp_path_factory.mktemp("built") / "guardrails.yaml"

    def make(rules):
        named = [{"name": f"r{number}", **rule} for number, rule in enumerate(rules)]
        file.write_text(json.dumps({"apiVersion": "guardrails/v1", "groups": {"analysts": ["ana"]}, "rules": named}))
        return load(file)

    return make


@settings(max_examples=60, deadline=None)
@given(old=RULES, new=RULES)
def test_the_way_back_is_the_opposite(built, old, new):
    one, other = built(old), built(new)
    people = [Subject("ana", "ana"), Subject("anyone else", "zoe", ())]
    there, back = (compare(*pair, people, RESOURCES)[1] for pair in ((one, other), (other, one)))
    forth = {(name, c.effect, c.key, c.before, c.after) for group in there for name in group.people for c in group.changes}
    assert forth == {(name, OPPOSITE[c.effect], c.key, c.after, c.before) for group in back for name in group.people for c in group.changes}


@settings(max_examples=60, deadline=None)
@given(old=RULES, new=RULES)
def test_datasets_that_come_and_go_are_those_of_the_decisions(built, old, new):
    policies = built(old), built(new)
    groups = compare(*policies, [Subject("ana", "ana")], RESOURCES)[1]
    changes = {(c.effect, c.key): (c.before or c.after).split(", ") for group in groups for c in group.changes if c.key.startswith("may ")}
    for action, what in (("data.read", "may read"), ("data.request", "may ask for")):
        had, has = ({r.name for r in RESOURCES if decide(effective(policy, "ana"), action, r, None).allowed} for policy in policies)
        assert changes.get(("gains", what), []) == [r.name for r in RESOURCES if r.name in has - had]
        assert changes.get(("loses", what), []) == [r.name for r in RESOURCES if r.name in had - has]
