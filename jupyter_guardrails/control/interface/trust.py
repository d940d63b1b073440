"""Requests to control: whose signatures on packages count here, beside its own."""

from __future__ import annotations

from pydantic import Field

from jupyter_guardrails.control.interface.messages import Request


class TrustAdd(Request):
    """-> TrustedKey: {keyid, name, own, public}. `key`: the text of a *.public.json; `name`: whose it is."""

    op = "trust.add"
    key: str = Field(max_length=10_000)
    name: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")


class TrustList(Request):
    """-> {keys: [TrustedKey]}: control's own, and those that were added."""

    op = "trust.list"
    repeatable = True


class TrustRemove(Request):
    """-> TrustedKey, which no longer counts: packages that it alone vouched for are not trusted from now on."""

    op = "trust.remove"
    keyid: str = Field(max_length=200)
    reason: str = Field(min_length=3, max_length=2000)
