"""What became of a submission, over HTTP: what its reviewers said, and what it does in production. Decisions are made elsewhere."""

# jupyter_server is partly untyped
# mypy: disable-error-code="untyped-decorator, no-untyped-call"
from __future__ import annotations

import json

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_guardrails.control.interface.decisions import SubmissionDecisions
from jupyter_guardrails.control.interface.deployments import DeploymentsList
from jupyter_guardrails.server.api import GuardrailsHandler

COUNTS = ("decisions", "approvals", "needed", "missing", "objections")


class ProductionHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("read", resource="guardrails")
    async def get(self, identity: str) -> None:
        """The words of its reviewers, and its deployments with their last runs."""
        reviewed = await self.context.call(SubmissionDecisions(id=identity))
        known = await self.context.call(DeploymentsList())
        mine = [one for one in known["deployments"] if one["submission"] == identity]
        await self.finish(json.dumps({key: reviewed[key] for key in COUNTS} | {"deployments": mine}))
