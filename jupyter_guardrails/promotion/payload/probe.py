"""Runs in the kernel's own interpreter, whatever its version: says what it is and what is installed, as the last line."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import sys
from collections.abc import Iterator
from typing import Any


def packages() -> Iterator[dict[str, Any]]:
    """Each distribution with its version and, when it is not from an index, where it came from."""
    for distribution in importlib.metadata.distributions():
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        editable = bool(origin.get("dir_info", {}).get("editable"))
        found = {"name": distribution.metadata["Name"] or "", "version": distribution.version, "url": origin.get("url", "")}
        yield {**found, "editable": editable, "license": licence(distribution.metadata)}


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
    "base": getattr(sys, "_base_executable", "") or sys.executable,
    "packages": list(packages()),
}
print("\n" + json.dumps(facts))
