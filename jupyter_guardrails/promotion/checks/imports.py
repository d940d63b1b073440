"""imports: every module that the code imports is in the kernel's environment or goes along."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import PurePosixPath

from jupyter_guardrails.promotion import code
from jupyter_guardrails.promotion.confine import run_confined
from jupyter_guardrails.promotion.results import Finding, Result, counted, not_checked
from jupyter_guardrails.promotion.wheels import modules_of
from jupyter_guardrails.promotion.work import Progress, Work

NAME, TITLE = "imports", "Imported modules are installed"
OURS = frozenset({"guarded", "guarded_fsspec"})
MISSING = "import importlib.util, json, sys; print('\\n' + json.dumps([n for n in sys.argv[1:] if importlib.util.find_spec(n) is None]))"


def run(work: Work, progress: Progress) -> Result:
    """Ask the kernel's interpreter, in the sandbox, which of the modules it can't find; nothing is imported."""
    if work.interpreter is None:
        return not_checked("the environment is not known")
    named = {module: cell.index for cell in reversed(work.notebook.cells) if cell.tree for module in _required(cell.tree)}
    wanted = sorted(name for name in named if name not in OURS and not _goes_along(work, name))
    argv = [work.interpreter.executable, "-I", "-c", MISSING, *wanted]
    ran = run_confined(argv, scratch=work.probing, read=work.interpreter.folders, timeout_s=60.0)
    if ran.code:
        return not_checked(f"the interpreter did not answer: {ran.err[-200:]}")
    missing = json.loads(ran.out.splitlines()[-1])
    fix = "install it in the kernel's environment, or put it beside the notebook"
    findings = [Finding(f"the module {name} is not installed", named[name], fix=fix) for name in missing]
    return counted(findings, f"{len(named)} modules", "missing module")


def _required(tree: ast.AST) -> Iterator[str]:
    """Modules whose absence would be an error: not those that a `try` looks for."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.Try):
            yield from code.imports(ast.Module([node], [])) if isinstance(node, (ast.Import, ast.ImportFrom)) else _required(node)


def _goes_along(work: Work, module: str) -> bool:
    folder = work.order.frozen / PurePosixPath(work.order.notebook).parent
    return (folder / f"{module}.py").is_file() or (folder / module).is_dir() or any(module in modules_of(wheel) for wheel in work.wheels)
