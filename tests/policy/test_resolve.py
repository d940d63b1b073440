"""What a policy means for one person: how rules add up, and which rule each value names."""

import pytest

from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.policy import effective

TWO = """
groups: {analysts: [ana, ben]}
profiles: {small: {memory: 1GiB}, large: {memory: 2GiB, shm: 1GiB, idle: off, lifetime: 1d, file_size: 1GiB}}
rules:
- {name: base, for: everyone, kernels: {profiles: [small], default: small, max: 3}, data: {read: ["nyc/*"]}, workspace: {size: 1GiB}}
- name: more
  for: {groups: [analysts], not: {users: [ben]}}
  kernels: {profiles: [small, large], max: 5}
  data: {read: ["nyc/*", "eu/*"]}
  workspace: {size: off}
"""


def test_lists_add_up_in_order_without_repeats_and_the_last_single_value_wins(policy):
    ana = effective(policy(TWO), "ana")
    assert [(entry.value, entry.rule.name) for entry in ana.data_read] == [("nyc/*", "base"), ("eu/*", "more")]
    assert [(name, profile.rule.name) for name, profile in ana.profiles.items()] == [("small", "base"), ("large", "more")]
    assert (ana.max_kernels.value, str(ana.max_kernels.rule)) == (5, "guardrails.yaml:7 more")
    assert (ana.default_profile.value, ana.default_profile.rule.name) == ("small", "base")
    assert (ana.workspace_size.value, ana.workspace_size.rule.name) == (None, "more")


def test_not_takes_people_out(policy):
    ben = effective(policy(TWO), "ben")
    assert (ben.max_kernels.value, ben.workspace_size.value, list(ben.profiles)) == (3, 2**30, ["small"])


def test_groups_given_replace_those_of_the_file(policy):
    found = policy(TWO)
    assert effective(found, "zoe", ["analysts"]).max_kernels.value == 5
    assert effective(found, "ana", []).max_kernels.value == 3
    assert effective(found, "ana").groups == ("analysts",)


def test_without_rules_the_built_in_values_are_safe(policy):
    ana = effective(policy("mode: enforce"), "ana")
    assert (list(ana.profiles), ana.max_kernels.value, ana.default_profile.value) == (["standard"], 5, "standard")
    assert (ana.data_read, ana.network_allow, ana.read_paths, ana.write_paths, ana.environment_pass) == ((), (), (), (), ())
    assert str(ana.max_kernels.rule) == "built-in kernels.max"
    assert (ana.roles, ana.browse.value, ana.budget) == ({"scientist"}, "allowed", None)


def test_a_profile_in_base_units(policy):
    profiles = effective(policy(TWO), "ana").profiles
    small, large = profiles["small"].value, profiles["large"].value
    assert (small.shm_bytes, small.idle_s, small.lifetime_s, small.file_size_bytes, small.tasks) == (2**29, 8 * 3600, None, None, 4096)
    assert (large.shm_bytes, large.idle_s, large.lifetime_s, large.file_size_bytes) == (2**30, None, 86400, 2**30)


def test_a_default_that_a_person_may_not_have_gives_way_to_the_first_they_may(policy):
    text = (
        "profiles: {a: {}, b: {}}\nrules:\n- {name: r, for: everyone, kernels: {profiles: [a]}}\n- {name: s, for: everyone, kernels: {default: b}}\n"
    )
    found = effective(policy(text), "ana").default_profile
    assert (found.value, found.rule.name) == ("a", "r")


def test_terminals_may_have_a_profile_that_kernels_may_not(policy):
    text = "profiles: {a: {}, t: {memory: 1GiB}}\nrules:\n- {name: r, for: everyone, kernels: {profiles: [a], terminals: t}}\n"
    ana = effective(policy(text), "ana")
    assert (list(ana.profiles), ana.terminal_profile.value, ana.terminal.value.memory_bytes) == (["a"], "t", 2**30)
    assert effective(policy("profiles: {a: {}}\nrules: [{name: r, for: everyone, kernels: {profiles: [a]}}]"), "ana").terminal.value.name == "a"


def test_each_key_of_a_budget_is_a_value_of_its_own(policy):
    text = "rules:\n- {name: a, for: everyone, budget: {cpu_hours: 10, per: 1d}}\n- {name: b, for: everyone, budget: {cpu_hours: 20, warn_at: 50%}}\n"
    ana = effective(policy(text), "ana")
    assert (ana.budget.value.cpu_hours, ana.budget.value.per_s, ana.budget.value.warn_at, ana.budget.value.memory_gib_hours) == (20, 86400, 0.5, None)
    assert {key: value.rule.name for key, value in ana.budget_values.items() if value.rule.line} == {"cpu_hours": "b", "per": "a", "warn_at": "b"}


