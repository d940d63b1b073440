"""What a governed server must not run beside, and whether everything of ours is in force."""

# jupyter_server is partly untyped
# mypy: disable-error-code="untyped-decorator, no-untyped-call"
from __future__ import annotations

from typing import Any

from jupyter_server.gateway.gateway_client import GatewayClient
from jupyter_server.serverapp import ServerApp
from jupyter_server_terminals.terminalmanager import TerminalManager
from traitlets import import_item

from jupyter_guardrails import errors
from jupyter_guardrails.kernels.provisioner import GuardedProvisionerFactory
from jupyter_guardrails.server.contents import GuardedContentsManager
from jupyter_guardrails.server.kernel_managers import GuardedKernels
from jupyter_guardrails.server.notices import TellingConnection
from jupyter_guardrails.server.terminals import GuardedTerminalManager

SCHEDULER = "jupyter_scheduler"


def refuse_beside(serverapp: ServerApp) -> None:
    """Refused when kernels would run where no policy reaches them."""
    manager = serverapp.kernel_manager
    found = {
        "ServerApp.allow_external_kernels": serverapp.allow_external_kernels or bool(getattr(manager, "external_connection_dir", None)),
        f"a provisioner preset by {manager.kernel_manager_class}": _presets_provisioner(manager),
    }
    for what, there in found.items():
        if there:
            raise past_the_policy(what)


def refuse_gateway(serverapp: ServerApp) -> None:
    """Refused when kernels run on another machine, by a server that this policy doesn't govern."""
    if GatewayClient.instance(parent=serverapp).gateway_enabled:
        raise past_the_policy("a kernel gateway (GatewayClient.url)")


def leave_out_scheduler(serverapp: ServerApp) -> None:
    """jupyter-scheduler is not loaded, whoever enabled it; `starts` answers in its place."""
    extension = serverapp.extension_manager.extensions.get(SCHEDULER)
    if extension is not None and extension.enabled:
        extension.enabled = False
        serverapp.log.warning("%s is left out: %s", SCHEDULER, scheduled_past_the_policy())


def scheduled_past_the_policy() -> errors.Refused:
    """The refusal of everything that jupyter-scheduler offers."""
    return errors.Refused(
        "jobs of jupyter-scheduler would run past the policy: it starts kernels in processes of its own",
        next_step="submit the notebook for production instead: the button in its toolbar, or `jupyter guardrails submit NOTEBOOK`",
        rule="built-in no-kernels-past-the-policy",
    )


def past_the_policy(what: str) -> errors.Refused:
    """The refusal for one setting."""
    return errors.Refused(
        f"this server is set up with {what}: such kernels would run past the policy", next_step=f"remove {what} from its configuration"
    )


def verify(serverapp: ServerApp, factory: Any, *, everything: bool = False) -> None:
    """Refused unless our parts are in force; `everything`: those of extensions that load after ours too."""
    terminals = serverapp.web_app.settings.get("terminal_manager")
    in_force = {
        "kernel provisioner factory": isinstance(factory, GuardedProvisionerFactory),
        "kernel manager": isinstance(serverapp.kernel_manager, GuardedKernels),
        "contents manager": isinstance(serverapp.contents_manager, GuardedContentsManager),
        "contents manager of the web application": isinstance(serverapp.web_app.settings["contents_manager"], GuardedContentsManager),
        "kernel connections": issubclass(serverapp.web_app.settings["kernel_websocket_connection_class"], TellingConnection),
        "terminals": not everything or not isinstance(terminals, TerminalManager) or isinstance(terminals, GuardedTerminalManager),
    }
    missing = [part for part, ours in in_force.items() if not ours]
    if missing:
        raise errors.Refused(
            f"not governed here: {', '.join(missing)}",
            next_step="another extension or a setting replaced it; remove that, then start the server again",
        )


def _presets_provisioner(manager: Any) -> bool:
    """jupyter_client uses a provisioner that a KernelManager class brings along, and never asks the factory."""
    return getattr(import_item(manager.kernel_manager_class), "provisioner", None) is not None
