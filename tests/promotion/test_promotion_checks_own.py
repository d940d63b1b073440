"""A company's own checks: a distribution that is really installed, found by its entry points, run by the worker of a real submission."""

import json
import os
import site
import subprocess
import sys
import time
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from uv import find_uv_bin
from work_bench import bench, nothing

from jupyter_guardrails.promotion import plugins
from jupyter_guardrails.promotion.results import passed

PROJECT = """\
[project]
name = "acme-checks"
version = "1"
[project.entry-points."jupyter_guardrails.checks"]
"acme.headers" = "acme_checks.headers"
"acme.broken" = "acme_checks.broken"
plain = "acme_checks.headers"
[tool.setuptools]
packages = ["acme_checks"]
"""
HEADERS = '''\
"""Each notebook begins with a title."""

from jupyter_guardrails.promotion.results import Finding, failed, passed

TITLE = "It begins with a title"


def run(work, progress):
    first = work.notebook.node.cells[0]
    if first.cell_type == "markdown" and first.source.startswith("# "):
        return passed("it has one")
    return failed("there is no title", [Finding("the first cell is no title", 0, fix="write one", kind="no_title")])
'''
PROGRAM = """\
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from promotion_world import POLICY, World
from jupyter_guardrails.control.interface import start_own_control
world = World(Path(sys.argv[2]))
levels = json.loads(sys.argv[3])
(world.root / "guardrails.yaml").write_text(POLICY.replace("{vulnerabilities: off}", json.dumps(levels)))
for name, kind in (("titled.ipynb", "markdown"), ("bare.ipynb", "code")):
    path = world.notebook("# Sales", "a = 1", name=name)
    found = json.loads(path.read_text())
    if kind == "markdown":
        found["cells"][0] = {"cell_type": "markdown", "id": "t", "metadata": {}, "source": "# Sales"}
        found["cells"][1]["execution_count"] = 1
    path.write_text(json.dumps(found))
own = start_own_control(world.settings)
world.client = own.client
try:
    print(json.dumps({name: world.submit(name) for name in ("titled.ipynb", "bare.ipynb")}))
finally:
    own.stop()
"""
LEVELS = {"acme.headers": "require", "acme.broken": "warn", "acme.absent": "warn", "own.plain": "off", "clean_run": "off", "vulnerabilities": "off"}


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory):
    """An environment that finds ours, and has the company's distribution installed."""
    root = tmp_path_factory.mktemp("own")
    uv, python = find_uv_bin(), root / "env" / "bin" / "python"
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(root / "env")], check=True)
    folder = next((root / "env" / "lib").glob("python3*")) / "site-packages"
    ours = [*site.getsitepackages(), str(Path(plugins.__file__).parents[2])]
    (folder / "ours.pth").write_text("".join(f"{place}\n" for place in ours))
    package = root / "project" / "acme_checks"
    package.mkdir(parents=True)
    (root / "project" / "pyproject.toml").write_text(PROJECT)
    (package / "__init__.py").write_text("")
    (package / "headers.py").write_text(HEADERS)
    (package / "broken.py").write_text("import not_there_at_all\n")
    subprocess.run([uv, "pip", "install", "-q", "--python", str(python), str(root / "project")], check=True)
    return python


@pytest.fixture(scope="module")
def submitted(interpreter, tmp_path_factory, tiny):
    """What control says of two submissions whose worker ran in that environment."""
    root = tmp_path_factory.mktemp("w")
    (root / "jupyter" / "kernels" / "tiny").mkdir(parents=True)
    argv = [str(tiny), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "tiny", "language": "python"}
    (root / "jupyter" / "kernels" / "tiny" / "kernel.json").write_text(json.dumps(spec))
    command = [str(interpreter), "-c", PROGRAM, str(Path(__file__).parent), str(root), json.dumps(LEVELS)]
    environ = os.environ | {"JUPYTER_PATH": str(root / "jupyter")}
    ran = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=170)
    assert ran.returncode == 0, ran.stderr[-2000:]
    said = json.loads(ran.stdout.splitlines()[-1])
    checks = {name: {check["name"]: check for check in found["checks"]} for name, found in said.items()}
    return {name: found | checks[name] for name, found in said.items()}


def test_an_own_check_decides_like_one_of_ours(submitted):
    bare, titled = submitted["bare.ipynb"], submitted["titled.ipynb"]
    assert (bare["state"], bare["acme.headers"]["state"]) == ("checks_failed", "failed")
    assert bare["acme.headers"]["findings"][0]["kind"] == "no_title"
    assert (titled["error"], titled["state"], titled["acme.headers"]["state"]) == ("", "in_review", "passed")
    assert titled["acme.headers"]["title"] == "It begins with a title"


def test_one_that_is_broken_or_absent_is_said_and_stops_no_other(submitted):
    titled = submitted["titled.ipynb"]
    assert (titled["acme.broken"]["state"], titled["acme.absent"]["state"]) == ("warned", "not_checked")
    assert "not_there_at_all" in titled["acme.broken"]["detail"]
    assert titled["own.plain"]["detail"] == "the policy has switched this check off"


class Odd:
    """An own check with a fault."""

    TITLE = "Odd"

    def __init__(self, answer):
        self.run = answer


def point(name, answer, monkeypatch):
    monkeypatch.setattr(plugins, "odd", Odd(answer), raising=False)
    return EntryPoint(name, "jupyter_guardrails.promotion.plugins:odd", plugins.GROUP)


def own(points):
    return [check for check in plugins.load_checks(points) if isinstance(check, plugins.Own)]


def test_one_that_takes_too_long_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(plugins, "OWN_TIMEOUT_S", 1)
    (check,) = own([point("acme.slow", lambda work, progress: time.sleep(60), monkeypatch)])
    with pytest.raises(TimeoutError, match="longer than 1 s"):
        check.run(bench(tmp_path, ["a = 1"]), nothing)


def test_an_answer_that_is_no_result_fails(tmp_path, monkeypatch):
    work = bench(tmp_path, ["a = 1"])
    assert own([point("acme.odd", lambda work, progress: True, monkeypatch)])[0].run(work, nothing).state == "failed"
    assert own([point("acme.odd", lambda work, progress: passed("fine"), monkeypatch)])[0].run(work, nothing).state == "passed"


def test_none_can_take_the_place_of_one_of_ours(tmp_path, monkeypatch):
    def fine(work, progress):
        return passed("fine")

    checks = plugins.load_checks([point("secrets", fine, monkeypatch), point("acme.a", fine, monkeypatch), point("acme.a", fine, monkeypatch)])
    work = bench(tmp_path, ["a = 1"])
    assert [check.NAME for check in checks].count("secrets") == 1
    assert [(check.NAME, check.run(work, nothing).state) for check in checks if isinstance(check, plugins.Own)] == [
        ("acme.a", "passed"),
        ("acme.a", "failed"),
        ("own.secrets", "failed"),
    ]
    assert checks[-1].NAME == plugins.LAST
