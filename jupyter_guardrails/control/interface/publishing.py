"""Requests to control: data that people publish, who looks at it, and who gets it. Answers are publications, see control/publications.py."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from jupyter_guardrails.control.interface.messages import Request


class DataImport(Request):
    """-> the publication, private. fd 0 is the file; it may be of any file system: it is copied by a bounded process."""

    op = "publications.import"
    timeout_s = 330.0
    name: str = Field(max_length=200)
    description: str = Field(max_length=4000)
    format: str = Field(max_length=20)


class PublicationsList(Request):
    """-> {publications: [publication]}: one's own, and with `review` those that wait for this person's word."""

    op = "publications.list"
    repeatable = True
    review: bool = False


class PublicationShow(Request):
    """-> the publication, the newest version that this person may see."""

    op = "publications.show"
    repeatable = True
    name: str = Field(max_length=200)


class PublicationPropose(Request):
    """-> the publication, proposed to a group; or published at once, where the policy asks for no review."""

    op = "publications.propose"
    name: str = Field(max_length=200)
    group: str = Field(max_length=128)


class PublicationDecide(Request):
    """-> the publication. `digest` is that of what was looked at; a lower `classification` is a declassification and needs a reason."""

    op = "publications.decide"
    name: str = Field(max_length=200)
    decision: Literal["approve", "send_back"]
    digest: str = Field(min_length=64, max_length=64)
    reason: str = Field(default="", max_length=2000)
    classification: str | None = Field(default=None, max_length=100)


class PublicationWithdraw(Request):
    """-> the publication, withdrawn: nobody can open it any more, and its file is removed."""

    op = "publications.withdraw"
    name: str = Field(max_length=200)
    reason: str = Field(default="", max_length=2000)
