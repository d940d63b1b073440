"""`jupyter guardrails policy …` as an admin meets it: output, JSON and exit codes."""

import argparse
import json
import os
import pwd
import subprocess

import pytest

from jupyter_guardrails.cli import policy as command
from jupyter_guardrails.errors import BadRequest, NotFound, PolicyError

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: hr-salaries
name: hr/salaries
version: 1.0.0
status: active
domain: hr
description: {purpose: What people earn}
team: {members: [{username: carol, role: owner}]}
customProperties: [{property: guardrails.classification, value: restricted}]
servers: [{server: files, type: local, path: %s, format: csv}]
schema: [{name: salaries, logicalType: object, properties: [{name: mail, logicalType: string, classification: pii}]}]
"""


@pytest.fixture
def run(capsys):
    """`run("policy", ...)` gives exit code and standard output."""

    def call(*words):
        parser = argparse.ArgumentParser()
        command.add_parser(parser.add_subparsers())
        arguments = parser.parse_args([str(word) for word in words])
        return arguments.run(arguments), capsys.readouterr().out

    return call


def test_check_says_what_it_read(run, full_policy):
    code, output = run("policy", "check", full_policy)
    assert code == 0
    assert "no mistakes, 2 doubtful. 5 rules, 3 profiles, 4 groups; mode enforce; digest " in output


def test_check_as_json(run, full_policy, tmp_path):
    code, output = run("policy", "check", "--json", full_policy)
    found = json.loads(output)
    assert (code, found["ok"], found["rules"], len(found["digest"])) == (0, True, 5, 64)
    bad = tmp_path / "bad.yaml"
    bad.write_text("apiVersion: guardrails/v1\nmod: warn\naudit: {keep: 3}\n")
    code, output = run("policy", "check", "--json", bad)
    problems = json.loads(output)["problems"]
    assert code == 2
    assert [(p["line"], p["column"]) for p in problems] == [(2, 1), (3, 15)]
    assert problems[0]["hint"] == "did you mean `mode`?"


def test_check_raises_all_mistakes_for_the_command_line(run, tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("mod: warn\n")
    with pytest.raises(PolicyError) as caught:
        run("policy", "check", bad)
    assert caught.value.exit_code == 2
    assert f"{bad}:1:1: unknown key `mod`" in str(caught.value)


def test_without_a_path_the_policy_in_force_is_taken(run, full_policy, monkeypatch):
    monkeypatch.setenv("GUARDRAILS_POLICY", str(full_policy))
    assert str(full_policy) in run("policy", "check")[1]
    assert "everyone-starts-small" in run("policy", "explain", "--user", "zoe")[1]


def test_explain_prints_every_value_with_its_rule(run, full_policy):
    code, output = run("policy", "explain", "--user", "ana", "--policy", full_policy)
    assert code == 0
    rows = [line.split("  ") for line in output.splitlines()[2:]]
    assert all(len([cell for cell in row if cell]) in (2, 3) for row in rows)  # a list's key stands once
    assert any(row[0] == "kernels.max" and "full.yaml:29 analysts" in row[-1] for row in rows)
    assert len({line.index("full.yaml") for line in output.splitlines()[2:] if "full.yaml" in line}) == 1  # aligned


def test_explain_takes_groups(run, full_policy):
    _, output = run("policy", "explain", "--user", "zoe", "--group", "analysts", "--policy", full_policy, "--json")
    values = {entry["key"]: entry for entry in json.loads(output)["values"]}
    assert values["kernels.max"]["value"] == 4
    assert values["kernels.max"]["rule"]["name"] == "analysts"


def test_explain_answers_one_question_with_the_chain(run, full_policy):
    words = ("policy", "explain", "--user", "ana", "--policy", full_policy, "--action", "network.connect", "--resource")
    code, output = run(*words, "169.254.169.254:80")
    assert code == 1
    assert output.startswith("REFUSED  ana  network.connect  169.254.169.254:80")
    assert "restricted-stays-shut" in output
    chain = output.partition("considered")[2]
    assert chain.index("matches") < chain.index("packages.example.com:443")
    code, output = run(*words, "packages.example.com:443")
    assert (code, output.split()[0]) == (0, "ALLOWED")


def test_explain_takes_labels_from_the_catalogue(run, full_policy, tmp_path):
    catalogue, data = tmp_path / "catalog", tmp_path / "salaries.csv"
    catalogue.mkdir()
    data.write_text("mail\n")
    (catalogue / "salaries.yaml").write_text(CONTRACT % data)
    words = ("policy", "explain", "--user", "eva", "--policy", full_policy, "--action", "data.read", "--json", "--resource", "hr/salaries")
    code, output = run(*words, "--catalog", catalogue)
    assert (code, json.loads(output)["decision"]["reason"]) == (1, "hr/salaries is classified restricted")
    assert run(*words)[0] == 0  # without labels the steward's rule allows it
    with pytest.raises(NotFound):
        run(*words[:-1], "hr/unknown", "--catalog", catalogue)


def test_explain_needs_a_whole_question(run, full_policy):
    with pytest.raises(SystemExit) as caught:
        run("policy", "explain", "--user", "ana", "--policy", full_policy, "--action", "data.read")
    assert caught.value.code == 2


def test_a_failing_row_is_shown_with_its_place(run, full_policy, tmp_path):
    table = tmp_path / "table.yaml"
    rows = "- {who: ana, value: kernels.max, equals: 4}\n- {who: ana, value: kernels.max, equals: 5, because: five is enough}\n"
    table.write_text(f"policy: {full_policy}\ntests:\n{rows}- {{who: ana, action: data.read, resource: hr/x, expect: allow}}\n")
    code, output = run("policy", "test", table)
    assert code == 1
    assert "1 of 3 rows as expected" in output
    first, second = output.splitlines()[:2]
    assert first.split() == [f"{table}:4", "ana:", "kernels.max", "5", "4", "five", "is", "enough"]
    assert f"{table}:5" in second
    assert "no rule lets ana read hr/x" in second
    code, output = run("policy", "test", "--json", table)
    assert (code, len(json.loads(output)["failures"])) == (1, 2)


def test_a_table_that_holds(run, full_policy):
    tables = sorted(full_policy.parents[1].glob("*.yaml"))
    code, output = run("policy", "test", *tables)
    assert code == 0
    assert output.strip() == "213 of 213 rows as expected"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("[{who: ana, action: data.read}]", "needs action, resource and expect"),
        ("[{who: ana, value: mode}]", "needs value and equals"),
        ("[{who: ana, acton: data.read}]", "unknown key `acton`"),
        ("[{who: ana, action: data.reed, resource: x, expect: allow}]", "must be 'data.read'"),
        ("3", "must be a list"),
    ],
)
def test_a_table_has_mistakes_with_places_too(run, full_policy, tmp_path, rows, message):
    table = tmp_path / "table.yaml"
    table.write_text(f"policy: {full_policy}\ntests: {rows}\n")
    with pytest.raises(PolicyError) as caught:
        run("policy", "test", table)
    assert message in str(caught.value)
    assert f"{table}:2:" in str(caught.value)


def test_rows_about_datasets_use_the_catalogue(run, full_policy, tmp_path):
    (tmp_path / "catalog").mkdir()
    (tmp_path / "salaries.csv").write_text("mail\n")
    (tmp_path / "catalog" / "salaries.yaml").write_text(CONTRACT % (tmp_path / "salaries.csv"))
    table = tmp_path / "table.yaml"
    row = "{who: eva, action: data.read, resource: hr/salaries, expect: deny, rule: restricted-stays-shut}"
    table.write_text(f"policy: {full_policy}\ncatalog: catalog\ntests: [{row}]\n")
    assert run("policy", "test", table)[0] == 0
    table.write_text(table.read_text().replace("hr/salaries", "hr/unknown"))
    code, output = run("policy", "test", table)
    assert code == 1
    assert "not in the catalogue" in output


def test_schema_is_json(run):
    code, output = run("policy", "schema")
    assert code == 0
    assert json.loads(output)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


TYPING_ERRORS = """apiVersion: guardrails/v1
admins: {users: [root]}
groups: {analysts: [ana]}
rules:
- {name: r, for: {groups: [analist]}, kernels: {max: 3}}
"""


def test_check_tells_what_is_doubtful_and_says_yes_all_the_same(run, tmp_path):
    file = tmp_path / "guardrails.yaml"
    file.write_text(TYPING_ERRORS)
    code, output = run("policy", "check", file)
    assert code == 0
    assert output.splitlines()[0] == f"doubtful: {file}:5:28: no group `analist` is defined here or known to this machine"
    assert "did you mean `analysts`?" in output
    assert "no mistakes, 1 doubtful" in output
    assert run("policy", "check", "--strict", file)[0] == 1
    code, output = run("policy", "check", "--json", file)
    assert (code, json.loads(output)["doubts"][0]["line"]) == (0, 5)
    file.write_text(TYPING_ERRORS.replace("analist", "analysts"))
    assert run("policy", "check", "--strict", file)[0] == 0


def test_check_compares_with_the_catalogue(run, tmp_path):
    (tmp_path / "catalog").mkdir()
    (tmp_path / "salaries.csv").write_text("mail\n")
    (tmp_path / "catalog" / "salaries.yaml").write_text(CONTRACT % (tmp_path / "salaries.csv"))
    file = tmp_path / "guardrails.yaml"
    file.write_text(TYPING_ERRORS.replace("analist", "analysts").replace("kernels: {max: 3}", "data: {read: [hr/salary]}"))
    assert "no mistakes." in run("policy", "check", file)[1]
    assert "did you mean `hr/salaries`?" in run("policy", "check", file, "--catalog", tmp_path / "catalog")[1]


def test_explain_says_when_nobody_has_that_name(run, capsys, tmp_path):
    file = tmp_path / "guardrails.yaml"
    file.write_text(TYPING_ERRORS)
    words = ("policy", "explain", "--policy", str(file), "--user")
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    for extra, note in (
        (["anna"], "did you mean ana?"),
        (["root", "--group", "analysts2"], "has no group analysts2 (did you mean analysts?)"),
        (["root"], ""),
    ):
        arguments = parser.parse_args([*words, *extra])
        assert arguments.run(arguments) == 0
        noted = capsys.readouterr().err
        assert note in noted
        assert bool(note) == bool(noted)


def test_explain_counts_the_groups_of_an_account_too(run, tmp_path):
    group = pwd.getpwuid(os.getuid())
    own = subprocess.run(["id", "-gn", group.pw_name], capture_output=True, text=True, check=True).stdout.strip()
    file = tmp_path / "guardrails.yaml"
    file.write_text(TYPING_ERRORS.replace("analist", own))
    output = run("policy", "explain", "--user", group.pw_name, "--policy", file, "--json")[1]
    values = {entry["key"]: entry["value"] for entry in json.loads(output)["values"]}
    assert (own in json.loads(output)["groups"], values["kernels.max"]) == (True, 3)
    output = run("policy", "explain", "--user", group.pw_name, "--group", "other", "--policy", file, "--json")[1]
    assert json.loads(output)["groups"] == ["other"]


def test_diff_says_who_gains_and_who_loses(run, tmp_path):
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(TYPING_ERRORS.replace("analist", "analysts"))
    new.write_text(old.read_text().replace("max: 3", "max: 1"))
    code, output = run("policy", "diff", old, new)
    assert code == 0
    assert output.splitlines()[2:] == ["ana", "  loses  kernels.max  3 -> 1  new.yaml:5 r"]
    code, output = run("policy", "diff", old, new, "--json")
    (group,) = json.loads(output)["people"]
    assert (group["people"], group["changes"][0]["effect"], group["changes"][0]["rule"]["line"]) == (["ana"], "loses", 5)
    assert "the same policy" in run("policy", "diff", old, old)[1]
    assert "kernels.max" not in run("policy", "diff", old, new, "--users", "zoe,root")[1]
    assert "ana" in run("policy", "diff", old, new, "--users", " ana , zoe")[1]


def test_diff_refuses_what_it_can_not_compare(run, full_policy, tmp_path):
    with pytest.raises(BadRequest, match="can't be the name of a person"):
        run("policy", "diff", full_policy, full_policy, "--users", "a/b")
    with pytest.raises(BadRequest, match="there is no catalogue"):
        run("policy", "diff", full_policy, full_policy, "--catalog", tmp_path / "nowhere")
    (tmp_path / "bad.yaml").write_text("mod: 1\n")
    with pytest.raises(PolicyError):
        run("policy", "diff", full_policy, tmp_path / "bad.yaml")
