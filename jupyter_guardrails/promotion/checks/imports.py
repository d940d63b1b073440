"""imports: every module that the code imports is in the kernel's environment and its lock, or goes along."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from jupyter_guardrails.promotion import code
from jupyter_guardrails.promotion.confine import run_confined
from jupyter_guardrails.promotion.locks import canonical_name, pinned
from jupyter_guardrails.promotion.results import Finding, Result, counted, not_checked
from jupyter_guardrails.promotion.wheels import modules_of
from jupyter_guardrails.promotion.work import Progress, Work

NAME, TITLE = "imports", "Imported modules are installed"
OURS = frozenset({"guarded", "guarded_fsspec"})
MODULES = (Path(__file__).parents[1] / "payload" / "modules.py").read_text()
INSTALL = "install it in the kernel's environment, or put it beside the notebook"
IN_LOCK = "install a released version of it into the kernel's own environment"
Use = tuple[int, int]  # cell, line


def run(work: Work, progress: Progress) -> Result:
    """Ask the kernel's interpreter, in the sandbox, where the modules are; nothing is imported."""
    if work.interpreter is None:
        return not_checked("the environment is not known")
    named: dict[str, Use] = {}
    for cell in work.notebook.cells:
        for module, line in _required(cell.tree) if cell.tree else ():
            named.setdefault(module, (cell.index, line))
    wanted = sorted(name for name in named if name not in OURS and not _goes_along(work, name))
    argv = [work.interpreter.executable, "-I", "-c", MODULES, *wanted]
    ran = run_confined(argv, scratch=work.probing, read=work.interpreter.folders, timeout_s=60.0)
    if ran.code:
        return not_checked(f"the interpreter did not answer: {ran.err[-200:]}")
    locked = {canonical_name(name) for name in pinned(work.locks["kernel"])} if "kernel" in work.locks else None
    said = json.loads(ran.out.splitlines()[-1])
    findings = [finding for name in wanted for finding in _looked_at(name, said[name], named[name], locked)]
    return counted(findings, f"{len(named)} modules", "module that the job would not have", "modules that the job would not have")


def _looked_at(name: str, packages: list[str] | None, use: Use, locked: set[str] | None) -> Iterator[Finding]:
    """Nothing where the job has the module, too."""
    if packages is None:
        yield Finding(f"the module {name} is not installed", *use, INSTALL, kind="missing_module")
    elif locked is not None and packages and not locked & {canonical_name(package) for package in packages}:
        yield Finding(f"the module {name} belongs to {', '.join(packages)}, which is not in the lock", *use, IN_LOCK, kind="not_in_lock")


def _required(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Modules whose absence would be an error: not those that a `try` looks for."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from ((module, node.lineno) for module in code.imports(ast.Module([node], [])))
        elif not isinstance(node, ast.Try):
            yield from _required(node)


def _goes_along(work: Work, module: str) -> bool:
    folder = work.order.frozen / PurePosixPath(work.order.notebook).parent
    return (folder / f"{module}.py").is_file() or (folder / module).is_dir() or any(module in modules_of(wheel) for wheel in work.wheels)
