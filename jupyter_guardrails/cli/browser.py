"""Opens the browser from outside the outer domain, since a browser can't start inside it."""

from __future__ import annotations

import os
import time
import webbrowser
from pathlib import Path

PATIENCE_S = 60
POLL_S = 0.1


def open_when_ready(port: int, runtime_dir: Path) -> None:
    """Fork a child that waits for this process's server, opens its page and ends.

    What is opened is the file that Jupyter writes for this (0600, it redirects): an address with the token would stand in the browser's argv.
    """
    server = os.getpid()
    if os.fork() != 0:
        return
    page = runtime_dir / f"jpserver-{server}-open.html"
    if not _written(page, server):
        print(f"guardrails: no answer on port {port} within {PATIENCE_S} s, so no browser was opened", flush=True)
    elif not webbrowser.open(page.as_uri()):
        print("guardrails: no browser was found here: open the address above in one", flush=True)
    os._exit(0)


def _written(page: Path, server: int) -> bool:
    """Whether the server wrote its page, whole; false once it has ended or is too slow."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and os.getppid() == server:
        if page.is_file() and "</html>" in page.read_text():
            return True
        time.sleep(POLL_S)
    return False
