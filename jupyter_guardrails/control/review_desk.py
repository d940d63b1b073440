"""What lies on a reviewer's desk: jobs that wait for their word, drafts that authors show them, and what they decided lately."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.control import authority, reviews, shapes, sharing
from jupyter_guardrails.control.interface.decisions import ReviewsOverview
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.records import decisions, submissions
from jupyter_guardrails.records.columns import iso

MOST = 1000  # rows of a kind that are looked at
LATELY = 30  # own decisions that are shown
WORDS = ("decision", "words", "self_test")
Row = dict[str, Any]


async def overview(state: ControlState, request: ReviewsOverview, fds: list[int]) -> dict[str, Any]:
    """The desk of whoever asks; empty, with the rule, for who reviews nothing."""
    waiting, drafts, mine, counted = await state.records.read(_read, state.principal)
    done = {said["submission"] for said in mine}
    seen = [row for row in waiting if row["id"] not in done and await reviews.may(state, row)]
    shown = await asyncio.to_thread(_shared, state, drafts)
    shown = [row for row in shown if row["principal"] != state.principal and await reviews.may(state, row)]
    decided = [await _decided(state, said) for said in mine[:LATELY]]
    return {
        "person": state.principal,
        "service": state.service,
        "reviewer": _reviewer(state),
        "waiting": [_brief(state, row, counted) for row in seen],
        "drafts": [_brief(state, row, counted) for row in shown],
        "decided": [_brief(state, row, counted) | said for row, said in decided],
    }


def _read(connection: Connection, person: str) -> tuple[list[Row], list[Row], list[Row], dict[str, int]]:
    """Everything as of one moment."""
    waiting = submissions.in_states(connection, "in_review", limit=MOST)
    drafts = submissions.in_states(connection, *sharing.STATES, limit=MOST)
    mine = decisions.by(connection, person)
    ids = {row["id"] for row in waiting} | {said["submission"] for said in mine}
    return waiting, drafts, mine, decisions.counted(connection, ids)


def _shared(state: ControlState, drafts: Iterable[Row]) -> list[Row]:
    """Looks at a file for each."""
    return [row for row in drafts if sharing.is_shared(state, row)]


async def _decided(state: ControlState, said: Mapping[str, Any]) -> tuple[Row, dict[str, Any]]:
    row = await state.records.read(submissions.get, said["submission"])
    return row, {key: said[key] for key in WORDS} | {"decided_at": iso(said["decided_at"])}


def _brief(state: ControlState, row: Row, counted: Mapping[str, int]) -> dict[str, Any]:
    return shapes.brief(row, service=state.service) | {"decisions": counted.get(row["id"], 0)}


def _reviewer(state: ControlState) -> dict[str, Any]:
    """Whether the policy names this person, as a decision about a job of somebody else."""
    found = authority.on_job(state.effective(), job="a job", submitted_by="", service=state.service)
    return {"allowed": found.allowed, "reason": found.reason, "rule": str(found.rule), "next_step": found.next_step}


OPERATIONS: Operations = {ReviewsOverview: overview}
