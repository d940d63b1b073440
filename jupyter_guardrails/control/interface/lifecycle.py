"""Requests to control: a submission is taken back, retired, or gone back to."""

from __future__ import annotations

from pydantic import Field

from jupyter_guardrails.control.interface.messages import Request


class SubmissionWithdraw(Request):
    """-> Submission. By its author, as long as it is not in production."""

    op = "submissions.withdraw"
    id: str = Field(max_length=100)


class SubmissionRetire(Request):
    """-> {submission, revocation: text of a DSSE envelope}. What is deployed of it ends; its package is no longer trusted."""

    op = "submissions.retire"
    id: str = Field(max_length=100)
    reason: str = Field(min_length=3, max_length=2000)


class SubmissionRollback(Request):
    """-> {submission, instead_of: Submission}. An earlier approved version may take the place of the one in production; it is deployed next."""

    op = "submissions.rollback"
    id: str = Field(max_length=100)
    reason: str = Field(min_length=3, max_length=2000)
