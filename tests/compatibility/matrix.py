"""What docs/compatibility.md promises, as data: cells.yaml, each of which is a test, and tests.yaml, each of which names one."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
CELLS: list[dict[str, Any]] = yaml.safe_load((HERE / "cells.yaml").read_text())
TESTS: list[dict[str, Any]] = yaml.safe_load((HERE / "tests.yaml").read_text())
CELL_TEST = "test_compatibility_cells.py"
VERDICTS = {"works": "works", "note": "works, with a note", "refused": "refused, by design", "broken": "does not work"}
ALSO = ("pip", "psutil", "distributed==2026.8.0")  # what some cells use beside their package
KERNEL_MODULES = ("ipykernel.kernelapp", "ipykernel.zmqshell", "ipykernel.debugger", "debugpy.server.api", "matplotlib_inline.backend_inline")
SOAK = os.environ.get("GUARDRAILS_SOAK") == "1"


def packages() -> list[str]:
    """What the kernels' environment needs, each once and pinned; the huge ones in a soak run only."""
    rows = [row for row in (*CELLS, *TESTS) if row.get("package") and not row.get("server") and (SOAK or not row.get("soak"))]
    return list(dict.fromkeys([*(row["package"] for row in rows), *ALSO]))


def imported() -> list[str]:
    """The modules that kernels and their cells import."""
    cells = "\n".join(row["cell"] for row in CELLS)
    found = re.findall(r"^ *from ([\w.]+) import", cells, re.MULTILINE)
    found += [name.split()[0] for line in re.findall(r"^ *import ([\w., ]+)$", cells, re.MULTILINE) for name in line.split(",")]
    return [*KERNEL_MODULES, *dict.fromkeys(found)]


def server_packages() -> list[str]:
    """What the environment of a server with other extensions needs."""
    return list(dict.fromkeys(row["package"] for row in TESTS if row.get("package") and row.get("server")))


def table() -> str:
    """The table of the page, as Markdown."""
    head = "| what | version tried | | test |\n| --- | --- | --- | --- |\n"
    return head + "".join(_line(row) for row in (*TESTS, *CELLS))


def _line(row: dict[str, Any]) -> str:
    verdict = VERDICTS[row["verdict"]] + (f": {row['note']}" if row.get("note") else "")
    test = row.get("test", CELL_TEST).partition("::")
    name = test[0].removeprefix("test_compatibility_").removesuffix(".py")
    return f"| {row['what']} | {row.get('package', row.get('tried', '')).replace('==', ' ')} | {verdict} | {name} |\n"
