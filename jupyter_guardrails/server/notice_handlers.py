"""What a person does about a notice, over HTTP: keep an idle kernel, stop one after saving, ask for more of a limit."""

# jupyter_server is partly untyped
# mypy: disable-error-code="untyped-decorator, no-untyped-call"
from __future__ import annotations

import json
from datetime import datetime
from typing import Literal

from jupyter_server.auth.decorator import authorized
from pydantic import AwareDatetime, Field
from tornado import web

from jupyter_guardrails import errors
from jupyter_guardrails.control.interface.notices import KernelKeep, KernelStopping, MoreAsk
from jupyter_guardrails.server.api import GuardrailsHandler
from jupyter_guardrails.server.parse import Strict, body_as

STOPPED = "this kernel was stopped by you"


class KeepHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("write", resource="guardrails")
    async def post(self, kernel_id: str) -> None:
        """An idle kernel is still needed: its idle time begins again."""
        body_as(self, Strict, optional=True)
        kept = await self.context.call(KernelKeep(kernel=kernel_id))
        self.context.watch.keep(kernel_id)
        await self.finish(json.dumps(kept))


class StopHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("write", resource="guardrails")
    async def post(self, kernel_id: str) -> None:
        """End a kernel or terminal of this server, with that as the reason; whoever asks has saved before."""
        body_as(self, Strict, optional=True)
        if not self.context.watch.watches(kernel_id):
            raise errors.NotFound("no such kernel or terminal runs in this server", next_step="see what runs: `GET guardrails/kernels`, or the panel")
        stopped = await self.context.call(KernelStopping(kernel=kernel_id))
        await self.context.watch.stop(kernel_id, STOPPED)
        await self.finish(json.dumps(stopped | {"reason": STOPPED}))


class NewMore(Strict):
    """NewMore of openapi.yaml."""

    kind: Literal["more"]
    resource: str = Field(max_length=200)
    amount: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    until: str = Field(max_length=40)
    purpose: str = Field(min_length=3, max_length=2000)

    def request(self) -> MoreAsk:
        """What control is asked; BadRequest where `until` is no time with a zone."""
        return MoreAsk(resource=self.resource, amount=self.amount, until=_time(self.until), purpose=self.purpose)


def _time(text: str) -> AwareDatetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise errors.BadRequest("`until` must be a time with its zone", next_step="write it like 2026-01-31T18:00:00Z")
    return found
