"""vulnerabilities: known ones in the packages of the lock, as an index of advisories tells pip-audit; not checked where none answers."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.promotion import advisories
from jupyter_guardrails.promotion.locks import pinned
from jupyter_guardrails.promotion.offers import install
from jupyter_guardrails.promotion.results import Finding, Result, failed, not_checked, passed
from jupyter_guardrails.promotion.work import Progress, Work

NAME, TITLE = "vulnerabilities", "No known vulnerabilities"
MISSING = "pip-audit is not installed where this runs (the extra `vulnerabilities`)"


def begin(work: Work) -> None:
    """Called by the worker as soon as there is a lock: the index is asked while other checks look."""
    if importlib.util.find_spec("pip_audit") is not None and "kernel" in work.locks:
        packages, store = pinned(work.locks["kernel"]), Path(work.order.environments, "advisories")
        work.asked = work.threads.submit(advisories.find, packages, store=store, scratch=work.scratch, now=time.time())


def run(work: Work, progress: Progress) -> Result:
    """What the index says of each package of the kernel's lock, today or within the last day; nothing is installed or run."""
    if importlib.util.find_spec("pip_audit") is None:
        return not_checked(MISSING)
    if "kernel" not in work.locks:
        return not_checked("the environment is not locked")
    packages = pinned(work.locks["kernel"])
    if work.asked is None:
        begin(work)
    assert work.asked is not None
    try:
        told = work.asked.result()
    except GuardrailsError as error:
        return not_checked(error.message)
    known = len(told.entries)
    if packages and not known:
        return not_checked("the index of advisories knows none of the packages")
    unknown = f"; not known to it: {len(packages) - known}" if known < len(packages) else ""
    said = f"{known} packages{unknown}; the index was asked on {time.strftime('%Y-%m-%d', time.gmtime(told.asked_at))}"
    findings = [finding for entry in told.entries for finding in _findings(entry)]
    return failed(f"{len(findings)} known in {said}", findings) if findings else passed(f"none known in {said}")


def _findings(entry: Mapping[str, Any]) -> Iterator[Finding]:
    name, version = entry["name"], entry["version"]
    for one in entry["vulns"]:
        also = ", ".join(alias for alias in one.get("aliases", ()) if alias != one["id"])
        mended = _lowest(one.get("fix_versions") or [])
        fix = (
            f"install {name}=={mended} or later, and run the notebook again"
            if mended
            else "there is no mended version yet: do without it, or say why it doesn't matter"
        )
        said = f"{name} {version}: {one['id']}{f' ({also})' if also else ''}"
        yield Finding(said, fix=fix, kind="vulnerability", offer=install(f"{name}=={mended}") if mended else None)


def _lowest(versions: list[str]) -> str:
    """The lowest of the versions that mend it."""
    readable = []
    for text in versions:
        try:
            readable.append((Version(text), text))
        except InvalidVersion:  # an index may know versions that pip doesn't
            continue
    return min(readable)[1] if readable else ""
