"""What people see of themselves: shapes of the HTTP API, honest sentences, own things only."""

from pathlib import Path

import jsonschema
import pytest
import yaml

import jupyter_guardrails
from jupyter_guardrails.control import limits
from jupyter_guardrails.control.interface.messages import Audit, Budget, Kernels, LaunchPaths, Me, ProfileSet
from jupyter_guardrails.control.interface.usage import Usage
from jupyter_guardrails.errors import PolicyError

OPENAPI = yaml.safe_load((Path(jupyter_guardrails.__file__).parent / "server" / "openapi.yaml").read_text())


def check(name, answer):
    """The answer has exactly the shape that the HTTP API promises."""
    jsonschema.validate(answer, {"$ref": f"#/components/schemas/{name}", "components": OPENAPI["components"]})


@pytest.fixture
def busy(desk):
    admission = desk.begin(notebook="n.ipynb")
    desk.beat(admission, cpu_s=1.0)
    desk.later(seconds=10)
    desk.beat(admission, cpu_s=3.0)
    return desk


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("Me", Me()),
        ("Kernels", Kernels()),
        ("Budget", Budget()),
        ("Usage", Usage()),
        ("Audit", Audit()),
        ("ProfileChoice", ProfileSet(profile="large")),
    ],
)
def test_answers_have_the_shapes_of_the_api(busy, name, request_):
    check(name, busy.ask(request_))


def test_the_shape_check_can_fail():
    with pytest.raises(jsonschema.ValidationError):
        check("Kernels", {"kernels": []})


def test_me_says_who_what_and_where_it_comes_from(desk):
    answer = desk.ask(Me())
    assert (answer["person"], answer["mode"], answer["roles"]) == ("ana", "own", ["scientist"])
    assert answer["boundary"] == "Self-chosen policy on this machine: nobody else approves. Acting as ana for a demo: that is no boundary."
    found = {item["key"]: (item["value"], item["rule"]) for item in answer["limits"]}
    assert found["kernels.max"] == ("2", "guardrails.yaml:12 everyone-small")
    assert found["profile.large"] == ("8 GiB memory, 4 processors, ended after 8 h idle", "guardrails.yaml:17 analysts-large")
    assert found["budget"][0] == "2 processor-hours and 8 memory GiB-hours in 7 d, for each person"
    assert found["network"] == ("packages.example.com:443", "guardrails.yaml:12 everyone-small")
    assert found["workspace.size"][0] == "20 GiB"
    assert {item["name"] for item in answer["enforced"]} == {"files", "network", "processes", "memory", "sockets"}
    assert [item["name"] for item in answer["profiles"] if item["chosen"]] == ["small"]


def test_a_choice_shows_at_once(desk):
    desk.ask(ProfileSet(profile="large"))
    assert [item["name"] for item in desk.ask(Me())["profiles"] if item["chosen"]] == ["large"]


def test_kernels_show_their_last_beat(busy):
    kernel = busy.ask(Kernels())["kernels"][0]
    assert (kernel["cpu_s"], kernel["cpu_percent"], kernel["memory_bytes"], kernel["memory_limit_bytes"]) == (3.0, 20.0, 1 << 30, 2 << 30)
    assert kernel["started_at"] == "2025-03-01T12:00:00.000000Z"


def people(desk):
    return [row["person"] for row in desk.ask(Usage())["people"]]


def test_own_use_and_everybodys_for_admins(desk_for):
    for person in ("ana", "ben"):
        desk = desk_for(person)
        desk.beat(desk.begin(person), cpu_s=3600.0)
        assert people(desk) == [person]
        assert {item["principal"] for item in desk.ask(Audit())["records"]} == {person}
    admin = desk_for("carol")
    assert people(admin) == ["ana", "ben"]
    assert {item["principal"] for item in admin.ask(Audit())["records"]} == {"ana", "ben"}
    assert admin.ask(Usage())["people"][0]["cpu_hours"] == 1.0


def test_audit_goes_on_where_one_stopped(busy):
    first = busy.ask(Audit(limit=1))
    assert (len(first["records"]), first["next"]) == (1, 1)
    busy.ask(ProfileSet(profile="large"))
    assert [item["action"] for item in busy.ask(Audit(after=first["next"]))["records"]] == ["profile.set"]
    assert busy.ask(Audit(after=99)) == {"records": [], "next": 99}


def test_a_policy_with_a_mistake_is_told_and_the_old_one_stays(desk):
    good = desk.ask(Me())["policy"]
    desk.world.policy.write_text("apiVersion: guardrails/v1\nmoode: enforce\n")
    answer = desk.ask(Me())
    assert answer["policy"]["digest"] == good["digest"]
    assert "guardrails.yaml:2:1" in answer["policy"]["errors"][0]
    assert desk.admit().lease
    check("Me", answer)


def test_a_mended_policy_is_taken_at_once(desk):
    text = desk.world.policy.read_text()
    desk.world.policy.write_text("nonsense")
    assert desk.ask(Me())["policy"]["errors"]
    desk.world.policy.write_text(text.replace("max: 2", "max: 7"))
    answer = desk.ask(Me())
    assert answer["policy"]["errors"] == []
    assert desk.ask(Kernels())["max"] == 7


@pytest.mark.parametrize("broken", [None, "mode: [", ""])
def test_without_any_valid_policy_control_runs_and_says_what_is_wrong(world, desk_for, broken):
    world.policy.unlink()
    if broken is not None:
        world.policy.write_text(broken)
    desk = desk_for("ana")
    answer = desk.ask(Me())
    check("Me", answer)
    assert (answer["limits"], answer["profiles"], answer["roles"]) == ([], [], [])
    assert str(world.policy.name) in answer["policy"]["errors"][0]
    assert desk.ask(Kernels()) == {"kernels": [], "max": 0, "rule": "", "ended": []}
    assert desk.ask(LaunchPaths())["read"] == []
    with pytest.raises(PolicyError):
        desk.admit()


@pytest.mark.parametrize(("size", "text"), [(2 << 30, "2 GiB"), (3 << 29, "1.5 GiB"), (200, "200 bytes"), (1 << 40, "1 TiB")])
def test_sizes_in_words(size, text):
    assert limits.in_bytes(size) == text


@pytest.mark.parametrize(("seconds", "text"), [(7 * 86400, "7 d"), (7200, "2 h"), (90, "90 s"), (600, "10 min")])
def test_times_in_words(seconds, text):
    assert limits.in_time(seconds) == text
