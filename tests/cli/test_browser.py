"""The browser is started outside the outer domain, on a file of Jupyter's: never with the token in its arguments."""

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

PROGRAM = """
import sys, time
from pathlib import Path
from jupyter_guardrails.cli import browser
import os
folder = Path(sys.argv[1])
browser.open_when_ready(1, folder)
(folder / f"jpserver-{os.getpid()}-open.html").write_text(sys.argv[2])
os.wait()
"""


def opened(folder: Path, page: str) -> str:
    """What the browser was started with; empty when it was not."""
    seen, program = folder / "argv", folder / "browser"
    program.write_text(f'#!/bin/sh\necho "$@" > {seen}.new\nmv {seen}.new {seen}\n')
    program.chmod(stat.S_IRWXU)
    code = PROGRAM if "</html>" in page else PROGRAM.replace("browser.open_when_ready", "browser.PATIENCE_S = 1; browser.open_when_ready")
    subprocess.run([sys.executable, "-c", code, str(folder), page], env=os.environ | {"BROWSER": f"{program} %s"}, check=True, timeout=30)
    deadline = time.monotonic() + 10 if "</html>" in page else 0
    while not seen.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return seen.read_text() if seen.exists() else ""


def test_it_opens_the_servers_page_and_names_no_token(tmp_path):
    argv = opened(tmp_path, '<html><a href="http://127.0.0.1:1/lab?token=very-secret">here</a></html>')
    assert argv.startswith(f"file://{tmp_path}/jpserver-")
    assert "very-secret" not in argv


def test_a_page_that_is_not_whole_is_not_opened(tmp_path):
    assert opened(tmp_path, "<html>") == ""
