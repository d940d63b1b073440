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

from jupyter_guardrails.server.explain import ExplainingStart
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
        terminals = self.terminal_manager
        assert isinstance(terminals, GuardedTerminalManager)
        await self.finish(await terminals.start(wanted.cwd))


ROUTES: tuple[tuple[str, type[ExplainingStart], dict[str, str]], ...] = (
    (r"/api/kernels", StartKernel, {}),
    (r"/api/kernels/(?P<kernel_id>\w+-\w+-\w+-\w+-\w+)/(?P<action>restart|interrupt)", KernelAction, {}),
    (r"/api/sessions", StartSession, {}),
    (r"/api/sessions/(?P<session_id>\w+-\w+-\w+-\w+-\w+)", ChangeSession, {}),
    (r"/api/terminals", StartTerminal, {"name": "jupyter_server_terminals"}),
)
