"""Data that people publish, over HTTP: one's own, what waits for one's word, a file brought along. Decisions are made elsewhere."""

# jupyter_server is partly untyped
# mypy: disable-error-code="untyped-decorator, no-untyped-call"
from __future__ import annotations

import asyncio
import json
import os
import shlex
from pathlib import PurePath
from typing import Literal

from jupyter_server.auth.decorator import authorized
from pydantic import Field
from tornado import web

from jupyter_guardrails.control.interface.content import open_file
from jupyter_guardrails.control.interface.publishing import (
    DataImport,
    PublicationDiscard,
    PublicationShow,
    PublicationsList,
    PublicationSubmit,
    format_of,
)
from jupyter_guardrails.server.api import GuardrailsHandler, decided_outside
from jupyter_guardrails.server.parse import Strict, body_as

DIGITS = 12  # of a digest that name one on the command line


class NewPublication(Strict):
    """NewPublication of openapi.yaml."""

    file: str = Field(min_length=1, max_length=1000)
    name: str = Field(max_length=200)
    description: str = Field(max_length=4000)


class PublicationsHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("read", resource="guardrails")
    async def get(self) -> None:
        """Own publications, those that wait for one's word, and what one may do."""
        own = await self.context.call(PublicationsList())
        waiting = await self.context.call(PublicationsList(review=True))
        await self.finish(json.dumps(own | {"to_review": waiting["publications"]}))

    @web.authenticated
    @authorized("write", resource="guardrails")
    async def post(self) -> None:
        """Bring a file of the workspace along: private, until it is proposed."""
        wanted = body_as(self, NewPublication)
        fd = await asyncio.to_thread(open_file, self.context.workspace, wanted.file)  # a file system may be slow
        try:
            request = DataImport(name=wanted.name, description=wanted.description, format=format_of(PurePath(wanted.file))[:20])
            made = await self.context.call(request, fds=[fd])
        finally:
            os.close(fd)
        self.set_status(201)
        await self.finish(json.dumps(made))


class PublicationHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("read", resource="guardrails")
    async def get(self, name: str) -> None:
        """The newest version that one may know of."""
        await self.answer(PublicationShow(name=name))


class Proposal(Strict):
    """Proposal of openapi.yaml."""

    group: str = Field(min_length=1, max_length=128)


class ProposeHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("write", resource="guardrails")
    async def post(self, name: str) -> None:
        """Ask another person to look at it for a group; where nobody would look, it is refused."""
        await self.answer(PublicationSubmit(name=name, group=body_as(self, Proposal).group))


class Withdrawal(Strict):
    """Withdrawal of openapi.yaml."""

    reason: str = Field(default="", max_length=2000)


class WithdrawHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("write", resource="guardrails")
    async def post(self, name: str) -> None:
        """Take an own publication back that its group can't read yet; once they do, that is a decision."""
        await self.answer(PublicationDiscard(name=name, reason=body_as(self, Withdrawal, optional=True).reason))


class PublicationDecision(Strict):
    """PublicationDecision of openapi.yaml."""

    decision: Literal["approve", "send_back"]
    digest: str = Field(pattern="^[0-9a-f]{64}$")
    reason: str = Field(default="", max_length=2000)


class PublicationDecisionHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("write", resource="guardrails")
    async def post(self, name: str) -> None:
        """Always refused, with the command that decides."""
        said = body_as(self, PublicationDecision)
        raise decided_outside(f"jupyter guardrails data {said.decision.replace('_', '-')} {shlex.quote(name)} --digest {said.digest[:DIGITS]}")
