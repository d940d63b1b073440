"""The past under another policy, and rules from what was refused: who, what, why, and what is never suggested."""

from datetime import UTC, datetime

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jupyter_guardrails.policy import Resource, load
from jupyter_guardrails.policy.past import Fact, facts_from
from jupyter_guardrails.policy.replay import replay
from jupyter_guardrails.policy.suggest import suggest
from jupyter_guardrails.policy.suggest_yaml import as_yaml
from jupyter_guardrails.policy.verdict import REFUSED_BY_DEFAULT

NOW = datetime(2031, 5, 1, tzinfo=UTC)
POLICY = """\
apiVersion: guardrails/v1
mode: enforce
groups: {analysts: [ana, ben], platform: [carol]}
paths: {read: [/opt/shared], write: ["/scratch/{user}"]}
profiles: {small: {}, large: {}, shell: {}}
rules:
  - name: everyone
    for: everyone
    kernels: {profiles: [small], terminals: shell}
    network: {allow: ["packages.example.com:443"]}
    data: {read: ["nyc/*"]}
  - name: analysts
    for: {groups: [analysts]}
    kernels: {profiles: [large]}
    data: {request: ["hr/*"]}
  - name: shut
    for: everyone
    deny: {data: [{classification: restricted}], network: ["files.example.com:*"]}
"""
DEFAULT = str(REFUSED_BY_DEFAULT)


@pytest.fixture
def policy(tmp_path):
    """A policy of a text; the one above without it."""

    def make(text=POLICY):
        path = tmp_path / "guardrails.yaml"
        path.write_text(text)
        return load(path)

    return make


def fact(action, resource, *, person="ana", allowed=False, mode="enforce", **more):
    said = {"rule": DEFAULT, "count": 1, "last": "2031-04-30T10:00:00.000000Z"} | more
    return Fact(person, action, resource, allowed, mode, **said)


def data(name, classification="internal", *, action="data.read", **more):
    return fact(action, name, labels=Resource(name, classification=classification), **more)


def effects(policy, *facts, groups=None):
    found = replay(policy, facts, groups or {}, NOW)
    return [(change.effect, change.fact.person, change.fact.resource) for change in found.changes], found


def test_what_went_ahead_and_would_be_refused_comes_first(policy):
    tight = policy(POLICY.replace('["packages.example.com:443"]', '["other.example.com:443"]'))
    seen = fact("network.connect", "packages.example.com:443", allowed=True, count=7)
    other = fact("network.connect", "other.example.com:443")
    changes, found = effects(tight, other, seen)
    assert changes == [("refuses", "ana", "packages.example.com:443"), ("allows", "ana", "other.example.com:443")]
    assert found.newly_refused == 7
    assert str(found.changes[1].decision.rule) == "guardrails.yaml:7 everyone"


def test_what_stays_is_counted(policy):
    changes, found = effects(
        policy(), fact("network.connect", "packages.example.com:443", allowed=True, count=3), fact("network.connect", "x.example.com:443")
    )
    assert (changes, found.unchanged, found.newly_refused) == ([], 4, 0)


def test_from_observing_to_enforcing(policy):
    seen = fact("network.connect", "x.example.com:443", mode="observe", count=5)
    assert effects(policy(), seen)[0] == [("refuses", "ana", "x.example.com:443")]
    assert effects(policy(POLICY.replace("mode: enforce", "mode: observe")), seen)[0] == []
    opened = fact("network.connect", "x.example.com:443")
    assert effects(policy(POLICY.replace("mode: enforce", "mode: warn")), opened)[0] == [("records", "ana", "x.example.com:443")]


def test_groups_of_today_count(policy):
    text = POLICY.replace("for: {groups: [analysts]}", "for: {groups: [staff]}")
    large = fact("kernel.start", "large", allowed=True)
    assert effects(policy(text), large)[0] == [("refuses", "ana", "large")]
    assert effects(policy(text), large, groups={"ana": ["staff"]})[0] == []


