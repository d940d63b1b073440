"""Asking for a Python package that the policy's list doesn't name, and the decision about it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from jupyter_guardrails.control.interface.messages import Request

MOST_PACKAGES = 200  # that are allowed by one decision
Name = Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")]  # as PEP 508 writes names


class PackageAsk(Request):
    """-> AccessRequest of openapi.yaml, kind `package`. `days`: for how long from the decision on, unless whoever decides says otherwise."""

    op = "requests.package"
    repeatable = True
    package: str = Field(min_length=1, max_length=200)
    purpose: str = Field(min_length=3, max_length=2000)
    days: int = Field(default=90, ge=1, le=365)


class Fact(BaseModel):
    """What is known of one package; None for what nobody tells."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Name
    version: str = Field(max_length=200)
    license: str | None = Field(max_length=1000)
    size_bytes: int | None = Field(ge=0, lt=1 << 53)
    advisories: tuple[Annotated[str, Field(max_length=500)], ...] | None = Field(max_length=200)


class PackageSeen(Request):
    """-> {by, at, digest, facts}: kept as what this person saw of a package before a decision; its digest stands in the record of that.

    By whoever may decide the request, while it is open. `facts`: the package, then what it needs.
    """

    op = "requests.seen"
    repeatable = True
    id: str = Field(max_length=100)
    facts: tuple[Fact, ...] = Field(min_length=1, max_length=MOST_PACKAGES + 1)


class RequestShow(Request):
    """-> {request: AccessRequest, groups, refused, seen, decides}. One's own, or one that this person may decide.

    For admins: the groups of whoever asked, and which of `packages` their jobs may not hold, with the reason. `seen` ({by, at, digest, facts},
    or null): what was known of a package to whoever decided, or before that to whoever looked last. `decides`: whether this person may.
    """

    op = "requests.show"
    repeatable = True
    id: str = Field(max_length=100)
    packages: tuple[Name, ...] = Field(default=(), max_length=MOST_PACKAGES)


class PackageDecide(Request):
    """-> AccessRequest of openapi.yaml. By an admin, never on one's own request; with a self-chosen policy that is labelled.

    `group`: for everybody in it, one of the groups of whoever asked; empty: for that person alone. `also`: packages that it needs.
    """

    op = "requests.decide_package"
    id: str = Field(max_length=100)
    grant: bool
    reason: str = Field(min_length=3, max_length=2000)
    group: str = Field(default="", max_length=128)
    until: AwareDatetime | None = None
    also: tuple[Name, ...] = Field(default=(), max_length=MOST_PACKAGES)


class PackageRevoke(Request):
    """-> AccessRequest of openapi.yaml, state `revoked`: over now. By an admin, or by whoever asked where it is for them alone."""

    op = "requests.revoke_package"
    id: str = Field(max_length=100)
    reason: str = Field(min_length=3, max_length=2000)
