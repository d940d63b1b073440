"""Decisions: reason, rule and next step that a scientist can act on; the table of plain yes and no is tests/policies/*.yaml."""

import pytest

from jupyter_guardrails.policy.decision import Resource
from jupyter_guardrails.policy.verdict import ACTIONS

RULES = """
admins: {groups: [platform]}
rules:
- {name: analysts, for: everyone, data: {read: ["nyc/*"], request: ["hr/*"]}, network: {allow: ["packages.example.com:443"]}}
- {name: shut, for: everyone, deny: {data: [{classification: restricted}, secret/plan], network: ["169.254.169.254:*"]}}
"""


def test_a_denied_dataset_says_why_and_whom_to_talk_to(ask):
    found = ask(RULES, "data.read", "hr/salaries", classification="Restricted", owner="carol")
    assert (found.allowed, found.reason) == (False, "hr/salaries is classified restricted")
    assert str(found.rule) == "guardrails.yaml:6 shut"
    assert "carol" in found.next_step
    assert "platform" in found.next_step
    assert "guarded.request" not in found.next_step


def test_a_requestable_dataset_says_the_line_to_type(ask):
    found = ask(RULES, "data.read", "hr/headcount", owner="carol")
    assert (found.allowed, found.reason) == (False, "no rule lets ana read hr/headcount")
    assert found.next_step == "ask carol: guarded.request('hr/headcount', purpose='…', days=30)"


def test_an_auto_grant_says_so(ask):
    text = "rules: [{name: r, for: everyone, data: {request: ['**'], auto_grant: {classification: [Public], max_days: 7}}}]"
    assert "granted at once" in ask(text, "data.read", "a/b", classification="public").next_step
    assert "days=7" in ask(text, "data.read", "a/b", classification="public").next_step
    assert "ask its owner" in ask(text, "data.read", "a/b", classification="internal").next_step


def test_a_dataset_nobody_offers_is_not_offered(ask):
    found = ask(RULES, "data.read", "other/x")
    assert (found.allowed, found.rule.line) == (False, 0)
    assert "guarded.request" not in found.next_step


def test_a_request_for_what_one_may_read_points_to_it(ask):
    assert ask(RULES, "data.request", "nyc/flights").next_step == "guarded.path('nyc/flights')"


def test_a_host_that_is_not_approved(ask):
    found = ask(RULES, "network.connect", "pypi.example.com:443")
    assert found.reason == "pypi.example.com:443 is not on the approved network list"
    assert "allow pypi.example.com:443" in found.next_step
    assert ask(RULES, "network.connect", "packages.example.com:443").allowed


def test_an_address_is_denied_in_every_spelling(ask):
    for spelling in ("169.254.169.254:80", "2852039166:80", "[::ffff:169.254.169.254]:80"):
        assert str(ask(RULES, "network.connect", spelling).rule) == "guardrails.yaml:6 shut"


def test_profiles(ask):
    text = "profiles: {a: {}, b: {}}\nrules: [{name: r, for: everyone, kernels: {profiles: [a]}}]"
    assert ask(text, "kernel.start", "a").allowed
    assert "choose one of: a" in ask(text, "kernel.start", "b").next_step
    stopped = ask("rules: [{name: stop, for: {users: [ana]}, kernels: {max: 0}}]", "kernel.start", "standard")
    assert (stopped.allowed, stopped.rule.name) == (False, "stop")


def test_nobody_reviews_their_own(ask):
    text = "promotion: {reviewers: {users: [ana]}}"
    assert ask(text, "promotion.review", "job-1", owner="ben").allowed
    assert "own work" in ask(text, "promotion.review", "job-1", owner="ana").rule.name
    assert not ask(text, "promotion.review", "job-1", person="zoe", owner="ben").allowed


def test_packages_in_any_spelling(ask):
    text = "promotion: {packages: {allow: ['*'], deny: [Telnet_Lib3, 'evil-*']}}"
    for name in ("telnetlib3", "numpy"):
        assert ask(text, "package.use", name).allowed
    for name in ("telnet-lib3", "TELNET.lib3", "telnet__lib3", "evil_thing"):
        assert not ask(text, "package.use", name).allowed


OBLIGED = """
rules:
- {name: r, for: everyone, data: {read: ["**"]}, mask: {PII: hash}, rows: {"nyc/*": "owner = {user.name}", "**": "team in {user.groups}"}}
- {name: s, for: {groups: [a]}, mask: {pii: blank}, rows: {nyc/flights: "x > 3 or y = 1"}}
"""


def test_masks_and_filters_travel_with_an_allowed_read(ask):
    found = ask(OBLIGED, "data.read", "nyc/flights", groups=["a"], columns={"mail": "pii", "n": "public"})
    assert found.obligations.masks == {"mail": "blank"}
    assert found.obligations.row_filter == "owner = 'ana' and team in ('a') and (x > 3 or y = 1)"
    assert ask(OBLIGED, "data.read", "eu/x", groups=[]).obligations.row_filter == "team in ()"


