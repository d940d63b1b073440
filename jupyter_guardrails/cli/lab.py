"""`jupyter guardrails lab|notebook|server`: starts control, puts this process into the outer domain, becomes the unchanged Jupyter application."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from jupyter_guardrails import errors
from jupyter_guardrails.cli import browser, launch_plan
from jupyter_guardrails.cli.connection import home_of
from jupyter_guardrails.control.interface import ControlClient, Settings, find_settings, start_own_control
from jupyter_guardrails.control.interface.messages import LaunchMounter, LaunchPaths, Me
from jupyter_guardrails.control.interface.own import FoundControl, running_control
from jupyter_guardrails.control.interface.work import start_station
from jupyter_guardrails.kernels import run_dirs
from jupyter_guardrails.sandbox import outer

CATALOG_S, AGAIN_S = 120.0, 0.2  # so long the first reading of a big catalogue is waited for, and so often asked about
APPLICATIONS = {"lab": "jupyterlab", "notebook": "notebook", "server": "jupyter_server"}


def add_parser(subparsers: Any) -> None:
    """`lab`, `notebook` and `server`; what they don't know goes on to the Jupyter application."""
    for name, application in APPLICATIONS.items():
        parser = subparsers.add_parser(name, help=f"a governed {application}: further arguments are its own", add_help=False, prefix_chars="\0")
        parser.add_argument("arguments", nargs=argparse.REMAINDER)
        parser.set_defaults(run=run, application=application)


def run(arguments: argparse.Namespace) -> int:
    """Never returns when all is well: this process becomes the server."""
    _check_installed(arguments.application)
    home = home_of(os.environ)
    settings = find_settings(arguments.arguments, os.environ, home=home)
    person = os.environ.get("GUARDRAILS_AS")
    settings = settings if not (person and settings.self_chosen) else launch_plan.acting_as(settings, person)
    plan = launch_plan.make_plan(arguments.application, arguments.arguments, os.environ, home=home, state_dir=settings.state_dir)
    launch_plan.make_folders(plan)
    with run_dirs.removed_on_failure(plan.run_dir):
        _become(plan, settings)


def _become(plan: launch_plan.LaunchPlan, settings: Settings) -> NoReturn:
    client = _control(settings)
    _say_who_decides(client)
    paths = launch_paths(client)
    if settings.service:
        start_station()  # now, since what it starts needs more than there is inside
    plan = launch_plan.serving_itself(plan) if "network" in paths["observed"] else plan
    report = _enter(plan, paths, client)
    environment = launch_plan.server_environment(plan, os.environ)
    environment["GUARDRAILS_CONTROL_FD"] = str(_hand_over(client, plan, report))
    os.chdir(plan.run_dir)
    os.execve(sys.executable, [sys.executable, *plan.command], environment)


def _check_installed(application: str) -> None:
    if importlib.util.find_spec(application) is None:
        raise errors.BadRequest(f"the package {application!r} is not installed beside this command", next_step=f"pip install {application}")


def _control(settings: Settings) -> ControlClient:
    """The control that already serves this state directory, or one of our own that ends with this process."""
    return running_control(settings) or start_own_control(settings, supervised=True).client


def _say_who_decides(client: ControlClient) -> None:
    me = client.call(Me())
    print(f"guardrails: {me['person']}, policy {me['policy']['path']} ({me['policy']['mode']}). {me['boundary']}", file=sys.stderr)
    for problem in me["policy"]["errors"]:
        print(f"guardrails: {problem}", file=sys.stderr)
    for guarantee in me["enforced"]:
        print(f"guardrails: {guarantee['name']}: {'held' if guarantee['held'] else 'NOT held'}: {guarantee['how']}", file=sys.stderr)


def launch_paths(client: ControlClient) -> dict[str, list[str]]:
    """What the server may see, by the policy and the catalogue: a big one that control has just begun to read is waited for, and that is said."""
    until, waited = time.monotonic() + CATALOG_S, False
    while True:
        try:
            return client.call(LaunchPaths())
        except errors.CatalogBusy as busy:
            if time.monotonic() > until:
                raise
            if not waited:
                print(f"guardrails: {busy.message}: it is waited for", file=sys.stderr)
        waited = True
        time.sleep(AGAIN_S)


def _enter(plan: launch_plan.LaunchPlan, paths: dict[str, list[str]], client: ControlClient) -> dict[str, Any]:
    """Put this process into the outer domain; where the host can't, say so and go on only if the policy doesn't require it."""
    if plan.open_browser:
        browser.open_when_ready(plan.port, plan.runtime_dir)
    spec = outer.OuterSpec(
        read=(*plan.read, *paths["read"], where_control_is(client)),
        write=(*plan.write, *paths["write"]),
        names=launch_plan.import_folders(),
        devices=tuple(paths["devices"]),
        tcp_bind=(plan.port,),
        bind_address=plan.address,
        private_dir=str(plan.run_dir / "k"),
        roots_dir=str(plan.run_dir / "roots"),
        temporary=str(plan.run_dir / "tmp"),
        observed="files" in paths["observed"],
        shut=tuple(paths["shut"]),
        open_network="network" in paths["observed"],
    )
    try:
        return outer.enter(spec, hand_over=lambda fd: str(client.call(LaunchMounter(), fds=[fd])["launch"]))
    except errors.HostCannotEnforce:
        if "files" in paths["require"]:
            raise
        print("guardrails: this host has no Landlock: the server itself is not confined", file=sys.stderr)
        return {"outer": False}


def where_control_is(client: ControlClient) -> str:
    """What of control the server may see: a service's folder, in which one that is started anew has another socket and token."""
    return str(Path(client.socket_path).parent) if isinstance(client, FoundControl) else client.socket_path


def _hand_over(client: ControlClient, plan: launch_plan.LaunchPlan, report: dict[str, Any]) -> int:
    """An inherited fd with what the server must know; the token never is in an argument or a variable."""
    body: dict[str, Any] = {
        "socket": client.socket_path,
        "token": client.token,
        "workspace": str(plan.workspace),
        "run_dir": str(plan.run_dir),
        "outer": report,
    }
    if isinstance(client, FoundControl):
        body["token_file"] = str(client.token_file)
    handle = os.memfd_create("guardrails-control", 0)
    os.write(handle, json.dumps(body).encode())
    os.lseek(handle, 0, os.SEEK_SET)
    os.set_inheritable(handle, True)
    return handle
