"""secrets: passwords, tokens and keys in sources, outputs, metadata, files and wheels. Says the kind and the place, never the secret."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from jupyter_guardrails.promotion.offers import CLEAR_OUTPUTS
from jupyter_guardrails.promotion.results import Finding, Result, counted
from jupyter_guardrails.promotion.scanner import MAX_LINES, Scanner, TooMuch, open_scanner
from jupyter_guardrails.promotion.sieve import whole_lines
from jupyter_guardrails.promotion.wheels import members_of
from jupyter_guardrails.promotion.work import Progress, Work

NAME, TITLE = "secrets", "No passwords, tokens or keys"
MAX_FILE_BYTES = 4 << 20
RENEW = "renew it, since whoever saw the notebook has it; ask your admin how a job gets its secrets"
FIX = f"take it out and {RENEW}"
FIX_WHEEL = f"take it out of what the wheel is made from, and {RENEW}"
CLEAR = "clear this cell's outputs"
Text = tuple[str, bytes | None]  # what it is called; None for what is no text, or too long to be one that somebody wrote


def run(work: Work, progress: Progress) -> Result:
    """Scan each cell before its outputs are stripped, then the files that go along, then what is in the wheels."""
    findings: list[Finding] = []
    unread: list[str] = []
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
            findings += _in_texts(_beside(work), scanner, fix=FIX, unread=unread)
            for wheel in work.wheels:
                findings += _in_texts(_of_wheel(wheel), scanner, fix=FIX_WHEEL, unread=unread)
    said = f"; not looked at: {', '.join(unread[:8])}{' …' if len(unread) > 8 else ''}" if unread else ""
    along = ", and the wheels that go along" if work.wheels else ""
    return counted(findings, f"{len(cells)} cells and the files beside them, outputs included{along}{said}", "possible secret")


def _cell(work: Work, index: int, scanner: Scanner) -> Iterator[Finding]:
    cell = work.notebook.node.cells[index]
    for kind, line in scanner.scan(cell["source"].encode("utf-8", "surrogatepass")):
        yield Finding(f"{kind} in the source", index, line, FIX, kind="secret")
    for kind, _ in scanner.scan(json.dumps(cell["metadata"]).encode()) if cell["metadata"] else ():
        yield Finding(f"{kind} in the cell's metadata", index, fix=FIX, kind="secret")
    kinds = {kind for lines in whole_lines(work.notebook.output_texts(index)) for kind, _ in scanner.scan(lines)}
    for kind in sorted(kinds):
        yield Finding(f"{kind} in an output", index, fix=f"{CLEAR} and {RENEW}", kind="secret", offer=CLEAR_OUTPUTS)


def _in_texts(texts: Iterable[Text], scanner: Scanner, *, fix: str, unread: list[str]) -> Iterator[Finding]:
    """What stands in them; the names of those that nobody can read are added to `unread`."""
    for name, text in texts:
        if text is None:
            unread.append(name)
            continue
        try:
            found = scanner.scan(text)
        except TooMuch:
            message = f"more than {MAX_LINES} lines look as if they held a secret: nobody looked at {name}"
            yield Finding(message, fix="leave it out", kind="not_looked_at")
            continue
        yield from (Finding(f"{kind} in {name}, line {line}", fix=fix, kind="secret") for kind, line in found)


def _beside(work: Work) -> Iterator[Text]:
    """The notebook's metadata, and each file beside it."""
    yield "the notebook's metadata", json.dumps(work.notebook.node.metadata, indent=1).encode()
    for path in sorted(work.order.frozen.rglob("*")):
        if path.is_file() and path.relative_to(work.order.frozen).as_posix() not in work.notebooks:
            with path.open("rb") as file:
                yield path.relative_to(work.order.frozen).as_posix(), _text(file.read(MAX_FILE_BYTES + 1))


def _of_wheel(wheel: Path) -> Iterator[Text]:
    """Each file in it, as it is named there: what was in the folder that it was built from, and did not go in, stays with the author."""
    for name, data in members_of(wheel, limit_bytes=MAX_FILE_BYTES + 1):
        yield f"{name} of {wheel.name}", _text(data)


def _text(data: bytes) -> bytes | None:
    return data if len(data) <= MAX_FILE_BYTES and b"\0" not in data[:4096] else None
