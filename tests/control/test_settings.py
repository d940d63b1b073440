"""Where configuration comes from: the admin's directory wins over everything a person can say, and never counts as absent while it is there."""

from pathlib import Path

import pytest

from jupyter_guardrails.control.interface.settings import find_settings
from jupyter_guardrails.errors import PolicyError

HOME = Path("/home/ana")
NOWHERE = Path("/no/such/admin/dir")
EVERYTHING = {
    "GUARDRAILS_POLICY": "/env.yaml",
    "GUARDRAILS_CATALOG": "/env",
    "GUARDRAILS_STATE_DIR": "/state",
    "GUARDRAILS_CONTROL": "/control.sock",
}


def test_built_in_places_are_in_the_home_folder():
    found = find_settings([], {}, home=HOME, admin_dir=NOWHERE)
    assert found.self_chosen
    assert found.policy_path == HOME / ".config/jupyter-guardrails/guardrails.yaml"
    assert found.control_socket == found.state_dir / "control.sock"
    assert (found.chosen, found.ignored) == ((), ())


def test_arguments_win_over_the_environment():
    environ = {"GUARDRAILS_POLICY": "/env.yaml", "GUARDRAILS_STATE_DIR": "/state"}
    found = find_settings(["--Guardrails.policy_path=/arg.yaml", "--port=1"], environ, home=HOME, admin_dir=NOWHERE)
    assert found.policy_path == Path("/arg.yaml")
    assert found.state_dir == Path("/state")
    assert found.chosen == ("--Guardrails.policy_path", "GUARDRAILS_STATE_DIR")


def test_everything_may_be_chosen_where_no_admin_did():
    found = find_settings([], EVERYTHING, home=HOME, admin_dir=NOWHERE)
    assert [str(path) for path in (found.policy_path, found.catalog_path, found.state_dir, found.control_socket)] == list(EVERYTHING.values())
    assert found.ignored == ()


def test_the_admins_directory_wins_over_both(tmp_path):
    found = find_settings(["--Guardrails.policy_path=/arg.yaml"], EVERYTHING, home=HOME, admin_dir=tmp_path)
    assert not found.self_chosen
    assert found.policy_path == tmp_path / "guardrails.yaml"
    assert found.catalog_path == tmp_path / "catalog"
    assert found.state_dir == HOME / ".local/state/jupyter-guardrails"
    assert found.control_socket == found.state_dir / "control.sock"
    assert found.chosen == ()


def test_what_does_not_count_is_named(tmp_path):
    found = find_settings(["--Guardrails.state_dir=/arg"], EVERYTHING, home=HOME, admin_dir=tmp_path)
    assert f"GUARDRAILS_POLICY is set to /env.yaml and does not count: {tmp_path} decides" in found.ignored
    assert f"--Guardrails.state_dir is set to /arg and does not count: {tmp_path} decides" in found.ignored
    assert len(found.ignored) == 5


def test_what_says_the_same_as_the_admin_is_not_named(tmp_path):
    same = {"GUARDRAILS_POLICY": str(tmp_path / "guardrails.yaml"), "GUARDRAILS_STATE_DIR": str(HOME / ".local/state/jupyter-guardrails")}
    assert find_settings([], same, home=HOME, admin_dir=tmp_path).ignored == ()


@pytest.mark.parametrize("argument", ["--Guardrails.policy_path", "--Guardrails.policy_path=", "--Guardrails.nonsense=1"])
def test_an_argument_without_value_or_of_another_application_is_ignored(argument):
    found = find_settings([argument], {}, home=HOME, admin_dir=NOWHERE)
    assert found.policy_path.name == "guardrails.yaml"
    assert found.chosen == ()


def test_a_folder_of_files_can_be_the_policy(tmp_path):
    (tmp_path / "policy.d").mkdir()
    assert find_settings([], EVERYTHING, home=HOME, admin_dir=tmp_path).policy_path == tmp_path / "policy.d"


@pytest.mark.parametrize("make", [Path.touch, lambda path: path.symlink_to("nowhere")], ids=["a file", "a link that leads nowhere"])
def test_a_file_beside_the_folder_is_a_question_to_the_admin(tmp_path, make):
    (tmp_path / "policy.d").mkdir()
    make(tmp_path / "guardrails.yaml")
    with pytest.raises(PolicyError, match="which of them is the policy") as refusal:
        find_settings([], EVERYTHING, home=HOME, admin_dir=tmp_path)
    assert refusal.value.exit_code == 2
    assert refusal.value.problems[0].file == str(tmp_path)


