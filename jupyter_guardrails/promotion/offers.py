"""Fixes that the panel or a command can carry out, as data: what to do, and with what. The person decides, and sees the text of the finding."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


class Offer(TypedDict):
    """One fix of a finding's cell, as openapi.yaml's Offer; `replace` changes `old` to `new` on the finding's line."""

    do: Literal["clear_outputs", "replace", "tag", "run_all", "install", "request"]
    old: NotRequired[str]
    new: NotRequired[str]
    tag: NotRequired[str]
    requirement: NotRequired[str]  # for `install`: `pandas==2.2.3`
    dataset: NotRequired[str]  # for `request`


CLEAR_OUTPUTS: Offer = {"do": "clear_outputs"}
RUN_ALL: Offer = {"do": "run_all"}


def replace(old: str, new: str) -> Offer:
    """Write `new` where `old` stands on the line."""
    return {"do": "replace", "old": old, "new": new}


def tag(name: str) -> Offer:
    """Give the cell a tag."""
    return {"do": "tag", "tag": name}


def install(requirement: str) -> Offer:
    """Install a released version into the kernel's environment."""
    return {"do": "install", "requirement": requirement}


def request(dataset: str) -> Offer:
    """Ask for access to a dataset."""
    return {"do": "request", "dataset": dataset}
