"""Each command about promotion in docs/scientists.md runs as it stands there, in a shell of one's own, from the notebook to a run elsewhere."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from uv import find_uv_bin

from tests.browser.governed_lab import CONTRACT
from tests.promotion.promotion_world import add_kernelspec
from tests.promotion.promotion_world import tiny as tiny  # pytest takes the fixture from here

GUIDE = Path(__file__).parents[2] / "docs" / "scientists.md"
SECTION = GUIDE.read_text().partition("## Into production\n")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", SECTION, re.DOTALL)
COMMANDS = [line.split(" #")[0].strip() for kind, text in BLOCKS if kind == "bash" for line in text.splitlines()]
(DETAILS,) = (text for kind, text in BLOCKS if kind == "yaml")
(CONSOLE,) = (text for kind, text in BLOCKS if kind == "console")
POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
profiles: {small: {memory: 1GiB, cpus: 1}}
rules:
  - name: everyone
    for: everyone
    kernels: {profiles: [small], default: small, max: 5}
    data: {read: ["nyc/*"]}
    network: {allow: ["packages.example.com:443"]}
promotion:
  production_profile: small
  checks: {order: warn, vulnerabilities: off}
"""
CELLS = (
    "first_month = 1",
    "import csv, guarded\nrows = list(csv.reader(open(guarded.path('nyc/flights'))))",
    "with open('delays.csv', 'w') as out:\n    out.write(f'month,rows\\n{first_month},{len(rows)}\\n')\n_ = open('log.txt', 'w').write('done')",
)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny):
    """A policy, a catalogue with nyc/flights, a kernelspec, and a folder with delays.ipynb and job.yaml."""
    root = tmp_path_factory.mktemp("p")
    for folder in ("catalog", "home", "ws", "data"):
        (root / folder).mkdir(mode=0o700)
    (root / "guardrails.yaml").write_text(POLICY)
    (root / "listed.yaml").write_text(POLICY + "  packages: {allow: [pandas]}\n")
    (root / "data" / "flights.csv").write_text("carrier,delay\nAA,3\nUA,5\n")
    said = {"id": "nyc-flights", "name": "flights", "domain": "nyc", "purpose": "All flights", "classification": "internal"}
    (root / "catalog" / "flights.yaml").write_text(CONTRACT.format(path=root / "data" / "flights.csv", **said))
    add_kernelspec(root / "jupyter", "tiny", tiny)
    cells = [new_code_cell(source, execution_count=number) for number, source in enumerate(CELLS, 1)]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"kernelspec": {"name": "tiny", "display_name": "tiny", "language": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), root / "ws" / "delays.ipynb")
    (root / "ws" / "job.yaml").write_text(DETAILS)
    return root


@pytest.fixture(scope="module")
def shell(place):
    """What bash prints of a text in the notebook's folder; each of its commands has to succeed."""

    def run(text, policy="guardrails.yaml", state="state", folder="ws"):
        names = {"GUARDRAILS_POLICY": policy, "GUARDRAILS_CATALOG": "catalog", "GUARDRAILS_STATE_DIR": state, "HOME": "home"}
        variables = {name: str(place / path) for name, path in names.items()} | {"GUARDRAILS_AS": "ana", "LANG": "C.UTF-8"}
        variables |= {name: value for name, value in os.environ.items() if name.startswith(("SSL_CERT_", "PIP_", "UV_"))}
        variables |= {"JUPYTER_PATH": str(place / "jupyter"), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text], cwd=place / folder, env=variables, capture_output=True, text=True, timeout=170
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def command(words):
    """The one command of the guide that begins so."""
    (found,) = (line for line in COMMANDS if line.startswith(f"jupyter guardrails {words}"))
    return found


@pytest.fixture(scope="module")
def submitted(shell):
    """The submission with its details, as `job list` tells it; the guide's own line made it."""
    shell(command("submit delays.ipynb --details"))
    (found,) = json.loads(shell("jupyter guardrails job list --json"))["submissions"]
    return found


def test_the_guide_names_these_commands_and_no_others():
    heads = [" ".join(line.split()[2:4]) for line in COMMANDS]
    assert heads == ["submit delays.ipynb", "submit delays.ipynb", "job runs", "job logs", "job reopen", "request package", "requests list"]


def test_a_notebook_is_submitted_with_what_is_said_of_it(shell, submitted, place):
    assert submitted["state"] == "in_review", submitted
    shell(f"jupyter guardrails job save {submitted['id']}")
    shell(f"python3 -m zipfile -e {submitted['package']} unpacked")
    job = json.loads((place / "ws" / "unpacked" / "job.json").read_text())
    assert (job["contact"], job["retries"], job["secrets"]) == ("flights-team", 2, ["WAREHOUSE_TOKEN"])
    assert job["schedule"] == "0 7 * * 1", "a flag counts more than the file"
    assert {output["path"] for output in job["outputs"]} == {"delays.csv", "log.txt"}


def test_the_same_without_a_word_about_it_is_checked_as_well(shell):
    assert COMMANDS[0] == "jupyter guardrails submit delays.ipynb"
    assert "draft, not submitted" in shell(f"{COMMANDS[0]} --draft")


def test_the_package_runs_elsewhere_as_the_guide_says(shell, submitted, place):
    shell(f"jupyter guardrails job save {submitted['id']} --to {place / 'home' / 'delays-1.job.zip'}")
    lines = [line.removeprefix("$ ") for line in CONSOLE.splitlines()]
    text = "\n".join(lines).replace("/data/flights.parquet", str(place / "data" / "flights.csv"))
    text = text.replace("unzip delays-1.job.zip -d delays", "python3 -m zipfile -e delays-1.job.zip delays")  # unzip is on most machines, not on all
    shell(f"export WAREHOUSE_TOKEN=t PATH={Path(find_uv_bin()).parent}:/usr/bin:/bin\n{text}", folder="home")
    made = place / "home" / "delays" / "out"
    assert {"executed.ipynb", "run.json"} <= {path.name for path in made.iterdir()}
    (written,) = made.rglob("delays.csv")
    assert written.read_text() == "month,rows\n6,3\n"


def test_an_experiment_again_and_no_run_yet(shell, submitted):
    assert "delays" in shell(command("job reopen").replace("ID", submitted["id"]))
    shell(command("job runs"))


def test_a_package_is_asked_for_and_listed(shell):
    said = {"policy": "listed.yaml", "state": "other"}
    asked = shell(command("request package"), **said)
    assert "polars is asked for, for 180 days" in asked
    assert asked.partition(":")[0] in shell(command("requests list"), **said)
