"""Runs the cells of one notebook of a package, in the environment of its runner. Started by its run.py, which verified every file before."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import nbclient
import nbformat
from traitlets.config import Config

SOCKET_PATH_BYTES = 100  # sockaddr_un holds 107, and each channel's number is appended


def execute(config: dict[str, Any]) -> int:
    """Inject the parameters, run every cell, write what came of it. 0 or 1."""
    notebook = nbformat.read(config["notebook"], 4)  # type: ignore[no-untyped-call]
    inject(notebook, config["values"], nbformat.v4.new_code_cell)
    cells: list[dict[str, Any]] = []
    status = {"state": "complete", "error": "", "started": time.time(), "cells": cells, "package": config["package"]}
    status |= {"datasets": config["datasets"], "inputs": config["inputs"], "parameters": config["values"]}
    total = sum(cell.cell_type == "code" for cell in notebook.cells)

    def executed(cell: Any, cell_index: int, execute_reply: Any) -> None:
        cells.append({"cell": cell_index, "state": execute_reply["content"]["status"]})
        print(f"cell {len(cells)} of {total}: {cells[-1]['state']}", flush=True)

    sockets = os.path.join(os.environ["JUPYTER_RUNTIME_DIR"], "s")
    settings = Config({"KernelManager": {"transport": "ipc", "ip": sockets} if len(sockets) < SOCKET_PATH_BYTES else {}})
    client = nbclient.NotebookClient(notebook, timeout=None, kernel_name="job", on_cell_executed=executed, record_timing=False, config=settings)
    try:
        client.execute()
    except Exception as error:  # noqa: BLE001 - whatever ended the notebook is the job's result: it is written down and the job has failed
        status |= {"state": "failed", "error": f"{type(error).__name__}: {error}"[-4000:]}
        print(status["error"], file=sys.stderr)
    nbformat.write(notebook, Path(config["out"], config["executed"]))  # type: ignore[no-untyped-call]
    Path(config["out"], "run.json").write_text(json.dumps(status | {"ended": time.time()}, indent=1) + "\n")
    return 0 if status["state"] == "complete" else 1


def inject(notebook: Any, values: dict[str, Any], new_cell: Any) -> None:
    """Put the values in a cell of their own, after the cell tagged `parameters`."""
    if not values:
        return
    after = next((n for n, cell in enumerate(notebook.cells, 1) if "parameters" in cell.metadata.get("tags", [])), 0)
    source = "".join(f"{name} = {value!r}\n" for name, value in sorted(values.items()))
    cell = new_cell(source, metadata={"tags": ["injected-parameters"]}, id="injected-parameters")
    notebook.cells.insert(after, cell)


if __name__ == "__main__":
    sys.exit(execute(json.loads(Path(sys.argv[1]).read_text())))
