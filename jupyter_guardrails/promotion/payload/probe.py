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
        yield {"name": distribution.metadata["Name"] or "", "version": distribution.version, "url": origin.get("url", ""), "editable": editable}


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
