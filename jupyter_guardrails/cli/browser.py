"""Opens the browser from outside the outer domain, since a browser can't start inside it."""

from __future__ import annotations

import json
import os
import time
import webbrowser
from pathlib import Path

PATIENCE_S = 60


def open_when_ready(port: int, runtime_dir: Path) -> None:
    """Fork a child that waits for this process's server to write its address, opens it and ends."""
    server = os.getpid()
    if os.fork() != 0:
        return
    address = _wait_for_address(runtime_dir / f"jpserver-{server}.json")
    if address:
        webbrowser.open(address)
    else:
        print(f"guardrails: no answer on port {port} within {PATIENCE_S} s, so no browser was opened", flush=True)
    os._exit(0)


def _wait_for_address(info_file: Path) -> str:
    """The server's address with its token, from the file that only this account can read; empty when it never comes."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and os.getppid() != 1:
        if info_file.is_file():
            info = json.loads(info_file.read_text() or "{}")
            if info.get("url"):
                return f"{info['url']}lab?token={info.get('token', '')}"
        time.sleep(0.2)
    return ""
