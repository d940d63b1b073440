"""Handing derived data over: a table is written by its own library, a file is taken as it is; control keeps a copy of its own."""

from __future__ import annotations

import importlib
import os
import tempfile
from pathlib import Path
from typing import Any

from guarded import sources
from guarded.errors import GuardedError

FORMATS = {
    "parquet": "parquet",
    "csv": "csv",
    "json": "json",
    "jsonl": "json",
    "ndjson": "json",
    "arrow": "arrow",
    "feather": "arrow",
    "ipc": "arrow",
}
TIMEOUT_S = 360.0  # control copies and reads it meanwhile


class Publication:
    """What control made of it: `name`, `version`, `state`, `classification`, `findings`; all of it in `details`."""

    def __init__(self, said: dict[str, Any]) -> None:
        self.details = said
        self.name, self.version, self.state = str(said["name"]), int(said["version"]), str(said["state"])
        self.classification, self.digest = str(said["classification"]), str(said["digest"])
        self.findings = [dict(item) for item in said["scan"]["findings"]]

    def __repr__(self) -> str:
        inputs = ", ".join(dict.fromkeys(item["name"] for item in self.details["inputs"])) or "nothing that was given to this workspace"
        lines = [f"{self.name} version {self.version}: {self.state}, {self.classification}, made of {inputs}"]
        if not self.details["scan"]["by"]:
            lines.append("  not scanned for personal data: presidio-analyzer is not installed where control runs")
        lines += [f"  looks like personal data: {item['kind']} in {item['count']} cells of column {item['column']!r}" for item in self.findings]
        return "\n".join([*lines, f"  next: Propose in the panel (Data), or in a shell outside of JupyterLab: {self.details['next_step']}"])


def publish(data: Any, name: str, description: str) -> Publication:
    """Hand a table or a file over, private to you until you propose it."""
    if isinstance(data, (str, os.PathLike)):
        return _hand_over(os.fspath(data), _format_of(str(data)), name, description)
    with tempfile.TemporaryDirectory(prefix="guarded-") as folder:
        path = os.path.join(folder, "data.parquet")
        _write(data, path)
        return _hand_over(path, "parquet", name, description)


def _hand_over(path: str, form: str, name: str, description: str) -> Publication:
    with open(path, "rb") as file:
        result, _ = sources.current().call(
            "datasets.publish", timeout_s=TIMEOUT_S, send=[file.fileno()], name=name, description=description, format=form
        )
    return Publication(result)


def _format_of(path: str) -> str:
    ending = Path(path).suffix.lstrip(".").lower()
    if ending not in FORMATS:
        raise GuardedError(f"{path} is no file of a known kind", next_step=f"its name has to end in one of {', '.join('.' + end for end in FORMATS)}")
    return FORMATS[ending]


def _write(data: Any, path: str) -> None:
    """By the library that the table is of: pandas, polars, pyarrow."""
    if hasattr(data, "write_parquet"):
        data.write_parquet(path)
    elif hasattr(data, "to_parquet"):
        data.to_parquet(path)
    elif type(data).__module__.partition(".")[0] == "pyarrow":
        importlib.import_module("pyarrow.parquet").write_table(data, path)
    else:
        raise GuardedError(
            f"a {type(data).__name__} can't be published", next_step="a table of pandas, polars or pyarrow can, and the path of a file"
        )
