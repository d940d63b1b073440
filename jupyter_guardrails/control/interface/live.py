"""Where what a kernel sees of data can be changed while it runs."""

from __future__ import annotations

from pydantic import BaseModel


class LivePlace(BaseModel):
    """`folder`: what its $GUARDRAILS_DATA names; `pid`: its program; `launch`: whose mounter gave it its root, empty where no mounter did."""

    folder: str
    pid: int
    launch: str = ""
