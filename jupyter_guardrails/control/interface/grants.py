"""Requests to control: a grant that nobody asked for."""

from __future__ import annotations

from pydantic import Field

from jupyter_guardrails.control.interface.messages import Request


class GrantGive(Request):
    """-> the grant {id, person, dataset, granted_by, granted_at, expires_at, rule}. By who decides requests for the dataset, never to oneself."""

    op = "grants.give"
    person: str = Field(max_length=200)
    dataset: str = Field(max_length=200)
    days: int = Field(ge=1, le=365)
    reason: str = Field(min_length=3, max_length=2000)
