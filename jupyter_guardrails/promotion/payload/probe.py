"""Runs in the kernel's own interpreter, whatever its version: says what it is and what is installed, as the last line."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def packages() -> Iterator[dict[str, Any]]:
    """Each distribution with its version, what it needs, which modules it has, and where it came from when not from an index."""
    tops = modules()
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"] or ""
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        by_conda = (distribution.read_text("INSTALLER") or "").strip() == "conda"
        found = {"name": name, "version": distribution.version, "url": "" if by_conda else origin.get("url", "")}
        found |= {"editable": bool(origin.get("dir_info", {}).get("editable")) and not by_conda, "license": licence(distribution.metadata)}
        found |= {"by_conda": by_conda, "of_system": not is_own(distribution), "needs": distribution.requires or [], "modules": tops.get(name, [])}
        yield found


def is_own(distribution: importlib.metadata.Distribution) -> bool:
    """Whether it lies in the environment itself, and is not one of a system that the environment lets through."""
    return Path(sys.prefix).resolve() in Path(str(distribution.locate_file(""))).resolve().parents


def modules() -> dict[str, list[str]]:
    """Distribution -> the modules at its top; none before Python 3.10, which can't say."""
    found: dict[str, list[str]] = {}
    tops: Mapping[str, list[str]] = (
        getattr(importlib.metadata, "packages_distributions", dict)() if sys.prefix != sys.base_prefix and lets_system_through() else {}
    )
    for module, names in tops.items():
        for name in names:
            found.setdefault(name, []).append(module)
    return found


def lets_system_through() -> bool:
    """Whether it is an environment made with --system-site-packages."""
    try:
        lines = Path(sys.prefix, "pyvenv.cfg").read_text(encoding="utf-8").lower().splitlines()
    except OSError:
        return False
    return any(line.replace(" ", "") == "include-system-site-packages=true" for line in lines)


def licence(metadata: Any) -> str:
    """What a distribution says is its licence: an SPDX expression, a short name, else the last word of its classifiers."""
    named = [str(metadata.get(key) or "").strip() for key in ("License-Expression", "License")]
    classified = [text.rsplit("::", 1)[-1].strip() for text in metadata.get_all("Classifier") or () if text.startswith("License ::")]
    return next((text for text in [*named, *classified] if text and len(text) <= 100 and "\n" not in text), "")


facts = {
    "version": platform.python_version(),
    "implementation": platform.python_implementation().lower(),
    "system": platform.system().lower(),
    "machine": platform.machine().lower(),
    "prefix": sys.prefix,
    "system_site": lets_system_through(),
    "base": getattr(sys, "_base_executable", "") or sys.executable,
    "packages": list(packages()),
}
print("\n" + json.dumps(facts))
