"""What `policy check` finds doubtful in a file that has no mistakes, and that it is quiet about what is meant."""

import pytest

from jupyter_guardrails.policy import Resource
from jupyter_guardrails.policy.doubts import World, doubts
from jupyter_guardrails.policy.load import read_policy

CLEAN = """apiVersion: guardrails/v1
admins: {groups: [platform]}
groups: {analysts: [ana], platform: [carol]}
profiles: {small: {}}
rules:
- name: r
  for: {users: [ana, root], groups: [analysts, staff, "team-*"], not: {users: [carol], groups: [platform]}}
  kernels: {profiles: [small]}
  data: {read: ["nyc/*"], request: ["hr/pay"], auto_grant: {classification: [public]}}
  mask: {PII: hash}
  rows: {nyc/flights: x = 1}
  publish: {to: [analysts]}
  deny: {data: [{classification: Restricted}, {name: "hr/*", domain: hr, tag: sealed}, nyc/flights]}
promotion: {reviewers: {users: [carol]}}
data: {reviewers: analysts}
"""
RESOURCES = [Resource("nyc/flights", "public", "air", ("old",)), Resource("hr/pay", "restricted", "hr", ("sealed",), "", {"mail": "pii"})]


@pytest.fixture
def found(tmp_path):
    """`found(text)` gives (line, column, message, hint) of each doubt; a machine with the account root and the group staff."""

    def look(text, resources=RESOURCES):
        file = tmp_path / "guardrails.yaml"
        file.write_text(text)
        policy, root, _ = read_policy(file)
        world = World({"root"}.__contains__, {"staff"}.__contains__, resources)
        return [(p.line, p.column, p.message, p.hint) for p in doubts(root, policy, world)]

    return look


def test_what_is_meant_is_not_doubted(found):
    assert found(CLEAN) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "message", "hint"),
    [
        ("groups: [analysts, staff", "groups: [analist, staff", 7, "no group `analist`", "did you mean `analysts`?"),
        ("groups: [platform]}}", "groups: [interns]}}", 7, "no group `interns`", "a Hub may know it"),
        ("admins: {groups: [platform]}", "admins: {groups: [platfrom]}", 2, "no group `platfrom`", "did you mean `platform`?"),
        ("users: [ana, root]", "users: [anna, root]", 7, "nobody is called `anna`", "did you mean `ana`?"),
        ("reviewers: {users: [carol]}", "reviewers: {users: [kurt]}", 14, "nobody is called `kurt`", "a Hub may know them"),
        ("reviewers: analysts", "reviewers: stewards", 15, "no group `stewards`", ""),
        ("to: [analysts]", "to: [nobody-there]", 12, "no group `nobody-there`", ""),
        ("{small: {}}", "{small: {memory: 1GiB, shm: 2GiB}}", 4, "`shm` is more than the profile's `memory`", "counts as memory"),
        ("{small: {}}", "{small: {}, large: {}}", 4, "the profile `large` is used nowhere", ""),
        ("admins: {groups: [platform]}\n", "", 1, "nobody is an admin", "admins: {groups"),
        ("promotion: {reviewers: {users: [carol]}}", "promotion: {approvals: 2}", 14, "nobody may review jobs", "reviewers"),
        ('read: ["nyc/*"]', 'read: ["nyk/*"]', 9, "`nyk/*` matches no dataset", ""),
        ('request: ["hr/pay"]', "request: [hr/pya]", 9, "`hr/pya` matches no dataset", "did you mean `hr/pay`?"),
        ("rows: {nyc/flights", "rows: {nyc/flight", 11, "`nyc/flight` matches no dataset", "did you mean `nyc/flights`?"),
        ("sealed}, nyc/flights]", "sealed}, nyc/raw]", 13, "`nyc/raw` matches no dataset", ""),
        ('name: "hr/*"', 'name: "fr/*"', 13, "`fr/*` matches no dataset", ""),
        (
            "classification: Restricted",
            "classification: restrcted",
            13,
            "no contract has the classification `restrcted`",
            "did you mean `restricted`?",
        ),
        ("domain: hr", "domain: rh", 13, "no contract has the domain `rh`", ""),
        ("tag: sealed", "tag: seeled", 13, "no contract has the tag `seeled`", "did you mean `sealed`?"),
        ("classification: [public]", "classification: [publick]", 9, "no contract has the classification `publick`", "did you mean `public`?"),
        ("mask: {PII", "mask: {phi", 10, "no column of a contract is classified `phi`", ""),
    ],
)
def test_what_is_probably_a_mistake_is_doubted_at_its_place(found, old, new, line, message, hint):
    assert old in CLEAN
    (doubt,) = found(CLEAN.replace(old, new))
    assert doubt[0] == line
    assert message in doubt[2]
    assert hint in doubt[3]


def test_without_a_catalogue_datasets_are_not_doubted(found):
    text = CLEAN.replace("nyc/*", "nyk/*").replace("Restricted", "other").replace("PII", "other")
    assert found(text, None) == []
    assert len(found(text)) == 3


def test_a_name_is_doubted_once(found):
    assert len(found(CLEAN.replace("users: [carol]", "users: [kurt]"))) == 1


def test_the_place_is_that_of_the_name_in_several_files_too(tmp_path):
    (tmp_path / "10.yaml").write_text("apiVersion: guardrails/v1\nadmins: {users: [root]}\n")
    (tmp_path / "20.yaml").write_text("apiVersion: guardrails/v1\nrules:\n- {name: r, for: {groups: [nowhere]}}\n")
    policy, root, _ = read_policy(tmp_path)
    (doubt,) = doubts(root, policy, World({"root"}.__contains__, set().__contains__))
    assert (doubt.file, doubt.line, doubt.column) == (str(tmp_path / "20.yaml"), 3, 28)


def test_shared_memory_that_fits_is_not_doubted(found):
    assert found(CLEAN.replace("{small: {}}", "{small: {memory: 1GiB, shm: 1GiB}}")) == []
