"""One task per server that measures every running tree, keeps memory within its limit from outside, and tells control what is used."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from jupyter_guardrails import errors
from jupyter_guardrails.control.interface import Admission
from jupyter_guardrails.control.interface.messages import Beat, KernelBeat, KernelLimits, LiveLimits, Request
from jupyter_guardrails.kernels.endings import Busyness, Endings, Told, carry_out
from jupyter_guardrails.kernels.limits import FOLLOW_S, change, hold_cpus
from jupyter_guardrails.kernels.quota import WorkspaceQuota
from jupyter_guardrails.sandbox.headroom import Action, Headroom
from jupyter_guardrails.sandbox.meter import ProcessTable, Sample

LOG = logging.getLogger(__name__)
TICK_S = 0.5  # at most this long between two looks; near a limit headroom asks for less
PULSE_S = 0.1  # between two looks: whether a tree that was at rest works again
BEAT_S = 10.0


@dataclass(frozen=True, slots=True)
class Use:
    """Measured use of one tree since it started."""

    memory_bytes: int = 0
    memory_peak_bytes: int = 0
    cpu_s: float = 0.0
    cpu_percent: float = 0.0
    idle_s: float = 0.0
    at: float = 0.0


class Watched(Protocol):
    """What the watch asks of a kernel or terminal."""

    def running(self) -> bool:
        """Whether its process still lives."""

    def idle_s(self) -> float:
        """Seconds since its person last used it."""

    def say(self, text: str) -> None:
        """Show its person a sentence."""

    async def interrupt(self) -> None:
        """Stop what it is doing; its variables stay."""

    async def end(self, reason: str, *, restart: bool) -> None:
        """End it and show the reason; `restart`: Jupyter may start it again at once."""

    async def gone(self) -> None:
        """Called once after its process ended by itself and nothing started it again."""


@dataclass
class Entry:
    """One watched tree; `before` is what earlier runs under the same lease used."""

    admission: Admission
    kernel_id: str
    pid: int
    watched: Watched
    headroom: Headroom
    busyness: Busyness
    use: Use = field(default_factory=Use)
    before: Use = field(default_factory=Use)
    ended_at: float | None = None
    told: str = ""  # why it keeps limits that the policy no longer gives: said once

    @property
    def lease(self) -> str:
        """Its key."""
        return self.admission.lease


class Watch:
    """Holds the entries and runs while there are any; `call` sends a request to control."""

    def __init__(
        self,
        call: Callable[[Request], Awaitable[dict[str, Any]]],
        quota: WorkspaceQuota | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        restart_grace_s: float = 15.0,
        hint: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._call = call
        self._quota = quota
        self._clock = clock
        self._restart_grace_s = restart_grace_s
        self._entries: dict[str, Entry] = {}
        self._used: dict[str, Use] = {}
        self._table = ProcessTable()
        self._thread = ThreadPoolExecutor(1, "guardrails-watch")  # its own: the loop's threads may all be waiting for control
        self._task: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._beat_due = 0.0
        self._endings = Endings()
        self._hint = hint
        self._last_follow = 0.0
        self._version = ""
        self._news: list[str] = []

    def add(self, admission: Admission, *, kernel_id: str, pid: int, watched: Watched) -> None:
        """Watch the tree of `pid`, the sandbox's outer process; use under the same lease goes on."""
        headroom = Headroom(pid, admission.memory_bytes)
        self._entries[admission.lease] = Entry(
            admission, kernel_id, pid, watched, headroom, Busyness(self._clock()), before=self._used.get(admission.lease, Use())
        )
        self._version = ""  # the policy may have changed since it was admitted
        self._beat_due = 0.0  # and control says when it wants to hear of this one again
        if self._task is None or self._task.done() or self._task.get_loop() is not asyncio.get_running_loop():
            self._task = asyncio.create_task(self._run(), name="guardrails-watch")

    def pause(self, lease: str) -> None:
        """Stop watching between two runs under one lease (a restart)."""
        entry = self._entries.pop(lease, None)
        if entry:
            self._used[lease] = entry.use

    def discard(self, lease: str) -> Use:
        """Stop watching; what was used under this lease."""
        self.pause(lease)
        return self._used.pop(lease, Use())

    def anyone_busy(self) -> bool:
        """Whether a kernel runs a cell just now."""
        return any(entry.watched.idle_s() == 0 for entry in self._entries.values())

    def keep(self, kernel_id: str) -> None:
        """Its person says that it is still needed: counts as use now."""
        for entry in self._of(kernel_id):
            entry.busyness.busy_at = self._clock()

    async def stop(self, kernel_id: str, reason: str) -> None:
        """End one kernel or terminal for good, with a reason."""
        for entry in self._of(kernel_id):
            await entry.watched.end(reason, restart=False)

    def watches(self, kernel_id: str) -> bool:
        """Whether a kernel or terminal of that name runs here."""
        return bool(self._of(kernel_id))

    def _of(self, kernel_id: str) -> list[Entry]:
        return [entry for entry in self._entries.values() if entry.kernel_id == kernel_id]

    def samples(self) -> dict[str, Use]:
        """Live use by kernel id, for the panel."""
        return {entry.kernel_id: entry.use for entry in self._entries.values()}

    def running(self) -> list[tuple[str, int, Use]]:
        """(profile, memory limit in bytes, live use) of everything that is watched, for /metrics."""
        return [(entry.admission.profile, entry.admission.memory_bytes, entry.use) for entry in self._entries.values()]

    async def _run(self) -> None:
        """Two loops: control that is slow to answer must not keep anybody from looking at memory."""
        talking = asyncio.create_task(self._talk_on(), name="guardrails-watch-talks")
        try:
            while self._entries:
                await self._survive(self.look())
                await self._rest()
        finally:
            talking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await talking
            self._table.close()

    async def _talk_on(self) -> None:
        while True:
            await self._survive(self._follow())
            await self._survive(self._beat())
            await asyncio.sleep(TICK_S)

    async def _to_its_end(self, work: Coroutine[Any, Any, None]) -> None:
        """In a task of its own: with the last tree the watch ends too, and would cut short what ends it, which nobody could end then."""
        task = asyncio.create_task(self._survive(work), name="guardrails-watch-ends")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        await asyncio.shield(task)

    async def _survive(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:  # broad on purpose: whatever one look met, memory must be looked at again
            LOG.exception("the watch over kernels failed once, it goes on")

    async def _rest(self) -> None:
        """Until the next look: what headroom asks for, less when a tree that was at rest begins to work."""
        left_s = min((entry.headroom.interval_s for entry in self._entries.values()), default=TICK_S)
        before = self._pulse()
        while left_s > 0:
            await asyncio.sleep(min(PULSE_S, left_s))
            left_s -= PULSE_S
            if self._pulse() != before:
                return

    def _pulse(self) -> list[float]:
        """Processor time of every program: one read each."""
        return [self._table.cpu_s(entry.headroom.program_pid) for entry in self._entries.values()]

    async def tick(self) -> None:
        """One look at all trees, and what control has to hear."""
        await self.look()
        await self._follow()
        await self._beat()

    async def look(self) -> None:
        """One pass over all trees."""
        running = [entry for entry in list(self._entries.values()) if await self._alive(entry)]
        measured = asyncio.get_running_loop().run_in_executor(self._thread, self._measure, running)
        for entry, action in await measured:
            if self._entries.get(entry.lease) is entry:
                await self._act(entry, action)
        news, self._news = self._news, []
        for entry in running:
            for text in news:
                entry.watched.say(text)

    async def _alive(self, entry: Entry) -> bool:
        """False for a tree whose process ended; when nothing restarts it in time, that is its end."""
        if entry.watched.running():
            return True
        entry.ended_at = entry.ended_at or self._clock()
        if self._clock() - entry.ended_at > self._restart_grace_s:
            self.pause(entry.lease)
            await entry.watched.gone()
        return False

    def _measure(self, entries: list[Entry]) -> list[tuple[Entry, Action]]:
        """Runs in a thread: one pass over /proc, then each tree's use and its headroom."""
        processes = self._table.read()
        trees = [(entry, processes.tree(entry.pid)) for entry in entries]
        news = self._quota.look([(entry.pid, sample) for entry, sample in trees]) if self._quota else ""
        if news:
            self._news.append(news)
        return [(entry, self._measure_one(entry, sample)) for entry, sample in trees]

    def _measure_one(self, entry: Entry, sample: Sample) -> Action:
        now, old = self._clock(), entry.use
        cpu_s = max(old.cpu_s, entry.before.cpu_s + sample.cpu_s)
        percent = 100 * (cpu_s - old.cpu_s) / (now - old.at) if now > old.at > 0 else 0.0
        action = entry.headroom.tick(sample)
        used_bytes = entry.headroom.used_bytes
        peak = max(old.memory_peak_bytes, entry.before.memory_peak_bytes, used_bytes)
        entry.busyness.look(now, cpu_s, idle_limit_s=entry.admission.idle_s)
        entry.use = Use(used_bytes, peak, cpu_s, percent, entry.busyness.idle_s(now, entry.watched.idle_s()), now)
        if action.kind == "interrupt":
            entry.headroom.carry_out(action)
        return action

    async def _act(self, entry: Entry, action: Action) -> None:
        """What memory asks for, and what the person hears of it."""
        if action.kind in ("interrupt", "kill_child", "empty_file"):
            entry.watched.say(action.detail)
        elif action.kind == "end":
            await entry.watched.end(f"this kernel was ended: {action.detail}", restart=True)

    async def _follow(self) -> None:
        """Every second: whether the policy has changed, and what that means for what runs. A new entry is asked about at once, to be sure."""
        if self._clock() - self._last_follow < FOLLOW_S or not self._entries:
            return
        self._last_follow = self._clock()
        try:
            answer = await self._call(KernelLimits(leases=list(self._entries), version=self._version))
        except errors.GuardrailsError as error:
            LOG.debug("control does not say whether limits have changed: %s", error)
            return
        if answer.get("version", self._version) != self._version:
            self._version, self._beat_due = answer["version"], 0.0  # which limits come near may be another question now
        if self._quota and "workspace_bytes" in answer:
            self._quota.set_limit(answer["workspace_bytes"], answer["workspace_rule"])
        for limits in answer.get("limits", ()):
            entry = self._entries.get(limits["lease"])
            if entry:
                await self._adjust(entry, LiveLimits.model_validate(limits))

    async def _adjust(self, entry: Entry, limits: LiveLimits) -> None:
        changed, cpus = change(entry.admission, limits), entry.admission.cpus
        entry.admission = changed.admission
        if changed.admission.memory_bytes != entry.headroom.limit_bytes:
            entry.headroom.set_limit(changed.admission.memory_bytes)
        if changed.admission.cpus != cpus:
            await asyncio.to_thread(hold_cpus, entry.pid, changed.admission.cpus, sorted(os.sched_getaffinity(0)))
        if changed.said and changed.said != entry.told:
            entry.watched.say(changed.said)
        entry.told = changed.said if limits.stays or limits.notice else ""

    async def _beat(self) -> None:
        """Every 10 s, or when control asks for it: one request with the use of all trees; leases without beats expire."""
        looked_at = [entry for entry in self._entries.values() if entry.use.at]
        if self._clock() < self._beat_due or not looked_at:
            return
        self._beat_due = self._clock() + BEAT_S
        beats = [_beat_of(entry) for entry in looked_at]
        try:
            answer = await self._call(KernelBeat(beats=beats))
        except errors.GuardrailsError as error:
            LOG.warning("control did not take the measured use: %s", error)
            return
        for told in answer.get("tell", []):
            if entry := self._entries.get(told["lease"]):
                entry.watched.say(told["text"])
        for ended in answer.get("end", []):
            entry = self._entries.get(ended["lease"])
            if entry:
                await self._to_its_end(entry.watched.end(ended["reason"], restart=False))
        self._beat_due = min(self._beat_due, self._clock() + answer.get("again_s", BEAT_S))
        await self._heed(answer.get("notices", []))

    async def _heed(self, told: list[dict[str, Any]]) -> None:
        """Notices of control: each is said once; a front end that looks is told to read again."""
        for item in self._endings.news(told):
            entry = self._entries.get(item.lease)
            if entry:
                await self._to_its_end(self._heed_one(entry, item))

    async def _heed_one(self, entry: Entry, told: Told) -> None:
        await carry_out(told, entry.watched, idle_s=entry.busyness.idle_s(self._clock(), entry.watched.idle_s()))
        self._hint(entry.kernel_id)


def _beat_of(entry: Entry) -> Beat:
    use = entry.use
    return Beat(lease=entry.lease, cpu_s=use.cpu_s, memory_bytes=use.memory_bytes, memory_peak_bytes=use.memory_peak_bytes, idle_s=use.idle_s)
