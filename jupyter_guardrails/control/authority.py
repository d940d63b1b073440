"""Who may decide: admins, reviewers of jobs, and those who decide requests for a dataset. Refusals are recorded."""

from __future__ import annotations

from typing import NoReturn

from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.control.rights import rights, stopped
from jupyter_guardrails.control.state import ControlState
from jupyter_guardrails.errors import Refused
from jupyter_guardrails.policy import Decision, EffectivePolicy, RuleRef
from jupyter_guardrails.policy.compiled import Crowd
from jupyter_guardrails.policy.verdict import NOT_ONES_OWN

SELF_TEST = "self-test, not approved: control runs under the account of whoever works here, so nobody else has decided this"


async def require_admin(state: ControlState, action: str, resource: str, *, lifts_own: bool = False) -> str:
    """The rule that makes this person an admin, as text; Refused, and recorded, for everybody else, and for an admin who is suspended.

    `lifts_own`: a suspension that somebody put on themselves is theirs to lift.
    """
    policy = state.effective()
    rule = policy.place("admins")
    if "admin" not in policy.roles:
        await refuse(state, action, resource, Decision(False, f"{state.principal} is not an admin", rule, f"ask an admin ({policy.admins})"))
    row = (await rights(state)).person
    if row is not None and not (lifts_own and row["suspended_by"] == state.principal):
        await refuse(state, action, resource, stopped(row))
    return str(rule)


async def refuse_suspended_person(state: ControlState, action: str, resource: str) -> None:
    """Refused, and recorded, when this person is suspended: they decide nothing either."""
    if (row := (await rights(state)).person) is not None:
        await refuse(state, action, resource, stopped(row))


async def refuse(state: ControlState, action: str, resource: str, decision: Decision) -> NoReturn:
    """Record the refusal and raise it."""
    await state.audit(action, resource, decision)
    raise Refused(decision.reason, rule=str(decision.rule), next_step=decision.next_step)


def on_request(policy: EffectivePolicy, contract: Contract | None, *, asked_by: str, dataset: str) -> Decision:
    """Whether this person may decide what somebody asked for: the dataset's owner or `data.reviewers`, never who asked."""
    rule, reviewers = policy.place("data.reviewers"), policy.document.data.reviewers
    if asked_by == policy.person:
        return Decision(False, f"{policy.person} asked for {dataset}", NOT_ONES_OWN, f"{policy.data_reviewers} decides")
    owner = contract.owner if contract is not None else ""
    if reviewers.owner and owner == policy.person:
        return Decision(True, f"{policy.person} owns {dataset}", rule)
    if Crowd(reviewers).has(policy.person, policy.groups):
        return Decision(True, f"{policy.person} decides requests for data", rule)
    nobody = not (reviewers.owner or reviewers.users or reviewers.groups)
    if nobody and "admin" in policy.roles:
        return Decision(True, f"{policy.person} is an admin, and the policy names nobody else", policy.place("admins"))
    return Decision(False, f"{policy.person} does not decide requests for {dataset}", rule, f"{policy.data_reviewers} decides")


def on_input(policy: EffectivePolicy, dataset: str, *, owner: str, asked_by: str) -> Decision:
    """Whether this person may decide about what was made of a dataset: as `on_request` says; admins, where that is nobody but the author."""
    reviewers = policy.document.data.reviewers
    decision = on_request(policy, Contract(dataset, "", owner=owner), asked_by=asked_by, dataset=dataset)
    somebody = bool(reviewers.users or reviewers.groups) or (reviewers.owner and owner not in ("", asked_by))
    if not decision.allowed and not somebody and "admin" in policy.roles and policy.person != asked_by:
        return Decision(True, f"{policy.person} is an admin, and nobody else decides about {dataset}", policy.place("admins"))
    return decision


def on_job(policy: EffectivePolicy, *, job: str, submitted_by: str, service: bool) -> Decision:
    """Whether this person may review a job: `promotion.reviewers`, never the submitter; in *own* mode the submitter may try it, as a self-test."""
    rule = policy.place("promotion.reviewers")
    if submitted_by == policy.person:
        next_step = "another reviewer must look at it"
        return Decision(not service, f"{policy.person} submitted {job}", NOT_ONES_OWN, "" if not service else next_step)
    if Crowd(policy.document.promotion.reviewers).has(policy.person, policy.groups):
        return Decision(True, f"{policy.person} is a reviewer", rule)
    return Decision(False, f"{policy.person} is not a reviewer", rule, f"reviewers are named under promotion.reviewers by an admin ({policy.admins})")


def ref(name: str) -> RuleRef:
    """A rule that no file holds."""
    return RuleRef("", 0, name)