IN_ITS_PLACE = {
    "is not a folder": lambda etc: (etc / "jupyter").mkdir() or (etc / "jupyter" / "guardrails").touch(),
    "is a link that leads nowhere": lambda etc: (etc / "jupyter").mkdir() or (etc / "jupyter" / "guardrails").symlink_to("gone"),
    r"jupyter: is a link that leads nowhere": lambda etc: (etc / "jupyter").symlink_to("/mnt/not/mounted"),
    r"jupyter: is not a folder": lambda etc: (etc / "jupyter").touch(),
    "symbolic links": lambda etc: (etc / "jupyter").symlink_to("jupyter"),
}


@pytest.mark.parametrize(("sentence", "make"), IN_ITS_PLACE.items(), ids=IN_ITS_PLACE)
def test_something_else_in_its_place_does_not_count_as_absent(tmp_path, sentence, make):
    make(tmp_path)
    with pytest.raises(PolicyError, match=sentence) as refusal:
        find_settings([], EVERYTHING, home=HOME, admin_dir=tmp_path / "jupyter" / "guardrails")
    assert refusal.value.problems[0].hint


def test_an_empty_folder_above_it_is_absence(tmp_path):
    (tmp_path / "jupyter").mkdir()
    assert find_settings([], EVERYTHING, home=HOME, admin_dir=tmp_path / "jupyter" / "guardrails").self_chosen


def test_a_link_to_a_folder_is_the_admins_directory(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "guardrails").symlink_to("real")
    assert not find_settings([], EVERYTHING, home=HOME, admin_dir=tmp_path / "guardrails").self_chosen


def of_machine(admin_dir, text):
    (admin_dir / "settings.yaml").write_text(text)
    return find_settings([], EVERYTHING, home=HOME, admin_dir=admin_dir)


def test_a_service_is_the_machines_whatever_a_person_says(tmp_path):
    found = of_machine(tmp_path, "control: service\n")
    assert (found.service, found.control_socket) == (True, Path("/run/jupyter-guardrails/control.sock"))
    assert (found.state_dir, found.token_file) == (Path("/var/lib/jupyter-guardrails"), Path("/run/jupyter-guardrails/token"))
    assert f"GUARDRAILS_CONTROL is set to /control.sock and does not count: {tmp_path} decides" in found.ignored


def test_its_places_can_be_others(tmp_path):
    text = "control: service\nsocket: /run/g/c.sock\nstate_dir: /srv/g\nrecords: postgresql://g@db.example.com/g\nrecords_passfile: /srv/g/pgpass\n"
    found = of_machine(tmp_path, text)
    assert [str(path) for path in (found.control_socket, found.token_file, found.state_dir)] == ["/run/g/c.sock", "/run/g/token", "/srv/g"]
    assert (found.records, found.records_passfile) == ("postgresql://g@db.example.com/g", "/srv/g/pgpass")


def test_own_is_the_default_and_keeps_its_places(tmp_path):
    assert of_machine(tmp_path, "control: own\n") == find_settings([], EVERYTHING, home=HOME, admin_dir=tmp_path)
    (tmp_path / "settings.yaml").unlink()
    assert not find_settings([], EVERYTHING, home=HOME, admin_dir=tmp_path).service


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("control: sevice\n", 1, "service"),
        ("control: service\nsokcet: /x\n", 2, "did you mean `socket`"),
        ("control: service\nsocket: x.sock\n", 2, "must be an absolute path"),
        ("state_dir: /srv/g\n", 1, "counts with `control: service` only"),
        ("control: service\nrecords: sqlite:///x\n", 2, "must be postgresql://user@host/database"),
        ("control: service\nrecords: postgresql://g:secret@db.example.com/g\n", 2, "the address in this line holds a password"),
        ("control: service\nrecords: postgresql://g@db.example.com/g?password=secret\n", 2, "the address in this line holds a password"),
        ("", 0, "is empty"),
    ],
)
def test_a_mistake_in_it_is_said_with_its_place_and_never_counts_as_own(tmp_path, text, line, sentence):
    with pytest.raises(PolicyError) as refused:
        of_machine(tmp_path, text)
    (problem,) = refused.value.problems
    assert problem.line == line
    assert sentence in f"{problem.message} {problem.hint}"
    assert "secret" not in str(refused.value)
