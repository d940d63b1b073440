"""`jupyter guardrails init --service`: the units, the account and the settings by which control is a service of the machine."""

from __future__ import annotations

import importlib.resources
import json
import os
import sys
from pathlib import Path

from jupyter_guardrails.control.interface.machine import NAME as SETTINGS
from jupyter_guardrails.control.interface.settings import ADMIN_DIR
from jupyter_guardrails.errors import Conflict, Refused

SERVICE, SOCKET, ACCOUNT = "jupyter-guardrails.service", "jupyter-guardrails.socket", "jupyter-guardrails.sysusers.conf"
SHIPPED = "ExecStart=jupyter-guardrails control"  # where systemd looks for programs; what is written names this very installation
UNITS, SYSUSERS = Path("/etc/systemd/system"), Path("/etc/sysusers.d/jupyter-guardrails.conf")


def run(folder: Path | None, *, as_json: bool) -> int:
    """Write the files, into one folder to look at or where the machine reads them; 0, and what to type next. Nothing is overwritten."""
    texts = files(folder)
    if present := [str(path) for path in texts if os.path.lexists(path)]:
        raise Conflict(f"{', '.join(present)}: exists already, and init overwrites nothing", next_step="move it away, or name another folder")
    try:
        for path, text in texts.items():
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            path.chmod(0o644)
    except OSError as error:
        step = "write it as root, or into a folder to look at: jupyter guardrails init --service DIR"
        raise Refused(f"{error.filename} can't be written: {error.strerror}", next_step=step) from error
    report = {"written": [str(path) for path in texts], "next": next_commands(folder)}
    print(json.dumps(report, indent=2) if as_json else "\n".join(_lines(report)))
    return 0


def files(folder: Path | None) -> dict[Path, str]:
    """Path -> text. `settings.yaml` comes last: from then on nobody starts a control of their own."""
    units, account, settings = (UNITS, SYSUSERS, ADMIN_DIR) if folder is None else (folder, folder / ACCOUNT, folder)
    command = f"ExecStart={sys.executable} -I -m jupyter_guardrails control"
    found = {units / SERVICE: shipped(SERVICE).replace(SHIPPED, command), units / SOCKET: shipped(SOCKET)}
    return {**found, account: shipped(ACCOUNT), settings / SETTINGS: shipped(SETTINGS)}


def shipped(name: str) -> str:
    """The text of a file that comes with the package."""
    return (importlib.resources.files("jupyter_guardrails") / "cli" / "service" / name).read_text(encoding="utf-8")


def next_commands(folder: Path | None) -> list[str]:
    """What an admin types now."""
    if folder is not None:
        return [f"systemd-analyze verify {folder / SERVICE} {folder / SOCKET}"]
    return [
        "systemd-sysusers",
        "systemctl daemon-reload",
        "systemctl enable --now jupyter-guardrails.socket jupyter-guardrails",
        "jupyter guardrails doctor",
    ]


def _lines(report: dict[str, list[str]]) -> list[str]:
    return [*(f"wrote {path}" for path in report["written"]), "next:", *(f"  {command}" for command in report["next"])]
