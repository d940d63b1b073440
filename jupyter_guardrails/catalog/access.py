"""What one person may have of one dataset: the policy's decision, a grant that was given on request, and what can be delivered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, Literal

from jupyter_guardrails.catalog.delivery import Bounds, obstacle
from jupyter_guardrails.catalog.derived import bounds_for, obstacle_for
from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.policy import Decision, EffectivePolicy, Obligations, decide

Status = Literal["granted", "requestable", "refused", "broken"]
Grant = Mapping[str, Any]  # a row of records.grants: granted_by, expires_at


@dataclass(frozen=True, slots=True)
class Access:
    """`decision` is the one to show and to record; `listed`: whether this person may know of the dataset at all."""

    status: Status
    decision: Decision
    listed: bool
    policy_digest: str = ""  # of the policy that decided
    bounds: Bounds = field(default_factory=Bounds)  # of what is granted
    told: str = ""  # why an admin has stopped it, for everybody who may know of it

    @property
    def granted(self) -> bool:
        """Whether a read goes ahead: allowed, or refused in a mode that only observes."""
        return self.status == "granted"


def access_to(contract: Contract, policy: EffectivePolicy, now: datetime, grant: Grant | None = None) -> Access:
    """Read access by the policy, else by a grant that the policy still lets one ask for; then what cannot be delivered is refused."""
    return replace(_access(contract, policy, now, grant), policy_digest=policy.digest)


def _access(contract: Contract, policy: EffectivePolicy, now: datetime, grant: Grant | None) -> Access:
    read = decide(policy, "data.read", contract.resource, now)
    ask = decide(policy, "data.request", contract.resource, now)
    if read.blocks and ask.allowed and grant is not None:
        read = _by_grant(ask, grant, contract)
    known = not read.blocks or ask.allowed or policy.browse.value == "all"
    if contract.problems:
        return _broken(contract, read, policy, known=known)
    if not read.blocks:
        blocked = obstacle_for(contract, partial(_obliged, policy), policy.attributes)
        if blocked:
            return Access("refused", Decision(False, blocked, read.rule, f"talk to its owner ({contract.owner})"), True)
        return Access("granted", read, True, bounds=bounds_for(contract, partial(_obliged, policy), policy.attributes))
    return Access("requestable" if ask.allowed else "refused", read, known)


def _obliged(policy: EffectivePolicy, contract: Contract) -> Obligations:
    return policy.obligations(contract.resource)


def _by_grant(ask: Decision, grant: Grant, contract: Contract) -> Decision:
    """The grant's rule is the one that lets the person ask: when that goes, or a deny comes, the grant is worth nothing."""
    reason = f"{contract.name} was granted by {grant['granted_by']} until {grant['expires_at']:%Y-%m-%d %H:%M} UTC"
    return replace(ask, reason=reason, next_step="")


def _broken(contract: Contract, read: Decision, policy: EffectivePolicy, *, known: bool) -> Access:
    """Without a classification nobody knows which rules would have matched, so only admins see such a contract."""
    reason = obstacle(contract, policy.obligations(contract.resource), policy.attributes)
    refusal = Decision(False, reason, read.rule, f"tell its owner ({contract.owner or 'unknown'}) or an admin: `jupyter guardrails data check`")
    return Access("broken", refusal, "admin" in policy.roles or (known and bool(contract.classification)))
