"""A reviewer's `job page` with a browser for it: what the command prints in the terminal, and the page over real HTTP."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import requests


class Browser:
    """The page of one running command."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.url = self.terminal()
        assert self.url.startswith("http://127.0.0.1:"), self.url + process.stderr.read()
        assert self.terminal() == "Ctrl-C ends it"

    def terminal(self) -> str:
        """The next line in the reviewer's terminal."""
        return self._process.stdout.readline().rstrip("\n")

    def get(self, path: str = "") -> requests.Response:
        """A page of it."""
        return requests.get(self.url + path, timeout=60)

    def post(self, path: str, **form: str) -> requests.Response:
        """A form of it, as its own page sends it."""
        return requests.post(self.url + path, data=form, headers={"Origin": re.match(r"http://[^/]+", self.url)[0]}, timeout=60)

    def code(self) -> tuple[str, str]:
        """What the terminal says that a code is for, and the code."""
        said = self.terminal()
        return re.fullmatch(r"(.*): code (\d{3} \d{3})", said).groups()


@contextlib.contextmanager
def opened(machine, account: str) -> Iterator[Browser]:
    """`job page` of an account, until Ctrl-C ends it well."""
    command = machine.command(account, sys.executable, "-m", "jupyter_guardrails", "job", "page")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=machine.environment(account), cwd="/", **pipes) as process:
        try:
            yield Browser(process)
        finally:
            process.send_signal(signal.SIGINT)
            left, complaints = process.communicate(timeout=60)
    assert (process.returncode, left.endswith("ended\n")) == (0, True), complaints
