"""Packages that were allowed for a while, as part of the policy of whom they were allowed for: read anew each second, ended at their time."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from jupyter_guardrails.policy import EffectivePolicy, RuleRef
from jupyter_guardrails.records import Records, package_allowances
from jupyter_guardrails.records.package_allowances import PackageAllowance

READ_S = 1.0
ENDED_BY = "control"


class PackagesForAWhile:
    """Which packages are allowed at present, and for whom. One for a control process; another process's are seen within a second."""

    def __init__(self) -> None:
        self._allowed: tuple[PackageAllowance, ...] = ()
        self._read_at = -READ_S
        self._applied: dict[str, tuple[EffectivePolicy, tuple[PackageAllowance, ...], EffectivePolicy]] = {}

    def forget(self) -> None:
        """Read again at the next question: something was decided."""
        self._read_at = -READ_S

    async def refresh(self, records: Records, *, now: datetime) -> None:
        """Read what is allowed; end what is over, with its record."""
        if time.monotonic() - self._read_at < READ_S:
            return
        self._read_at = time.monotonic()
        found = await records.read(package_allowances.active)
        if any(item.expires_at <= now for item in found):
            found = await records.write(_end_due, now=now)
        self._allowed = tuple(found)

    def of(self, policy: EffectivePolicy, *, now: datetime) -> tuple[PackageAllowance, ...]:
        """What this person may have now, for themselves or by a group."""
        return tuple(item for item in self._allowed if item.expires_at > now and _is_for(item, policy))

    def applied(self, policy: EffectivePolicy, *, now: datetime) -> EffectivePolicy:
        """The policy with these packages; the same object where there are none."""
        mine = self.of(policy, now=now)
        if not mine:
            return policy
        known = self._applied.get(policy.person)
        if known is None or known[0] is not policy or known[1] != mine:
            known = self._applied[policy.person] = (policy, mine, with_packages(policy, mine))
        return known[2]


def with_packages(policy: EffectivePolicy, allowed: tuple[PackageAllowance, ...]) -> EffectivePolicy:
    """Each package with the list that it is beside, who allowed it, for whom and until when; a deny of the policy still wins. Pure."""
    place = policy.place("promotion.packages.allow")
    granted = {item.package: _beside(place, item) for item in sorted(allowed, key=lambda item: item.expires_at)}
    return replace(policy, packages_granted=granted)


def _beside(place: RuleRef, item: PackageAllowance) -> RuleRef:
    by = f"by {item.granted_by}" + (f", {item.label}" if item.label else "")
    return replace(place, name=f"{place.name}, and {item.package} for {item.whom} until {item.expires_at:%Y-%m-%d %H:%M} UTC {by}")


def _is_for(item: PackageAllowance, policy: EffectivePolicy) -> bool:
    return item.for_group in policy.groups if item.for_group else item.principal == policy.person


def _end_due(connection: Connection, *, now: datetime) -> list[PackageAllowance]:
    """End what is over; what still lasts."""
    for item in package_allowances.active(connection):
        if item.expires_at <= now:
            package_allowances.end(connection, item.request, now=now, actor=ENDED_BY, reason="its time is over")
    return package_allowances.active(connection)
