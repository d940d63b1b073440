"""A job of several notebooks that run in order: frozen together, each checked by itself, findings with the notebook's name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jupyter_guardrails.errors import NotFound
from jupyter_guardrails.promotion.notebook import Notebook, read_notebook
from jupyter_guardrails.promotion.plugins import LAST, Check
from jupyter_guardrails.promotion.results import Finding, Result, failed, in_notebook, many, warned
from jupyter_guardrails.promotion.work import Progress, Work, WorkOrder, named

ONCE = frozenset({"environment", "licenses", "vulnerabilities", "parameters", LAST})  # about the job as a whole, or they look at all of it themselves
WORST_FIRST = ("failed", "warned", "not_checked", "passed")


def others(order: WorkOrder) -> tuple[Notebook, ...]:
    """The notebooks after the first, which were frozen with it; NotFound for one that was not, BadRequest for one that can't be read."""
    if gone := [name for name in order.details.then if not (order.frozen / name).is_file()]:
        raise NotFound(f"{gone[0]} was not frozen with {order.notebook}", next_step="submit it again")
    return tuple(read_notebook(order.frozen / name) for name in order.details.then)


def check(one: Check, work: Work, progress: Progress) -> Result:
    """A check's result for the job: of its only notebook, or of each of them put together."""
    if not work.then:
        return one.run(work, progress)
    if one.NAME in ONCE:
        return _beside(one.NAME, work, one.run(work, progress))
    found = [(view.order.notebook, one.run(view, named(view.order.notebook, progress))) for view in work.each()]
    worst = min((result.state for _, result in found), key=WORST_FIRST.index)
    build = {"failed": failed, "warned": warned}.get(worst)
    detail = "; ".join(f"{name}: {result.detail}" for name, result in found)
    findings = [finding for name, result in found for finding in in_notebook(name, result.findings)]
    return build(detail, findings) if build else Result(worst, detail, tuple(findings))


def _beside(name: str, work: Work, result: Result) -> Result:
    """What a check of the whole job, or of its first notebook, has to say of the others."""
    found: Sequence[Finding] = in_notebook(work.order.notebook, result.findings) if name == "parameters" else result.findings
    found = [*found, *_others(name, work)]
    if len(found) == len(result.findings) or result.state == "failed":
        return replace(result, findings=tuple(found))
    return failed(f"{result.detail}; {many(len(found), 'thing')} that the notebooks don't have in common", found)


def _others(name: str, work: Work) -> list[Finding]:
    if name == "parameters":
        fix = "take the tag off: write what this notebook needs into a file in the first one, or set it here"
        message = "parameters are those of the job's first notebook"
        found = [(notebook, cell) for notebook in work.then for cell in notebook.cells if "parameters" in cell.tags]
        return [Finding(message, cell.index, fix=fix, kind="second_cell", notebook=_name(work, notebook)) for notebook, cell in found]
    if name == "environment" and not work.order.kernelspec:
        wanted = work.notebook.kernelspec
        fix = f"choose the kernel {wanted} in it: a job has one environment"
        others = [notebook for notebook in work.then if notebook.kernelspec != wanted]
        return [Finding(f"its kernel is {one.kernelspec}", fix=fix, kind="other_kernel", notebook=_name(work, one)) for one in others]
    return []


def _name(work: Work, notebook: Notebook) -> str:
    return notebook.path.relative_to(work.order.frozen).as_posix()
