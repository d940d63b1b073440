"""delays.ipynb from its author's command to its production runs: control is a service, ana submits, ben reviews and operates three engines.

`python tests/cli/off_ramp.py` runs it and writes the transcript in docs/ anew.
"""

import contextlib
import hashlib
import importlib.resources
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "engines")]

import airflow_here
import live_access
import nbformat
import service_machine
import slurm_cluster
from nbformat.v4 import new_code_cell, new_notebook
from service_machine import ACCOUNTS
from uv import find_uv_bin

from jupyter_guardrails.cli import demo_data, demo_setup

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "off-ramp.md"
POLICY = f"""\
{service_machine.RULES}    data: {{read: ["nyc/*"]}}
promotion:
  reviewers: {{users: [ben]}}
  production_profile: small
  engines: {{local: {{}}, slurm: {{}}, airflow: {{url: AIRFLOW, dags: DAGS}}}}
"""
HEAD = """\
# From a notebook to production

Made by `tests/cli/off_ramp.py`, and run again by its test: control is a service with an account of its own, ana wrote `delays.ipynb`,
ben reviews it and operates a machine, a Slurm cluster and an Airflow 3 whose workers have his account.

**What runs is one package all the time**: its content digest is the same wherever it stands. Each command is typed in a shell; names of
submissions and deployments, times and measured memory differ from run to run. [How its author sees it in JupyterLab](../scientists.md#how-it-looks).

"""
DATASETS = ("flights", "weather", "planes")
PARAMETERS = {"last_month": "2", "sample_size": "5000"}
PATIENCE_S = 900.0


def world(machine):
    """The demo's data and contracts, and the demo's notebook in ana's folder."""
    data = machine.root / "data"
    demo_data.write_data(data)
    data.chmod(0o755)
    source = importlib.resources.files("jupyter_guardrails") / "demo"
    for template in (source / "contracts").iterdir():
        if template.name.removesuffix(".odcs.yaml") in {f"nyc_{name}" for name in DATASETS}:
            for name, text in demo_setup.contracts(template.name, template.read_text(), data):
                (machine.admins / "catalog" / name).write_text(text)
    _give(machine, (source / "notebooks" / "delays.ipynb").read_text())
    return {name: data / "nyc" / f"{name}.parquet" for name in DATASETS}


def small_world(machine):
    """The same in small: a notebook of three cells with one dataset of two rows, under the same names."""
    path = machine.root / "data" / "flights.csv"
    path.parent.mkdir()
    path.write_text("carrier,delay\nAA,3\nUA,5\n")
    live_access.add_contract(machine, "nyc/flights", path)
    sources = ("last_month = 12\nsample_size = 60_000", "import guarded\n\nrows = open(guarded.path('nyc/flights')).readlines()")
    sources += ("text = f'months,{last_month}\\n' + rows[1]\nopen('result.csv', 'w').write(text)",)
    cells = [new_code_cell(source, execution_count=number, id=f"cell-{number}") for number, source in enumerate(sources, 1)]
    cells[0].metadata["tags"] = ["parameters"]
    _give(machine, nbformat.writes(new_notebook(cells=cells, metadata={"kernelspec": {"name": "tiny", "display_name": "tiny"}})))
    return {"flights": path}


def _give(machine, text):
    notebook = machine.home("ana") / "work" / "delays.ipynb"
    notebook.write_text(text)
    os.chown(notebook, ACCOUNTS["ana"], ACCOUNTS["ana"])


def add_kernelspec(machine):
    """The kernelspec that the notebook names; why it can't be had, or nothing."""
    environment, spec = machine.root / "environment", machine.root / "jupyter" / "kernels" / demo_setup.KERNELSPEC
    subprocess.run([find_uv_bin(), "venv", "-q", "--python", "/usr/bin/python3", str(environment)], check=True)
    python = environment / "bin" / "python"
    install = [find_uv_bin(), "pip", "install", "-q", "--python", str(python), *demo_setup.KERNEL_PACKAGES]
    made = subprocess.run(install, capture_output=True, text=True, check=False)
    spec.mkdir(parents=True)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    told = {"argv": argv, "display_name": demo_setup.DISPLAY_NAME, "language": "python", "metadata": {"supported_encryption": ["curve"]}}
    (spec / "kernel.json").write_text(json.dumps(told))
    return made.stderr[-300:]


def add_airflow(machine, here):
    """The policy names it, and ben has its login."""
    (machine.admins / "guardrails.yaml").write_text(POLICY.replace("AIRFLOW", here.url).replace("DAGS", str(here.dags)))
    login = machine.home("ben") / ".config" / "jupyter-guardrails" / "airflow.yaml"
    login.parent.mkdir(parents=True)
    shutil.copy(here.credentials, login)  # with its mode
    for path in (login.parent.parent, login.parent, login):
        os.chown(path, ACCOUNTS["ben"], ACCOUNTS["ben"])


