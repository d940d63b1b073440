"""Checking without control what it left: a state directory (table and files; the table may be in PostgreSQL), a file of the log, or an export."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.records import parts, signing
from jupyter_guardrails.records.anchors import Anchor, from_json
from jupyter_guardrails.records.anchors import read as read_anchors
from jupyter_guardrails.records.chain import Link, NoRecord, link_of_line
from jupyter_guardrails.records.snapshot import snapshot
from jupyter_guardrails.records.verify import Verification, links_of_table, verify_links

DATABASE = "records.sqlite"
EXPORT = "jupyter-guardrails audit export"
LOOKS = 3
SETTLE_S = 0.3  # control writes the file right after the table
TABLE_ALONE = "the table alone: no file of the log was compared with it"


def verify_state(folder: Path, database: str | None = None, **more: Any) -> Verification:
    """Check a table, the files of a state directory, and that both hold the same; its own public key is the one that counts unless pinned.

    The table is the one in the directory (SQLite), or that of the PostgreSQL database at the URL `database`. Control may run meanwhile:
    what changes under our eyes (the file follows the table; it becomes a part) is looked at again before anything is said against it.
    """
    _look_into(folder)
    public = folder / signing.PUBLIC_KEY
    if not more.get("pinned") and public.exists():
        more["pinned"] = (public.read_text().strip(),)
    for _ in range(LOOKS):
        before = _sizes(folder)
        found = _verify_both(folder, list(before), database or folder / DATABASE, more)
        if found.ok:
            break
        time.sleep(SETTLE_S)
        if _sizes(folder) == before:
            break
    return found


def _sizes(folder: Path) -> dict[Path, int]:
    """The log's files in order, with their bytes; one that becomes a part in this moment has none."""
    found = {}
    for path in parts.files_of(folder):
        try:
            found[path] = path.stat().st_size
        except FileNotFoundError:
            found[path] = 0
    return found


def verify_database(database: str, **more: Any) -> Verification:
    """Check the table of a PostgreSQL database alone, from wherever it can be reached."""
    table, _ = _verify_table(database, [], more)
    return replace(table, notes=(*table.notes, TABLE_ALONE))


def _look_into(folder: Path) -> None:
    """OSError when it is not ours to read: no file of it would look like a log that has none."""
    try:
        os.scandir(folder).close()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BadRequest(f"there is no folder {folder}", next_step="name a state directory, or a file of the log") from error


def _verify_both(folder: Path, files: list[Path], place: Path | str, more: dict[str, Any]) -> Verification:
    beside = parts.read_anchors(folder)  # before the table: an anchor is never ahead of its record
    table, anchors = _verify_table(place, beside, more)
    if not table.ok:
        return table
    if not files:
        return replace(table, notes=(*table.notes, TABLE_ALONE))
    tip: list[str] = []
    written = verify_links(_noting(parts.links(files), table.last, tip), [*anchors, *beside], **more)
    if not written.ok:
        return replace(written, problems=tuple(f"in the files: {problem}" for problem in written.problems))
    return replace(table, problems=tuple(_differences(table, written, tip)))


def verify_file(path: Path, **more: Any) -> Verification:
    """Check an export, or one file of a log with the parts before it; anchors are those in the export, or beside the file."""
    with parts.opened(path) as file:
        first = file.readline(parts.LONGEST_LINE)
    if first.startswith(b'{"export":'):
        return _verify_export(path, json.loads(first)["export"], more)
    files = [path]
    if path.name == parts.CURRENT:
        files = parts.files_of(path.parent)
    anchors = parts.read_anchors(path.parent) if parts.NAME.fullmatch(path.name) or path.name == parts.CURRENT else []
    return verify_links(parts.links(files), anchors, **more)


def _verify_table(place: Path | str, beside: list[Anchor], more: dict[str, Any]) -> tuple[Verification, list[Anchor]]:
    """The verdict on the table of a file or URL, and its anchors; rows are read page by page."""
    with snapshot(place) as connection:
        anchors = read_anchors(connection)
        return verify_links(links_of_table(connection), [*anchors, *beside], **more), anchors


def _noting(links: Iterator[Link], wanted: int, tip: list[str]) -> Iterator[Link]:
    """Remember the hash of one record as it goes past."""
    for link in links:
        if link.seq == wanted:
            tip.append(link.hash)
        yield link


def _differences(table: Verification, files: Verification, tip: list[str]) -> Iterator[str]:
    """Both chains hold by themselves: they are the same when the files go through the table's head (they may have gone on since)."""
    if files.last < table.last:
        yield f"the table holds record {table.last}, and the files end at {files.last}: they were cut, or control could not write them"
    elif table.count and tip != [table.head]:
        yield f"record {table.last} of the table is not the one in the files"
    if files.first > table.first:
        yield f"the table begins at record {table.first}, and the files at {files.first}: an older part is missing"


def _verify_export(path: Path, said: dict[str, Any], more: dict[str, Any]) -> Verification:
    """An export is signed as a whole; a whole stretch of the log is walked besides, so that the first bad record is named."""
    records, anchors, seal, digest = _read_export(path)
    found = verify_links(map(link_of_line, records), anchors, partial=True, **more) if said.get("complete") else _verify_selection(records)
    problem = _seal_problem(seal, digest, more.get("pinned") or ())
    note = f"an export for {said.get('principal') or 'an admin'}, made {said.get('time')}"
    notes = (*found.notes, note) if said.get("complete") else (note, "a selection: that records between them are left out is not a fault")
    return replace(found, notes=notes, key=seal.get("key", ""), problems=found.problems or ((problem,) if problem else ()))


def _read_export(path: Path) -> tuple[list[bytes], list[Anchor], dict[str, Any], str]:
    records, anchors, seal, hashed = [], [], {}, hashlib.sha256()  # type: list[bytes], list[Anchor], dict[str, Any], Any
    with parts.opened(path) as file:
        for raw in file:
            if raw.startswith(b'{"seal":'):
                seal = json.loads(raw)["seal"]
                continue
            hashed.update(raw)
            if raw.startswith(b'{"anchor":'):
                anchors += [one for one in [from_json(json.loads(raw))] if one is not None]
            elif not raw.startswith(b'{"export":'):
                records.append(raw)
    return records, anchors, seal, hashed.hexdigest()


def _verify_selection(records: list[bytes]) -> Verification:
    """Each record by itself, in rising order."""
    last, count = 0, 0
    try:
        for raw in records:
            link = link_of_line(raw)
            if link.hash != link.computed:
                return Verification(count, "", 0, (f"record {link.seq} was altered",), last=last)
            if link.seq <= last:
                return Verification(count, "", 0, (f"record {link.seq} stands behind record {last}",), last=last)
            last, count = link.seq, count + 1
    except NoRecord as error:
        return Verification(count, "", 0, (f"what stands behind record {last} {error}",), last=last)
    return Verification(count, "", 0, (), last=last)


def _seal_problem(seal: dict[str, Any], digest: str, pinned: tuple[str, ...]) -> str:
    if not seal:
        return "the export has no seal: its end was cut off"
    if not signing.holds(str(seal.get("key")), str(seal.get("signature")), EXPORT, digest):
        return "the export is not what was sealed: a line was added, removed or altered"
    if pinned and seal["key"] not in pinned:
        return f"the export is sealed by the key {seal['key']}, not the one that was expected"
    return ""
