"""`jupyter guardrails audit …` against a real control, and without one."""

import csv
import json
import os
import subprocess
import sys

import pytest

from jupyter_guardrails.cli.audit_text import record_line
from jupyter_guardrails.cli.main import main
from jupyter_guardrails.control.interface import Settings, start_own_control
from jupyter_guardrails.control.interface.messages import ProfileSet, RequestCreate
from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.records import parts, schemas

POLICY = """apiVersion: guardrails/v1
admins: {users: [carol]}
profiles: {small: {memory: 1GiB}}
rules: [{name: all, for: everyone, kernels: {profiles: [small], default: small}}]
"""
NASTY = 'x\n{"seq": 99}\r\u2028\x00\x1b[31m\x1b]0;owned\x07\u202e\x9b2J\ud800"'


@pytest.fixture
def place(tmp_path, monkeypatch):
    policy = tmp_path / "guardrails.yaml"
    policy.write_text(POLICY)
    (tmp_path / "catalog").mkdir()
    for name, value in (("POLICY", policy), ("CATALOG", tmp_path / "catalog"), ("STATE_DIR", tmp_path / "state")):
        monkeypatch.setenv(f"GUARDRAILS_{name}", str(value))
    monkeypatch.delenv("GUARDRAILS_CONTROL", raising=False)
    return tmp_path


@pytest.fixture
def as_person(place, monkeypatch):
    """A control in which this person acts; the commands of the test find it."""
    running = []

    def start(person):
        while running:
            running.pop().stop()
        monkeypatch.setenv("GUARDRAILS_AS", person)
        state = place / "state"
        settings = Settings(place / "guardrails.yaml", place / "catalog", state, state / "control.sock", True, person)
        running.append(start_own_control(settings))
        return running[-1].client

    yield start
    while running:
        running.pop().stop()


@pytest.fixture
def three_records(as_person):
    """Of ana's: two choices of a profile; of ben's: one."""
    ana = as_person("ana")
    ana.call(ProfileSet(profile="small", notebook="a.ipynb"))
    ana.call(ProfileSet(profile="small", notebook=NASTY.encode("utf-8", "ignore").decode()))
    as_person("ben").call(ProfileSet(profile="small", notebook="b.ipynb"))


def shown(capsys):
    return capsys.readouterr().out


def test_the_state_directory_verifies_with_and_without_control(three_records, place, capsys):
    assert main(["audit", "verify"]) == 0
    said = shown(capsys)
    assert "4 records hold: 1 to 4" in said
    assert "no witness was asked" in said
    assert main(["audit", "verify", "--json", "--state-dir", str(place / "state")]) == 0
    found = json.loads(shown(capsys))
    assert (found["ok"], found["count"], found["problems"]) == (True, 4, [])
    key = (place / "state" / "audit-key.public").read_text().strip()
    assert main(["audit", "verify", "--key", key]) == 0
    assert main(["audit", "verify", "--key", str(place / "state" / "audit-key.public")]) == 0
    assert main(["audit", "verify", "--key", "0" * 64]) == 1


def test_an_edited_file_is_named_with_its_first_bad_record(three_records, place, capsys):
    path = place / "state" / "audit.jsonl"
    path.write_bytes(path.read_bytes().replace(b"b.ipynb", b"c.ipynb"))
    assert main(["audit", "verify"]) == 1
    assert "NOT WHOLE: in the files: record 4 was altered" in shown(capsys)
    assert main(["audit", "verify", str(path)]) == 1
    assert "NOT WHOLE: record 4 was altered" in shown(capsys)


@pytest.mark.parametrize("arguments", [["nowhere"], ["--state-dir", "nowhere"], ["--witness", "nowhere"]])
def test_what_is_not_there_is_an_error_of_use(place, arguments, capsys):
    (place / "state").mkdir()
    assert main(["audit", "verify", *arguments]) == 2
    assert "next:" in capsys.readouterr().err


def test_people_see_their_own_and_admins_everybodys(three_records, as_person, capsys):
    assert main(["audit", "tail", "--json"]) == 0
    assert [json.loads(line)["principal"] for line in shown(capsys).splitlines()] == ["ben"]
    assert main(["audit", "tail", "--principal", "ana"]) == 1
    assert "the records of others are the admins' to see" in capsys.readouterr().err
    as_person("carol")
    assert main(["audit", "tail", "--json", "--action", "profile.set"]) == 0
    lines = shown(capsys).splitlines()
    assert [json.loads(line)["principal"] for line in lines] == ["ana", "ana", "ben"]
    assert main(["audit", "tail", "-n", "1", "--principal", "ana"]) == 0
    assert len(shown(capsys).splitlines()) == 1
    assert main(["audit", "tail", "--since", "2999-01-01"]) == 0
    assert shown(capsys) == ""


def test_tail_shows_nothing_that_moves_a_terminal(three_records, as_person, capsys):
    as_person("carol")
    main(["audit", "tail"])
    said = shown(capsys)
    assert all(letter.isprintable() for line in said.split("\n") for letter in line)
    assert "\\x1b[31m" in said


