"""A real control state over a real policy, contracts, Parquet files and records; and live kernels to serve."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from jupyter_guardrails.catalog import CatalogFolder
from jupyter_guardrails.control.interface import Admission, Settings
from jupyter_guardrails.control.policies import PolicyHolder
from jupyter_guardrails.control.state import ControlState, LiveKernel
from jupyter_guardrails.records import audit, open_records

POLICY = """\
apiVersion: guardrails/v1
mode: enforce
admins: {users: [carol]}
groups: {analysts: [ana], curious: [ben]}
rules:
  - name: everyone
    for: everyone
    data: {read: ["nyc/*"]}
    mask: {pii: hash}
  - name: analysts
    for: {groups: [analysts]}
    data: {request: ["hr/*"], auto_grant: {classification: [internal], max_days: 30}}
  - name: curious
    for: {groups: [curious]}
    data: {browse: all}
  - name: restricted-stays-shut
    for: everyone
    deny: {data: [{classification: restricted}]}
"""
START = datetime(2031, 5, 1, 12, 0, tzinfo=UTC)


class DataWorld:
    """`state(person)` answers as control would for that person; `now` is the clock and can be moved."""

    def __init__(self, root: Path, policy: str = POLICY) -> None:
        self.root = root.resolve()
        self.folder, self.data = self.root / "catalog", self.root / "data"
        self.folder.mkdir()
        self.data.mkdir()
        self.policy_file = self.root / "guardrails.yaml"
        self.policy_file.write_text(policy)
        self.records = open_records(self.root / "records.db", journal=self.root / "audit.jsonl")
        self.now = START
        self._state: ControlState | None = None

    def state(self, person: str = "ana") -> ControlState:
        """The one state, as a connection of this person sees it."""
        if self._state is None:
            settings = Settings(self.policy_file, self.folder, self.root, self.root / "control.sock", self_chosen=True)
            policies = PolicyHolder(self.policy_file)
            policies.refresh()
            assert not policies.errors, policies.errors
            catalogs = CatalogFolder(self.folder, check_every_s=0)
            self._state = ControlState(settings, person, policies, catalogs, self.records, token="t" * 32, clock=lambda: self.now)
        return dataclasses.replace(self._state, principal=person)

    def pass_time(self, **amount: int) -> None:
        """Move the clock."""
        self.now += timedelta(**amount)

    def parquet(self, name: str, rows: int = 25) -> Path:
        """A real Parquet file."""
        path = self.data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"origin": ["JFK", None] * rows, "delay": list(range(2 * rows))}), path)
        return path

    def dataset(self, name: str, classification: str = "internal", path: Path | None = None, form: str = "parquet", **changes: Any) -> Path:
        """A contract, and data for it unless a path is given; the path of the data. `own`: further guardrails.* keys."""
        place = path or self.parquet(f"{name}.parquet")
        domain, _, last = name.partition("/")
        columns = [{"name": "origin", "logicalType": "string"}, {"name": "delay", "logicalType": "integer"}]
        own = {"classification": classification} | changes.pop("own", {})
        contract = {
            "apiVersion": "v3.1.0",
            "kind": "DataContract",
            "id": name,
            "name": last,
            "version": "1.2.0",
            "status": "active",
            "domain": domain,
        }
        contract |= {"description": {"purpose": f"All {last}"}, "team": {"name": "team", "members": [{"username": "dana", "role": "owner"}]}}
        contract |= {
            "servers": [{"server": "here", "type": "local", "path": str(place), "format": form}],
            "schema": [{"name": last, "properties": columns}],
        }
        contract |= {"customProperties": [{"property": f"guardrails.{key}", "value": value} for key, value in own.items()]} | changes
        (self.folder / f"{domain}-{last}.odcs.yaml").write_text(yaml.safe_dump(contract, sort_keys=False))
        return place

    def kernel(self, person: str = "ana", kind: str = "kernel", datasets: dict[str, str] | None = None) -> LiveKernel:
        """A live kernel that was given these datasets at its start."""
        numbers = {"memory_bytes": 1 << 30, "cpus": 1.0, "tasks": 100, "shm_bytes": 1 << 29}
        words = {"lease": "l-1", "principal": person, "policy_digest": "d", "profile": "small", "rule": "r", "mode": "enforce"}
        return LiveKernel("l-1", "k-1", kind, 1, {}, Admission(**words, **numbers, datasets=datasets or {}))

    def audited(self, action: str) -> list[dict[str, Any]]:
        """The audit records of an action, oldest first."""
        return [row for row in self.records.read_sync(audit.newest, limit=1000) if row["action"] == action]

    def close(self) -> None:
        """Let go of the records."""
        self.records.close()


class Loop:
    """An event loop in a thread, as control's: tests talk to it over real sockets."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """What the coroutine returns."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def call(self, function: Callable[[], Any]) -> Any:
        """What the function returns when it is called in the loop's thread."""

        async def inside() -> Any:
            return function()

        return self.run(inside())

    def close(self) -> None:
        """End the loop and its thread."""
        self.run(self._cancel_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    async def _cancel_all(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
