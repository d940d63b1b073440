"""A kernel's only way out, as control sees it: a worker process answers on the listener that the sandbox handed over, control decides.

The listener is the identity: it lies in that kernel's network namespace. Each connection is one question of the worker to here; bytes
never pass through control (64 busy connections raised its latency to 75 ms when they did).
"""

from __future__ import annotations

import socket
from collections import Counter
from typing import Any

from jupyter_guardrails.control import company_network
from jupyter_guardrails.control.egress_process import EgressProcess
from jupyter_guardrails.control.egress_tally import Tally
from jupyter_guardrails.control.listeners import take
from jupyter_guardrails.control.state import ControlState, LiveKernel
from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.policy import Decision, EffectivePolicy, Resource, decide
from jupyter_guardrails.policy.hosts import HostIndex

HEAD_S = 15.0
CONNECT_S = 15.0
MAX_CONNECTIONS = 128
MAX_FORWARDED = 32  # to one place

Open = tuple[str, str, int, tuple[str, ...]]  # place, host, port, and the private ranges under which it was opened


async def serve(state: ControlState, live: LiveKernel, listener_fd: int) -> Egress:
    """Take the listener over and have the worker answer on it until `close()`."""
    served = Egress(state, live)
    await served.open(take(listener_fd, socket.AF_INET, socket.AF_INET6))
    return served


async def serve_forward(state: ControlState, live: LiveKernel, listener_fd: int) -> Egress:
    """The same for one approved place that doesn't speak HTTP; which one, its address in the kernel's network says."""
    listener = take(listener_fd, socket.AF_INET)
    address, port = listener.getsockname()
    for forward in live.admission.forwards:
        if (forward.address, forward.port) == (address, port):
            served = Egress(state, live, (forward.host, port))
            await served.open(listener)
            return served
    listener.close()
    raise BadRequest(f"a listener came for {address}:{port}, which stands for no approved place")


class Egress:
    """One kernel's proxy, or its way to one place: the answers to its worker's questions."""

    def __init__(self, state: ControlState, live: LiveKernel, place: tuple[str, int] | None = None) -> None:
        self.state = state
        self.live = live
        self.place = place
        self._worker: EgressProcess = state.egress
        self._key = 0
        self._open: Counter[Open] = Counter()
        self._tally = Tally(self._audit)

    async def open(self, listener: socket.socket) -> None:
        """Hand the listener to the worker."""
        limits: dict[str, Any] = {"head_s": HEAD_S, "connect_s": CONNECT_S, "most": MAX_FORWARDED if self.place else MAX_CONNECTIONS}
        limits["upstream"] = company_network.upstream(company_network.read(self.state.settings.policy_path))
        self._key = await self._worker.serve(listener, self, limits, self.place)

    async def close(self) -> None:
        """Stop listening and cut every connection, within a second."""
        await self._worker.close(self._key)
        await self._tally.tell(at_once=True)

    async def leave(self) -> None:
        """Control ends and another one serves this listener: record what is known."""
        await self._tally.tell(at_once=True)

    async def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """What the worker asks: may this be connected to (`judge`), or record what became of it (`refused`, `ended`)."""
        place, rule = question["place"], question.get("rule", "")
        if question["what"] == "judge":
            return await self._judge(place, question["host"], question["port"])
        if question["what"] == "refused":
            await self._tally.connection(place, False, question["reason"], rule)
            return {}
        self._forget((place, question["host"], question["port"], tuple(question["private"])))
        if "up" in question:
            await self._tally.traffic(place, rule, question["up"], question["down"])
        return {}

    async def withdrawn(self) -> list[str]:
        """Places of open connections that the policy in force would not allow, or not to the same addresses; each is recorded."""
        await self._tally.tell()
        if not self._open:
            return []
        policy, found = await self._policy(), []
        for place, host, port, private in list(self._open):
            decision = self._decide(policy, place)
            if not decision.blocks and _private(policy, host, port) == private:
                continue
            del self._open[place, host, port, private]
            reason = f"cut: the policy has changed: {decision.reason if decision.blocks else 'it names other private ranges'}"
            await self._audit("network.connect", place, False, reason, str(decision.rule), policy_digest=policy.digest)
            found.append(place)
        return found

    async def worker_died(self) -> None:
        """Record that the connections of this kernel were cut; called before its listener is handed over again."""
        count = self._open.total()
        self._open.clear()
        if self.place and not count:
            return
        await self._audit("network.proxy", "(network proxy)", False, f"the network proxy ended and is started again; {count} connections cut", "")

    async def _judge(self, place: str, host: str, port: int) -> dict[str, Any]:
        policy = await self._policy()
        decision, private = self._decide(policy, place), _private(policy, host, port)
        said = {"policy_digest": policy.digest, "mode": decision.mode}
        await self._tally.connection(place, decision.allowed, decision.reason, str(decision.rule), **said)
        if not decision.blocks:
            self._open[place, host, port, private] += 1
        return {"reason": decision.reason, "rule": str(decision.rule), "next_step": decision.next_step, "blocks": decision.blocks, "private": private}

    def _decide(self, policy: EffectivePolicy, place: str) -> Decision:
        return decide(policy, "network.connect", Resource(place), self.state.clock())

    def _forget(self, opened: Open) -> None:
        self._open[opened] -= 1
        if self._open[opened] <= 0:
            del self._open[opened]

    async def _policy(self) -> EffectivePolicy:
        await self.state.refresh()
        return self.state.effective(self.live.admission.principal)

    async def _audit(self, action: str, place: str, allowed: bool, reason: str, rule: str, **more: Any) -> None:
        said: dict[str, Any] = {"allowed": allowed, "reason": reason, "rule": rule, "principal": self.live.admission.principal, **more}
        await self.state.audit(action, place, **said, kernel=self.live.kernel_id)


def _private(policy: EffectivePolicy, host: str, port: int) -> tuple[str, ...]:
    """The private ranges that the entries for this `host:port` name."""
    entries = (value.value for value in policy.network_allow)
    return tuple(text for entry in entries if HostIndex((entry,)).first(host, port) is not None for text in entry.private)
