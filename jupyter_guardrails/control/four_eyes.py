"""Whether two logins are one person, as far as this machine tells: by the number of the account, and by the group that an account has of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jupyter_guardrails.control.state import ControlState
from jupyter_guardrails.policy import Decision
from jupyter_guardrails.policy.verdict import NOT_ONES_OWN

ANOTHER = "another person must look at it"


async def refusal(state: ControlState, row: Mapping[str, Any], said: list[dict[str, Any]]) -> Decision | None:
    """Why this person's word would not be another person's: they submitted it, or approved it, under another login. None where it would be.

    `row`: the submission; `said`: the approvals that it has.
    """
    job = f"{row['name']}-{row['version']}"
    if row["principal"] != state.principal and (why := await one_person(state, row["principal"], row["uid"])):
        return Decision(False, f"{row['principal']}, who submitted {job}, is {why}", NOT_ONES_OWN, ANOTHER)
    for one in said:
        if one["reviewer"] != state.principal and (why := await one_person(state, one["reviewer"], one["uid"])):
            return Decision(False, f"{one['reviewer']}, who approved {job}, is {why}", NOT_ONES_OWN, ANOTHER)
    return None


async def one_person(state: ControlState, other: str, uid: int | None) -> str:
    """In words, why `other` is who asks, under another login; empty where nothing says so. GroupsUnknown where nobody can tell."""
    if uid is not None and uid == state.own_uid:
        return f"the same account (uid {uid}) as {state.principal}"
    await state.groups.refresh(other)
    if other in state.groups.of(state.principal):
        return f"{state.principal} too, who is in that account's own group"
    if state.principal in state.groups.of(other):
        return f"{state.principal} too, in whose own group that account is"
    return ""
