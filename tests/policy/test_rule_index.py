"""Whom rules are for: the index gives what each rule says by itself."""

from hypothesis import given
from hypothesis import strategies as st
from random_policies import WHO, build

NAMES = ["ana", "anna", "ben", "an", "Ana", "g", "g2", "h"]
MORE = st.lists(st.sampled_from(["ana", "an*", "*a", "**", "g", "g*", "*", "a**a"]), max_size=3)
CROWD = st.fixed_dictionaries({}, optional={"users": MORE, "groups": MORE})
SELECTOR = st.one_of(WHO, st.builds(lambda one, other: {**one, "not": other}, CROWD.filter(lambda crowd: any(crowd.values())), CROWD))


@given(st.lists(SELECTOR, max_size=8), st.sampled_from(NAMES), st.lists(st.sampled_from([*NAMES, "", "a/b"]), max_size=4))
def test_the_rules_for_somebody_are_those_that_say_so_in_their_order(selectors, person, groups):
    policy = build([{"for": who} for who in selectors])
    assert policy.rules_for(person, groups) == [rule for rule in policy.rules if rule.applies(person, groups)]


def test_not_takes_out_and_only_its_people():
    policy = build([{"for": "everyone"}, {"for": {"groups": ["g*"], "not": {"users": ["ben"], "groups": ["h"]}}}, {"for": {"users": ["b*"]}}])

    def numbers(person, *groups):
        return [policy.rules.index(rule) for rule in policy.rules_for(person, groups)]

    assert numbers("ana", "g2") == [0, 1]
    assert numbers("ana", "g2", "h") == [0]
    assert numbers("ben", "g2") == [0, 2]
    assert numbers("zoe") == [0]


@given(
    st.dictionaries(st.sampled_from(["g", "g2", "h"]), st.lists(st.sampled_from(["ana", "ben", "zoe"]), max_size=4)), st.sampled_from(["ana", "eve"])
)
def test_the_groups_of_the_file(groups, person):
    assert build([], groups=groups).groups_of(person) == tuple(name for name, people in groups.items() if person in people)
