"""Where configuration comes from: the admin's directory wins over everything a person can say."""

from pathlib import Path

from jupyter_guardrails.control.interface.settings import find_settings

HOME = Path("/home/ana")
NOWHERE = Path("/no/such/admin/dir")


def test_built_in_places_are_in_the_home_folder():
    found = find_settings([], {}, home=HOME, admin_dir=NOWHERE)
    assert found.self_chosen
    assert found.policy_path == HOME / ".config/jupyter-guardrails/guardrails.yaml"
    assert found.control_socket == found.state_dir / "control.sock"


def test_arguments_win_over_the_environment():
    environ = {"GUARDRAILS_POLICY": "/env.yaml", "GUARDRAILS_STATE_DIR": "/state"}
    found = find_settings(["--Guardrails.policy_path=/arg.yaml", "--port=1"], environ, home=HOME, admin_dir=NOWHERE)
    assert found.policy_path == Path("/arg.yaml")
    assert found.state_dir == Path("/state")


def test_the_admins_directory_wins_over_both(tmp_path):
    environ = {"GUARDRAILS_POLICY": "/env.yaml", "GUARDRAILS_CATALOG": "/env"}
    found = find_settings(["--Guardrails.policy_path=/arg.yaml"], environ, home=HOME, admin_dir=tmp_path)
    assert not found.self_chosen
    assert found.policy_path == tmp_path / "guardrails.yaml"
    assert found.catalog_path == tmp_path / "catalog"


def test_an_argument_without_value_or_of_another_application_is_ignored():
    found = find_settings(["--Guardrails.policy_path", "--Guardrails.nonsense=1"], {}, home=HOME, admin_dir=NOWHERE)
    assert found.policy_path.name == "guardrails.yaml"
