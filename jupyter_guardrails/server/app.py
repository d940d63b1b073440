"""The Jupyter Server extension: replaces what starts kernels and terminals, guards contents, adds the HTTP API, and fails closed.

Jupyter calls `_link_…` before it makes its managers, `_load_…` when its web application exists, `_start_…` when everything has loaded.
"""

# jupyter_server is partly untyped
# mypy: disable-error-code="untyped-decorator, no-untyped-call"
from __future__ import annotations

import asyncio
import atexit
import gc
import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join
from traitlets import Bool, Unicode
from traitlets.config import SingletonConfigurable

from jupyter_guardrails.control.interface.changes import Changes as AskChanges
from jupyter_guardrails.kernels.context import GovernedContext
from jupyter_guardrails.kernels.provisioner import factory_in_force, install
from jupyter_guardrails.kernels.spares import Spares
from jupyter_guardrails.server import handlers, hints, identity, starts
from jupyter_guardrails.server.boot import boot
from jupyter_guardrails.server.cells import CellRecorder
from jupyter_guardrails.server.changes import Changes
from jupyter_guardrails.server.contents import GuardedContentsManager
from jupyter_guardrails.server.explain import OneLine
from jupyter_guardrails.server.guards import leave_out_scheduler, refuse_beside, refuse_gateway, verify
from jupyter_guardrails.server.kernel_managers import GuardedKernels
from jupyter_guardrails.server.metrics import MeteredControl, Metrics, look_forever
from jupyter_guardrails.server.notices import TellingConnection, tell
from jupyter_guardrails.server.terminals import GuardedTerminalManager

NO_BUILD = {"buildCheck": False, "buildAvailable": False}  # JupyterLab would run yarn at each page load, which ends at the outer domain's edge
TRAITS = ("policy_path", "catalog_path", "state_dir", "control_socket")


class Guardrails(SingletonConfigurable):
    """Where to find what an admin wrote, when `/etc/jupyter/guardrails` does not exist and no launcher started this server."""

    policy_path = Unicode(help="The policy file, or a directory of them.").tag(config=True)
    catalog_path = Unicode(help="The directory of dataset contracts.").tag(config=True)
    state_dir = Unicode(help="Where control keeps records, keys and packages.").tag(config=True)
    control_socket = Unicode(help="The socket of a control that runs already.").tag(config=True)
    spare_kernel = Bool(True, help="Make the sandbox of the next kernel ahead, so that its start doesn't wait for it (about 15 MB).").tag(config=True)

    def arguments(self) -> list[str]:
        """Those that are set, as command line arguments."""
        return [f"--Guardrails.{name}={getattr(self, name)}" for name in TRAITS if getattr(self, name)]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Called by Jupyter Server."""
    return [{"module": "jupyter_guardrails.server.app"}]


def closed(hook: Callable[[ServerApp], None]) -> Callable[[ServerApp], None]:
    """A hook whose failure ends the server: Jupyter logs an extension that fails to load and would go on ungoverned."""

    @wraps(hook)
    def run(serverapp: ServerApp) -> None:
        try:
            hook(serverapp)
        except Exception as error:  # broad on purpose: whatever failed, a server that is not governed must not run
            serverapp.log.critical("guardrails could not take hold, the server ends: %s", error, exc_info=True)
            sys.exit(f"guardrails: {error}")

    return run


@closed
def _link_jupyter_server_extension(serverapp: ServerApp) -> None:
    """Choose the classes that the server makes its managers from."""
    refuse_gateway(serverapp)
    identity.link(serverapp)
    leave_out_scheduler(serverapp)
    serverapp.kernel_manager_class = GuardedKernels
    serverapp.contents_manager_class = GuardedContentsManager
    serverapp.kernel_websocket_connection_class = TellingConnection
    serverapp.tornado_settings = {**serverapp.tornado_settings, "page_config_data": dict(NO_BUILD)}
    serverapp.config.KernelManager.transport = "ipc"
    serverapp.config.TerminalsExtensionApp.terminal_manager_class = GuardedTerminalManager


@closed
def _load_jupyter_server_extension(serverapp: ServerApp) -> None:
    """Find control, take over starting kernels, add the routes."""
    refuse_beside(serverapp)
    arguments = Guardrails.instance(parent=serverapp).arguments()
    found = boot(os.environ, root_dir=serverapp.root_dir, arguments=arguments)
    metrics = Metrics()
    control = MeteredControl(found.control, metrics)
    context = GovernedContext(control, found.workspace, found.run_dir, tell=tell, hint=hints.of_kernels(serverapp), outer=found.outer)
    metrics.context = context
    context.spares = Spares(found.run_dir, context.watch.anyone_busy) if Guardrails.instance().spare_kernel else None
    install(context, parent=serverapp)
    serverapp.web_app.settings["guardrails"] = context
    serverapp.web_app.settings["guardrails_changes"] = Changes(lambda: context.call(AskChanges()), hints.of_changes(serverapp))
    serverapp.web_app.settings["guardrails_cells"] = CellRecorder(found.control)
    identity.name_person(serverapp, found.control)
    _add_routes(serverapp, context)
    serverapp.log.addFilter(OneLine())
    atexit.register(gc.freeze)  # a server that ends would look for garbage among all its modules, for half a second
    verify(serverapp, factory_in_force())


async def _start_jupyter_server_extension(serverapp: ServerApp) -> None:
    """Once more when every other extension has loaded, any of which could have undone it."""
    closed(lambda app: verify(app, factory_in_force(), everything=True))(serverapp)
    settings = serverapp.web_app.settings
    settings["guardrails_metrics_task"] = asyncio.create_task(look_forever(settings["guardrails"]), name="guardrails-metrics")
    settings["guardrails_changes_task"] = asyncio.create_task(settings["guardrails_changes"].look_forever(), name="guardrails-changes")


def _add_routes(serverapp: ServerApp, context: GovernedContext) -> None:
    """Ours, and Jupyter's own that start something: tornado asks routes added by extensions first."""
    base = serverapp.base_url
    ours = [(url_path_join(base, path), handler, {"context": context}) for path, handler in handlers.ROUTES]
    theirs = [(url_path_join(base, path), handler, arguments) for path, handler, arguments in starts.ROUTES]
    serverapp.web_app.add_handlers(".*$", [*ours, *theirs])
