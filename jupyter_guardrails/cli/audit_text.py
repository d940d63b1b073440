"""Audit records for eyes and spreadsheets: names and reasons are other people's words, and do nothing but be read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

COLUMNS = (
    "seq",
    "time",
    "principal",
    "action",
    "resource",
    "allowed",
    "mode",
    "reason",
    "rule",
    "kernel",
    "notebook",
    "cell_digest",
    "code",
    "policy_digest",
    "hash",
)
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


def printable(text: object) -> str:
    """Text in which nothing moves a cursor, changes a colour or turns the direction of writing: such characters stand as `\\x1b`."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in str(text))


def record_line(record: Mapping[str, Any]) -> str:
    """One record in one line."""
    about = " ".join(f"{name} {record[name]}" for name in ("kernel", "notebook", "cell_digest", "code") if record.get(name))
    rule = f" [{record['rule']}]" if record["rule"] else ""
    what = f"{record['principal']} {record['action']} {record['resource']} {_verdict(record)}: {record['reason']}{rule} {about}"
    return printable(f"{record['seq']:>7} {record['time']} {what}").rstrip()


def _verdict(record: Mapping[str, Any]) -> str:
    if record["allowed"]:
        return "allowed"
    return "REFUSED" if record.get("mode") == "enforce" else f"would be refused ({record.get('mode')})"


def csv_lines(lines: Iterable[bytes]) -> Iterator[str]:
    """The records of an export as CSV with a head; a cell that a spreadsheet would calculate begins with an apostrophe."""
    yield _csv(COLUMNS)
    for raw in lines:
        record = json.loads(raw)
        if "seq" in record:
            yield _csv([_cell(record.get(name)) for name in COLUMNS])


def _cell(value: Any) -> str:
    text = "" if value is None else printable(value)
    return f"'{text}" if isinstance(value, str) and text.lstrip().startswith(FORMULA) else text


def _csv(values: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL).writerow(values)
    return line.getvalue()
