"""What the launcher makes of a command line: ports, workspaces that are refused, an environment without side doors."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_guardrails import errors
from jupyter_guardrails.cli import lab, launch_plan
from jupyter_guardrails.kernels import run_dirs

ROOT_FLAG = ("--allow-root",)


@pytest.fixture
def places(tmp_path, monkeypatch):
    home = tmp_path / "home"
    work = home / "work"
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    return home, work, tmp_path / "state"


def plan_of(places, *arguments, environ=None, application="jupyterlab"):
    home, _, state = places
    return launch_plan.make_plan(application, (*ROOT_FLAG, *arguments), environ or {}, home=home, state_dir=state)


def test_the_workspace_is_the_root_dir_or_else_the_current_folder(places, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    assert plan_of(places).workspace == places[1].resolve()
    assert plan_of(places, f"--ServerApp.root_dir={other}").workspace == other.resolve()
    assert plan_of(places, "--notebook-dir", str(other)).workspace == other.resolve()


@pytest.mark.parametrize("where", ["home", "above", "state", "beneath state"])
def test_a_workspace_that_holds_what_it_must_not_is_refused_with_advice(places, where):
    home, _, state = places
    (state / "x").mkdir(parents=True)
    chosen = {"home": home, "above": home.parent, "state": state, "beneath state": state / "x"}[where]
    with pytest.raises(errors.BadRequest) as refusal:
        plan_of(places, f"--ServerApp.root_dir={chosen}")
    assert "~/work" in refusal.value.next_step


def test_a_missing_workspace_says_how_to_make_it(places):
    with pytest.raises(errors.BadRequest, match="is not a folder") as refusal:
        plan_of(places, "--ServerApp.root_dir=/nowhere/at/all")
    assert refusal.value.next_step == "mkdir -p /nowhere/at/all"


def test_arguments_of_ours_cannot_be_chosen(places):
    theirs = ("--ServerApp.reraise_server_extension_failures=False", "--ServerApp.jpserver_extensions={}", "--LabApp.extension_manager=pypi")
    plan = plan_of(places, *theirs, "--x=1")
    assert not set(theirs) & set(plan.command)
    assert "--x=1" in plan.command
    assert plan.command[0] == "-I"


def test_the_port_is_the_asked_one_or_a_free_one(places):
    assert plan_of(places, "--port=8999").port == 8999
    assert plan_of(places).port >= launch_plan.FIRST_PORT


def test_the_server_listens_inside_and_the_relay_where_it_was_asked_to(places):
    here, everywhere = plan_of(places), plan_of(places, "--ip=*")
    assert (here.address, everywhere.address) == ("127.0.0.1", "0.0.0.0")
    assert "--ServerApp.allow_remote_access=True" in everywhere.command
    assert "--ServerApp.allow_remote_access=True" not in here.command
    assert "--ip=*" not in everywhere.command
    assert "--ServerApp.ip=127.0.0.1" in everywhere.command


def test_settings_of_ours_do_not_reach_jupyter(places):
    plan = plan_of(places, "--Guardrails.policy_path=/x.yaml")
    assert not any("Guardrails." in part for part in plan.command)


def test_the_server_gets_no_agents_and_no_configuration_of_the_person(places):
    theirs = {"SSH_AUTH_SOCK": "/x", "JUPYTER_CONFIG_PATH": "/evil", "PYTHONPATH": "/evil", "GUARDRAILS_STATE_DIR": "/s"}
    plan = plan_of(places)
    environment = launch_plan.server_environment(plan, theirs | {"JUPYTER_TOKEN": "t", "LANG": "C"})
    assert environment["LANG"] == "C"
    assert environment["JUPYTER_TOKEN"] == "t"
    assert not set(theirs) & set(environment)
    assert environment["JUPYTER_CONFIG_DIR"].startswith(str(plan.run_dir))


def test_folders_are_private_and_the_configuration_is_not_the_servers_to_write(places):
    plan = plan_of(places)
    launch_plan.make_folders(plan)
    assert (plan.run_dir / "k").stat().st_mode & 0o077 == 0
    assert (plan.run_dir / "config" / "migrated").is_file()
    assert not any(str(plan.run_dir / "config").startswith(path) for path in plan.write)


def test_a_run_directory_is_removed_once_its_server_is_gone(places):
    program = (
        "import sys\nfrom pathlib import Path\nfrom jupyter_guardrails.cli import launch_plan as launch\n"
        "plan = launch.make_plan('jupyter_server', ['--allow-root'], {}, home=Path(sys.argv[1]), state_dir=Path('/nowhere'))\n"
        "launch.make_folders(plan); print(plan.run_dir, flush=True); sys.stdin.read()"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", program, str(places[0])], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=places[1]
    )
    held = Path(server.stdout.readline().strip())
    mine = plan_of(places)
    run_dirs.sweep(mine.run_dir)
    assert held.is_dir(), "the run directory of a running server stays"
    server.communicate("")
    run_dirs.sweep(mine.run_dir)
    assert not held.exists()


@pytest.mark.skipif(os.getuid() != 0, reason="not running as root")
def test_root_is_refused_unless_it_insists(places):
    home, _, state = places
    with pytest.raises(errors.BadRequest, match="root") as refusal:
        launch_plan.make_plan("jupyterlab", [], {}, home=home, state_dir=state)
    assert "--allow-root" in refusal.value.next_step


def test_notebook_without_its_package_names_the_package(monkeypatch):
    monkeypatch.setattr(lab.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(errors.BadRequest) as refused:
        lab.run(argparse.Namespace(application="notebook", arguments=[]))
    assert refused.value.next_step == "pip install notebook"


def test_extensions_databases_lie_where_the_server_writes_unless_somebody_chose(places):
    option, name = next(iter(launch_plan.DATABASES.items()))
    command = plan_of(places, f"{option}=/chosen").command
    ours, theirs = (command.index(argument) for argument in (f"{option}={plan_of(places).settings_dir / name}", f"{option}=/chosen"))
    assert ours < theirs  # the last one counts
    assert str(plan_of(places).settings_dir) in plan_of(places).write


def test_the_servers_cache_lies_in_its_private_folder(places):
    plan = plan_of(places)
    cache = launch_plan.server_environment(plan, {"XDG_CACHE_HOME": "/elsewhere"})["XDG_CACHE_HOME"]
    assert Path(cache).is_relative_to(plan.run_dir / "tmp")


class Reading:
    """Control while it reads a big catalogue: so many times it is asked in vain."""

    def __init__(self, times):
        self.left = times

    def call(self, request):
        self.left -= 1
        if self.left >= 0:
            raise errors.CatalogBusy("the catalogue /srv/catalog is being read", next_step="try again in a minute")
        return {"read": ["/srv/data"]}


def test_a_catalogue_that_is_being_read_is_waited_for_and_that_is_said_once(capsys, monkeypatch):
    monkeypatch.setattr(lab, "AGAIN_S", 0.0)
    assert lab.launch_paths(Reading(3)) == {"read": ["/srv/data"]}
    assert capsys.readouterr().err == "guardrails: the catalogue /srv/catalog is being read: it is waited for\n"


def test_a_catalogue_that_is_never_read_is_told_in_the_end(monkeypatch):
    monkeypatch.setattr(lab, "CATALOG_S", -1.0)
    with pytest.raises(errors.CatalogBusy, match="is being read"):
        lab.launch_paths(Reading(1))
