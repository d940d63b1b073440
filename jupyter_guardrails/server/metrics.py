"""What Jupyter's own `/metrics` tells of this server: its kernels, refusals, starts, the budget of its person, and whether control answers.

Labels are bounded: profiles and operations, never kernels, notebooks or people.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry, Histogram
from prometheus_client import Counter as Count
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jupyter_guardrails import errors
from jupyter_guardrails.control.interface import ControlClient
from jupyter_guardrails.control.interface.messages import Budget, KernelAdmit, KernelSettle, KernelStarted, Request
from jupyter_guardrails.kernels.context import GovernedContext

LOG = logging.getLogger(__name__)
MOST_PROFILES = 50  # a policy with more has the rest told together
OTHERS = "(others)"
LOOK_S = 15.0
HOUR_S = 3600
BUCKETS = (0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32)
RESOURCES = {"cpu_hours": "cpu", "memory_gib_hours": "memory_gib"}
REFUSALS = (errors.Refused, errors.LimitReached, errors.HostCannotEnforce, errors.PolicyError, errors.RecordsUnwritable)


class Metrics(Collector):
    """Counts of what passes by, and at each scrape what runs now."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.context: GovernedContext | None = None
        self.control_up = False
        self.budget: dict[str, Any] = {}
        self.refusals = Count("guardrails_refusals", "Requests that control refused", ["action", "code"], registry=registry)
        self.starts = Histogram(
            "guardrails_kernel_start_seconds", "From admission to a confirmed sandbox", ["profile"], buckets=BUCKETS, registry=registry
        )
        self._profiles: set[str] = set()
        registry.register(self)

    def profile(self, name: str) -> str:
        """The label of a profile."""
        if name not in self._profiles and len(self._profiles) >= MOST_PROFILES:
            return OTHERS
        self._profiles.add(name)
        return name

    def collect(self) -> Iterator[Metric]:
        """Called by prometheus_client at each scrape, on the server's loop: nothing here asks anybody."""
        up = GaugeMetricFamily("guardrails_control_up", "1 when control answered last, 0 when it is away")
        up.add_metric([], float(self.control_up))
        yield up
        yield from self._kernels()
        yield from self._budget()

    def _kernels(self) -> Iterator[Metric]:
        count: Counter[tuple[str, str]] = Counter()
        sums: dict[str, Counter[str]] = {"memory_bytes": Counter(), "memory_limit_bytes": Counter(), "cpu_cores": Counter()}
        for profile, limit_bytes, use in self.context.watch.running() if self.context else ():
            label = self.profile(profile)
            count[label, "busy" if use.idle_s == 0 else "idle"] += 1
            sums["memory_bytes"][label] += use.memory_bytes
            sums["memory_limit_bytes"][label] += limit_bytes
            sums["cpu_cores"][label] += use.cpu_percent / 100  # type: ignore[assignment]  # a sum of fractions
        kernels = GaugeMetricFamily("guardrails_kernels", "Kernels and terminals that run here", labels=["profile", "state"])
        for labels, number in count.items():
            kernels.add_metric(labels, number)
        yield kernels
        for name, by_profile in sums.items():
            family = GaugeMetricFamily(f"guardrails_kernel_{name}", f"Sum over what runs here: {name}", labels=["profile"])
            for label, value in by_profile.items():
                family.add_metric([label], value)
            yield family

    def _budget(self) -> Iterator[Metric]:
        for word in ("used", "limit"):
            family = GaugeMetricFamily(
                f"guardrails_budget_{word}_seconds", f"Budget of this server's person, {word}: processor seconds, GiB-seconds", labels=["resource"]
            )
            for key, resource in RESOURCES.items():
                value = self.budget.get(key, {}).get(word)
                if value is not None:
                    family.add_metric([resource], value * HOUR_S)
            yield family


class MeteredControl(ControlClient):
    """The same control, with what passes counted."""

    def __init__(self, inner: ControlClient, metrics: Metrics) -> None:
        super().__init__(inner.socket_path, inner.token)
        self.sends_contents = inner.sends_contents
        self._inner = inner
        self._metrics = metrics
        self._admitted: dict[str, tuple[float, str]] = {}  # lease -> when, and under which profile

    def call_with_fds(self, request: Request, *, fds: Sequence[int] = ()) -> tuple[dict[str, Any], list[int]]:
        """Called for every request of this server, from several threads."""
        began = time.monotonic()
        try:
            result, received = self._inner.call_with_fds(request, fds=fds)
        except errors.ControlAway:
            self._metrics.control_up = False
            raise
        except errors.GuardrailsError as error:
            self._metrics.control_up = True
            if isinstance(error, REFUSALS):
                self._metrics.refusals.labels(request.op, error.code).inc()
            raise
        self._metrics.control_up = True
        self._note(request, result, began)
        return result, received

    def _note(self, request: Request, result: dict[str, Any], began: float) -> None:
        if isinstance(request, KernelAdmit):
            self._admitted[result["lease"]] = (began, result["profile"])
        elif isinstance(request, KernelStarted) and request.lease in self._admitted:
            since, profile = self._admitted.pop(request.lease)
            self._metrics.starts.labels(self._metrics.profile(profile)).observe(time.monotonic() - since)
        elif isinstance(request, KernelSettle):
            self._admitted.pop(request.lease, None)
        elif isinstance(request, Budget):
            self._metrics.budget = result


async def look_forever(context: GovernedContext) -> None:
    """Every 15 s: the budget, and with it whether control answers; so that a scrape needs to ask nobody."""
    while True:
        try:
            await context.call(Budget())
        except errors.GuardrailsError as error:
            LOG.debug("no budget for /metrics: %s", error)
        await asyncio.sleep(LOOK_S)