def test_a_filter_that_nothing_fills_refuses(ask):
    text = "rules: [{name: r, for: everyone, data: {read: ['**']}, rows: {'**': 'region = {user.region}'}}]"
    found = ask(text, "data.read", "a")
    assert (found.allowed, found.rule.name) == (False, "r")
    assert "user.region" in found.reason


def test_labels_match_whatever_their_case_and_all_must(ask):
    text = "rules: [{name: r, for: everyone, data: {read: ['**']}, deny: {data: [{domain: HR, tag: Pay, name: 'h/*'}]}}]"
    assert not ask(text, "data.read", "h/x", domain="hr", tags=("pay", "x")).allowed
    assert ask(text, "data.read", "h/x", domain="hr").allowed
    assert ask(text, "data.read", "x/x", domain="hr", tags=("pay",)).allowed


@pytest.mark.parametrize("name", ["", "nyc/../hr/salaries", "nyc//x", "./x", "x\ny", "x" * 2000, "nyc/\u202ex"])
def test_names_that_are_none_are_refused(ask, name):
    text = "rules: [{name: r, for: everyone, data: {read: ['**']}}]"
    assert ask(text, "data.read", "nyc/x").allowed
    found = ask(text, "data.read", name)
    assert not found.allowed
    assert found.blocks


@pytest.mark.parametrize("action", [*ACTIONS, "data.write", ""])
@pytest.mark.parametrize("name", ["", "x", ":", "[::1]:1", "a:b:c", "\0", "é", "'", "**", "a/b"])
def test_every_question_has_an_answer(ask, action, name):
    found = ask(RULES, action, name)
    assert found.reason
    assert found.rule.name
    assert found.allowed or found.next_step


def test_modes_soften_data_network_and_limits_only(ask):
    text = "mode: observe\npromotion: {packages: {deny: [x]}}\nrules: []"
    for action, name in (("data.read", "a"), ("network.connect", "a.b:1"), ("kernel.start", "big")):
        found = ask(text, action, name)
        assert (found.allowed, found.mode, found.blocks) == (False, "observe", False)
    for action, name in (("package.use", "x"), ("promotion.review", "x"), ("data.request", "x"), ("nonsense", "x")):
        assert ask(text, action, name).blocks
    assert ask("rules: []", "data.read", "a").blocks


def test_the_answer_does_not_depend_on_the_order_of_columns(ask):
    text = "rules: [{name: r, for: everyone, data: {read: ['**']}, mask: {a: hash, b: blank}}]"
    forth = ask(text, "data.read", "x", columns={"p": "a", "q": "b"})
    back = ask(text, "data.read", "x", columns={"q": "b", "p": "a"})
    assert forth == back
    assert forth.allowed


def test_a_resource_without_labels_is_only_its_name():
    assert Resource("a") == Resource("a", "", "", (), "", {})


SOFT = "{name: soft, for: everyone, mode: warn, allow_soft_deny: true, deny: {data: ['hr/*'], network: ['a.example.com:*']}}"
HARD = "{name: hard, for: everyone, deny: {data: [{classification: restricted}], network: ['**.example.com:*']}}"
ALLOW = "{name: allow, for: everyone, data: {read: ['hr/*']}, network: {allow: ['a.example.com:443']}, mask: {pii: hash}}"


@pytest.mark.parametrize(("action", "name"), [("data.read", "hr/pay"), ("network.connect", "a.example.com:443")])
@pytest.mark.parametrize(
    ("rules", "rule", "blocks"),
    [
        ([ALLOW, SOFT], "soft", False),
        ([ALLOW, SOFT, HARD], "hard", True),
        ([ALLOW, HARD, SOFT], "hard", True),
        ([SOFT], "default: what nothing allows is refused", True),
        ([ALLOW], "allow", False),
    ],
)
def test_a_soft_deny_softens_nothing_but_itself(ask, action, name, rules, rule, blocks):
    found = ask(f"rules: [{', '.join(rules)}]", action, name, classification="restricted")
    assert (found.rule.name, found.blocks) == (rule, blocks)


def test_a_read_that_is_only_warned_about_keeps_its_masks(ask):
    found = ask(f"rules: [{ALLOW}, {SOFT}]", "data.read", "hr/pay", columns={"mail": "pii"})
    assert (found.allowed, found.blocks, found.obligations.masks) == (False, False, {"mail": "hash"})


def test_a_filter_that_nothing_fills_refuses_in_every_mode(ask):
    rows = "rules: [{name: r, for: everyone, rows: {'**': 'team = {user.team}'}}]"
    found = ask(f"mode: observe\n{rows}", "data.read", "hr/pay")
    assert (found.blocks, found.rule.name) == (True, "r")
    assert not ask("mode: observe", "data.read", "hr/pay").blocks


def test_a_filter_that_nothing_fills_names_its_own_rule(ask):
    rules = "{name: other, for: everyone, rows: {'a/*': 'x = {user.team}'}}, {name: own, for: everyone, rows: {'b/*': 'x = {user.team}'}}"
    assert ask(f"mode: observe\nrules: [{rules}]", "data.read", "b/x").rule.name == "own"
    assert ask(f"mode: observe\nrules: [{rules}]", "data.read", "a/x").rule.name == "other"
