"""A world in which ana publishes: dana owns the catalogue, carol is an admin, ben is in the team, erin is not, uma brings files along."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from pathlib import Path
from typing import Any

from decision_world import DecisionWorld

from jupyter_guardrails.control import channel_operations, channel_publishing
from jupyter_guardrails.control.channel_operations import Name, Open
from jupyter_guardrails.control.interface.publishing import PublicationDecide, PublicationPropose, PublicationShow
from jupyter_guardrails.records import requests

POLICY = """\
apiVersion: guardrails/v1
mode: enforce
admins: {users: [carol]}
groups: {team: [ana, ben], leads: [lea], uploaders: [ana, uma]}
rules:
  - name: everyone
    for: everyone
    data: {read: ["nyc/*"], request: ["hr/*", "fin/*"]}
  - name: team-publishes
    for: {groups: [team]}
    publish: {to: [team, leads]}
  - name: leads-publish-at-once
    for: {groups: [leads]}
    publish: {to: [team], review: false}
  - name: uploads
    for: {groups: [uploaders]}
    uploads: {max_size: 1MiB, label: internal, types: [csv, parquet]}
  - name: restricted-stays-shut
    for: everyone
    deny: {data: [{classification: restricted}]}
data: {reviewers: {owner: true}}
"""
CSV = b"customer,score\n1,0.5\n2,0.25\n"


class PublishingWorld(DecisionWorld):
    """`publish` hands a file over on a kernel's channel; `carry` gives a dataset to a kernel before."""

    def __init__(self, root: Path, policy: str = POLICY) -> None:
        super().__init__(root, policy)
        self.dataset("nyc/flights", "public")
        self.dataset("hr/headcount", "confidential")

    def in_workspace(self, person: str = "ana", workspace: str = "/w/{person}", **kernel: Any) -> Any:
        """A live kernel of somebody's workspace."""
        return dataclasses.replace(self.kernel(person, **kernel), workspace=workspace.format(person=person))

    def grant(self, name: str = "hr/headcount", person: str = "ana", days: int = 5) -> None:
        """By its owner, for some days."""
        id = f"r-{name}-{person}"
        self.records.write_sync(requests.create, now=self.now, id=id, principal=person, dataset=name, purpose="a study", days=days)
        self.records.write_sync(requests.decide, id, "granted", now=self.now, actor="dana", reason="fine")

    def carry(self, name: str = "hr/headcount", person: str = "ana", **kernel: Any) -> None:
        """Somebody's kernel reads a dataset that its owner granted."""
        self.grant(name, person)
        asyncio.run(channel_operations.path(self.state(person), self.in_workspace(person, **kernel), Name(name=name)))

    def publish(self, name: str = "team/churn", data: bytes = CSV, person: str = "ana", **more: Any) -> dict[str, Any]:
        """What control answers to a kernel that hands a file over."""
        file = self.root / f"{person}.csv"
        file.write_bytes(data)
        fd = os.open(file, os.O_RDONLY)
        try:
            return self.publish_fd(fd, name, person, **more)
        finally:
            os.close(fd)

    def publish_fd(self, fd: int, name: str = "team/churn", person: str = "ana", **more: Any) -> dict[str, Any]:
        """The same with a descriptor."""
        said = {"name": name, "description": more.pop("description", "scores by customer"), "format": more.pop("form", "csv")}
        live = self.in_workspace(person, **more)
        operation = channel_publishing.publish(self.state(person), live, channel_publishing.Publish(**said), [fd])
        return asyncio.run(operation).result

    def read(self, name: str = "team/churn", person: str = "ana", **kernel: Any) -> bytes:
        """What a kernel of this person reads of a dataset, by descriptor."""
        live = self.in_workspace(person, **kernel)
        (fd,) = asyncio.run(channel_operations.open_file(self.state(person), live, Open(name=name))).fds
        with open(fd, "rb") as file:
            return file.read()

    def propose(self, name: str = "team/churn", group: str = "team", person: str = "ana") -> dict[str, Any]:
        """To a group."""
        return self.ask(person, PublicationPropose(name=name, group=group))

    def approve(self, person: str = "dana", name: str = "team/churn", **said: Any) -> dict[str, Any]:
        """What this person sees of it, approved by them."""
        if "digest" not in said:
            said["digest"] = self.ask(person, PublicationShow(name=name))["digest"]
        return self.ask(person, PublicationDecide(name=name, decision=said.pop("decision", "approve"), **said))

    def files(self) -> list[str]:
        """Names of the files that control keeps."""
        folder = self.root / "publications"
        return sorted(os.listdir(folder)) if folder.is_dir() else []
