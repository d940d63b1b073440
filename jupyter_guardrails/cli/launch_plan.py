"""What the launcher will do for a command line, as one value: which command, which folders, what the server may reach."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jupyter_guardrails import errors
from jupyter_guardrails.control.interface import Settings
from jupyter_guardrails.control.interface.settings import TRAITS
from jupyter_guardrails.kernels import kernelspecs, plan, run_dirs

SIDE_DOORS = ("SSH_AUTH_SOCK", "SSH_AGENT_PID", "GPG_AGENT_INFO", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "DOCKER_HOST", "KUBECONFIG")
CONFIGURATION = (
    "JUPYTER_CONFIG_PATH",
    "JUPYTER_CONFIG_DIR",
    "JUPYTERLAB_SETTINGS_DIR",
    "JUPYTERLAB_WORKSPACES_DIR",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONHOME",
)
FIRST_PORT = 8888
LOOPBACK = "127.0.0.1"
OWN_LOOPBACK = f"--ServerApp.ip={LOOPBACK}"
NEWS = "@jupyterlab/apputils-extension:announcements"  # asks whether to fetch news, for which the server has no way to the network
OURS = (  # arguments that the launcher sets itself, whatever was asked
    "--ServerApp.port_retries",
    "--ServerApp.reraise_server_extension_failures",
    "--ServerApp.jpserver_extensions",
    "--LabApp.extension_manager",
    "--LabApp.check_for_updates_class",
    "--LabApp.news_url",
    "--NotebookNotary.data_dir",
)
DATABASES = {  # of extensions that keep one in Jupyter's data folder or beside the configuration, where the server can't write
    "--BaseFileIdManager.db_path": "file_id_manager.db",  # jupyter-server-fileid
    "--SQLiteYStore.db_path": "ystore.db",  # jupyter-collaboration
}
ADDRESS = ("--ip", "--ServerApp.ip")
NO_BROWSER = ("--no-browser", "--ServerApp.open_browser=False")
WHERE = ("--ServerApp.root_dir", "--ServerApp.notebook_dir", "--notebook-dir", "--LabApp.notebook_dir", "--ServerApp.preferred_dir")


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """Absolute paths; `command` follows the interpreter."""

    command: tuple[str, ...]
    workspace: Path
    run_dir: Path  # private to this launch, not made yet, with a short name: unix socket paths end at 107 bytes
    runtime_dir: Path
    data_dir: Path  # the person's own kernelspecs: read, never written by the server
    settings_dir: Path  # Lab's own settings and workspaces, kept between launches
    port: int
    address: str  # where the outer domain's relay takes connections for the server, which itself sees its own loopback only
    read: tuple[str, ...]
    write: tuple[str, ...]
    open_browser: bool


def make_plan(application: str, arguments: Sequence[str], environ: Mapping[str, str], *, home: Path, state_dir: Path) -> LaunchPlan:
    """The plan, or BadRequest that says what to change."""
    _require_an_ordinary_account(arguments)
    workspace = _workspace(arguments, home=home, state_dir=state_dir)
    port = int(_value(arguments, ("--port", "--ServerApp.port", "-p")) or _free_port())
    run_dir = run_dirs.new_name()
    data_home = Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    data_dir = Path(environ.get("JUPYTER_DATA_DIR") or data_home / "jupyter")
    runtime = Path(environ.get("JUPYTER_RUNTIME_DIR") or data_dir / "runtime")
    settings_dir = data_home / "jupyter-guardrails"
    jupyter_path = [p for p in environ.get("JUPYTER_PATH", "").split(os.pathsep) if p]
    read = (*plan.SYSTEM_READ, *_own_code(), str(data_dir), *jupyter_path, *kernelspecs.environments(), str(run_dir / "config"))
    return LaunchPlan(
        command=tuple(_command(application, arguments, port=port, workspace=workspace, settings_dir=settings_dir)),
        workspace=workspace,
        run_dir=run_dir,
        runtime_dir=runtime,
        data_dir=data_dir,
        settings_dir=settings_dir,
        port=port,
        address=_address(arguments),
        read=read,
        write=(str(workspace), str(run_dir / "k"), str(run_dir / "tmp"), str(runtime), str(settings_dir), "/dev/shm"),
        open_browser=application in ("jupyterlab", "notebook") and not any(a.startswith(NO_BROWSER) for a in arguments),
    )


def _require_an_ordinary_account(arguments: Sequence[str]) -> None:
    if os.getuid() == 0 and "--allow-root" not in arguments and "--ServerApp.allow_root=True" not in arguments:
        raise errors.BadRequest(
            "refusing to start as root: files of root under readable folders stay readable", next_step="use an ordinary account, or add --allow-root"
        )


def serving_itself(plan: LaunchPlan) -> LaunchPlan:
    """The plan for a server in the machine's own network: it listens where the relay would have."""
    return replace(plan, command=tuple(f"--ServerApp.ip={plan.address}" if part == OWN_LOOPBACK else part for part in plan.command))


def make_folders(plan: LaunchPlan) -> None:
    """The folders of a plan, private, its run directory held until the server has ended; GuardrailsError when that can't be made."""
    lock = run_dirs.make(plan.run_dir)
    with run_dirs.removed_on_failure(plan.run_dir):
        for folder in (*(plan.run_dir / name for name in ("k", "tmp", "config", "roots")), plan.data_dir, plan.runtime_dir, plan.settings_dir):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        labconfig = plan.run_dir / "config" / "labconfig"
        labconfig.mkdir()
        (labconfig / "page_config.json").write_text(json.dumps({"disabledExtensions": {NEWS: True}}))
        (plan.run_dir / "config" / "migrated").touch()  # jupyter_core 5.9 ends the server when it can't write this file itself
        os.set_inheritable(lock, True)


