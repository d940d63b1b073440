"""The exec shim: `python -I -S launch.py FD` becomes one process under limits. Standard library only, nothing of ours but its siblings.

FD is a unix socket on which one message waits: the specification's memfd. `handover.py` is the other end. The siblings are loaded by path
into a package made here, so that neither the site directories nor the rest of this project are ever imported.
"""

from __future__ import annotations

import importlib
import os
import sys
import types

PACKAGE = "guardrails_launch"


def load(name: str) -> types.ModuleType:
    """A sibling module, from this very directory."""
    if PACKAGE not in sys.modules:
        package = types.ModuleType(PACKAGE)
        package.__path__ = [os.path.dirname(os.path.abspath(__file__))]
        sys.modules[PACKAGE] = package
    return importlib.import_module(f"{PACKAGE}.{name}")


if __name__ == "__main__":
    load(sys.argv[2] if len(sys.argv) > 2 else "launch_steps").run(int(sys.argv[1]))
