"""Policies, people and datasets at random, small enough that they often meet."""

import json
from pathlib import Path

from hypothesis import strategies as st

from jupyter_guardrails.policy import Resource
from jupyter_guardrails.policy.compiled import compile_policy
from jupyter_guardrails.policy.document import Document
from jupyter_guardrails.policy.yamltree import read_tree

GLOBS = st.sampled_from(["**", "*", "a/*", "a/**", "*/x", "**/x", "a/x", "b", "a*/x*", "a/x/*", "*y*", "**z", "b/**", "nothing/*"])
NAMES = st.one_of(
    st.sampled_from(
        ["a/x", "a/y", "b/x", "ab/xy", "a/x/z", "b", "z", "", ".", "a//x", "a/..", "./x", "a/x\n", "a\nx", "a/\u202ex", "x" * 1025, "é/x"]
    ),
    st.text("ab/xyz", min_size=1, max_size=6),
)
LABELS = st.sampled_from(["", "hr", "HR", "ops", "Straße", "STRASSE"])
RESOURCES = st.lists(st.builds(Resource, NAMES, LABELS, LABELS, st.lists(LABELS, max_size=2).map(tuple)), max_size=12)
PEOPLE = st.sampled_from(["ana", "anna", "ben"])
GROUPS = st.lists(st.sampled_from(["g", "g2", "h"]), max_size=3)
CROWD = st.fixed_dictionaries(
    {},
    optional={
        "users": st.lists(st.sampled_from(["ana", "an*", "**", "ben"]), min_size=1, max_size=2),
        "groups": st.lists(st.sampled_from(["g", "g*", "h"]), min_size=1, max_size=2),
    },
)
WHO = st.one_of(st.just("everyone"), st.builds(lambda one, other: {**one, "not": other}, CROWD.filter(bool), CROWD))
ENTRY = st.one_of(
    GLOBS, st.fixed_dictionaries({}, optional={"name": GLOBS, "classification": LABELS, "domain": LABELS, "tag": LABELS}).map(
        lambda entry: {key: value or "ops" for key, value in entry.items()}
    ).filter(bool)
)  # fmt: skip
FILTERS = st.sampled_from(["x = 1", "x = {user.name}", "x in {user.groups}", "x in {user.name}", "x = {user.site}", "x in {user.sites} or y = 2"])
RULE = st.fixed_dictionaries(
    {"for": WHO},
    optional={
        "data": st.fixed_dictionaries({}, optional={"read": st.lists(GLOBS, max_size=3), "request": st.lists(GLOBS, max_size=3)}),
        "deny": st.fixed_dictionaries({"data": st.lists(ENTRY, min_size=1, max_size=2)}),
        "rows": st.dictionaries(GLOBS, FILTERS, max_size=2),
        "mode": st.sampled_from(["observe", "warn", "enforce"]),
    },
)
ATTRIBUTES = st.sampled_from([None, {"site": "north"}, {"site": ("north", "south")}, {"sites": ("north",)}, {"name": "x", "sites": "north"}])


def build(rules, **extra):
    """The policy of some rules, through the same loader as files."""
    named = [{"name": f"r{number}", "allow_soft_deny": True, **rule} for number, rule in enumerate(rules)]
    root, problems = read_tree(json.dumps({"apiVersion": "guardrails/v1", "rules": named, **extra}).encode(), "g.yaml")
    assert not problems
    return compile_policy(Path("g.yaml"), Document.model_validate(root.plain()), root)
