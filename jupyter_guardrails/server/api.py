"""What every handler of the HTTP API is: control's answers as responses, refusals as sentences."""

from __future__ import annotations

import json

from jupyter_guardrails import errors
from jupyter_guardrails.control.interface.messages import Request
from jupyter_guardrails.kernels.context import GovernedContext
from jupyter_guardrails.server.explain import ExplainingHandler


class GuardrailsHandler(ExplainingHandler):
    """Base of our handlers; each method names its own authentication and authorization (left out, jupyter_server caches the first request's)."""

    def initialize(self, context: GovernedContext) -> None:
        """Called by tornado with the route's arguments."""
        self.context = context

    async def answer(self, request: Request, *, status: int = 200) -> None:
        """Control's answer as the response."""
        result = await self.context.call(request)
        self.set_status(status)
        await self.finish(json.dumps(result))

    async def follow(self) -> None:
        """Called before what others change, too, is read: from now on the person's browser hears of that."""
        await self.settings["guardrails_changes"].looked()


def decided_outside(command: str) -> errors.Refused:
    """Why no decision is made from this origin: code in a notebook that a person trusted acts here as that person."""
    return errors.Refused(
        "decisions are not made from JupyterLab: any notebook that is open and trusted here could send one in your name",
        next_step=f"in a shell outside of JupyterLab: {command.encode('ascii', 'replace').decode()[:300]}",
        rule="built-in decisions-are-made-outside",
    )
