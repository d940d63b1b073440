"""Requests to control: data that people publish, who looks at it, and who gets it. Answers are publications, see control/publications.py."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

from pydantic import Field

from jupyter_guardrails.control.interface.messages import Request

_ENDINGS = {"jsonl": "json", "ndjson": "json", "feather": "arrow", "ipc": "arrow"}


def format_of(file: PurePath) -> str:
    """The `format` of an import, by the ending of the file's name; what control does not know it refuses."""
    ending = file.suffix.lstrip(".").lower()
    return _ENDINGS.get(ending, ending)


class DataImport(Request):
    """-> the publication, private. fd 0 is the file; it may be of any file system: it is copied by a bounded process."""

    op = "publications.import"
    timeout_s = 330.0
    name: str = Field(max_length=200)
    description: str = Field(max_length=4000)
    format: str = Field(max_length=20)


class PublicationsList(Request):
    """-> {publications: [publication], person, groups, reviewed, imports}: one's own, and with `review` those that wait for this person's word.

    `groups`: to which this person may propose; `reviewed`: another person must agree; `imports`: own files may be brought along.
    """

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


class PublicationSubmit(PublicationPropose):
    """-> the publication, proposed. Nothing is published by it (refused where nobody would look), so it is no decision: a governed server may ask."""

    op = "publications.submit"


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


class PublicationDiscard(PublicationWithdraw):
    """-> the publication, withdrawn; refused once it is published. Nobody loses anything by it, so it is no decision: a governed server may ask."""

    op = "publications.discard"
