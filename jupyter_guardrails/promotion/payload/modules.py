"""Runs in the kernel's own interpreter: which of the named modules are there, and who installed them; imports none. Says it as the last line."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import sys

owners: dict[str, list[str]] = getattr(importlib.metadata, "packages_distributions", dict)()  # Python 3.10 and newer


def told(name: str) -> list[str] | None:
    """The distributions that it belongs to; None: it is not there."""
    try:
        is_there = importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return None
    return sorted(set(owners.get(name, ()))) if is_there else None


print("\n" + json.dumps({name: told(name) for name in sys.argv[1:]}))
