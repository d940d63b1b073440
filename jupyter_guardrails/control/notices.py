"""At each beat: which limits come near for whom, what is said, and what is to be done. The state is in the records and survives every restart."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.control import budgeting, notice_words
from jupyter_guardrails.control.grading import Measure, called_off, countdown_s, graded, next_beat_s
from jupyter_guardrails.control.notice_words import Words
from jupyter_guardrails.control.state import ControlState
from jupyter_guardrails.errors import GroupsUnknown, PolicyError
from jupyter_guardrails.policy import EffectivePolicy
from jupyter_guardrails.records import audit, leases, notices
from jupyter_guardrails.records.budgets import Standing
from jupyter_guardrails.records.columns import iso
from jupyter_guardrails.records.notices import Cause, Notice, Run

HOUR_S = 3600
SHOWN_AFTER_THE_END = timedelta(hours=12)
KEPT = timedelta(days=7)
ACTION = {"warned": "kernel.notice", "noticed": "kernel.notice", "off": "kernel.notice", "interrupted": "kernel.interrupt", "ended": "kernel.overdue"}


@dataclass(frozen=True, slots=True)
class Seen:
    """A person's live leases with their runs and notices, and all that use the same budget, as of one moment."""

    rows: list[dict[str, Any]]
    spenders: list[dict[str, Any]]
    runs: dict[str, Run]
    notices: dict[tuple[str, str], Notice]


@dataclass(frozen=True, slots=True)
class Step:
    """One limit of one lease: what is used of it, and its notice before and now."""

    row: dict[str, Any]
    measure: Measure | None
    before: Notice | None
    now: Notice | None


async def review(state: ControlState, of: Collection[str]) -> dict[str, Any]:
    """For the answer to a beat of these leases: {notices, again_s}. Where nobody can tell the policy nothing begins, and nothing is ended."""
    try:
        policy = state.effective()
    except (PolicyError, GroupsUnknown):
        return {}
    standing = await budgeting.standing(state, state.principal)
    seen = await state.records.read(_see, state.principal, standing)
    now = state.clock()
    steps = [step for row in seen.rows if row["id"] in of and row["state"] == "active" for step in _steps(policy, standing, seen, row, now=now)]
    changed = [step for step in steps if step.now != step.before]
    if changed:
        fields = [_audit_fields(state, policy, step) for step in changed if step.now is not None]
        await state.records.write(_write, changed, fields, now=now)
    pairs = [(step.measure, step.now) for step in steps if step.measure is not None]
    told = [_told(step.now, quiet=policy.mode.value == "observe") for step in steps if step.now is not None]
    return {"notices": told, "again_s": next_beat_s(pairs, now=now)}


async def shown(state: ControlState, policy: EffectivePolicy) -> dict[str, list[dict[str, Any]]]:
    """Kernel id -> its notices as the `Notice` of openapi.yaml."""
    standing = await budgeting.standing(state, state.principal)
    seen = await state.records.read(_see, state.principal, standing)
    now = state.clock()
    found: dict[str, list[dict[str, Any]]] = {row["kernel_id"]: [] for row in seen.rows}
    for row in seen.rows:
        measures = {measure.cause: measure for measure in measured(policy, standing, seen, row, now=now)}
        for notice in (seen.notices[key] for key in sorted(seen.notices) if key[0] == row["id"]):
            found[row["kernel_id"]].append(_shape(notice, measures.get(notice.cause), now=now))
    return found


async def ended(state: ControlState) -> list[dict[str, Any]]:
    """What a limit has ended in the last hours, newest first, as `Ended` of openapi.yaml."""
    rows = await state.records.read(notices.ended, state.principal, since=state.clock() - SHOWN_AFTER_THE_END)
    same = ("kernelspec", "kind", "notebook", "reason", "rule")
    return [{name: row[name] for name in same} | {"id": row["kernel_id"], "cause": row["cause"], "ended_at": iso(row["ended_at"])} for row in rows]


def measured(policy: EffectivePolicy, standing: Standing | None, seen: Seen, row: dict[str, Any], *, now: datetime) -> Iterable[Measure]:
    """The limits that hold for one lease."""
    if standing is not None and policy.budget is not None:
        yield _budget(policy, standing, row, budgeting.rates(seen.spenders))
    profile, run = policy.all_profiles.get(row["profile"]), seen.runs.get(row["id"])
    if profile is None or run is None:
        return
    enforced, rule = policy.mode.value == "enforce", str(profile.rule)
    if profile.value.idle_s and row["kind"] in ("kernel", "terminal"):
        idle_s, limit_s = _idle_s(row, run, now=now), profile.value.idle_s
        words = notice_words.of_idle(row["kind"], limit_s=limit_s, idle_s=idle_s)
        yield _of_time("idle", idle_s, limit_s, words=words, rule=rule, interrupts=False, enforced=enforced)
    if profile.value.lifetime_s:
        age_s, limit_s = (now - run.started_at).total_seconds(), profile.value.lifetime_s
        words = notice_words.of_lifetime(row["kind"], limit_s=limit_s, age_s=age_s)
        yield _of_time("lifetime", age_s, limit_s, words=words, rule=rule, interrupts=row["kind"] != "terminal", enforced=enforced)


def _of_time(cause: Cause, used_s: float, limit_s: int, *, words: Words, rule: str, interrupts: bool, enforced: bool) -> Measure:
    left_s = max(0.0, limit_s - used_s)
    return Measure(cause, used_s / limit_s, left_s, rule, words, countdown_s(limit_s), interrupts=interrupts, enforced=enforced)


