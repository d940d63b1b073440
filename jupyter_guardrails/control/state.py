"""What every operation of control works with: who asks, the policy, the catalogue, the records, the clock and the live kernels."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from jupyter_guardrails.catalog import CatalogFolder
from jupyter_guardrails.control.advisory import Advisory
from jupyter_guardrails.control.broker_process import Brokers
from jupyter_guardrails.control.credentials import CredentialsFile
from jupyter_guardrails.control.descriptor_store import DescriptorStore
from jupyter_guardrails.control.egress_process import EgressProcess
from jupyter_guardrails.control.groups import Groups
from jupyter_guardrails.control.interface import Admission, Settings
from jupyter_guardrails.control.interface.messages import Request
from jupyter_guardrails.control.lasting import Lasting
from jupyter_guardrails.control.lineage import Lineage
from jupyter_guardrails.control.more_applied import more_for_a_while
from jupyter_guardrails.control.package_grants import packages_for_a_while
from jupyter_guardrails.control.policies import PolicyHolder
from jupyter_guardrails.control.sampling import Sampler
from jupyter_guardrails.control.scans import Outcomes
from jupyter_guardrails.control.views import Views
from jupyter_guardrails.control.visibility import VisibleDatasets
from jupyter_guardrails.errors import PolicyError, Problem
from jupyter_guardrails.policy import Decision, EffectivePolicy
from jupyter_guardrails.records import Records, audit
from jupyter_guardrails.records.allowances import Allowance
from jupyter_guardrails.records.package_allowances import PackageAllowance

log = logging.getLogger("jupyter_guardrails.control")
LEASE_TTL_S = 60.0
WATCH_S = 1.0
FILE = "(policy file)"  # the principal of a change that nobody made through control


class Closable(Protocol):
    """A kernel's channel or egress proxy."""

    def close(self) -> object:
        """End it; may return an awaitable."""


@dataclass
class LiveKernel:
    """A kernel, terminal, clean run or `exec` that was admitted here and has started; `servers` end with its lease."""

    lease: str
    kernel_id: str
    kind: str
    pid: int
    report: dict[str, Any]
    admission: Admission
    servers: list[Closable] = field(default_factory=list)
    sockets: tuple[int, ...] = ()  # the inodes of its listeners: by them a hand-over that is repeated is known
    data: Any = None  # what it sees of data other than at its start (live_orders.Shown)
    workspace: str = ""  # as its server said; where nobody did, its label is that of everything
    observed: set[tuple[str, str]] = field(default_factory=set)  # (action, resource) of would-be refusals that were recorded
    refused: dict[str, datetime] = field(default_factory=dict)  # dataset -> when it was refused last; see refusals


class Worker(NamedTuple):
    """Which submission a promotion worker works on, and whose it is."""

    submission: str
    principal: str


