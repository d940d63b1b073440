"""secrets: passwords, tokens and keys in sources, outputs, metadata and files. Says the kind and the place, never the secret."""

from __future__ import annotations

import json
from collections.abc import Iterator

from jupyter_guardrails.promotion.offers import CLEAR_OUTPUTS
from jupyter_guardrails.promotion.results import Finding, Result, counted
from jupyter_guardrails.promotion.scanner import MAX_LINES, Scanner, TooMuch, open_scanner
from jupyter_guardrails.promotion.sieve import whole_lines
from jupyter_guardrails.promotion.work import Progress, Work

NAME, TITLE = "secrets", "No passwords, tokens or keys"
MAX_FILE_BYTES = 4 << 20
RENEW = "renew it, since whoever saw the notebook has it; ask your admin how a job gets its secrets"
FIX = f"take it out and {RENEW}"
CLEAR = "clear this cell's outputs"


def run(work: Work, progress: Progress) -> Result:
    """Scan each cell before its outputs are stripped, then the files that go along."""
    findings: list[Finding] = []
    cells = work.notebook.node.cells
    with open_scanner() as scanner:
        for index in range(len(cells)):
            try:
                findings += _cell(work, index, scanner)
            except TooMuch:
                message = f"more than {MAX_LINES} lines look as if they held a secret: from here on nobody looked"
                findings.append(Finding(message, index, fix=CLEAR, kind="not_looked_at", offer=CLEAR_OUTPUTS))
                break
            progress(index + 1, len(cells), "")
        else:
            findings += _beside(work, scanner)
    unread = [name for name, data in _files(work) if data is None]
    said = f"; not looked at: {', '.join(unread[:8])}{' …' if len(unread) > 8 else ''}" if unread else ""
    return counted(findings, f"{len(cells)} cells and the files beside them, outputs included{said}", "possible secret")


def _cell(work: Work, index: int, scanner: Scanner) -> Iterator[Finding]:
    cell = work.notebook.node.cells[index]
    for kind, line in scanner.scan(cell["source"].encode("utf-8", "surrogatepass")):
        yield Finding(f"{kind} in the source", index, line, FIX, kind="secret")
    for kind, _ in scanner.scan(json.dumps(cell["metadata"]).encode()) if cell["metadata"] else ():
        yield Finding(f"{kind} in the cell's metadata", index, fix=FIX, kind="secret")
    kinds = {kind for lines in whole_lines(work.notebook.output_texts(index)) for kind, _ in scanner.scan(lines)}
    for kind in sorted(kinds):
        yield Finding(f"{kind} in an output", index, fix=f"{CLEAR} and {RENEW}", kind="secret", offer=CLEAR_OUTPUTS)


def _beside(work: Work, scanner: Scanner) -> Iterator[Finding]:
    for name, text in [("the notebook's metadata", json.dumps(work.notebook.node.metadata, indent=1).encode()), *_files(work)]:
        try:
            found = scanner.scan(text or b"")
        except TooMuch:
            message = f"more than {MAX_LINES} lines look as if they held a secret: nobody looked at {name}"
            yield Finding(message, fix="leave it out", kind="not_looked_at")
            continue
        yield from (Finding(f"{kind} in {name}, line {line}", fix=FIX, kind="secret") for kind, line in found)


def _files(work: Work) -> Iterator[tuple[str, bytes | None]]:
    """Each file beside the notebook; None for what is no text, or too long to be one that somebody wrote."""
    for path in sorted(work.order.frozen.rglob("*")):
        if path.is_file() and path != work.notebook.path:
            with path.open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
            is_text = len(data) <= MAX_FILE_BYTES and b"\0" not in data[:4096]
            yield path.relative_to(work.order.frozen).as_posix(), data if is_text else None
