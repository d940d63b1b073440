"""A frozen notebook as the checks see it: code cells with their syntax trees, magics left out, and outputs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat.reader import NotJSONError

from jupyter_guardrails.errors import BadRequest

MAX_BYTES = 256 << 20
MAGIC = re.compile(r"^(\s*)(?:[%!?]|(?:[\w.\[\], ]+=\s*)[%!])(.*)$|^(\s*)[\w.]+\?{1,2}\s*$")


@dataclass(frozen=True, slots=True)
class CodeCell:
    """One code cell; `index` counts all cells from 0, `tree` is None when it is no Python (cell magic, or `problem` says why)."""

    index: int
    source: str
    tags: tuple[str, ...]
    execution_count: int | None
    outputs: tuple[dict[str, Any], ...]
    tree: ast.Module | None
    problem: str = ""
    problem_line: int | None = None

    def magics(self) -> Iterator[tuple[int, str]]:
        """Line number and text of each line that is a magic or a shell command."""
        for number, line in enumerate(self.source.splitlines(), 1):
            if MAGIC.match(line) or self.source.lstrip().startswith("%%"):
                yield number, line


@dataclass(frozen=True, slots=True)
class Notebook:
    """The whole notebook: `node` is nbformat's, for what executes and strips it."""

    path: Path
    node: nbformat.NotebookNode
    cells: tuple[CodeCell, ...]

    @property
    def kernelspec(self) -> str:
        """The kernelspec's name that the notebook asks for; python3 when it names none."""
        return str(self.node.metadata.get("kernelspec", {}).get("name") or "python3")


def read_notebook(path: Path) -> Notebook:
    """The notebook in version 4 form; BadRequest says what is wrong with the file."""
    if path.stat().st_size > MAX_BYTES:
        raise BadRequest(f"{path.name} has {path.stat().st_size >> 20} MiB", next_step=f"clear big outputs: at most {MAX_BYTES >> 20} MiB")
    try:
        node = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)  # type: ignore[no-untyped-call]
        cells = tuple(_code_cell(index, cell) for index, cell in enumerate(node.cells) if cell.cell_type == "code")
    except (NotJSONError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"{path.name} is no notebook: it is not JSON", next_step="open it in JupyterLab and save it again") from error
    except (nbformat.ValidationError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadRequest(f"{path.name} is no valid notebook: {error}"[:400], next_step="open it in JupyterLab and save it again") from error
    return Notebook(path, node, cells)


def _code_cell(index: int, cell: nbformat.NotebookNode) -> CodeCell:
    tree, problem, line = parse(cell.source)
    tags = tuple(str(tag) for tag in cell.metadata.get("tags", []))
    return CodeCell(index, cell.source, tags, cell.execution_count, tuple(cell.outputs), tree, problem, line)


def parse(source: str) -> tuple[ast.Module | None, str, int | None]:
    """The syntax tree of a cell without its magics, or None with the problem and its line; a cell magic is no Python and no problem."""
    if source.lstrip().startswith("%%"):
        return None, "", None
    try:
        return ast.parse("\n".join(_without_magic(line) for line in source.splitlines())), "", None
    except (SyntaxError, ValueError, RecursionError) as error:
        return None, f"{type(error).__name__}: {getattr(error, 'msg', error)}", getattr(error, "lineno", None)


def _without_magic(line: str) -> str:
    found = MAGIC.match(line)
    return f"{found.group(1) or found.group(3) or ''}pass" if found else line
