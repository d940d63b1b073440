"""What one person may have of datasets beside the policy: grants, an admin's suspensions, and break-glass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.catalog.access import Access, access_to
from jupyter_guardrails.catalog.derived import bounds_for, obstacle_for
from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.catalog.products import parts_of
from jupyter_guardrails.control.state import ControlState
from jupyter_guardrails.errors import Refused
from jupyter_guardrails.policy import Decision, EffectivePolicy, Obligations, RuleRef
from jupyter_guardrails.records import exemptions, requests, suspensions

Row = Mapping[str, Any]
SUSPENDED = RuleRef("", 0, "suspended by an admin")
BREAK_GLASS = RuleRef("", 0, "break-glass by an admin")
WORDS = {"user": "the account", "dataset": "the dataset", "package": "the package", "job": "the job"}


@dataclass(frozen=True, slots=True)
class Rights:
    """One person's, at one moment. `person`: the suspension of this person; `datasets`: suspensions by name; `exempt`: break-glass by name."""

    grants: Mapping[str, Row] = field(default_factory=dict)
    person: Row | None = None
    datasets: Mapping[str, Row] = field(default_factory=dict)
    exempt: Mapping[str, Row] = field(default_factory=dict)

    def access(self, contract: Contract, policy: EffectivePolicy, now: datetime) -> Access:
        """Read access to one dataset: a suspension stops it, break-glass opens it, else the policy and grants say."""
        found = access_to(contract, policy, now, self.grants.get(contract.name))
        if stop := self.person or self._stop_of(contract):
            decision = stopped(stop) if stop is self.person or stop["name"] == contract.name else _stopped_below(contract, stop)
            return replace(found, status="broken" if found.status == "broken" else "refused", decision=decision, told=decision.reason)
        exempt = self.exempt.get(contract.name)
        if exempt is None or (found.granted and found.decision.allowed):
            return found
        return _exempted(found, exempt, contract, policy)

    def _stop_of(self, contract: Contract) -> Row | None:
        """Its own suspension, or that of a dataset that it is made of."""
        return next((stop for one in parts_of(contract) if (stop := self.datasets.get(one.name))), None) if self.datasets else None

    def lasting(self) -> Rights:
        """The same without break-glass: what a kernel is started with it keeps until its end, and break-glass ends before."""
        return replace(self, exempt={})


async def rights(state: ControlState, person: str | None = None) -> Rights:
    """This person's (or another's) now, from one snapshot of the records."""
    return await state.records.glance(read, person or state.principal, now=state.clock())


def read(connection: Connection, person: str, *, now: datetime) -> Rights:
    """The same inside a transaction."""
    stops = suspensions.active(connection)
    open_now = exemptions.active(connection, person, now=now)
    return Rights(
        grants=requests.active_grants(connection, person, now=now),
        person=stops.get(("user", person)),
        datasets={name: row for (kind, name), row in stops.items() if kind == "dataset"},
        exempt={name: row for (kind, name), row in open_now.items() if kind == "dataset"},
    )


def refuse_suspended(connection: Connection, kind: str, *names: str) -> None:
    """Refused when one of them is suspended; called inside the transaction that would start or move something."""
    for row in suspensions.active(connection, kind, names).values():
        decision = stopped(row)
        raise Refused(decision.reason, rule=str(decision.rule), next_step=decision.next_step)


def stopped(row: Row) -> Decision:
    """Who suspended what, why, since when, and the next step."""
    since = f"{row['since']:%Y-%m-%d %H:%M} UTC"
    reason = f"{WORDS[row['kind']]} {row['name']} was suspended by {row['suspended_by']} on {since}: {row['reason']}"
    return Decision(False, reason, SUSPENDED, f"talk to {row['suspended_by']}: an admin lifts it with `jupyter guardrails suspend lift`")


def _stopped_below(contract: Contract, row: Row) -> Decision:
    """A product whose input is suspended; its readers may not know of that one."""
    reason = f"{contract.name} is made of a dataset that was suspended by {row['suspended_by']} on {row['since']:%Y-%m-%d %H:%M} UTC"
    return replace(stopped(row), reason=reason)


def _exempted(found: Access, exempt: Row, contract: Contract, policy: EffectivePolicy) -> Access:
    """Open by break-glass, with the policy's masks and row filters unless they were lifted by name."""
    bare = unbound(contract) if exempt["unmasked"] else contract

    def obliged(one: Contract) -> Obligations:
        return Obligations() if exempt["unmasked"] else policy.obligations(one.resource)

    blocked = obstacle_for(bare, obliged, policy.attributes)
    until = f"until {exempt['ends_at']:%Y-%m-%d %H:%M} UTC"
    reason = f"{contract.name} is open to {exempt['person']} by break-glass of {exempt['given_by']} {until}: {exempt['reason']}"
    if blocked:
        return replace(found, decision=Decision(False, blocked, BREAK_GLASS, "an admin may lift masks with `break-glass --unmasked`"), listed=True)
    decision = Decision(True, reason, BREAK_GLASS, obligations=obliged(contract))
    return Access("granted", decision, True, found.policy_digest, bounds_for(bare, obliged, policy.attributes))


def unbound(contract: Contract) -> Contract:
    """The contract without masks, row filter and purposes of its own, as break-glass lifts them by name; a product's inputs too."""
    columns, inputs = tuple(replace(column, mask="") for column in contract.columns), tuple(map(unbound, contract.made_from))
    return replace(contract, columns=columns, row_filter="", purposes=(), delivery="direct", made_from=inputs)
