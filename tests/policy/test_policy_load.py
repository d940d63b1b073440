"""Files and directories: what is read, how parts go together, and the digest."""

import errno
import os

import pytest

from jupyter_guardrails.errors import PolicyError
from jupyter_guardrails.policy import load

START = "apiVersion: guardrails/v1\n"


def directory(tmp_path, **files):
    for name, text in files.items():
        (tmp_path / f"{name}.yaml").write_text(START + text)
    return tmp_path


def problems_of(path):
    with pytest.raises(PolicyError) as caught:
        load(path)
    return caught.value.problems


def test_the_shortest_policy_is_a_safe_one(policy):
    found = policy("apiVersion: guardrails/v1\n")
    assert found.mode == "enforce"
    assert found.document.require == ("files", "network")
    assert not found.admins.users
    assert not found.admins.groups


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(PolicyError) as caught:
        load(tmp_path / "nowhere.yaml")
    assert "jupyter guardrails init" in caught.value.next_step
    assert "docs/reference/policy.md" in caught.value.next_step


@pytest.mark.parametrize("text", ["", "# only a comment\n", "\ufeff"])
def test_an_empty_file_is_a_mistake(tmp_path, text):
    file = tmp_path / "guardrails.yaml"
    file.write_text(text)
    assert "is empty" in problems_of(file)[0].message


@pytest.mark.parametrize("text", ["- a\n", "text", "3", "[]"])
def test_a_file_that_is_no_mapping_is_a_mistake(tmp_path, text):
    file = tmp_path / "guardrails.yaml"
    file.write_text(text)
    assert "must be a mapping" in problems_of(file)[0].message


def test_a_pipe_is_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "guardrails.yaml")
    assert "not a regular file" in problems_of(tmp_path / "guardrails.yaml")[0].message


def test_a_directory_is_read_in_lexical_order(tmp_path):
    one = "groups: {a: [ana]}\nprofiles: {small: {memory: 1GiB}}\nrules: [{name: first, for: everyone, kernels: {max: 1}}]\n"
    two = "groups: {b: [ben]}\nmode: warn\nrules: [{name: second, for: everyone, kernels: {max: 2, profiles: [small]}}]\n"
    found = load(directory(tmp_path, **{"20-two": two, "10-one": one}))
    assert [str(rule.ref) for rule in found.rules] == ["10-one.yaml:4 first", "20-two.yaml:4 second"]
    assert (found.mode, sorted(found.document.groups)) == ("warn", ["a", "b"])


def test_parts_of_a_directory_never_override_each_other(tmp_path):
    one = "mode: enforce\ngroups: {a: [ana]}\nrules: [{name: r, for: everyone}]\n"
    two = "mode: observe\ngroups: {a: [ben]}\nrules: [{name: r, for: everyone}]\n"
    found = problems_of(directory(tmp_path, one=one, two=two))
    assert [(p.line, p.message) for p in found] == [
        (2, "`mode` is already set at one.yaml:2"),
        (3, "`a` is already set at one.yaml:3"),
        (4, "the rule's name `r` is used twice, first at one.yaml:4"),
    ]


def test_each_file_of_a_directory_says_its_format(tmp_path):
    directory(tmp_path, one="mode: warn\n")
    (tmp_path / "two.yaml").write_text("groups: {}\n")
    assert [(p.file.endswith("two.yaml"), p.message) for p in problems_of(tmp_path)] == [(True, "each file needs `apiVersion: guardrails/v1`")]


def test_mistakes_of_all_files_come_at_once(tmp_path):
    found = problems_of(directory(tmp_path, one="mod: warn\n", two="rules: 3\n", three="a: {\n"))
    assert sorted(p.file.rpartition("/")[2] for p in found) == ["one.yaml", "three.yaml", "two.yaml"]


def test_a_file_that_would_not_be_read_is_a_mistake(tmp_path):
    directory(tmp_path, one="mode: warn\n")
    (tmp_path / "two.yml").write_text(START)
    assert ".yaml" in problems_of(tmp_path)[0].message


def test_an_empty_directory_is_a_mistake(tmp_path):
    assert "no *.yaml" in problems_of(tmp_path)[0].message


def test_the_digest_is_of_what_is_said_not_how(policy):
    one = policy("mode: warn\nprofiles:\n  small: {memory: 2GiB, cpus: 1}\ngroups: {a: [x], b: [y]}\n")
    same = policy("# other layout\ngroups:\n  b: ['y']\n  a:\n  - x\nprofiles: {small: {cpus: 1.0, memory: 2048MiB}}\nmode: 'warn'\n")
    other = policy("mode: warn\nprofiles:\n  small: {memory: 2GiB, cpus: 2}\ngroups: {a: [x], b: [y]}\n")
    assert one.digest == same.digest != other.digest
    assert len(one.digest) == 64


def test_an_explicit_off_is_not_the_same_as_nothing(policy):
    rules = "rules:\n- {name: a, for: everyone, workspace: {size: 1GiB}}\n- {name: b, for: everyone%s}\n"
    assert policy(rules % "").digest != policy(rules % ", workspace: {size: off}").digest


def test_a_directory_that_may_not_be_entered_is_a_mistake(tmp_path, monkeypatch):
    """Tests may run as root, whom no directory refuses: so the refusal is raised in its place."""
    inner = tmp_path / "inner"
    inner.mkdir(mode=0o700)
    (inner / "guardrails.yaml").write_text(START)
    assert load(inner).mode == "enforce"
    monkeypatch.setattr(type(inner), "iterdir", refuse)
    assert "Permission denied" in problems_of(inner)[0].message


def refuse(path):
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
