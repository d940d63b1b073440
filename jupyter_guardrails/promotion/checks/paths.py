"""paths: what the notebook reads lies beside it and goes along; what lies elsewhere on this machine doesn't."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from jupyter_guardrails.promotion import code
from jupyter_guardrails.promotion.checks.data import SCHEME, dataset_at
from jupyter_guardrails.promotion.freeze import Freezer, TooBig, below_workspace
from jupyter_guardrails.promotion.notebook import parse
from jupyter_guardrails.promotion.results import Finding, Result, failed, passed
from jupyter_guardrails.promotion.work import Progress, Work

NAME, TITLE = "paths", "Files and modules go along"
HARMLESS = ("/dev/null", "/dev/stdout", "/dev/stderr", "/proc/", "/sys/")
AS_DATASET = "ask your admin to make it a dataset, or move it beside the notebook"


@dataclass
class _Search:
    work: Work
    freezer: Freezer
    folder: PurePosixPath
    findings: list[Finding] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)  # modules whose own imports and paths are still to be read


def run(work: Work, progress: Progress) -> Result:
    """Find the paths and modules that cells and local modules name; freeze those in the workspace, refuse those outside."""
    state_dir = Path(work.order.folder).parents[1]
    freezer = Freezer(Path(work.order.workspace), work.order.frozen, never=state_dir)
    search = _Search(work, freezer, PurePosixPath(work.order.notebook).parent)
    try:
        for done, cell in enumerate(work.notebook.cells, 1):
            if cell.problem:
                search.findings.append(Finding(f"this is no Python: {cell.problem}", cell.index, cell.problem_line, "correct it or delete the cell"))
            if cell.tree is not None:
                _read(search, cell.tree, cell.index)
            _read_magics(search, list(cell.magics()))
            progress(done, len(work.notebook.cells), "")
        _follow_modules(search)
    except TooBig as error:
        search.findings.append(Finding(str(error), fix=AS_DATASET))
    if search.findings:
        return failed(f"{len(search.findings)} thing(s) that another machine doesn't have", search.findings)
    names = sorted(search.freezer.names)
    return passed(
        f"{len(names)} file(s) go along: {', '.join(names[:8])}{' …' if len(names) > 8 else ''}" if names else "the notebook needs no other file"
    )


def _read(search: _Search, tree: ast.AST, cell: int | None, where: str = "") -> None:
    for named in code.texts(tree):
        search.findings += [Finding(f"{message}{where}", cell, named.line, fix) for message, fix in _look_at(search, named)]
    for module in code.imports(tree):
        _freeze_module(search, module)


def _look_at(search: _Search, named: code.Named) -> Iterator[tuple[str, str]]:
    """A complaint about one text, or nothing; a file in the workspace is frozen on the way."""
    text = named.text
    if "\n" in text or text.startswith(SCHEME) or dataset_at(text, search.work.order.places):
        return
    name = below_workspace(search.folder, text)
    if text.startswith(("/", "~", "file:/")):
        if _is_path(named):
            yield f"{text} is a place of this machine", _relative(search, text)
    elif name is None:
        if named.is_read and os.path.exists(os.path.join(search.work.order.workspace, search.folder, text)):
            yield f"{text} lies outside the workspace", AS_DATASET
    elif not named.is_written:
        search.freezer.freeze(name)


def _relative(search: _Search, text: str) -> str:
    """How to write an absolute path instead, when it lies in the workspace."""
    root = search.work.order.workspace
    if not os.path.expanduser(text).startswith(f"{root.rstrip('/')}/"):
        return AS_DATASET
    return f"write it as a path relative to the notebook: {os.path.relpath(os.path.expanduser(text), os.path.join(root, search.folder))}"


def _is_path(named: code.Named) -> bool:
    """Whether an absolute text is meant as a path: something opens it, or its first folder is there (so `/v1/items` is none)."""
    if named.text.startswith(HARMLESS) or named.text.strip("/~") == "":
        return False
    first = "/" + named.text.lstrip("/").split("/")[0]
    return named.is_read or named.is_written or named.text.startswith(("~/", "file:/")) or (named.text.count("/") > 1 and os.path.isdir(first))


def _freeze_module(search: _Search, module: str) -> None:
    """A module or package beside the notebook, which Python prefers to nothing installed but finds."""
    single = str(search.folder / f"{module}.py")
    if single not in search.freezer.names and search.freezer.freeze(single):
        search.waiting.append(single)
    root = Path(search.work.order.workspace)
    for path in sorted((root / search.folder / module).rglob("*.py")) if (root / search.folder / module / "__init__.py").is_file() else ():
        name = path.relative_to(root).as_posix()
        if name not in search.freezer.names and search.freezer.freeze(name):
            search.waiting.append(name)


def _read_magics(search: _Search, lines: list[tuple[int, str]]) -> None:
    """Files that a magic or a shell command names: `%run prepare.py`, `!python train.py`."""
    for _, line in lines:
        for word in line.replace('"', " ").replace("'", " ").split():
            name = below_workspace(search.folder, word)
            if name and search.freezer.freeze(name) and name.endswith(".py"):
                search.waiting.append(name)


def _follow_modules(search: _Search) -> None:
    while search.waiting:
        name = search.waiting.pop()
        tree, _, _ = parse((search.work.order.frozen / name).read_text(encoding="utf-8", errors="replace"))
        if tree is not None:
            _read(search, tree, None, f" ({name})")
