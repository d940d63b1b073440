"""What a reviewer reads over HTTP: their desk, and one submission with what was said of it. Decisions are made elsewhere."""

# jupyter_server is partly untyped
# mypy: disable-error-code="untyped-decorator, no-untyped-call"
from __future__ import annotations

import contextlib
import json
import os
from html import escape
from typing import Any, Literal

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_guardrails.control.interface.decisions import ReviewsOverview, SubmissionDecisions, SubmissionEvidence
from jupyter_guardrails.control.interface.messages import RequestsList, SubmissionPackage
from jupyter_guardrails.control.interface.publishing import PublicationsList
from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.kernels.context import GovernedContext
from jupyter_guardrails.review import page
from jupyter_guardrails.server import packages_read
from jupyter_guardrails.server.api import GuardrailsHandler
from jupyter_guardrails.server.explain import behind
from jupyter_guardrails.server.parse import Strict, query_as

HTML = "text/html; charset=utf-8"
NO_PACKAGE: dict[str, Any] = {"before": None, "data": [], "cost": None, "cost_before": None}  # of a draft, and of what failed its checks


class ReviewsHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("read", resource="guardrails")
    async def get(self) -> None:
        """All that waits for this person's word: jobs, published data, requests; and what they decided lately."""
        await self.follow()
        desk = await self.context.call(ReviewsOverview())
        published = await self.context.call(PublicationsList(review=True))
        asked = (await self.context.call(RequestsList()))["requests"]
        requests = [one for one in asked if one["state"] == "open" and one["person"] != desk["person"]]
        await self.finish(json.dumps(desk | {"publications": published["publications"], "requests": requests}))


class ReviewHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("read", resource="guardrails")
    async def get(self, identity: str) -> None:
        """One submission for its reviewer; NotFound for who may not look at it, as on the command line."""
        found = await self.context.call(SubmissionDecisions(id=identity))
        said = await self.context.call(SubmissionEvidence(id=identity)) if found["submission"]["package"] else NO_PACKAGE
        await self.finish(json.dumps(found | said))


class ReviewContentHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("read", resource="guardrails")
    async def get(self, identity: str) -> None:
        """What changed since the version that was approved last, what it reads and what it makes."""
        before = (await self.context.call(SubmissionEvidence(id=identity)))["before"]
        packages = await packages_of(self.context, identity, *([before["id"]] if before else ()))
        await self.finish(b"".join([chunk async for chunk in packages_read.read("changes", packages)]))


class ThemeQuery(Strict):
    """How the page is coloured."""

    theme: Literal["light", "dark"] = "light"


class CleanRunHandler(GuardrailsHandler):
    """A page for a frame: what an author's cells left is shown as text and pictures, and nothing of it runs."""

    @property
    def content_security_policy(self) -> str:
        """Called by jupyter_server for each answer."""
        return page.FRAME_CSP

    @web.authenticated
    @authorized("read", resource="guardrails")
    async def get(self, identity: str) -> None:
        """The rendered clean run, passed on as its worker writes it."""
        theme = query_as(self, ThemeQuery).theme
        packages = await packages_of(self.context, identity)
        self.set_header("Cache-Control", "no-store")
        async with contextlib.aclosing(packages_read.read(theme, packages)) as chunks:
            async for chunk in chunks:
                self.set_header("Content-Type", HTML)
                self.write(chunk)
                await self.flush()
        await self.finish(set_content_type=HTML)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Called by tornado: a frame shows a page, also where it can't be had."""
        error = behind(kwargs["exc_info"][1]) if "exc_info" in kwargs else None
        said = error or GuardrailsError("the clean run could not be read", next_step="see the server's log")
        self.set_status(error.status if error else status_code)
        body = f"<h1>{escape(said.message)}</h1><p>{escape(said.next_step)}</p><p class=muted>{escape(said.rule)}</p>"
        self.finish(page.document("Not shown", body), set_content_type=HTML)


async def packages_of(context: GovernedContext, *submissions: str) -> list[packages_read.Package]:
    """The packages of these submissions as control has opened them; none stays open where one can't be had."""
    found: list[packages_read.Package] = []
    try:
        for id in submissions:
            said, fds = await context.call_with_fds(SubmissionPackage(id=id))
            found.append((fds[0], said["content_digest"]))
    except GuardrailsError:
        for fd, _ in found:
            os.close(fd)
        raise
    return found
