"""A request to control: showing a draft to those who review."""

from __future__ import annotations

from jupyter_guardrails.control.interface.messages import Request


class SubmissionShare(Request):
    """-> Submission, and `shared`. Whether reviewers may look at a draft, or at what failed its checks; its author's to say, and to take back."""

    op = "submissions.share"
    id: str
    shared: bool = True
