"""The HTTP API of openapi.yaml: parse, ask control, answer. Control's answers have the file's shapes already."""

# jupyter_server is partly untyped
# mypy: disable-error-code="untyped-decorator, no-untyped-call"
from __future__ import annotations

import asyncio
import json
import os
import uuid
from typing import Annotated, Any, Literal

from jupyter_server.auth.decorator import authorized
from pydantic import BeforeValidator, Field
from tornado import web

from jupyter_guardrails import __version__, errors
from jupyter_guardrails.control.interface import messages
from jupyter_guardrails.control.interface.auditing import AuditFind
from jupyter_guardrails.control.interface.lifecycle import SubmissionWithdraw
from jupyter_guardrails.control.interface.sharing import SubmissionShare
from jupyter_guardrails.control.interface.usage import DAY_S, HOUR_S, LONGEST_S, KernelHistory, Usage
from jupyter_guardrails.policy.quantities import parse_duration
from jupyter_guardrails.server.api import GuardrailsHandler, decided_outside
from jupyter_guardrails.server.live import with_live_use
from jupyter_guardrails.server.notice_handlers import KeepHandler, NewMore, StopHandler
from jupyter_guardrails.server.package_handlers import NewPackage
from jupyter_guardrails.server.parse import Strict, body_as, kind_of, query_as
from jupyter_guardrails.server.production_handlers import ProductionHandler
from jupyter_guardrails.server.publication_handlers import (
    ProposeHandler,
    PublicationDecisionHandler,
    PublicationHandler,
    PublicationsHandler,
    WithdrawHandler,
)
from jupyter_guardrails.server.reopen_handlers import ReopenHandler
from jupyter_guardrails.server.review_handlers import CleanRunHandler, ReviewContentHandler, ReviewHandler, ReviewsHandler
from jupyter_guardrails.server.room import with_room, workspace

CHUNK_BYTES = 1 << 20
MAX_KEY = 200


class MeQuery(Strict):
    """Which notebook is in front."""

    notebook: str | None = Field(default=None, max_length=4096)


class MeHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("read", resource="guardrails")
    async def get(self) -> None:
        """Person, effective policy, what is enforced here."""
        found = await self.context.call(messages.Me(notebook=query_as(self, MeQuery).notebook))
        await self.finish(json.dumps(with_room(found, await self.context.know_room()) | {"version": __version__}))


class KernelsHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("read", resource="guardrails")
    async def get(self) -> None:
        """Running kernels with live use."""
        known = await self.context.call(messages.Kernels())
        live = with_live_use(known, self.context.watch.samples())
        await self.finish(json.dumps(live | {"workspace": workspace(await self.context.know_room())}))


class ProfileChoice(Strict):
    """ProfileChoice of openapi.yaml."""

    profile: str | None
    notebook: str | None = None


class ProfileHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("write", resource="guardrails")
    async def put(self) -> None:
        """Choose the profile for the next start; null: as if none had been chosen there."""
        chosen = body_as(self, ProfileChoice)
        await self.answer(messages.ProfileSet(profile=chosen.profile, notebook=chosen.notebook))


class BudgetHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("read", resource="guardrails")
    async def get(self) -> None:
        """Own budget and its use."""
        await self.answer(messages.Budget())


class UsageQuery(Strict):
    """Since when, and by what."""

    since: Annotated[int, BeforeValidator(parse_duration), Field(ge=HOUR_S, le=LONGEST_S)] = 30 * DAY_S
    by: Literal["person", "day", "profile", "notebook", "kernelspec"] = "person"


class UsageHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("read", resource="guardrails")
    async def get(self) -> None:
        """Own use; everybody's for admins."""
        query = query_as(self, UsageQuery)
        await self.answer(Usage(since_s=query.since, by=query.by))


class HistoryHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("read", resource="guardrails")
    async def get(self, kernel_id: str) -> None:
        """How processor and memory of one kernel went."""
        await self.answer(KernelHistory(kernel_id=kernel_id))


class DatasetQuery(Strict):
    """What to search for."""

    q: str = Field(default="", max_length=200)
    scope: Literal["all", "granted", "requestable"] = "all"
    order: Literal["name", "usable"] = "name"
    limit: int = Field(default=200, ge=1, le=1000)
    offset: int = Field(default=0, ge=0, le=1_000_000)


class DatasetsHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("read", resource="guardrails")
    async def get(self) -> None:
        """Search datasets."""
        query = query_as(self, DatasetQuery)
        await self.answer(messages.DatasetsSearch(**query.model_dump()))


class DatasetHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("read", resource="guardrails")
    async def get(self, name: str) -> None:
        """One dataset."""
        await self.answer(messages.DatasetShow(name=name))


class NewRequest(Strict):
    """NewRequest of openapi.yaml."""

    kind: Literal["access"] = "access"
    dataset: str
    purpose: str = Field(min_length=3, max_length=2000)
    days: int = Field(default=30, ge=1, le=365)


ASKED: dict[str, type[NewMore] | type[NewPackage]] = {"more": NewMore, "package": NewPackage}


class RequestsHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("read", resource="guardrails")
    async def get(self) -> None:
        """Own requests, and those that one may decide."""
        await self.follow()
        await self.answer(messages.RequestsList())

    @web.authenticated
    @authorized("write", resource="guardrails")
    async def post(self) -> None:
        """Ask for access to a dataset, for more of a limit for a while, or for a Python package."""
        if asked := ASKED.get(str(kind_of(self))):
            await self.answer(body_as(self, asked).request(), status=201)
        else:
            wanted = body_as(self, NewRequest)
            await self.answer(messages.RequestCreate(**wanted.model_dump()), status=201)


class RequestDecisionHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("write", resource="guardrails")
    async def post(self, identity: str) -> None:
        """Always refused, with the command that decides."""
        body_as(self, RequestDecision)
        raise decided_outside(f"jupyter guardrails data grant {identity}")


class NewSubmission(Strict):
    """NewSubmission of openapi.yaml."""

    notebook: str
    draft: bool = False
    sample_s: int | None = Field(default=None, ge=1, le=3600)
    sample_rows: int | None = Field(default=None, ge=1, le=1_000_000)
    reason: str = Field(default="", max_length=2000)
    parameters: dict[str, Any] = Field(default_factory=dict)
    details: messages.Details = messages.Details()


class SubmissionsQuery(Strict):
    """Which ones, and how many."""

    q: str = Field(default="", max_length=200)
    limit: int = Field(default=50, ge=1, le=1000)


class SubmissionsHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("read", resource="guardrails")
    async def get(self) -> None:
        """Own submissions, newest first."""
        query = query_as(self, SubmissionsQuery)
        await self.follow()
        await self.answer(messages.SubmissionsList(words=query.q, limit=query.limit))

    @web.authenticated
    @authorized("write", resource="guardrails")
    async def post(self) -> None:
        """Submit a notebook for production."""
        wanted = body_as(self, NewSubmission)
        request = messages.SubmissionCreate(**wanted.model_dump(), workspace=str(self.context.workspace), key=key_of(self))
        result = await asyncio.to_thread(self.context.control.submit, request)
        self.set_status(202)
        await self.finish(json.dumps(result))


class SubmissionHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("read", resource="guardrails")
    async def get(self, identity: str) -> None:
        """One submission with its checks."""
        await self.answer(messages.SubmissionShow(id=identity))


class PackageHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("read", resource="guardrails")
    async def get(self, identity: str) -> None:
        """The package's zip, from the descriptor that control opened."""
        found, fds = await self.context.call_with_fds(messages.SubmissionPackage(id=identity))
        with os.fdopen(fds[0], "rb") as package:
            self.set_header("Content-Disposition", f'attachment; filename="{found["name"]}"')
            self.set_header("Content-Length", str(found["size_bytes"]))
            self.set_header("Content-Type", "application/zip")
            while chunk := package.read(CHUNK_BYTES):
                self.write(chunk)
                await self.flush()
        await self.finish(set_content_type="application/zip")


class CancelHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("write", resource="guardrails")
    async def post(self, identity: str) -> None:
        """End a submission that is being checked."""
        body_as(self, Strict, optional=True)
        await self.answer(messages.SubmissionCancel(id=identity))


class SubmissionWithdrawHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("write", resource="guardrails")
    async def post(self, identity: str) -> None:
        """Take it back: nobody decides about it any more."""
        body_as(self, Strict, optional=True)
        await self.answer(SubmissionWithdraw(id=identity))


class ShareBody(Strict):
    """Whether reviewers may look."""

    shared: bool = True


class ShareHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("write", resource="guardrails")
    async def post(self, identity: str) -> None:
        """Show a draft to reviewers, or no longer."""
        wanted = body_as(self, ShareBody, optional=True)
        await self.answer(SubmissionShare(id=identity, shared=wanted.shared))


class SubmissionDecisionHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("write", resource="guardrails")
    async def post(self, identity: str) -> None:
        """Always refused, with the command that decides."""
        body_as(self, SubmissionDecision)
        raise decided_outside(f"jupyter guardrails job approve {identity}")


class AuditQuery(Strict):
    """After which sequence number, or the last ones; of one action, where it is named."""

    after: int = Field(default=0, ge=0, lt=1 << 63)
    last: int | None = Field(default=None, ge=1, le=200)
    action: str | None = Field(default=None, max_length=100)


class AuditHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("read", resource="guardrails")
    async def get(self) -> None:
        """Audit records after a sequence number, or the last ones."""
        query = query_as(self, AuditQuery)
        actions = [query.action] if query.action else []
        await self.answer(AuditFind(after=query.after, limit=query.last or 200, last=query.last is not None, actions=actions))


class RequestDecision(Strict):
    """RequestDecision of openapi.yaml."""

    decision: Literal["grant", "refuse"]
    reason: str = Field(default="", max_length=2000)
    days: int | None = Field(default=None, ge=1, le=365)


class SubmissionDecision(Strict):
    """SubmissionDecision of openapi.yaml."""

    decision: Literal["approve", "send_back", "reject"]
    words: str = Field(default="", max_length=4000)
    content_digest: str
    evidence_digest: str


def key_of(handler: web.RequestHandler) -> str:
    """The Idempotency-Key header, which makes a repeated submission the same one; a fresh key without it."""
    key = handler.request.headers.get("Idempotency-Key") or uuid.uuid4().hex
    if len(key) > MAX_KEY:
        raise errors.BadRequest(f"the Idempotency-Key header is longer than {MAX_KEY} characters")
    return key


ROUTES: tuple[tuple[str, type[GuardrailsHandler]], ...] = (
    ("/guardrails/me", MeHandler),
    ("/guardrails/kernels", KernelsHandler),
    ("/guardrails/kernels/([^/]+)/keep", KeepHandler),
    ("/guardrails/kernels/([^/]+)/stop", StopHandler),
    ("/guardrails/kernels/([^/]+)/history", HistoryHandler),
    ("/guardrails/profile", ProfileHandler),
    ("/guardrails/budget", BudgetHandler),
    ("/guardrails/usage", UsageHandler),
    ("/guardrails/datasets", DatasetsHandler),
    ("/guardrails/datasets/([^/]+)", DatasetHandler),
    ("/guardrails/requests", RequestsHandler),
    ("/guardrails/requests/([^/]+)/decision", RequestDecisionHandler),
    ("/guardrails/publications", PublicationsHandler),
    ("/guardrails/publications/([^/]+)", PublicationHandler),
    ("/guardrails/publications/([^/]+)/propose", ProposeHandler),
    ("/guardrails/publications/([^/]+)/withdraw", WithdrawHandler),
    ("/guardrails/publications/([^/]+)/decision", PublicationDecisionHandler),
    ("/guardrails/submissions", SubmissionsHandler),
    ("/guardrails/submissions/([^/]+)", SubmissionHandler),
    ("/guardrails/submissions/([^/]+)/package", PackageHandler),
    ("/guardrails/submissions/([^/]+)/cancel", CancelHandler),
    ("/guardrails/submissions/([^/]+)/withdraw", SubmissionWithdrawHandler),
    ("/guardrails/submissions/([^/]+)/production", ProductionHandler),
    ("/guardrails/submissions/([^/]+)/reopen", ReopenHandler),
    ("/guardrails/submissions/([^/]+)/share", ShareHandler),
    ("/guardrails/submissions/([^/]+)/decision", SubmissionDecisionHandler),
    ("/guardrails/reviews", ReviewsHandler),
    ("/guardrails/reviews/([^/]+)", ReviewHandler),
    ("/guardrails/reviews/([^/]+)/content", ReviewContentHandler),
    ("/guardrails/reviews/([^/]+)/clean-run", CleanRunHandler),
    ("/guardrails/audit", AuditHandler),
)