@pytest.mark.parametrize(
    ("seen", "changes"),
    [
        (fact("kernel.start", "shell", allowed=True, kind="terminal"), []),  # the policy chooses it, no person
        (fact("kernel.start", "shell", allowed=True, kind="kernel"), [("refuses", "ana", "shell")]),
        (fact("kernel.start", "small", rule="guardrails.yaml:9 everyone", kind="kernel"), []),  # refused for the number of kernels
        (fact("kernel.start", "large", kind="kernel"), [("allows", "ana", "large")]),
        (data("nyc/flights", allowed=True, rule="built-in break-glass by an admin"), []),
        (data("nyc/flights", rule="built-in suspended by an admin"), []),
        (fact("data.read", "nyc/gone", allowed=True), []),  # without a contract nobody knows its labels
        (fact("file.read", "/proc/1/environ", rule="built-in secrets: control's own"), []),
        (data("hr/people", allowed=True, by_grant=True), []),
        (data("hr/people", allowed=True), [("refuses", "ana", "hr/people")]),
        (data("hr/people", allowed=True, by_grant=True, person="carol"), [("refuses", "carol", "hr/people")]),
        (data("nyc/secret", "restricted", allowed=True), [("refuses", "ana", "nyc/secret")]),
        (fact("file.read", "/opt/shared/x", mode="observe"), [("allows", "ana", "/opt/shared/x")]),
        (fact("file.read", "/opt/sharedness", mode="observe"), [("refuses", "ana", "/opt/sharedness")]),
        (fact("file.write", "/opt/shared/x", mode="observe"), [("refuses", "ana", "/opt/shared/x")]),
        (fact("file.write", "/scratch/ana/x", mode="observe"), [("allows", "ana", "/scratch/ana/x")]),
        (fact("file.write", "/scratch/ben/x", mode="observe"), [("refuses", "ana", "/scratch/ben/x")]),
    ],
    ids=lambda value: f"{value.action} {value.resource} {value.kind}" if isinstance(value, Fact) else "",
)
def test_each_kind_of_decision(policy, seen, changes):
    assert effects(policy(), seen)[0] == changes


def test_a_read_that_is_filtered_is_still_a_read(policy):
    masked = policy(POLICY.replace('data: {read: ["nyc/*"]}', 'data: {read: ["nyc/*"]}\n    rows: {"nyc/*": "origin = \'JFK\'"}'))
    assert effects(masked, data("nyc/flights", allowed=True))[0] == []


def test_controls_answer_becomes_facts():
    labels = {"classification": "internal", "domain": "hr", "tags": ["a"], "owner": "dana", "columns": {"mail": "pii"}}
    row = {
        "person": "ana",
        "action": "data.read",
        "resource": "hr/x",
        "allowed": False,
        "mode": None,
        "rule": "",
        "count": 2,
        "last": "",
        "kind": None,
    }
    (found,) = facts_from([row | {"by_grant": False, "labels": labels}])
    assert (found.outcome, found.labels.tags, found.labels.columns) == ("refused", ("a",), {"mail": "pii"})


def suggested(policy, *facts, **more):
    return suggest(policy, facts, more.pop("groups", {}), NOW, **more)


def entries(found):
    return {(one.kind, one.value, one.groups, one.users) for one in found.suggestions}


def test_a_whole_group_is_named_once(policy):
    both = [fact("network.connect", "pypi.example.com:443", person=person, mode="observe") for person in ("ana", "ben")]
    one = fact("network.connect", "git.example.com:22", person="ana", count=3)
    found = suggested(policy(), *both, one, fact("network.connect", "git.example.com:22", person="kim"))
    assert entries(found) == {
        ("network.allow", "pypi.example.com:443", ("analysts",), ()),
        ("network.allow", "git.example.com:22", (), ("ana", "kim")),
    }
    assert [(one.evidence.count, sorted(one.evidence.people)) for one in found.suggestions] == [(4, ["ana", "kim"]), (2, ["ana", "ben"])]


def test_data_by_its_label(policy):
    found = suggested(policy(), data("geo/roads"), data("geo/people", "confidential"), data("hr/people", person="ben"))
    assert entries(found) == {("data.read", "geo/roads", (), ("ana",)), ("data.request", "geo/people", (), ("ana",))}
    assert [(one.resource, one.why) for one in found.left_out] == [("hr/people", "it may be asked for already: guarded.request()")]


def test_what_is_allowed_by_now_needs_nothing(policy):
    found = suggested(policy(), fact("network.connect", "packages.example.com:443"), fact("file.read", "/opt/shared/x"), data("nyc/flights"))
    assert (found.suggestions, found.left_out) == ((), ())


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (fact("network.connect", "files.example.com:443"), "a deny says no (guardrails.yaml:16 shut)"),
        (fact("network.connect", "169.254.169.254:80"), "metadata"),
        (fact("network.connect", "[fd00:ec2::254]:80"), "metadata"),
        (fact("network.connect", "[::ffff:169.254.169.254]:80"), "metadata"),
        (fact("network.connect", "metadata.google.internal:80"), "metadata"),
        (fact("network.connect", "100.100.100.200:80"), "metadata"),
        (fact("network.connect", "127.0.0.1:5432"), "loopback"),
        (fact("network.connect", "(several)"), "no host:port"),
        (data("geo/x", "Restricted"), "restricted"),
        (fact("data.read", "geo/none"), "no usable contract"),
        (data("nyc/x", rule="built-in suspended by an admin"), "shut whatever a policy says"),
        (fact("file.read", "/home/ana/.ssh/id_ed25519"), "secrets"),
        (fact("file.read", "/home/ana/.aws/credentials"), "secrets"),
        (fact("file.read", "/home/ana/.config/gcloud/x.db"), "secrets"),
        (fact("file.read", "/data/project/api_token.txt"), "secrets"),
        (fact("file.read", "/etc/shadow"), "secrets"),
        (fact("file.read", "/proc/1/environ"), "secrets"),
        (fact("file.read", "/srv/state/records.sqlite"), "secrets"),
        (fact("file.read", "/home/ana"), "too much"),
        (fact("file.read", "/data"), "too much"),
        (fact("file.write", "/home/ana/.bashrc"), "programs are started"),
        (fact("file.write", "/usr/lib/x.so"), "programs are started"),
        (fact("file.read", "/data/a\nb"), "can't name"),
        (fact("file.read", "/data/*/x"), "can't name"),
    ],
    ids=lambda value: value.resource if isinstance(value, Fact) else "",
)
def test_what_is_never_suggested_is_left_out_with_the_reason(policy, seen, why):
    found = suggested(policy(), seen, shut=("/srv/state",))
    assert found.suggestions == ()
    (left,) = found.left_out
    assert why in left.why