class Story:
    """What was typed, by whom, and what it said."""

    def __init__(self, machine, environment):
        self.machine, self.environment, self.steps = machine, environment, []
        self.results, self.digests = {}, set()

    def shell(self, account, *words, title, shown=None):
        """An ended command; `shown`: how it is typed."""
        environment = {"HOME": str(self.machine.home(account)), **self.environment}
        done = self.machine.run(account, "-m", "jupyter_guardrails", *words, timeout=PATIENCE_S, **environment)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        quoted = " ".join(f'"{word}"' if " " in word else word for word in ("jupyter", "guardrails", *(shown or words)))
        self.steps.append((f"{title} ({account})", quoted, done.stdout.strip()))
        self.digests |= set(re.findall(r"\b[0-9a-f]{64}\b", "\n".join(line for line in done.stdout.splitlines() if "content" in line)))
        return done.stdout

    def review(self, submission):
        """Ben looks at it and approves it."""
        self.shell("ben", "job", "list", "--review", title="The reviewer sees what waits")
        seen = self.shell("ben", "job", "show", submission, title="He looks at its checks")
        self.content = re.search(r"content:? +([0-9a-f]{64})", seen)[1]
        words = ("--digest", self.content[:12], "--reason", "numbers as last month")
        self.shell("ben", "job", "approve", submission, *words, title="He approves exactly this")

    def deploy(self, submission, engine, data):
        """The deployment that ben makes; a cluster is told where the data lies."""
        more = [f"--dataset=nyc/{name}={path}" for name, path in data.items()] if engine == "slurm" else []
        words = ("job", "deploy", submission, "--engine", engine, *more)
        return re.search(r"deployment ([0-9a-f]{32})", self.shell("ben", *words, title=f"He deploys it on {engine}"))[1]

    def start(self, deployment, engine):
        """One run, which is waited for, and what became of its table."""
        self.shell("ben", "job", "start", deployment, "--wait", title=f"A production run on {engine}")
        out = self.machine.home("ben") / ".local/share/jupyter-guardrails/deployments" / deployment / "runs/1/out"
        self.results[engine] = hashlib.sha256((out / "files/result.csv").read_bytes()).hexdigest()

    def page(self):
        parts = [f"{title}:\n\n```console\n$ {typed}\n{said}\n```\n" for title, typed, said in self.steps]
        return re.sub(r"/tmp/sm-[^/]+", "/srv/demo", HEAD + "\n".join(parts) + self._end())

    def _end(self):
        rows = "".join(f"| {where} | `{digest}` |\n" for where, digest in self.results.items())
        return f"\nThe tables of all runs (`result.csv`), by their sha256:\n\n| run | sha256 |\n| --- | --- |\n{rows}"


def tell(machine, environment, data):
    """From `submit` to the run on each engine, seen by its author."""
    story = Story(machine, environment)
    notebook = machine.home("ana") / "work" / "delays.ipynb"
    given = [word for name, value in PARAMETERS.items() for word in ("--param", f"{name}={value}")]
    given += ["--reason", "it was run elsewhere"]
    words, shown = ("submit", str(notebook), *given, "--wait"), ("submit", "delays.ipynb", *given, "--wait")
    submission = re.search(r"^  id: ([0-9a-f]{32})$", story.shell("ana", *words, title="The author submits", shown=shown), re.MULTILINE)[1]
    story.review(submission)
    for engine in ("local", "slurm", "airflow"):
        story.start(story.deploy(submission, engine, data), engine)
    story.shell("ana", "job", "runs", title="The author sees what came of it")
    return story


def typed(page):
    """Who typed what, without the names and options that differ."""
    said = re.findall(r"^(.*):\n\n```console\n\$ (jupyter guardrails \S+ ?\S*)", page, re.MULTILINE)
    return [(title, command) for title, command in said]


def why_not():
    """Why this can't be told here; empty where it can."""
    return service_machine.why_not() or slurm_cluster.why_not()


@contextlib.contextmanager
def three_engines(*, small=False):
    """A machine with the notebook, its service, a cluster and an Airflow: (machine, variables for ben's commands, data); a reason why not as text."""
    with service_machine.made() as machine:
        lacking = (machine.add_kernelspec() if small else add_kernelspec(machine)) or airflow_here.installed(machine.root)
        if lacking:
            yield lacking
            return
        data = small_world(machine) if small else world(machine)
        cluster = slurm_cluster.running(lambda *command: machine.command(0, *command))
        airflow = airflow_here.running(machine.root, lambda *command: machine.command("ben", *command), owner=ACCOUNTS["ben"])
        with cluster as conf, airflow as here:
            add_airflow(machine, here)
            machine.start_service()
            yield machine, {"SLURM_CONF": str(conf)}, data


def told(*, small=False):
    """The story of a machine that is made and ended here; a reason why not as text."""
    with three_engines(small=small) as made:
        return made if isinstance(made, str) else tell(*made)


if __name__ == "__main__":
    found = told()
    PAGE.write_text(sys.exit(found) if isinstance(found, str) else found.page())
