"""Requests to control: what was decided in the past, for `policy simulate|suggest`, and whether notices arrive."""

from __future__ import annotations

from pydantic import Field

from jupyter_guardrails.control.interface.messages import Request


class DecisionsPast(Request):
    """-> {facts: [Fact], people: {name: [group]}, left_out: int, since, policy}. For admins.

    A Fact is the same decision about the same person and thing, counted: {person, action, resource, allowed, mode, rule, kind, count, last,
    by_grant, labels}; `kind` is that of the kernel, `labels` those of the dataset's contract now.
    """

    op = "decisions.past"
    since_s: int = Field(ge=60, le=10 * 366 * 86400)
    refused_only: bool = False


class NotifyCheck(Request):
    """-> {targets: [{target, ok, error}], waiting: {target: count}}. For admins: connects to each target, sends nothing."""

    op = "notify.check"