def test_tail_follows(as_person, tmp_path):
    client = as_person("ana")
    command = [sys.executable, "-m", "jupyter_guardrails", "audit", "tail", "-f", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        client.call(ProfileSet(profile="small", notebook="a.ipynb"))
        first = json.loads(process.stdout.readline())
        client.call(ProfileSet(profile="small", notebook="b.ipynb"))
        second = json.loads(process.stdout.readline())
        process.terminate()
    assert [first["notebook"], second["notebook"]] == ["a.ipynb", "b.ipynb"]


def test_an_export_of_the_whole_verifies_elsewhere(three_records, as_person, tmp_path, capsys):
    as_person("carol")
    path = tmp_path / "out.jsonl"
    assert main(["audit", "export", str(path)]) == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert main(["audit", "verify", str(path)]) == 0
    assert "4 records hold" in shown(capsys)
    whole = path.read_bytes()
    for attack, problem in (
        (whole.replace(b"b.ipynb", b"c.ipynb"), "record 4 was altered"),
        (b"".join(line for line in whole.splitlines(True) if b'"seq":3' not in line), "record 4 stands where 3 should"),
        (whole[: whole.rindex(b'{"seal"')], "its end was cut off"),
        (whole.replace(b'"complete":true', b'"complete":false'), "the export is not what was sealed"),
    ):
        path.write_bytes(attack)
        assert main(["audit", "verify", str(path)]) == 1
        assert problem in shown(capsys)
    assert main(["audit", "export", str(path)]) == 2, "a file that is there is not written over"


def test_an_export_of_ones_own_is_a_selection_that_is_sealed(three_records, tmp_path, capsys):
    path = tmp_path / "mine.jsonl"
    assert main(["audit", "export", str(path), "--json"]) == 0
    assert json.loads(shown(capsys)) == {"count": 1, "first": 4, "last": 4}
    assert main(["audit", "verify", str(path)]) == 0
    assert "a selection" in shown(capsys)
    path.write_bytes(path.read_bytes().replace(b"b.ipynb", b"c.ipynb"))
    assert main(["audit", "verify", str(path)]) == 1
    assert "record 4 was altered" in shown(capsys)


def test_a_stretch_of_the_log_verifies_from_its_first_record(three_records, as_person, tmp_path, capsys):
    as_person("carol")
    since = json.loads((tmp_path / "state" / parts.CURRENT).read_text().splitlines()[2])["time"]
    path = tmp_path / "stretch.jsonl"
    assert main(["audit", "export", "--since", since.removesuffix("Z"), str(path)]) == 0
    assert main(["audit", "verify", str(path)]) == 0
    assert "complete from record 3 on" in shown(capsys)


def test_a_spreadsheet_calculates_nothing_of_it(as_person, tmp_path):
    client = as_person("ana")
    for name in ("=cmd|' /C calc'!A0", "+1", "-1", "@x", NASTY.encode("utf-8", "ignore").decode(), '"; drop'):
        client.call(ProfileSet(profile="small", notebook=name))
    path = tmp_path / "out.csv"
    assert main(["audit", "export", "--format", "csv", str(path)]) == 0
    rows = list(csv.DictReader(path.open(newline="")))
    assert [row["notebook"][:2] for row in rows] == ["'=", "'+", "'-", "'@", "x\\", '";']
    assert all(letter.isprintable() for row in rows for value in row.values() for letter in value)


def test_an_admin_exchanges_the_key_and_the_log_goes_on(three_records, as_person, place, capsys):
    assert main(["audit", "new-key"]) == 1
    assert "only admins" in capsys.readouterr().err
    before = (place / "state" / "audit-key.public").read_text().strip()
    as_person("carol")
    assert main(["audit", "new-key", "--json"]) == 0
    after = json.loads(shown(capsys))["key"]
    assert (place / "state" / "audit-key.public").read_text().strip() == after != before
    as_person("carol").call(ProfileSet(profile="small"))
    assert main(["audit", "verify"]) == 0
    assert main(["audit", "verify", "--key", before]) == 0
    assert f"its key: {after}" in shown(capsys)


@pytest.mark.parametrize("text", ["soon", "2025-13-01", ""])
def test_a_time_that_is_none_is_an_error_of_use(text):
    with pytest.raises(SystemExit) as stop:
        main(["audit", "tail", "--since", text])
    assert stop.value.code == 2


def test_a_refusal_and_a_would_be_refusal_read_differently():
    record = {"seq": 1, "time": "t", "principal": "p", "action": "a", "resource": "r", "allowed": False, "reason": "", "rule": "", "mode": "enforce"}
    assert " REFUSED:" in record_line(record)
    assert " would be refused (observe):" in record_line(record | {"mode": "observe"})
    assert " allowed:" in record_line(record | {"allowed": True, "mode": None})


def test_a_request_writes_records_that_their_schemas_know(as_person, place):
    client = as_person("ana")
    with pytest.raises(GuardrailsError):
        client.call(RequestCreate(dataset="none", purpose="for a test"))
    client.call(ProfileSet(profile="small", notebook="a.ipynb"))
    records = [json.loads(line) for line in (place / "state" / parts.CURRENT).read_text().splitlines()]
    assert {record["action"] for record in records} >= {"audit.key", "profile.set"}
    assert [schemas.mistakes(record) for record in records] == [[]] * len(records)
