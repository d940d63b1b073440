"""Requests about what was used."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from jupyter_guardrails.control.interface.messages import Request

HOUR_S, DAY_S = 3600, 86400
LONGEST_S = 3660 * DAY_S


class Usage(Request):
    """-> Usage of openapi.yaml: own use, everybody's for admins."""

    op = "usage"
    repeatable = True
    since_s: int = Field(default=30 * DAY_S, ge=HOUR_S, le=LONGEST_S)
    by: Literal["person", "day", "profile", "notebook", "kernelspec"] = "person"


class KernelHistory(Request):
    """-> History of openapi.yaml: how processor and memory of one kernel went; own ones, anyone's for admins."""

    op = "kernel.history"
    repeatable = True
    kernel_id: str = Field(max_length=200)
