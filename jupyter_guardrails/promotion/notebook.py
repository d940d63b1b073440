"""A frozen notebook as the checks see it: code cells with their syntax trees, magics left out, and outputs."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import nbformat
from nbformat.reader import NotJSONError
from nbformat.v4.convert import upgrade_output
from nbformat.v4.rwbase import rejoin_lines

from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.package.jsonstream import Cursor, Piece, Span, texts
from jupyter_guardrails.package.skeleton import read_skeleton

MAX_BYTES = 1 << 30
MAX_HELD_BYTES = 16 << 20  # outputs of one cell that are given as values
PICTURES_OF_OLD = ("png", "jpeg")  # nbformat 3
MAGIC = re.compile(r"^(\s*)(?:[%!?]|(?:[\w.\[\], ]+=\s*)[%!])(.*)$|^(\s*)[\w.]+\?{1,2}\s*$")
AGAIN = "open it in JupyterLab and save it again"


@dataclass(frozen=True, slots=True)
class CodeCell:
    """One code cell; `index` counts all cells from 0, `tree` is None when it is no Python (cell magic, or `problem` says why)."""

    index: int
    source: str
    tags: tuple[str, ...]
    execution_count: int | None
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
    """The whole notebook: `node` is nbformat's, without outputs; those stay in the file (`spans`, by cell) and are read when asked for."""

    path: Path
    node: nbformat.NotebookNode
    cells: tuple[CodeCell, ...]
    spans: tuple[tuple[Span, ...], ...] = ()
    is_old: bool = False  # nbformat 3 or older

    @property
    def kernelspec(self) -> str:
        """The kernelspec's name that the notebook asks for; python3 when it names none."""
        return self.named_kernelspec or "python3"

    @property
    def named_kernelspec(self) -> str:
        """The same, empty when it names none."""
        return str(self.node.metadata.get("kernelspec", {}).get("name") or "")

    def output_bytes(self, index: int) -> int:
        """How much of the file the outputs of a cell are."""
        return sum(end - start for start, end in self.spans[index]) if index < len(self.spans) else 0

    def outputs(self, index: int) -> list[nbformat.NotebookNode] | None:
        """The outputs of a cell as nbformat 4 has them; None when they are too many to hold."""
        if self.output_bytes(index) > MAX_HELD_BYTES:
            return None
        with self._opened(index) as file:
            found = [json.loads(_part(file, span)) for span in self.spans[index]]
            if self.is_old:
                found = [upgrade_output(nbformat.from_dict(_joined(output))) for output in found]  # type: ignore[no-untyped-call]
            holder = nbformat.from_dict({"cells": [{"cell_type": "code", "outputs": found}]})  # type: ignore[no-untyped-call]
            return list(rejoin_lines(holder).cells[0].outputs)  # type: ignore[no-untyped-call]

    def as_seen(self) -> Iterator[dict[str, Any]]:
        """Each cell with its outputs, one at a time."""
        for index, cell in enumerate(self.node.cells):
            outputs = self.outputs(index) if cell.cell_type == "code" else []
            yield {"cell_type": cell.cell_type, "execution_count": cell.get("execution_count"), "outputs": outputs}

    def output_texts(self, index: int) -> Iterator[Piece]:
        """Every text in the outputs of a cell, in pieces of bounded size; a picture's bytes are no text."""
        with self._opened(index) as file:
            found = (text for start, end in self.spans[index] for text in texts(Cursor(file, start, end)))
            yield from (piece for path, piece in found if not self._is_picture(path))

    @contextmanager
    def _opened(self, index: int) -> Iterator[BinaryIO]:
        """The file, for reading outputs; BadRequest where they are no JSON."""
        try:
            with self.path.open("rb") as file:
                yield file
        except (ValueError, RecursionError, AttributeError, KeyError, TypeError) as error:
            raise BadRequest(f"the outputs of cell {index + 1} can't be read: {error}"[:400], next_step="clear them, run the cell, save") from error

    def _is_picture(self, path: tuple[str, ...]) -> bool:
        name = path[2] if len(path) > 2 and path[1] == "data" else path[1] if self.is_old and len(path) > 1 else ""
        return (name.startswith("image/") and name != "image/svg+xml") or (self.is_old and name in PICTURES_OF_OLD)


def read_notebook(path: Path) -> Notebook:
    """The notebook in version 4 form; BadRequest says what is wrong with the file."""
    if path.stat().st_size > MAX_BYTES:
        raise BadRequest(f"{path.name} has {path.stat().st_size >> 20} MiB", next_step=f"clear big outputs: at most {MAX_BYTES >> 20} MiB")
    try:
        with path.open("rb") as file:
            skeleton = read_skeleton(file)
        node = nbformat.reads(skeleton.text, as_version=4)  # type: ignore[no-untyped-call]
        cells = tuple(_code_cell(index, cell) for index, cell in enumerate(node.cells) if cell.cell_type == "code")
    except (NotJSONError, json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"{path.name} is no notebook: it is not JSON", next_step=AGAIN) from error
    except (nbformat.ValidationError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadRequest(f"{path.name} is no valid notebook: {error}"[:400], next_step=AGAIN) from error
    _check_language(path.name, node)
    if skeleton.is_old:
        for number, cell in enumerate(node.cells):
            cell.id = f"cell-{number}"  # nbformat gives random ones: the same notebook shall give the same package
    return Notebook(path, node, cells, skeleton.outputs, skeleton.is_old)


def _check_language(name: str, node: nbformat.NotebookNode) -> None:
    """BadRequest for a notebook that says it isn't in Python."""
    said = [node.metadata.get(key, {}).get(field) for key, field in (("kernelspec", "language"), ("language_info", "name"))]
    language = next((str(text) for text in said if text), "python")
    if not language.lower().startswith(("python", "ipython")):
        raise BadRequest(f"{name} is in {language}", next_step="only Python notebooks can be promoted by now")


def _part(file: BinaryIO, span: Span) -> bytes:
    file.seek(span[0])
    return file.read(span[1] - span[0])


def _joined(output: dict[str, Any]) -> dict[str, Any]:
    """Lists of lines as texts."""
    return {key: "".join(value) if isinstance(value, list) and key != "traceback" else value for key, value in output.items()}


def _code_cell(index: int, cell: nbformat.NotebookNode) -> CodeCell:
    if cell.outputs != []:
        raise ValueError(f"the outputs of cell {index + 1} are no list")
    tree, problem, line = parse(cell.source)
    tags = tuple(str(tag) for tag in cell.metadata.get("tags", []))
    return CodeCell(index, cell.source, tags, cell.execution_count, tree, problem, line)


def parse(source: str) -> tuple[ast.Module | None, str, int | None]:
    """The syntax tree of a cell without its magics, or None with the problem and its line; a cell magic is no Python and no problem."""
    if source.lstrip().startswith("%%"):
        return None, "", None
    try:
        has_magic = any(sign in source for sign in "%!?")
        return ast.parse("\n".join(_without_magic(line) for line in source.splitlines()) if has_magic else source), "", None
    except (SyntaxError, ValueError, RecursionError) as error:
        return None, f"{type(error).__name__}: {getattr(error, 'msg', error)}", getattr(error, "lineno", None)


def _without_magic(line: str) -> str:
    found = MAGIC.match(line)
    return f"{found.group(1) or found.group(3) or ''}pass" if found else line
