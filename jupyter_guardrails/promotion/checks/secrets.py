"""secrets: passwords, tokens and keys in sources, outputs, metadata and files. Says the kind and the place, never the secret."""

from __future__ import annotations

import json
from collections.abc import Iterator

from jupyter_guardrails.promotion.results import Finding, Result, counted
from jupyter_guardrails.promotion.scanner import open_scanner
from jupyter_guardrails.promotion.work import Progress, Work

NAME, TITLE = "secrets", "No passwords, tokens or keys"
MAX_FILE_BYTES = 4 << 20
FIX = "take it out and renew it: whoever saw the notebook has it; ask your admin how a job gets its secrets"


def run(work: Work, progress: Progress) -> Result:
    """Scan each cell before its outputs are stripped, then the files that go along."""
    findings: list[Finding] = []
    cells = work.notebook.node.cells
    with open_scanner() as scan:
        for index, cell in enumerate(cells):
            for where, text in _texts(cell):
                findings += [Finding(f"{kind} in {where}", index, line if where == "the source" else None, FIX) for kind, line in scan(text)]
            progress(index + 1, len(cells), "")
        for name, text in [("the notebook's metadata", json.dumps(work.notebook.node.metadata, indent=1)), *_files(work)]:
            findings += [Finding(f"{kind} in {name}, line {line}", fix=FIX) for kind, line in scan(text)]
    return counted(findings, f"{len(cells)} cells and the files beside them, outputs included", "possible secret")


def _texts(cell: dict[str, object]) -> Iterator[tuple[str, str]]:
    """Where, and text: a picture's bytes are no text."""
    yield "the source", str(cell["source"])
    yield "the cell's metadata", json.dumps(cell["metadata"], indent=1)
    for output in cell.get("outputs", ()):  # type: ignore[attr-defined]  # a list in every version 4 notebook
        yield "an output", str(output.get("text", "")) + "\n" + "\n".join(output.get("traceback", ()))
        for kind, data in output.get("data", {}).items():
            if not kind.startswith("image/") or kind == "image/svg+xml":
                yield "an output", data if isinstance(data, str) else json.dumps(data)


def _files(work: Work) -> Iterator[tuple[str, str]]:
    for path in sorted(work.order.frozen.rglob("*")):
        if path.is_file() and path != work.notebook.path and path.stat().st_size <= MAX_FILE_BYTES:
            data = path.read_bytes()
            if b"\0" not in data[:4096]:
                yield path.relative_to(work.order.frozen).as_posix(), data.decode("utf-8", "replace")
