"""Python packages that jobs may hold for a while: which, for whom, by whom, and until when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select, update

from jupyter_guardrails.records import audit, requests
from jupyter_guardrails.records.allowances import SELF_APPROVED
from jupyter_guardrails.records.columns import storable
from jupyter_guardrails.records.tables import package_allowances

KIND = "package"
PREFIX = "package."  # of what a request of this kind is for, as `profile.` is of another


@dataclass(frozen=True, slots=True)
class PackageAllowance:
    """`for_group` is empty where it is for `principal`, who asked, alone; `label` is `self-approved` where nobody else was asked."""

    id: str
    package: str
    for_group: str
    principal: str
    request: str
    label: str
    granted_by: str
    granted_at: datetime
    expires_at: datetime

    @property
    def whom(self) -> str:
        """In words: `group analysts`, or the person."""
        return f"group {self.for_group}" if self.for_group else self.principal


class Decided(NamedTuple):
    """For whom it was allowed beside its person, and what it needs that was allowed with it."""

    group: str
    also: tuple[str, ...]


def allow(
    connection: Connection, request: Mapping[str, Any], *, for_group: str, also: Iterable[str] = (), until: datetime, now: datetime, actor: str
) -> None:
    """What a request of kind `package` asked for, from now on, and `also` what it needs.

    The caller decides the request in the same transaction, which is audited.
    """
    asked = request["dataset"].removeprefix(PREFIX)
    label = SELF_APPROVED if actor == request["principal"] else ""
    said = {"for_group": for_group, "principal": request["principal"], "request": request["id"], "label": label}
    said |= {"granted_by": storable(actor), "granted_at": now, "expires_at": until, "ended_at": None}
    names = dict.fromkeys([asked, *also])
    rows = [{"id": f"p-{request['id']}-{number}", "package": name} | said for number, name in enumerate(names)]
    connection.execute(insert(package_allowances), rows)


def active(connection: Connection) -> list[PackageAllowance]:
    """Those that have not been ended, also where their time has come."""
    query = select(package_allowances).where(package_allowances.c.ended_at.is_(None)).order_by(package_allowances.c.granted_at)
    return [PackageAllowance(**{name: row[name] for name in PackageAllowance.__slots__}) for row in connection.execute(query).mappings()]


def decided(connection: Connection) -> dict[str, Decided]:
    """Request -> what was decided about it, of those that were granted."""
    query = select(package_allowances).order_by(package_allowances.c.request, package_allowances.c.id)
    found: dict[str, Decided] = {}
    for row in connection.execute(query):
        before = found.get(row.request)
        found[row.request] = Decided(row.for_group, (*before.also, row.package) if before else ())
    return found


def end(connection: Connection, request: str, *, now: datetime, actor: str, reason: str, rule: str = "", policy_digest: str = "") -> bool:
    """End what a request was granted, with its records; False when it had ended before."""
    mine = (package_allowances.c.request == request) & package_allowances.c.ended_at.is_(None)
    if connection.execute(update(package_allowances).where(mine).values(ended_at=now)).rowcount == 0:
        return False
    row = requests.end(connection, request, now=now, actor=actor, reason=reason)
    said: dict[str, Any] = {"resource": row["dataset"], "allowed": True, "rule": rule, "policy_digest": policy_digest}
    audit.append(
        connection, now=now, principal=row["principal"], action="package.ended", reason=f"{reason}: the policy's own list holds again", **said
    )
    return True
