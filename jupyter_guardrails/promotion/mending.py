"""Carrying out the fixes that findings offer, in a notebook as JSON gives it: only where it still says what was found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

ELSEWHERE = {
    "run_all": "restart the kernel, run all cells, save",
    "install": "install {requirement} into the kernel's environment",
    "request": "guarded.request('{dataset}', purpose='…')",
}


def mend(notebook: dict[str, Any], findings: Iterable[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """Change the notebook; what was done, and what is left for its author, a sentence each."""
    done: list[str] = []
    left: list[str] = []
    for finding in findings:
        offer = finding.get("offer")
        if offer and offer["do"] in ELSEWHERE:
            left.append(ELSEWHERE[offer["do"]].format(**offer))
        elif offer and (said := _carry_out(notebook, finding, offer)):
            done.append(f"cell {finding['cell'] + 1}: {said}")
        else:
            left.append(f"{_place(finding)}{finding['message']}" + (f" ({finding['fix']})" if finding.get("fix") else ""))
    return list(dict.fromkeys(done)), list(dict.fromkeys(left))


def _carry_out(notebook: dict[str, Any], finding: Mapping[str, Any], offer: Mapping[str, str]) -> str:
    """What was done to the finding's cell; empty where the cell is another one by now."""
    cells, index = notebook["cells"], finding.get("cell")
    if not isinstance(index, int) or not 0 <= index < len(cells):
        return ""
    cell = cells[index]
    if offer["do"] == "clear_outputs" and "outputs" in cell:
        cell["outputs"] = []
        return "outputs cleared"
    if offer["do"] == "tag" and cell["cell_type"] == "code":
        tags = cell["metadata"].setdefault("tags", [])
        tags += [offer["tag"]] if offer["tag"] not in tags else []
        return f"tagged {offer['tag']}"
    return _replace(cell, finding.get("line"), offer) if offer["do"] == "replace" else ""


def _replace(cell: dict[str, Any], line: Any, offer: Mapping[str, str]) -> str:
    source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
    lines = source.splitlines(keepends=True)
    if not isinstance(line, int) or not 0 < line <= len(lines) or lines[line - 1].count(offer["old"]) != 1:
        return ""
    lines[line - 1] = lines[line - 1].replace(offer["old"], offer["new"])
    cell["source"] = lines
    return f"line {line}: {offer['new']} instead of {offer['old']}"


def _place(finding: Mapping[str, Any]) -> str:
    return f"cell {finding['cell'] + 1}: " if isinstance(finding.get("cell"), int) else ""


def offered(checks: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The findings of the checks that failed or warn."""
    for check in checks:
        if check["state"] in ("failed", "warned"):
            yield from check["findings"]
