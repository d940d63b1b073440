"""Two people on one machine whose control is a service: ana submits in her shell, ben reviews in his governed JupyterLab."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))

import service_machine

HOSTILE = (
    "from IPython.display import HTML, SVG, display",
    'evil = \'<script>parent.document.title = "taken"; document.title = "taken"</script><img src=x onerror="parent.taken = 1">\'',
    "display(HTML(evil))\nprint(evil)\nprint('\\u202egnp.exe')",
)


class ReviewWorld:
    """What a test does as one of them; `url` and `token` are those of ben's JupyterLab."""

    def __init__(self, machine: Any) -> None:
        self.machine = machine
        self.server = machine.serve("ben", launcher=("jupyter_guardrails", "lab"))
        self.url, self.token = self.server.url, service_machine.TOKEN

    def log(self) -> str:
        """The last lines of ben's server and of control."""
        return str(self.server.log() + self.machine.log())

    def shell(self, account: str, *words: str) -> str:
        """What a command prints that an account types outside of JupyterLab."""
        done = self.machine.guardrails(account, *words)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return str(done.stdout)

    def submit(self, name: str, *sources: str) -> dict[str, Any]:
        """Ana's notebook, submitted and in review; the same name again is the next version."""
        path = self.machine.add_notebook("ana", *sources, name=name)
        found: dict[str, Any] = json.loads(
            self.shell("ana", "submit", str(path), "--reason", "the sum includes returns; <b>agreed with Ben</b>", "--wait", "--json")
        )
        assert found["state"] == "in_review", found
        return found


@contextlib.contextmanager
def made() -> Iterator[ReviewWorld | str]:
    """Both of them and the service, which end with the block; a reason why not as text."""
    with service_machine.made() as machine:
        if why_not := machine.add_kernelspec():
            yield why_not
            return
        machine.start_service()
        yield ReviewWorld(machine)
