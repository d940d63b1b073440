"""Jupyter's own routes that start something, unchanged but for their refusals."""

# jupyter_server is partly untyped
# mypy: disable-error-code="untyped-decorator, no-untyped-call"
from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from jupyter_server.services.kernels.handlers import KernelActionHandler, MainKernelHandler
from jupyter_server.services.sessions.handlers import SessionHandler, SessionRootHandler
from jupyter_server_terminals.api_handlers import TerminalRootHandler
from pydantic import BaseModel, ConfigDict
from tornado import web

from jupyter_guardrails import errors
from jupyter_guardrails.server.explain import ExplainingStart
from jupyter_guardrails.server.guards import scheduled_past_the_policy
from jupyter_guardrails.server.parse import body_as
from jupyter_guardrails.server.terminals import GuardedTerminalManager


class StartKernel(ExplainingStart, MainKernelHandler):
    """POST api/kernels."""


class KernelAction(ExplainingStart, KernelActionHandler):
    """POST api/kernels/{id}/restart."""


class StartSession(ExplainingStart, SessionRootHandler):
    """POST api/sessions: a notebook and its kernel."""


class ChangeSession(ExplainingStart, SessionHandler):
    """PATCH api/sessions/{id}: another kernel for a notebook."""


class NewTerminal(BaseModel):
    """What JupyterLab sends; `name` is ignored, names are given in order."""

    model_config = ConfigDict(extra="ignore")
    cwd: str | None = None


class StartTerminal(ExplainingStart, TerminalRootHandler):
    """POST api/terminals."""

    @web.authenticated
    @authorized("write", resource="terminals")
    async def post(self) -> None:
        """Start a shell in the terminal profile's sandbox."""
        wanted = body_as(self, NewTerminal, optional=True)
        terminals = self.settings.get("terminal_manager")
        if terminals is None:
            raise errors.NotFound(
                "this server has no terminals: its extension for them is not enabled",
                next_step="`jupyter server extension enable --sys-prefix jupyter_server_terminals`, then start the server again",
            )
        assert isinstance(terminals, GuardedTerminalManager)
        await self.finish(await terminals.start(wanted.cwd))


class ScheduleJob(ExplainingStart):
    """Everything below scheduler/: jupyter-scheduler runs notebooks in processes of its own, whose kernels no provisioner of ours starts."""

    @web.authenticated
    @authorized("read", resource="guardrails")
    async def get(self) -> None:
        """Refused."""
        raise scheduled_past_the_policy()

    @web.authenticated
    @authorized("write", resource="guardrails")
    async def post(self) -> None:
        """Refused."""
        raise scheduled_past_the_policy()

    @web.authenticated
    @authorized("write", resource="guardrails")
    async def patch(self) -> None:
        """Refused."""
        raise scheduled_past_the_policy()

    @web.authenticated
    @authorized("write", resource="guardrails")
    async def delete(self) -> None:
        """Refused."""
        raise scheduled_past_the_policy()


ROUTES: tuple[tuple[str, type[ExplainingStart], dict[str, str]], ...] = (
    (r"/api/kernels", StartKernel, {}),
    (r"/api/kernels/(?P<kernel_id>\w+-\w+-\w+-\w+-\w+)/(?P<action>restart|interrupt)", KernelAction, {}),
    (r"/api/sessions", StartSession, {}),
    (r"/api/sessions/(?P<session_id>\w+-\w+-\w+-\w+-\w+)", ChangeSession, {}),
    (r"/api/terminals", StartTerminal, {"name": "jupyter_server_terminals"}),
    (r"/scheduler/.*", ScheduleJob, {}),
)
