"""An export of the log as JSON lines: a header, the records, the anchors that vouch for them, and a signature over all of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, BinaryIO

from sqlalchemy import Connection

from jupyter_guardrails.records import anchors as anchoring
from jupyter_guardrails.records import audit
from jupyter_guardrails.records.anchors import Anchor, Signer
from jupyter_guardrails.records.columns import iso
from jupyter_guardrails.records.offline import EXPORT

PAGE = 2000


def write(connection: Connection, file: BinaryIO, wanted: audit.Filter, *, now: datetime, signer: Signer) -> dict[str, Any]:
    """Write what is wanted; returns {count, first, last}. Without filters but times it is a whole stretch, which verifies as a chain."""
    complete = wanted.principal is None and not wanted.actions
    hashed, found = hashlib.sha256(), {"count": 0, "first": 0, "last": 0}

    def put(text: str) -> None:
        hashed.update(text.encode())
        file.write(text.encode())

    put(_line({"export": {"complete": complete, "principal": wanted.principal or "", "time": iso(now)}}))
    kept: list[dict[str, Any]] = []
    for record in _records(connection, wanted):
        put(audit.line(record) + "\n")
        kept = [kept[0] if kept else record, record]
        found |= {"count": found["count"] + 1, "first": kept[0]["seq"], "last": record["seq"]}
    for anchor in _anchors(connection, kept, now=now, signer=signer) if complete and kept else ():
        put(_line(anchor.to_json()))
    if signer.key is not None:
        signature = signer.key.sign(EXPORT, hashed.hexdigest())
        file.write(_line({"seal": {"key": signer.key.public, "signature": signature}}).encode())
    return found


def _records(connection: Connection, wanted: audit.Filter) -> Iterator[dict[str, Any]]:
    after = 0
    while page := audit.newest(connection, after=after, limit=PAGE, wanted=wanted):
        yield from page
        after = page[-1]["seq"]


def _anchors(connection: Connection, kept: list[dict[str, Any]], *, now: datetime, signer: Signer) -> Iterator[Anchor]:
    """Those of the log, and one for each end of the stretch, made now."""
    first, last = kept[0], kept[-1]
    if first["seq"] > 1:
        yield anchoring.signed(signer, first["seq"] - 1, first["previous_hash"], now=now)
    yield from (one for one in anchoring.read(connection, after=first["seq"] - 1) if one.seq <= last["seq"])
    yield anchoring.signed(signer, last["seq"], last["hash"], now=now)


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":")) + "\n"