def _budget(policy: EffectivePolicy, standing: Standing, row: dict[str, Any], rates: Mapping[str, float]) -> Measure:
    assert policy.budget is not None
    spec, lasts = policy.budget.value, row["kind"] == "terminal"  # a terminal is how one saves one's work
    left_s = _left_s(standing, rates)
    words = notice_words.of_budget(row["kind"], standing, principal=row["principal"], left_s=left_s, grace_s=spec.grace_s)
    found = Measure("budget", standing.share, left_s, str(policy.budget.rule), words, float(spec.grace_s), warn_at=spec.warn_at)
    return replace(found, interrupts=not lasts, ends=not lasts, enforced=policy.mode.value == "enforce")


def _left_s(standing: Standing, rates: Mapping[str, float]) -> float | None:
    """Until the first amount is used up at the rate of the last beats; None when nothing is being used."""
    left = [(amount.limit - amount.used) * HOUR_S / rates[amount.name] for amount in standing.amounts if amount.limit and rates.get(amount.name)]
    return max(0.0, min(left)) if left else None


def _idle_s(row: dict[str, Any], run: Run, *, now: datetime) -> float:
    """Not longer than it runs, and not since before its person kept it."""
    since = max(run.started_at, run.kept_at or run.started_at)
    return min(row["idle_s"] + (now - row["beat_at"]).total_seconds() if row["idle_s"] else 0.0, (now - since).total_seconds())


def _steps(policy: EffectivePolicy, standing: Standing | None, seen: Seen, row: dict[str, Any], *, now: datetime) -> list[Step]:
    steps = []
    measures = {measure.cause: measure for measure in measured(policy, standing, seen, row, now=now)}
    for cause in ("budget", "idle", "lifetime"):
        before, measure = seen.notices.get((row["id"], cause)), measures.get(cause)
        if measure is not None:
            after = graded(before, measure, lease=row["id"], principal=row["principal"], now=now)
        else:
            after = _without_limit(before, row, now=now)
        if before is not None or after is not None or measure is not None:
            steps.append(Step(row, measure, before, after))
    return steps


def _without_limit(before: Notice | None, row: dict[str, Any], *, now: datetime) -> Notice | None:
    """The policy no longer has that limit."""
    if before is None or before.phase not in ("noticed", "interrupted") or not before.enforced:
        return None
    words = notice_words.Words(notice_words.NOUNS[row["kind"]], "", "", "the policy no longer has that limit")
    return called_off(before, words, now=now)


def _see(connection: Connection, principal: str, standing: Standing | None) -> Seen:
    rows = leases.live(connection, principal)
    together = standing is not None and standing.is_shared
    spenders = [row for row in leases.live(connection, None) if standing and row["holder"] == standing.holder] if together else rows
    of = [row["id"] for row in rows]
    return Seen(rows, spenders, notices.runs_of(connection, of), notices.of_leases(connection, of))


def _write(connection: Connection, changed: Iterable[Step], fields: Iterable[dict[str, Any]], *, now: datetime) -> None:
    for step in changed:
        if step.now is not None:
            notices.put(connection, step.now)
        elif step.before is not None:
            notices.drop(connection, step.before.lease, step.before.cause)
    for record in fields:
        audit.append(connection, **record)
    notices.forget(connection, before=now - KEPT)


def _audit_fields(state: ControlState, policy: EffectivePolicy, step: Step) -> dict[str, Any]:
    notice = step.now
    assert notice is not None
    mode = None if notice.enforced else policy.mode.value
    said = {"reason": notice.reason, "rule": notice.rule, "kernel": step.row["kernel_id"], "notebook": step.row["notebook"], "mode": mode}
    allowed = notice.phase in ("warned", "off") or (notice.phase == "noticed" and notice.enforced)
    return state.audit_fields(ACTION[notice.phase], notice.cause, None, allowed=allowed, **said)


def _told(notice: Notice, *, quiet: bool) -> dict[str, Any]:
    """For the watch: `say` False is shown in the panel alone. An idle kernel's warning has nobody there to read it in the notebook."""
    say = not (notice.cause == "idle" and notice.phase == "warned") and not quiet
    same = {"lease": notice.lease, "cause": notice.cause, "phase": notice.phase, "since": iso(notice.since), "text": notice.reason}
    return same | {"rule": notice.rule, "say": say}


def _shape(notice: Notice, measure: Measure | None, *, now: datetime) -> dict[str, Any]:
    due = {"warned": None, "noticed": notice.interrupt_at, "interrupted": notice.end_at}.get(notice.phase)
    left_s = (due - now).total_seconds() if due else measure.left_s if measure and notice.phase == "warned" else None
    shape = {"kind": notice.cause, "phase": notice.phase, "reason": _reason(notice, measure), "rule": notice.rule, "would": not notice.enforced}
    shape |= {"share": measure.share if measure else None, "since": iso(notice.since), "can": _can(notice)}
    shape |= {"seconds_left": max(0.0, left_s) if left_s is not None else None}
    return shape | {"ends_at": iso(notice.end_at) if notice.end_at and notice.phase in ("noticed", "interrupted") else None}


def _reason(notice: Notice, measure: Measure | None) -> str:
    """As it is now: what was said at the time counts from then."""
    if measure is None or notice.phase not in ("warned", "noticed", "interrupted") or not notice.enforced:
        return notice.reason
    return measure.words.nearing if notice.phase == "warned" else measure.words.reached


def _can(notice: Notice) -> list[str]:
    """What its person can do about it."""
    if notice.phase in ("off", "ended"):
        return []
    return [*(["keep"] if notice.cause == "idle" else []), "stop", "more"]