def server_environment(plan: LaunchPlan, environ: Mapping[str, str]) -> dict[str, str]:
    """The server's environment: no agents, no other configuration than the admin's, folders that it may write."""
    kept = {key: value for key, value in environ.items() if key not in SIDE_DOORS + CONFIGURATION and not key.startswith("GUARDRAILS_")}
    return kept | {
        "JUPYTER_CONFIG_DIR": str(plan.run_dir / "config"),
        "JUPYTER_RUNTIME_DIR": str(plan.runtime_dir),
        "JUPYTERLAB_SETTINGS_DIR": str(plan.settings_dir / "lab" / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(plan.settings_dir / "lab" / "workspaces"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "IPYTHONDIR": str(plan.run_dir / "tmp" / "ipython"),
        "TMPDIR": str(plan.run_dir / "tmp"),
        "XDG_CACHE_HOME": str(plan.run_dir / "tmp" / "cache"),  # python-lsp-server's parser offers nothing without a cache
        "GIT_CONFIG_GLOBAL": "/dev/null",
    }


def acting_as(settings: Settings, person: str) -> Settings:
    """Settings for the demo's people; only where the policy is self-chosen anyway."""
    return replace(settings, person=person)


def _command(application: str, arguments: Sequence[str], *, port: int, workspace: Path, settings_dir: Path) -> Iterable[str]:
    """`-I`: no user site, no PYTHON* variables, no module from the current folder."""
    dropped = (
        *OURS,
        *WHERE,
        *(f"{name}=" for name in ADDRESS),
        "--port",
        "--ServerApp.port",
        "--no-browser",
        "--ServerApp.open_browser",
        *(f"--Guardrails.{name}" for name in TRAITS),  # the launcher has read them; others are the server's
    )
    yield from ("-I", "-m", application)
    yield from (f"{option}={settings_dir / name}" for option, name in DATABASES.items())  # before the person's own, which count
    yield from (a for a in arguments if not a.startswith(dropped))
    yield from (f"--ServerApp.root_dir={workspace}", f"--ServerApp.port={port}", "--ServerApp.port_retries=0", "--no-browser")
    yield "--ServerApp.reraise_server_extension_failures=True"  # else an extension that fails to load is a warning and the server runs ungoverned
    yield "--ServerApp.jpserver_extensions={'jupyter_guardrails': True}"
    yield f"--NotebookNotary.data_dir={settings_dir}"
    yield OWN_LOOPBACK
    if _address(arguments) != LOOPBACK:
        yield "--ServerApp.allow_remote_access=True"
    yield "--LabApp.extension_manager=readonly"  # `jupyter server` loads Lab as an extension too
    yield "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"  # the server has no way to the network
    yield "--LabApp.news_url=None"


def _workspace(arguments: Sequence[str], *, home: Path, state_dir: Path) -> Path:
    chosen = Path(_value(arguments, WHERE) or os.getcwd()).resolve()
    if not chosen.is_dir():
        raise errors.BadRequest(f"the workspace {chosen} is not a folder", next_step=f"mkdir -p {chosen}")
    advice = "start it in a folder of its own, for example: mkdir -p ~/work && jupyter guardrails lab --ServerApp.root_dir=~/work"
    if home.resolve().is_relative_to(chosen):
        raise errors.BadRequest(f"the workspace {chosen} holds your home folder: keys and start-up files would lie inside it", next_step=advice)
    if state_dir.resolve().is_relative_to(chosen) or chosen.is_relative_to(state_dir.resolve()):
        raise errors.BadRequest(f"the workspace {chosen} and the state directory {state_dir} must not lie inside each other", next_step=advice)
    return chosen


def _value(arguments: Sequence[str], names: Sequence[str]) -> str | None:
    """The last `--name=value` or `--name value` of any of these names."""
    found = None
    for index, argument in enumerate(arguments):
        key, separator, value = argument.partition("=")
        if key in names:
            found = value if separator else arguments[index + 1] if index + 1 < len(arguments) else None
    return os.path.expanduser(found) if found else None


def _address(arguments: Sequence[str]) -> str:
    """An address as the relay takes it: Jupyter's `*` and the empty one mean all, `localhost` the loopback."""
    asked = _value(arguments, ADDRESS)
    return {None: LOOPBACK, "localhost": LOOPBACK, "*": "0.0.0.0", "": "0.0.0.0"}.get(asked, asked or LOOPBACK)


def _free_port() -> int:
    for port in range(FIRST_PORT, FIRST_PORT + 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise errors.BadRequest(f"no free port between {FIRST_PORT} and {FIRST_PORT + 99}", next_step="choose one with --port")


def import_folders() -> tuple[str, ...]:
    """Folders that Python lists to find our package: of an editable install the checkout, which holds more than code and so is not opened."""
    return (str(Path(__file__).resolve().parents[2]),)


def _own_code() -> tuple[str, ...]:
    """Where this interpreter and our package live."""
    return tuple(
        dict.fromkeys((sys.prefix, sys.base_prefix, str(Path(__file__).resolve().parents[1]), str(Path(os.path.realpath(sys.executable)).parent)))
    )