MASKS = "rules:\n- {name: a, for: everyone, mask: {PII: hash}}\n- {name: b, for: everyone, %s}\n"


@pytest.mark.parametrize(
    ("second", "kind", "rule"),
    [
        ("mask: {pii: blank}", "blank", "b"),
        ("mask: {pii: constant}", "constant", "b"),
        ("mask: {pii: partial}", "hash", "a"),
        ("mask: {pii: hash}", "hash", "a"),
        ("unmask: [pii]", None, None),
        ("unmask: [other]", "hash", "a"),
    ],
)
def test_masks_only_tighten_unless_unmasked(policy, second, kind, rule):
    found = effective(policy(MASKS % second), "ana").masks.get("pii")
    assert (found and found.value, found and found.rule.name) == (kind, rule)


def test_an_unmask_lifts_earlier_masks_only(policy):
    text = "rules:\n- {name: a, for: everyone, unmask: [pii]}\n- {name: b, for: everyone, mask: {pii: hash}}\n"
    assert effective(policy(text), "ana").masks["pii"].value == "hash"


def test_paths_are_those_of_the_person(policy):
    ana = effective(policy("paths: {read: ['/data/{user}/in'], write: ['/scratch/{user}']}"), "ana")
    assert (ana.read_paths, ana.write_paths) == (("/data/ana/in",), ("/scratch/ana",))


@pytest.mark.parametrize("name", ["", "..", ".", "a/b", "a\nb", "*", " a", "{user}"])
def test_a_name_that_could_leave_its_path_is_refused(policy, name):
    with pytest.raises(BadRequest):
        effective(policy("paths: {write: ['/scratch/{user}']}"), name)


@pytest.mark.parametrize(
    ("text", "groups", "roles"),
    [
        ("admins: {users: [ana]}", [], {"scientist", "admin"}),
        ("admins: {groups: ['plat*']}", ["platform"], {"scientist", "admin"}),
        ("promotion: {reviewers: {groups: [it]}}", ["it"], {"scientist", "reviewer"}),
        ("promotion: {reviewers: {groups: [it]}}", [], {"scientist"}),
        ("data: {reviewers: stewards}", ["stewards"], {"scientist", "reviewer"}),
        ("data: {reviewers: owner}", ["owner"], {"scientist"}),
    ],
)
def test_roles(policy, text, groups, roles):
    assert effective(policy(text), "ana", groups).roles == roles


MODES = """mode: %s
rules:
- {name: canary, for: {groups: [brave]}, mode: enforce, kernels: {max: 1}}
- {name: shut, for: everyone, %sdeny: {data: [hr]}}
"""


@pytest.mark.parametrize(
    ("top", "own", "groups", "mode", "of_deny"),
    [
        ("observe", "", [], "observe", "observe"),
        ("observe", "", ["brave"], "enforce", "enforce"),
        ("observe", "mode: enforce, ", [], "observe", "enforce"),
        ("enforce", "mode: observe, allow_soft_deny: true, ", [], "enforce", "observe"),
    ],
)
def test_the_mode_of_a_person_and_that_of_a_deny(policy, top, own, groups, mode, of_deny):
    found = effective(policy(MODES % (top, own)), "ana", groups)
    assert found.mode.value == mode
    assert list(found.deny_modes.values()) == [of_deny]


def test_a_softer_rule_never_softens_another_rules_deny(policy):
    text = "rules:\n- {name: soft, for: everyone, mode: observe}\n- {name: shut, for: everyone, deny: {data: [hr]}}\n"
    found = effective(policy(text), "ana")
    assert (found.mode.value, list(found.deny_modes.values())) == ("observe", ["enforce"])


def test_the_production_profile(policy):
    given = effective(policy(TWO + "promotion: {production_profile: large, checks: {order: off}}"), "ana")
    assert (given.production_profile.value.name, str(given.production_profile.rule)) == ("large", "guardrails.yaml:12 promotion.production_profile")
    assert (given.checks["order"].value, given.checks["order"].rule.line, given.checks["clean_run"].value) == ("off", 12, "require")
    assert effective(policy(TWO), "ana").production_profile.value.name == "small"
