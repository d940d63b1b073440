"""Requests about limits that come near: keeping an idle kernel, and more of a limit for a while."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from jupyter_guardrails.control.interface.messages import Request


class KernelKeep(Request):
    """-> {kernel, idle_limit_s}. Counts as use now; Conflict where it is not its idle time that ends it."""

    op = "kernel.keep"
    kernel: str


class KernelStopping(Request):
    """-> {kernel, kind, notebook}. Its person is about to end it: recorded, and NotFound where there is none of theirs."""

    op = "kernel.stopping"
    kernel: str


class MoreAsk(Request):
    """-> AccessRequest of openapi.yaml, kind `more`. `amount` is the limit while it lasts (not what is added); a profile has none."""

    op = "requests.more"
    repeatable = True
    resource: str = Field(max_length=200)
    amount: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    until: AwareDatetime
    purpose: str = Field(min_length=3, max_length=2000)


class MoreDecide(Request):
    """-> AccessRequest of openapi.yaml. By an admin, never on one's own request; with a self-chosen policy that is labelled."""

    op = "requests.decide_more"
    id: str
    grant: bool
    reason: str = Field(min_length=3, max_length=2000)
    until: AwareDatetime | None = None  # earlier than what was asked for


class MoreRevoke(Request):
    """-> AccessRequest of openapi.yaml, state `revoked`: over now. By an admin, or by whoever has it."""

    op = "requests.revoke_more"
    id: str = Field(max_length=100)
    reason: str = Field(min_length=3, max_length=2000)