def test_many_files_of_a_folder_are_the_folder_and_own_names_are_user(policy):
    reads = [fact("file.read", f"/data/ref/{name}.csv") for name in "abc"]
    own = [fact("file.write", f"/mnt/work/{person}/out.csv", person=person) for person in ("ana", "ben")]
    homes = [fact("file.read", f"/home/ana/{name}") for name in "abcd"]
    found = suggested(policy(), *reads, *own, *homes)
    values = {(one.kind, one.value) for one in found.suggestions}
    assert ("paths.read", "/data/ref") in values
    assert ("paths.write", "/mnt/work/{user}/out.csv") in values
    assert ("paths.read", "/home/{user}") not in values, "never a whole home"
    assert ("paths.read", "/home/{user}/a") in values


def test_a_folder_that_holds_secrets_beside_files_is_not_opened_for_them(policy):
    files = [fact("file.read", f"/home/ana/.ssh/{name}") for name in "abcd"]
    assert suggested(policy(), *files).suggestions == ()


def check(tmp_path, found, text=POLICY):
    """The file as `policy check` reads it, alone and as a second file beside the policy it is for."""
    folder = tmp_path / "policy.d"
    folder.mkdir(exist_ok=True)
    written = as_yaml(found, since="2031-04-17T00:00:00Z")
    (tmp_path / "suggested.yaml").write_text(written)
    load(tmp_path / "suggested.yaml")
    (folder / "10.yaml").write_text(text.replace('paths: {read: [/opt/shared], write: ["/scratch/{user}"]}\n', ""))
    (folder / "20.yaml").write_text(written)
    return load(folder), yaml.safe_load(written)


def test_the_file_is_a_policy_that_allows_what_was_refused(tmp_path, policy):
    facts = [
        fact("network.connect", "pypi.example.com:443", person="ana", count=12),
        fact("network.connect", "pypi.example.com:443", person="ben"),
        fact("network.connect", "10.1.2.3:5432"),
        data("geo/roads"),
        data("geo/people", "confidential"),
        fact("file.read", "/data/ref/a.csv"),
        fact("file.write", "/mnt/work/ana/b", person="ana"),
        fact("network.connect", "files.example.com:443"),
    ]
    found = suggested(policy(), *facts)
    merged, written = check(tmp_path, found)
    kept = [one for one in facts if one.resource != "files.example.com:443"]
    assert {change.effect for change in replay(merged, [one for one in kept if one.resource != "geo/people"], {}, NOW).changes} == {"allows"}
    assert replay(merged, kept, {}, NOW).newly_refused == 0
    assert replay(merged, [facts[-1]], {}, NOW).changes == ()
    assert written["rules"][0]["for"] == {"groups": ["analysts"]}
    text = as_yaml(found, since="2031-04-17T00:00:00Z")
    assert '- "pypi.example.com:443"  # 13 times by ana, ben; last 2031-04-30' in text
    assert "an address: better the host's name" in text
    assert "network.connect files.example.com:443: a deny says no" in text


def test_nothing_to_suggest_is_a_policy_too(tmp_path, policy):
    check(tmp_path, suggested(policy()))


NAMES = st.text(min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@example([("network.connect", "\U00010000", "0"), ("data.read", 'a"b#\\', 'x"# \\'), ("data.read", "\u2028", "a*")])
@given(st.lists(st.tuples(st.sampled_from(["network.connect", "data.read", "file.read", "file.write"]), NAMES, NAMES), max_size=8))
def test_whatever_was_recorded_the_file_is_accepted(tmp_path_factory, facts):
    """Names of people and things are others' to choose: none ends a comment, a scalar or the file."""
    folder = tmp_path_factory.mktemp("s")
    (folder / "guardrails.yaml").write_text(POLICY)
    seen = []
    for action, person, name in facts:
        resource = f"/data/x/{name}" if action.startswith("file") else f"{name}.example.com:443" if action.startswith("network") else name
        labels = Resource(resource, classification="internal") if action == "data.read" else None
        seen.append(fact(action, resource, person=person, labels=labels))
    found = suggest(load(folder / "guardrails.yaml"), seen, {}, NOW)
    written = folder / "suggested.yaml"
    written.write_text(as_yaml(found, since="2031-04-17T00:00:00Z"))
    load(written)
