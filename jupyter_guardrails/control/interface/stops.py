"""Requests to control: what admins stop at once, and what they open for a while."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from jupyter_guardrails.control.interface.messages import Request

StopKind = Literal["user", "dataset", "package", "job"]
LONGEST_S = 24 * 3600
REASON_LENGTH = 10  # letters that a reason of break-glass has at least


class Suspend(Request):
    """-> Suspension: {kind, name, reason, by, since, rule, ends_kernels_at, kernels}. `kernels`: how many run that it concerns.

    Of a user: what runs is ended after `grace_s`. Of a dataset: kernels that were started with it, with `end_kernels` only.
    """

    op = "suspensions.suspend"
    kind: StopKind
    name: str = Field(min_length=1, max_length=300)
    reason: str = Field(min_length=3, max_length=2000)
    grace_s: float = Field(default=60.0, ge=0, le=3600)
    end_kernels: bool = False


class SuspensionLift(Request):
    """-> Suspension, lifted."""

    op = "suspensions.lift"
    kind: StopKind
    name: str = Field(min_length=1, max_length=300)
    reason: str = Field(min_length=3, max_length=2000)


class SuspensionsList(Request):
    """-> {suspensions: [Suspension]}, those in force; `all`: lifted ones too. For admins; others see their own."""

    op = "suspensions.list"
    repeatable = True
    all: bool = False


class BreakGlass(Request):
    """-> Exemption: {id, kind, person, name, unmasked, reason, by, begins_at, ends_at, state, label}."""

    op = "exemptions.begin"
    kind: Literal["dataset", "profile"]
    name: str = Field(min_length=1, max_length=300)
    person: str | None = Field(default=None, max_length=300)  # None: oneself
    reason: str = Field(min_length=REASON_LENGTH, max_length=2000)
    for_s: int = Field(default=3600, ge=60, le=LONGEST_S)
    unmasked: bool = False


class BreakGlassEnd(Request):
    """-> Exemption, ended before its time."""

    op = "exemptions.end"
    id: str = Field(max_length=100)


class BreakGlassList(Request):
    """-> {exemptions: [Exemption]}, newest first. For admins; others see their own."""

    op = "exemptions.list"
    repeatable = True
