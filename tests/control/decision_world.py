"""A world of people with duties: ana submits and asks, dana owns data, rita and ron review jobs, stella decides requests, carol is an admin."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import replace
from typing import Any

import nbformat
from data_world import DataWorld
from nbformat.v4 import new_code_cell, new_notebook

from jupyter_guardrails.catalog.labels import Input, label_of
from jupyter_guardrails.control import lifecycle
from jupyter_guardrails.control import packages as packages_of
from jupyter_guardrails.control.interface.decisions import SubmissionDecide
from jupyter_guardrails.control.interface.jobs import DeclaredInput
from jupyter_guardrails.control.service import OPERATIONS
from jupyter_guardrails.package import manifest
from jupyter_guardrails.package.job import Job
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

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.uids: dict[str, int] = {}

    def state(self, person: str = "ana") -> Any:
        state = super().state(person)
        self._state.settings = state.settings = replace(state.settings, service=self.service)  # type: ignore[union-attr]
        return replace(state, peer_uid=self.uid(person))

    def ask(self, person: str, request: Any) -> Any:
        """The answer, or the error."""
        return asyncio.run(OPERATIONS[type(request)](self.state(person), request, []))

    def submission(self, id: str = "s1", *, person: str = "ana", state: str = "in_review", draft: bool = False, **package: Any) -> dict:
        """A submission as it is when its checks have ended, with its package as control keeps and signs it (`package`: see there)."""
        said = {"notebook": "report.ipynb", "name": "report", "frozen": "", "notebook_digest": "d", "parameters": {}, "reason": ""}
        write = self.records.write_sync
        row = write(submissions.create, now=self.now, id=id, key=id, draft=draft, principal=person, uid=self.uid(person), **said)
        write(submissions.transition, id, "checking", now=self.now, actor=person)
        if draft or state == "checking":
            return self.row(id)
        kept = self.package(row, **package)
        digests = {"content_digest": kept.digests.content, "evidence_digest": kept.digests.evidence}
        write(submissions.set_package, id, name=kept.name, path=str(kept.path), now=self.now, **digests)
        write(lifecycle.moved, self.state(person), id, state, now=self.now, actor=person)
        return self.row(id)

    def package(
        self,
        row: dict[str, Any],
        *,
        packages: tuple = ("pandas",),
        data: tuple = (),
        code: str = "",
        outputs: tuple = (),
        texts: Any = None,
        **more: Any,
    ) -> packages_of.Kept:
        """The kept package: its lock names these Python packages, it reads this data (`DeclaredInput`s, or names of it), and says `more`.

        `outputs`: of its only cell in the clean run; `texts`: further files of it.
        """
        folder = self.root / "built" / row["id"]
        read = [entry if isinstance(entry, DeclaredInput) else DeclaredInput(name=entry, version="1.2.0") for entry in data]
        job = {"name": row["name"], "entry": "report.ipynb", "owner": row["principal"], "parameters": {"json_schema": {}}, "policy_digest": ""}
        job |= {"python": {"version": "3.11", "implementation": "cpython", "system": "linux", "machine": "x86_64"}}
        job |= {"resources": {"memory_bytes": 1, "cpus": 1, "tasks": 1, "wall_s": 1}, "inputs": [entry.model_dump() for entry in read]}
        job |= {"outputs": more.pop("outputs_of_job", [])} | more
        code = code or f"print('{row['id']}')"
        cell, ran = new_code_cell(code, id="a"), new_code_cell(code, id="a", outputs=list(outputs))
        files = {"src/report.ipynb": nbformat.writes(new_notebook(cells=[cell])), "job.json": Job.model_validate(job).to_text()}
        files |= {"env/pylock.kernel.toml": "".join(f'[[packages]]\nname = "{name}"\nversion = "1.0"\n' for name in packages)}
        files |= {"env/pylock.runner.toml": "", "run.py": "", "evidence/checks.json": json.dumps({"of": row["id"]})}
        files |= {"evidence/executed.ipynb": nbformat.writes(new_notebook(cells=[ran]))} | (texts or {})
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        manifest.write_manifest(folder)
        contracts = self.state().catalogs.current.by_name
        labels = [Input(entry.name, entry.version, contracts[entry.name].classification if entry.name in contracts else "") for entry in read]
        said = packages_of.Data(label_of(labels), read)
        return packages_of.keep(folder, row, self.state().settings.state_dir, now=self.now, service=self.service, data=said)

    def decision(self, word: str = "approve", words: str = "looked at all of it", id: str = "s1", **changes: Any) -> SubmissionDecide:
        """A decision about a submission as it is now."""
        row = self.row(id)
        digests = {key: row[key] or digest("nothing yet") for key in ("content_digest", "evidence_digest")}
        return SubmissionDecide(id=id, decision=word, words=words, **digests | changes)

    def uid(self, person: str) -> int:
        """Each person has an account of their own; `uids` says otherwise."""
        return self.uids.setdefault(person, 50_000 + len(self.uids))

    def row(self, id: str = "s1") -> dict[str, Any]:
        """A submission's row."""
        return self.records.read_sync(submissions.get, id)


def digest(text: str) -> str:
    """A digest of something."""
    return hashlib.sha256(text.encode()).hexdigest()
