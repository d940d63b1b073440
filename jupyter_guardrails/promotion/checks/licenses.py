"""licenses: what the packages of the lock say of their licence, against those that the policy denies."""

from __future__ import annotations

from collections import Counter

from jupyter_guardrails.promotion.licenses import is_denied, spdx
from jupyter_guardrails.promotion.locks import canonical_name, pinned
from jupyter_guardrails.promotion.results import Finding, Result, failed, not_checked, passed, warned
from jupyter_guardrails.promotion.work import Progress, Work

NAME, TITLE = "licenses", "Licences of packages are allowed"
USE_ANOTHER = "use another package, or ask your admin: promotion.packages.deny_licenses in the policy"
ASK = "see what its project says, and tell your reviewer"
SHOWN = 6


def run(work: Work, progress: Progress) -> Result:
    """Read the metadata that the kernel's environment holds; what is said nowhere is named as not known."""
    if "kernel" not in work.locks or work.interpreter is None:
        return not_checked("the environment is not locked")
    said = {canonical_name(package.name): package.license for package in work.interpreter.installed}
    locked = {name: said.get(canonical_name(name), "") for name in pinned(work.locks["kernel"])}
    denied = work.order.denied_licenses
    findings = [
        Finding(f"{name} is under {spdx(text)}, which the policy denies", fix=USE_ANOTHER, kind="denied_license")
        for name, text in locked.items()
        if text and is_denied(text, denied)
    ]
    if findings:
        return failed(f"{len(findings)} of {len(locked)} packages are under a denied licence", findings)
    unknown = [Finding(f"{name} does not say what its licence is", fix=ASK, kind="no_license") for name, text in locked.items() if not text]
    if unknown and denied:
        return warned(f"{len(unknown)} of {len(locked)} packages do not say their licence; {_counted(locked)}", unknown)
    return passed(_counted(locked))


def _counted(locked: dict[str, str]) -> str:
    """`MIT 12, BSD-3-Clause 9, not said 1`"""
    counts = Counter(spdx(text) if len(text) <= 40 else "another" for text in locked.values())
    counts["not said"] += counts.pop("", 0)
    common = [f"{name} {count}" for name, count in counts.most_common() if count]
    return ", ".join(common[:SHOWN]) + (f" and {len(common) - SHOWN} more" if len(common) > SHOWN else "") or "there are no packages"
