"""SQL of a person for a database that has grants of its own: whether it may be run, as which account there, and what is recorded of it.

The contract is the door: an admin opens it with `guardrails.sql: per-person`, and what the person sees behind it is what their account there may
see. Masks and row filters of ours would not hold in it, so where there are any for this person, no SQL is taken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from jupyter_guardrails.catalog.access import Access
from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.control.state import ControlState

PER_PERSON = "per-person"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `keep_text`: whether the record has its text beside its digest, as cells' texts are kept."""

    text: str
    keep_text: bool

    @property
    def digest(self) -> str:
        """sha256 of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def recorded(self) -> dict[str, Any]:
        """For its audit record."""
        return {"cell_digest": self.digest, "code": self.text if self.keep_text else None}


def statement_of(state: ControlState, text: str) -> Statement:
    """With its text in the record where the policy's `audit.cells` keeps code."""
    policy = state.policies.current
    return Statement(text, policy is not None and policy.document.audit.cells == "code")


def narrowed(state: ControlState, contract: Contract, access: Access) -> Access:
    """A read of this dataset by SQL: refused, with all that one needs to know, where it can't be one."""
    if not access.granted:
        return access
    reason, next_step = _objection(state, contract, access)
    decision = replace(access.decision, allowed=False, reason=reason, next_step=next_step)
    return replace(access, status="refused", decision=decision) if reason else access


def _objection(state: ControlState, contract: Contract, access: Access) -> tuple[str, str]:
    read = f"guarded.open({contract.name!r}).to_pandas()"
    if contract.sql != PER_PERSON:
        return f"{contract.name} takes no SQL: nobody has opened it for that", read
    if access.bounds.masks or access.bounds.hides_rows:
        return f"{contract.name} is masked or filtered for you here, and SQL in the database would go round that", read
    if login_of(state, contract) is None:
        step = f"{read}; or ask an admin for an account of yours there, and its entry under `roles` in credentials.yaml"
        return f"{state.principal} has no account in the database of {contract.name}", step
    return "", ""


def login_of(state: ControlState, contract: Contract) -> Mapping[str, Any] | None:
    """The account of this person in the contract's database, as plain data for the broker; None where there is none."""
    return state.credentials.for_person(contract.place, state.principal)
