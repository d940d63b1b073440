"""A world of people with duties: ana submits and asks, dana owns data, rita and ron review jobs, stella decides requests, carol is an admin."""

from __future__ import annotations

import asyncio
import hashlib
import zipfile
from dataclasses import replace
from typing import Any

from data_world import DataWorld

from jupyter_guardrails.control.service import OPERATIONS
from jupyter_guardrails.records import submissions

POLICY = """\
apiVersion: guardrails/v1
mode: enforce
admins: {users: [carol]}
groups: {analysts: [ana, ben]}
profiles:
  small: {memory: 1GiB}
  large: {memory: 4GiB}
rules:
  - name: everyone
    for: everyone
    kernels: {profiles: [small], max: 3}
    data: {read: ["nyc/*"]}
  - name: analysts
    for: {groups: [analysts]}
    data: {request: ["hr/*"]}
  - name: restricted-stays-shut
    for: everyone
    deny: {data: [{classification: restricted}]}
data: {reviewers: {users: [stella], owner: true}}
promotion: {reviewers: {users: [rita, ron, ana]}, approvals: 2}
"""


class DecisionWorld(DataWorld):
    """`ask(person, request)` is what control answers to that person; `service` says whether control has an account of its own."""

    service = True

    def state(self, person: str = "ana") -> Any:
        state = super().state(person)
        self._state.settings = state.settings = replace(state.settings, service=self.service)  # type: ignore[union-attr]
        return state

    def ask(self, person: str, request: Any) -> Any:
        """The answer, or the error."""
        return asyncio.run(OPERATIONS[type(request)](self.state(person), request, []))

    def submission(
        self, id: str = "s1", *, person: str = "ana", state: str = "in_review", draft: bool = False, packages: tuple = ("pandas",)
    ) -> dict:
        """A submission as it is when its checks have ended, with a package whose lock names these Python packages."""
        path = self.root / f"{id}.job.zip"
        with zipfile.ZipFile(path, "w") as zipped:
            zipped.writestr("env/pylock.kernel.toml", "".join(f'[[packages]]\nname = "{name}"\n' for name in packages))
        said = {"notebook": "report.ipynb", "name": "report", "frozen": "", "notebook_digest": "d", "parameters": {}, "reason": ""}
        write = self.records.write_sync
        write(submissions.create, now=self.now, id=id, key=id, draft=draft, principal=person, **said)
        write(submissions.transition, id, "checking", now=self.now, actor=person)
        if draft or state == "checking":
            return self.row(id)
        digests = {"content_digest": digest(f"{id} content"), "evidence_digest": digest(f"{id} evidence")}
        write(submissions.set_package, id, name=path.name, path=str(path), now=self.now, **digests)
        write(submissions.transition, id, state, now=self.now, actor=person)
        return self.row(id)

    def row(self, id: str = "s1") -> dict[str, Any]:
        """A submission's row."""
        return self.records.read_sync(submissions.get, id)


def digest(text: str) -> str:
    """A digest of something."""
    return hashlib.sha256(text.encode()).hexdigest()
