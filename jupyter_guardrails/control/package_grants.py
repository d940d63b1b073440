"""Packages that were allowed for a while, as part of the policy of whom they were allowed for."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from jupyter_guardrails.control.lasting import ENDED_BY, OVER, Kind, Lasting, until_and_by
from jupyter_guardrails.policy import EffectivePolicy, RuleRef
from jupyter_guardrails.records import package_allowances
from jupyter_guardrails.records.package_allowances import PackageAllowance


def packages_for_a_while() -> Lasting[PackageAllowance]:
    """Which packages are allowed at present, and for whom."""
    return Lasting(Kind(package_allowances.active, _end, _holder, with_packages))


def with_packages(policy: EffectivePolicy, allowed: tuple[PackageAllowance, ...]) -> EffectivePolicy:
    """Each package with the list that it is beside, who allowed it, for whom and until when; a deny of the policy still wins. Pure."""
    place = policy.place("promotion.packages.allow")
    granted = {item.package: _beside(place, item) for item in sorted(allowed, key=lambda item: item.expires_at)}
    return replace(policy, packages_granted=granted)


def _beside(place: RuleRef, item: PackageAllowance) -> RuleRef:
    return replace(place, name=f"{place.name}, and {item.package} for {item.whom} {until_and_by(item)}")


def _holder(item: PackageAllowance) -> tuple[str, str]:
    return ("group", item.for_group) if item.for_group else ("person", item.principal)


def _end(connection: Connection, item: PackageAllowance, now: datetime) -> None:
    package_allowances.end(connection, item.request, now=now, actor=ENDED_BY, reason=OVER)
