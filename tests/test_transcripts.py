"""What docs/ shows of commands and their output is what the commands print, in a folder with the demo's policy, catalogue and data.

`python tests/test_transcripts.py` writes the pages anew.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from jupyter_guardrails.cli import demo_data, demo_setup

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "docs" / "reference" / "policy-tools.md"]
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
DECIDED = """\
policy: guardrails.yaml
catalog: catalog
tests:
  - {who: ana, action: data.read, resource: hr/headcount, expect: deny, because: HR decides each time}
  - {who: ana, action: data.read, resource: hr/salaries, expect: deny, rule: restricted-stays-shut}
  - {who: ben, action: promotion.review, resource: {name: delays, owner: ana}, expect: allow}
  - {who: ana, value: budget.cpu_hours, equals: 40}
"""


def prepare(folder: Path) -> Path:
    """The folder in which the pages' commands run."""
    made = demo_setup.DemoFolder(folder)
    demo_data.write_data(folder / "data")
    demo_setup._write_texts(made)
    (folder / "policy.yaml").replace(folder / "guardrails.yaml")
    (folder / "decided.yaml").write_text(DECIDED)
    return folder


def shell(command: str, folder: Path) -> str:
    """What a command prints, standard error last."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(folder), "LANG": "C.UTF-8"}
    done = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout + done.stderr


def rerun(page: Path, folder: Path) -> str:
    """The page with each block's output as it is now."""

    def renew(block: re.Match[str]) -> str:
        commands = [line for line in block.group(1).splitlines() if line.startswith("$ ")]
        return "```console\n" + "".join(f"{line}\n{shell(line[2:], folder)}" for line in commands) + "```"

    return BLOCK.sub(renew, page.read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("transcripts").resolve())


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_print_what_the_page_shows(page, folder):
    assert rerun(page, folder) == page.read_text(), f"write it anew: python {Path(__file__).relative_to(ROOT)}"


def test_a_page_shows_commands_and_what_they_print():
    blocks = [block for page in PAGES for block in BLOCK.findall(page.read_text())]
    assert len(blocks) >= 9
    assert all(not block.rstrip().splitlines()[-1].startswith("$ ") for block in blocks)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        ready = prepare(Path(place).resolve())
        for each in PAGES:
            each.write_text(rerun(each, ready))
