"""The process that turns one frozen notebook into a package. Control starts it; it ends with its answer, or is ended.

python -I -m jupyter_guardrails.promotion.worker --order-fd N
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys
import traceback
from pathlib import Path

from jupyter_guardrails.control.interface import ControlClient
from jupyter_guardrails.control.interface.messages import WorkerFinish
from jupyter_guardrails.control.interface.work import unexplained
from jupyter_guardrails.errors import ControlAway, GuardrailsError
from jupyter_guardrails.promotion import builder, several, upload
from jupyter_guardrails.promotion.checks import environment, vulnerabilities
from jupyter_guardrails.promotion.notebook import read_notebook
from jupyter_guardrails.promotion.plugins import LAST, Check, load_checks
from jupyter_guardrails.promotion.report import Cancelled, CheckReport
from jupyter_guardrails.promotion.results import Finding, Result, failed, not_checked, passed, warned
from jupyter_guardrails.promotion.work import Work, WorkOrder, read_order

NEEDED = frozenset({"paths", "parameters", "environment", "data"})  # a package is made from these: policy can't switch them off
CONTROLS_OWN = frozenset({"packages"})  # control itself checks these when it gets the package
PR_SET_PDEATHSIG = 1


def main() -> int:
    """Called as a program by control; 0 when control has the answer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--order-fd", type=int, required=True)
    options = parser.parse_args()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as an exception, so that the clean run's kernel and lease end in order
    order_ = read_order(options.order_fd)
    control = ControlClient(order_.socket, order_.token)
    try:
        work_off(order_, control)
    except Cancelled:
        return 0
    except ControlAway as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def work_off(work_order: WorkOrder, control: ControlClient) -> None:
    """Check, build when nothing failed, and tell control the end."""
    checks = load_checks()
    reports = [CheckReport(control, work_order.submission, name=check.NAME, title=check.TITLE) for check in checks]
    work, problem = _read(work_order, control)
    if work is None:
        for report in reports:
            report.ended(not_checked("the notebook can't be read"))
        control.call(WorkerFinish(submission=work_order.submission, state="checks_failed", error=problem))
        return
    for report in reports:
        report.waiting()
    results = _absent(work, {check.NAME for check in checks})
    titles = {check.NAME: check.TITLE for check in checks}
    for check, report in zip(checks, reports, strict=True):
        stopped = [name for name, result in results.items() if result.state == "failed"]
        why_not = _why_not(work, results, titles) if check.NAME == LAST else ""
        results[check.NAME] = _skip(report, why_not) if why_not else _check(check, work, report, so_far=stopped)
        if check.NAME == environment.NAME and work.order.checks.get(vulnerabilities.NAME) != "off":
            vulnerabilities.begin(work)
    _finish(work, results, titles)


def _read(work_order: WorkOrder, control: ControlClient) -> tuple[Work | None, str]:
    """The notebooks to be checked, or None and why they can't be read; which is told as a check of its own."""
    reading = CheckReport(control, work_order.submission, name="notebook", title="The notebook can be read")
    reading.started()
    try:
        notebook = read_notebook(work_order.frozen / work_order.notebook)
        work = Work(work_order, control, notebook, several.others(work_order))
    except (GuardrailsError, OSError) as error:
        next_step = error.next_step if isinstance(error, GuardrailsError) else ""
        message = error.message if isinstance(error, GuardrailsError) else str(error)
        reading.ended(failed(message, [Finding(message, fix=next_step)]))
        return None, message
    cells = sum(len(one.cells) for one in (work.notebook, *work.then))
    reading.ended(passed(f"{cells} code cells{f' in {len(work.notebooks)} notebooks, which run in order' if work.then else ''}"))
    return work, ""


def _why_not(work: Work, results: dict[str, Result], titles: dict[str, str]) -> str:
    """Why a clean run, which may take hours, would be for nothing: something failed, or warned and nobody said a word to it."""
    if stopped := [name for name, result in results.items() if result.state == "failed"]:
        return f"not run, since {', '.join(stopped)} failed"
    return "not run, since there are warnings and no reason to go on" if _unexplained(work, results, titles) else ""


def _unexplained(work: Work, results: dict[str, Result], titles: dict[str, str]) -> str:
    """What control, too, would say at the end; a draft needs no reason."""
    told = [titles[name] for name, result in results.items() if result.state == "warned"]
    return "" if work.order.draft else unexplained(work.order.reason, told)


def _absent(work: Work, there: set[str]) -> dict[str, Result]:
    """Checks that the policy names and nobody here can do: said, and a failure where the policy requires them."""
    known = there | CONTROLS_OWN
    found = {}
    for name, level in sorted(work.order.checks.items()):
        if name not in known and level != "off":
            sentence = "there is no such check where this runs"
            found[name] = failed(f"the policy requires it, and {sentence}") if level == "require" else not_checked(sentence)
            CheckReport(work.control, work.order.submission, name=name, title=name.replace("_", " ").capitalize()).ended(found[name])
    return found


def _tried(check: Check, work: Work, report: CheckReport) -> Result:
    """What it found; a defect of ours is a failed check, not a lost submission."""
    try:
        return several.check(check, work, report.progress)
    except (Cancelled, ControlAway):
        raise
    except GuardrailsError as error:
        return failed(error.message, [Finding(error.message, fix=error.next_step)])
    except Exception as error:  # noqa: BLE001 - whatever a hostile notebook provokes must fail this check, be said, and lose nothing
        traceback.print_exc()
        return failed(f"the check itself failed: {type(error).__name__}: {error}"[:500])


def _check(check: Check, work: Work, report: CheckReport, *, so_far: list[str]) -> Result:
    """One check's result under the policy's level for it."""
    level = work.order.checks.get(check.NAME, "require")
    if level == "off" and check.NAME not in NEEDED:
        result = not_checked("the policy has switched this check off")
        report.ended(result)
        return result
    report.started()
    result = _tried(check, work, report)
    if result.state == "not_checked" and level == "require" and not so_far and not (check.NAME == LAST and work.order.sample):
        result = failed(f"the policy requires this, and it was not checked: {result.detail}")
    if result.state == "failed" and level in ("warn", "off") and not _breaks_the_package(check.NAME, work):
        result = warned(result.detail, result.findings)
    report.ended(result)
    return result


def _breaks_the_package(name: str, work: Work) -> bool:
    """Without these there is nothing to build, whatever the policy's level."""
    return name in ("parameters", "data") or (name == "environment" and work.interpreter is None)


def _skip(report: CheckReport, why_not: str) -> Result:
    result = not_checked(why_not)
    report.ended(result)
    return result


def _finish(work: Work, results: dict[str, Result], titles: dict[str, str]) -> None:
    stopped = [name for name, result in results.items() if result.state == "failed"]
    said = f"failed: {', '.join(stopped)}" if stopped else _unexplained(work, results, titles)
    if said:
        work.control.call(WorkerFinish(submission=work.order.submission, state="checks_failed", error=said))
        return
    folder = Path(work.order.folder, "package")
    builder.build(work, results, folder)
    if work.order.uploads:
        upload.send(work, folder)
    named = None if work.order.uploads else str(folder)
    work.control.call(WorkerFinish(submission=work.order.submission, state="built", folder=named))


if __name__ == "__main__":
    try:
        code = main()
    except SystemExit as ended:  # asked to: the clean run's kernel and lease have ended in order
        code = int(ended.code or 0)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # nbclient leaves threads, and an index may still be asked: a plain exit waits for these
