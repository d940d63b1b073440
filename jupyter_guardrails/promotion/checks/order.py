"""order: would a fresh run from top to bottom be what the author saw?"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator

from jupyter_guardrails.promotion import code
from jupyter_guardrails.promotion.notebook import CodeCell
from jupyter_guardrails.promotion.offers import RUN_ALL
from jupyter_guardrails.promotion.results import Finding, Result, counted, passed
from jupyter_guardrails.promotion.work import Progress, Work

NAME, TITLE = "order", "Cells were run once, top to bottom"
KNOWN = frozenset(dir(builtins)) | {
    "get_ipython",
    "display",
    "In",
    "Out",
    "exit",
    "quit",
    "_",
    "__",
    "___",
    "_ih",
    "_oh",
    "_dh",
    "__name__",
    "__doc__",
}
FIX = "restart the kernel, run all cells, save"
ASKING = ("input", "getpass", "raw_input")
AS_PARAMETER = "make it a parameter: a cell tagged `parameters`; a password belongs to the job's secrets"


def run(work: Work, progress: Progress) -> Result:
    """Execution counts, and names that no cell above defines."""
    cells = [cell for cell in work.notebook.cells if cell.source.strip()]
    if not cells:
        return passed("there is no code")
    findings = [*_counts(cells), *_hidden_state(cells), *_questions(cells)]
    return counted(
        findings,
        "execution counts and names agree with the order of the cells",
        "thing that a fresh run would not repeat",
        "things that a fresh run would not repeat",
    )


def _counts(cells: list[CodeCell]) -> Iterator[Finding]:
    highest = 0
    for cell in cells:
        count = cell.execution_count
        if count is None:
            yield Finding("this cell was not run", cell.index, fix=FIX, kind="not_run", offer=RUN_ALL)
        elif count <= highest:
            message = f"this cell ran before one that is above it (In [{count}] after In [{highest}])"
            yield Finding(message, cell.index, fix=FIX, kind="out_of_order", offer=RUN_ALL)
        highest = max(highest, count or 0)
    if highest > len(cells):
        message = f"{highest} runs, but {len(cells)} cells: something that ran is no longer here"
        yield Finding(message, None, fix=FIX, kind="cells_gone", offer=RUN_ALL)


def _hidden_state(cells: list[CodeCell]) -> Iterator[Finding]:
    known: set[str] = set(KNOWN)
    for cell in cells:
        if cell.tree is None or any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in code.nodes(cell.tree)):
            return  # from here on anything may be defined
        known |= set(_defined(cell.tree))
        unknown = {name: line for name, line in _used(cell.tree) if name not in known}
        if unknown and not any(cell.magics()):
            for name, line in unknown.items():
                fix = f"define it in this cell or above it, then {FIX}"
                yield Finding(f"`{name}` is used here, and no cell above defines it", cell.index, line, fix, kind="hidden_state")


def _questions(cells: list[CodeCell]) -> Iterator[Finding]:
    for cell in cells:
        calls = [node for node in code.nodes(cell.tree) if isinstance(node, ast.Call)] if cell.tree else []
        for call in calls:
            if getattr(call.func, "id", getattr(call.func, "attr", "")) in ASKING:
                yield Finding("this asks for input, and a job has nobody to ask", cell.index, call.lineno, AS_PARAMETER, kind="asks")


def _defined(tree: ast.AST) -> Iterator[str]:
    for node in code.nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
            yield node.name or ""
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)


def _used(node: ast.AST) -> Iterator[tuple[str, int]]:
    """Names read when the cell runs: bodies of functions run later."""
    for child in code.children(node):
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load):
            yield child.id, child.lineno
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from _used(child)
