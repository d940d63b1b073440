"""paths: what the notebook reads lies beside it and goes along; what lies elsewhere on this machine doesn't."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from jupyter_guardrails.promotion import code, offers
from jupyter_guardrails.promotion.checks.data import SCHEME, dataset_at
from jupyter_guardrails.promotion.freeze import Freezer, TooBig, below_workspace
from jupyter_guardrails.promotion.notebook import CodeCell, parse
from jupyter_guardrails.promotion.results import Finding, Result, failed, many, passed
from jupyter_guardrails.promotion.work import Progress, Work

NAME, TITLE = "paths", "Files and modules go along"
HARMLESS = ("/dev/null", "/dev/stdout", "/dev/stderr", "/proc/", "/sys/")
FOLDER_CALLS = ("listdir", "scandir")
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
    freezer.names.update(work.notebooks)  # they are there already, as they were submitted
    for done, cell in enumerate(work.notebook.cells, 1):
        _read_cell(search, cell)
        progress(done, len(work.notebook.cells), "")
    _follow_modules(search)
    if search.findings:
        return failed(f"{many(len(search.findings), 'thing')} that another machine doesn't have", search.findings)
    names = sorted(search.freezer.names - set(work.notebooks))
    if not names:
        return passed("the notebook needs no other file")
    return passed(f"{many(len(names), 'file goes', 'files go')} along: {', '.join(names[:8])}{' …' if len(names) > 8 else ''}")


def _read_cell(search: _Search, cell: CodeCell) -> None:
    if cell.problem:
        message, fix = f"this is no Python: {cell.problem}", "correct it or delete the cell"
        search.findings.append(Finding(message, cell.index, cell.problem_line, fix, kind="no_python"))
    try:
        if cell.tree is not None:
            _read(search, cell.tree, cell.index)
        _read_magics(search, list(cell.magics()))
    except TooBig as error:
        search.findings.append(Finding(str(error), cell.index, fix=AS_DATASET, kind="too_big"))


def _read(search: _Search, tree: ast.AST, cell: int | None, where: str = "") -> None:
    for named in code.texts(tree):
        try:
            found = list(_look_at(search, named))
        except TooBig as error:
            found = [Finding(str(error), fix=AS_DATASET, kind="too_big")]
        search.findings += [replace(finding, message=f"{finding.message}{where}", cell=cell, line=named.line) for finding in found]
    for module in code.imports(tree):
        _freeze_module(search, module)


def _look_at(search: _Search, named: code.Named) -> Iterator[Finding]:
    """A complaint about one text, or nothing; a file in the workspace is frozen on the way."""
    text = named.text
    if "\n" in text or text.startswith(SCHEME) or dataset_at(text, search.work.order.places):
        return
    name = below_workspace(search.folder, text)
    if text.startswith(("/", "~", "file:/")):
        if _is_path(named):
            yield _absolute(search, text)
    elif name is None:
        if named.is_read and os.path.exists(os.path.join(search.work.order.workspace, search.folder, text)):
            yield Finding(f"{text} lies outside the workspace", fix=AS_DATASET, kind="outside_workspace")
    elif not named.is_written and not search.freezer.freeze(name):
        yield from _not_frozen(search, named, name)


def _not_frozen(search: _Search, named: code.Named, name: str) -> Iterator[Finding]:
    """A link that leads out of the workspace; of a folder or a pattern, the files that it means now go along."""
    place = Path(search.work.order.workspace, name)
    if named.is_read and place.is_symlink():
        yield Finding(f"{named.text} is a link that leads out of the workspace", fix=AS_DATASET, kind="outside_workspace")
    elif named.call in FOLDER_CALLS and place.is_dir():
        _freeze_matching(search, f"{name}/*")
    elif named.is_read and any(sign in name for sign in "*?["):
        _freeze_matching(search, name)


def _freeze_matching(search: _Search, pattern: str) -> None:
    root = Path(search.work.order.workspace)
    for path in sorted(root.glob(pattern)):
        search.freezer.freeze(path.relative_to(root).as_posix())


def _absolute(search: _Search, text: str) -> Finding:
    """A place of this machine, with how to write it instead where it lies in the workspace."""
    root, message = search.work.order.workspace, f"{text} is a place of this machine"
    whole = os.path.expanduser(text)
    if not whole.startswith(f"{root.rstrip('/')}/"):
        return Finding(message, fix=AS_DATASET, kind="absolute_path")
    relative = os.path.relpath(whole, os.path.join(root, search.folder))
    fix = f"write it as a path relative to the notebook: {relative}"
    return Finding(message, fix=fix, kind="absolute_path", offer=offers.replace(text, relative))


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
        try:
            if tree is not None:
                _read(search, tree, None, f" ({name})")
        except TooBig as error:
            search.findings.append(Finding(f"{error} ({name})", fix=AS_DATASET, kind="too_big"))
