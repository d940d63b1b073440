"""What a witness kept, read back: `journalctl -o json`, a syslog file, or a collector's export; our lines are found wherever they stand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.records.anchors import Anchor, from_json
from jupyter_guardrails.records.chain import FIELDS
from jupyter_guardrails.records.verify import Witnessed

OURS = re.compile(r'\{"(?:anchor|record|action)":')
MOST_BYTES = 4 << 30
DECODER = json.JSONDecoder()


def read(path: Path) -> Witnessed:
    """Every anchor and record in a file of lines, each of which may be JSON of any shape around ours; BadRequest when there is none."""
    anchors: list[Anchor] = []
    hashes: dict[int, str] = {}
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            for value in _ours_in(line):
                _keep(value, anchors, hashes)
    if not anchors and not hashes:
        step = "name what `journalctl -o json`, syslog or the collector wrote"
        raise BadRequest(f"{path} holds nothing that was told by an audit log", next_step=step)
    return Witnessed(tuple(anchors), hashes)


def _keep(value: Any, anchors: list[Anchor], hashes: dict[int, str]) -> None:
    if (anchor := from_json(value)) is not None:
        anchors.append(anchor)
        return
    record = value.get("record", value)
    whole = isinstance(record, dict) and (value is not record or {*FIELDS} <= {*record})
    if whole and isinstance(record.get("seq"), int) and isinstance(record.get("hash"), str):
        hashes[record["seq"]] = record["hash"]


def _ours_in(line: str) -> Iterator[dict[str, Any]]:
    """Our objects in a line: as they are, or inside of strings of the JSON that somebody put around them."""
    if '"hash' not in line and "hash\\" not in line:
        return
    for text in (line, *_strings(_value(line))):
        for match in OURS.finditer(text):
            found = _value(text, match.start())
            if isinstance(found, dict):
                yield found


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _strings(inner)


def _value(text: str, start: int | None = None) -> Any:
    """The JSON value of a whole line, or the one that begins at `start`; None for anything else."""
    try:
        return json.loads(text) if start is None else DECODER.raw_decode(text, start)[0]
    except (ValueError, RecursionError):
        return None
