"""The evidence of a submission as lines of a terminal: nothing that an author wrote moves its cursor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jupyter_guardrails.cli.job_review import decision_lines
from jupyter_guardrails.cli.printing import line
from jupyter_guardrails.cli.review_evidence import Evidence
from jupyter_guardrails.cli.submit import check_line, finding_lines

MIB = 2**20
PINNED = ", and it runs with no other"


def lines(evidence: Evidence) -> Iterator[str]:
    """Everything, in the order in which one looks at it."""
    found = evidence.submission
    yield f"{line(found['name'])}-{found['version']} of {line(found['person'])}: {found['label']}"
    yield f"  content:  {found['content_digest'] or '(no package)'}"
    yield f"  evidence: {found['evidence_digest'] or '(no package)'}"
    yield from _section("Checks", _checks(found))
    yield from _section(compared(evidence), _changes(evidence))
    yield from _section("Data", data_lines(evidence))
    yield from _section("Its clean run used", cost_lines(evidence))
    yield from _section("Decisions", decision_lines(evidence.decisions) or ["  none yet"])


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
    yield f"  makes {line(path)}" + (f", dataset {line(str(said['dataset']))}" if said.get("dataset") else "") + _size(made.get(path))
    if columns := said.get("columns"):
        yield f"    columns: {', '.join(f'{line(str(name))} {line(str(kind))}' for name, kind in columns.items())}"


def _size(found: Mapping[str, Any] | None) -> str:
    """What is another thing with other data; and why no columns are told."""
    if not found:
        return ""
    rows = "" if found["rows"] is None else f", {int(found['rows'])} rows"
    problem = f"; no columns are told: {line(str(found['problem']))}" if found["problem"] else ""
    return f": {line(str(found['format']))}{rows}, {int(found['size_bytes'])} bytes in its clean run{problem}"


def _data_line(one: dict[str, Any], read: dict[str, Any] | None, pinned: str) -> str:
    how = "not read, but given to the workspace that it comes from" if read is None else f"version {line(read['version']) or 'unknown'}"
    masks = ", ".join(f"{line(column)} {kind}" for column, kind in (read or {}).get("masks", {}).items())
    rows = "; only some rows" if (read or {}).get("rows") else ""
    owner = f"; {line(one['owner'])} must approve it" if one["owner"] else ""
    said = f"{'; masked: ' + masks if masks else ''}{rows}{_file(read or {})}{pinned}{owner}"
    return f"  {line(one['name'])} ({line(one['classification']) or 'no label'}): {how}{said}"


def _file(read: dict[str, Any]) -> str:
    """Which bytes the clean run read, where the package says so."""
    return f"; a file of {int(read['size_bytes'])} bytes, sha256 {line(read['sha256'][:16])}" if read.get("sha256") else ""


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


def _checks(found: dict[str, Any]) -> Iterator[str]:
    for check in found["checks"]:
        yield "  " + line(check_line(check))
        for finding in check["findings"]:
            yield from map(line, finding_lines(finding))
    if found["reason"]:
        yield f"  {line(found['person'])} on its warnings: {line(found['reason'])}"


def _changes(evidence: Evidence) -> Iterator[str]:
    if evidence.changes is None:
        return
    for change in evidence.changes:
        yield f"  {line(change.what)}"
        yield from (f"    {line(text)}" for text in change.lines)
    if not evidence.changes:
        yield "  none: what runs is the same, byte for byte"


def _section(title: str, texts: Any) -> Iterator[str]:
    yield f"\n{title}"
    yield from texts