@dataclass
class ControlState:
    """Handed to every handler. `principal`, `peer_uid`, `peer_pid` and `worker` belong to the one connection, all else is shared.

    `worker_tokens` maps the secret of a promotion worker to its submission: such a token may only do what a worker does, for its owner, and
    the handler sees that submission as `worker`, None for all others. Work that outlives a request goes through `spawn`; `at_end` runs at SIGTERM.
    """

    settings: Settings
    principal: str
    policies: PolicyHolder
    catalogs: CatalogFolder
    records: Records
    token: str
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    lease_ttl_s: float = LEASE_TTL_S
    groups: Groups = field(default_factory=Groups)
    more: Lasting[Allowance] = field(default_factory=more_for_a_while)
    package_grants: Lasting[PackageAllowance] = field(default_factory=packages_for_a_while)
    reloading: asyncio.Lock = field(default_factory=asyncio.Lock)
    kernels: dict[str, LiveKernel] = field(default_factory=dict)
    # what was granted last to each account: a server makes the next start ahead like it
    ended: defaultdict[str, deque[Admission]] = field(default_factory=lambda: defaultdict(lambda: deque(maxlen=16)))
    mounters: dict[str, Any] = field(default_factory=dict)  # launch -> its mounter (roots.Mounter)
    stations: list[Any] = field(default_factory=list)  # of accounts, that start workers (stations.Station); the newest last
    roots: dict[int, Any] = field(default_factory=dict)  # process that a mounter gave a root -> what that lets it write (written.Root)
    admitted: dict[str, Admission] = field(default_factory=dict)
    sampler: Sampler = field(default_factory=Sampler)
    store: DescriptorStore = field(default_factory=DescriptorStore)  # listeners and mounters, for the control after this one
    untold: dict[str, str] = field(default_factory=dict)  # lease -> what its person must hear at its next beat
    worker: str | None = None
    peer_uid: int = field(default_factory=os.getuid)
    peer_pid: int = 0  # of the process on the connection; 0 where there is none
    worker_tokens: dict[str, Worker] = field(default_factory=dict)
    at_end: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    advisory: Advisory = field(default_factory=Advisory)
    lineage: Lineage = field(default_factory=Lineage)
    visible: VisibleDatasets = field(default_factory=VisibleDatasets)
    egress: EgressProcess = field(default_factory=EgressProcess)
    brokers: Brokers = field(default_factory=Brokers)
    outcomes: Outcomes = field(default_factory=Outcomes)
    views: Views = field(default_factory=Views)
    credentials: CredentialsFile = field(default_factory=CredentialsFile)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def effective(self, principal: str | None = None) -> EffectivePolicy:
        """What the policy in force means for this principal (or another).

        PolicyError when there is no valid policy at all, GroupsUnknown when nobody can tell the principal's groups.
        """
        person = principal or self.principal
        try:
            now, written = self.clock(), self.policies.effective(person, self.groups.of(person))
            return self.package_grants.applied(self.more.applied(written, now=now), now=now)
        except PolicyError as error:
            if self.settings.self_chosen:
                raise
            # the mistakes quote lines of the admin's file, which are not everybody's to read
            told = [Problem(str(self.policies.path), 0, 0, "has mistakes, and nothing valid was there before")]
            raise PolicyError(told, next_step="ask your admin, who sees them with `jupyter guardrails policy check`") from error

    def forget(self, lease: str) -> None:
        """Its lease is over: nothing more is granted by it, but that the next start may be made ready like this one."""
        admission = self.admitted.pop(lease, None)
        if admission is not None:
            self.ended[admission.principal].append(admission)

    def granted_by(self, lease: str) -> Admission | None:
        """What a lease of this principal grants, or granted a moment ago."""
        found = self.admitted.get(lease) or next((admission for admission in self.ended[self.principal] if admission.lease == lease), None)
        return found if found is not None and found.principal == self.principal else None

    @property
    def service(self) -> bool:
        """Whether control has an account of its own: then a decision is another person's, and not a self-test."""
        return self.settings.service

    @property
    def own_uid(self) -> int | None:
        """The account's number, kept with what this person submits and approves; None where everybody comes with control's own."""
        return self.peer_uid if self.service else None

    @property
    def ending(self) -> bool:
        """Whether control is on its way out: what fails now fails because of that."""
        return self.stopping.is_set()

    @property
    def policy_digest(self) -> str:
        """Digest of the policy in force; empty when there is none."""
        return self.policies.current.digest if self.policies.current else ""

    async def refresh(self) -> None:
        """Take over a policy that changed, and groups; called before each request. The old policy stays when the new one has mistakes."""
        await self.groups.refresh(self.principal)
        await self.more.refresh(self.records, now=self.clock())
        await self.package_grants.refresh(self.records, now=self.clock())
        if not self.policies.changed():
            return
        async with self.reloading:
            before = self.policy_digest
            if await asyncio.to_thread(self.policies.refresh):
                await self._say_reloaded(before)

    async def watch(self) -> None:
        """Follow the policy also while nobody asks for anything, so that its mistakes are in the log when they are made."""
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                self.credentials.problems()  # logs new ones
                await self.refresh()
                await self.visible.prepare(self.policies.current, self.catalogs.known)
            except Exception:  # broad: whatever it was is refused where somebody asks, and must not end the watch
                log.exception("the policy could not be followed")

    async def _say_reloaded(self, before: str) -> None:
        """In the log and in the audit record: the policy that is in force from now on, or the mistakes that keep it from that."""
        errors, path = self.policies.errors, str(self.policies.path)
        for line in errors:
            log.error("policy: %s", line)
        if errors:
            count = "1 mistake" if len(errors) == 1 else f"{len(errors)} mistakes"
            reason = f"{count}, the last valid policy stays; first: {errors[0].splitlines()[0]}"[:400]
            await self.audit("policy.reload", path, allowed=False, reason=reason, principal=FILE)
        elif self.policy_digest != before:
            log.info("policy: %s is in force, digest %s", path, self.policy_digest[:12])
            await self.audit("policy.reload", path, reason=f"in force from now on; before: {before[:12] or 'none'}", principal=FILE)

    async def audit(self, action: str, resource: str, decision: Decision | None = None, **fields: Any) -> dict[str, Any]:
        """Write one audit record (table and audit.jsonl) and return it; see `audit_fields`."""
        return await self.records.write(audit.append, **self.audit_fields(action, resource, decision, **fields))

    def audit_fields(self, action: str, resource: str, decision: Decision | None = None, **fields: Any) -> dict[str, Any]:
        """Arguments of `records.audit.append` for use inside a transaction of your own.

        From a decision, or from `allowed`, `reason`, `rule` (a RuleRef or its text); `kernel`, `notebook`, `cell_digest`,
        `principal`, `mode` as needed.
        """
        said: dict[str, Any] = {"allowed": True, "reason": "", "rule": ""}
        if decision is not None:
            said = {"allowed": decision.allowed, "reason": decision.reason, "rule": str(decision.rule), "mode": decision.mode}
        said |= {"now": self.clock(), "principal": self.principal, "policy_digest": self.policy_digest}
        said |= fields | {"action": action, "resource": resource}
        return said | {"rule": str(said["rule"])}

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run something beside requests; a failure of it is logged, and control's end cancels it."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s failed", task.get_name(), exc_info=error)


@dataclass(frozen=True, slots=True)
class Answer:
    """A result with file descriptors; they are closed here after they were sent."""

    result: dict[str, Any]
    fds: tuple[int, ...] = ()


# `fds` came with the request: a handler that keeps one takes it out of the list (`fds.pop()`); the rest are closed when it returns.
Handler = Callable[[ControlState, Any, list[int]], Awaitable["dict[str, Any] | Answer"]]
Operations = dict[type[Request], Handler]

__all__ = ["Answer", "Closable", "ControlState", "Handler", "LiveKernel", "Operations", "PolicyError", "Worker", "log"]
