"""A request to control: whether what a person looks at is still as it was."""

from __future__ import annotations

from jupyter_guardrails.control.interface.messages import Request


class Changes(Request):
    """-> {topic: mark}: a mark is another one when others, too, have changed something of that.

    Everybody has `submissions` and `requests`, reviewers of jobs `review`; `decisions` is there while data or a request waits for this person's word.
    Marks say nothing else. Cheap, so that a server may ask every few seconds while somebody looks.
    """

    op = "changes"
    repeatable = True
