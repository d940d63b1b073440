"""The evidence of a submission in words that a terminal and a page share: its data, what it makes, and what its clean run used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jupyter_guardrails.review.evidence import Evidence

MIB = 2**20
PINNED = ", and it runs with no other"
COUNTS = "; its contract says which file counts, and it runs with no other"


def plain(text: str) -> str:
    """What others wrote, on one line: nothing in it moves a cursor, or begins a line of ours."""
    return "".join(character if character.isprintable() else " " for character in text)


def compared(evidence: Evidence) -> str:
    """What the changes are compared with."""
    before = evidence.said["before"]
    return f"Changes since version {before['version']}, which was approved" if before else "Changes: no version was approved before this one"


def data_lines(evidence: Evidence) -> list[str]:
    """Each dataset that it reads, or that its workspace was given before, with its label; then what it makes."""
    inputs = {entry["name"]: entry for entry in (evidence.content.job["inputs"] if evidence.content else [])}
    pinned = evidence.content.job.get("pinned", ()) if evidence.content else ()
    rows = [_data_line(one, inputs.get(one["name"]), PINNED if one["name"] in pinned else "") for one in evidence.said["data"]]
    made = [text for one in content.job["outputs"] for text in _makes(one, content.made)] if (content := evidence.content) else []
    return (rows or ["  it reads no dataset"]) + made


def _makes(one: Any, made: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """An output as job.json has it: its path, the dataset that it is, its columns; and how much the clean run wrote."""
    said = one if isinstance(one, dict) else {"path": one}
    path = str(said.get("path") or said.get("name"))
    yield f"  makes {plain(path)}" + (f", dataset {plain(str(said['dataset']))}" if said.get("dataset") else "") + _size(made.get(path))
    if columns := said.get("columns"):
        yield f"    columns: {', '.join(f'{plain(str(name))} {plain(str(kind))}' for name, kind in columns.items())}"


def _size(found: Mapping[str, Any] | None) -> str:
    """What is another thing with other data; and why no columns are told."""
    if not found:
        return ""
    rows = "" if found["rows"] is None else f", {int(found['rows'])} rows"
    problem = f"; no columns are told: {plain(str(found['problem']))}" if found["problem"] else ""
    return f": {plain(str(found['format']))}{rows}, {int(found['size_bytes'])} bytes in its clean run{problem}"


def _data_line(one: dict[str, Any], read: dict[str, Any] | None, pinned: str) -> str:
    how = "not read, but given to the workspace that it comes from" if read is None else f"version {plain(read['version']) or 'unknown'}"
    masks = ", ".join(f"{plain(column)} {kind}" for column, kind in (read or {}).get("masks", {}).items())
    rows, counts = "; only some rows" if (read or {}).get("rows") else "", COUNTS if (read or {}).get("counts") else ""
    owner = f"; {plain(one['owner'])} must approve it" if one["owner"] else ""
    said = f"{'; masked: ' + masks if masks else ''}{rows}{_file(read or {})}{pinned or counts}{owner}"
    return f"  {plain(one['name'])} ({plain(one['classification']) or 'no label'}): {how}{said}"


def _file(read: dict[str, Any]) -> str:
    """Which bytes the clean run read, where the package says so."""
    return f"; a file of {int(read['size_bytes'])} bytes, sha256 {plain(read['sha256'][:16])}" if read.get("sha256") else ""


def cost_lines(evidence: Evidence) -> list[str]:
    """What the clean run used, beside that of the version before; and what each run may use at most."""
    now, before = evidence.said["cost"], evidence.said["cost_before"]
    used = [f"  {_cost(now)}" if now else "  no clean run is on the records any more"]
    used += [f"  the version before: {_cost(before)}"] if before else []
    if evidence.content is None:
        return used
    most = evidence.content.job["resources"]
    return [*used, f"  each run may use: {most['cpus']:g} cpus, {most['memory_bytes'] / MIB:.0f} MiB, {most['wall_s']} s"]


def _cost(cost: dict[str, Any]) -> str:
    wall = f", {cost['wall_s']:.0f} s in all" if cost["wall_s"] is not None else ""
    gpu = f", {cost['gpu_s']:.0f} GPU-seconds" if cost["gpu_s"] else ""
    return f"{cost['cpu_s']:.1f} cpu-seconds, {cost['memory_peak_bytes'] / MIB:.0f} MiB at most{wall}{gpu}"
