"""Each flaw that the checks look for, in a notebook of its own, and as many sound notebooks: the tables are flawed.yaml and sound.yaml.

All checks but the clean run look at every one. Control is a real one; the environment of most is one real environment, locked once.
"""

import base64
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from advisories import serve_advisories
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from promotion_world import World, add_kernelspec
from uv import find_uv_bin
from work_bench import bench, nothing

from jupyter_guardrails.control.interface import start_own_control
from jupyter_guardrails.control.interface.messages import DatasetShow
from jupyter_guardrails.control.interface.work import WorkerInputs
from jupyter_guardrails.promotion.checks import environment
from jupyter_guardrails.promotion.plugins import LAST, load_checks

HERE = Path(__file__).parent
FLAWED = yaml.safe_load((HERE / "flawed.yaml").read_text())
SOUND = yaml.safe_load((HERE / "sound.yaml").read_text())
KEY = "AKIA" + "IOSFODNN7EXAMPLE"
PIXEL = base64.b64encode(bytes(range(256)) * 40).decode()


def test_the_tables_are_as_long_as_they_are_meant_to_be():
    checks = {check.NAME for check in load_checks(())} - {LAST}
    assert {name for row in FLAWED for name in row["fails"]} == checks
    assert len(FLAWED) >= 20
    assert len(SOUND) >= 20


class Control:
    """A real control, for a worker whose submission it does not know: what the author may read is asked there."""

    def __init__(self, client):
        self.client = client

    def call(self, request):
        if isinstance(request, WorkerInputs):
            shown = [self.client.call(DatasetShow(name=name)) for name in request.names]
            return {"inputs": [{"name": one["name"], "version": one["version"]} for one in shown]}
        return self.client.call(request)


@pytest.fixture(scope="module")
def kernels(tmp_path_factory, tiny):
    """JUPYTER_PATH with an environment that is fine, a bare one, one that finds a module elsewhere, and one with an editable install."""
    root = tmp_path_factory.mktemp("kernels")
    add_kernelspec(root, "tiny", tiny)
    uv = find_uv_bin()
    for name in ("strayed", "editable"):
        subprocess.run([uv, "venv", "-q", "--python", "/usr/bin/python3", str(root / name)], check=True)
        python = root / name / "bin" / "python"
        subprocess.run([uv, "pip", "install", "-q", "--python", str(python), "ipykernel"], check=True)
        add_kernelspec(root, name, python)
    subprocess.run([uv, "venv", "-q", "--python", "/usr/bin/python3", str(root / "bare")], check=True)
    add_kernelspec(root, "bare", root / "bare" / "bin" / "python")
    _stray(root / "strayed", root / "aside")
    project = root / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text('[project]\nname = "local-tools"\nversion = "1"\n')
    (project / "local_tools.py").write_text("")
    subprocess.run([uv, "pip", "install", "-q", "--python", str(root / "editable" / "bin" / "python"), "-e", str(project)], check=True)
    return root


def _stray(environment, aside):
    """A module of a folder outside, and a package in the environment that pip would not list; a .pth file finds both."""
    unlisted = environment / "extra"
    (unlisted / "unlisted-1.dist-info").mkdir(parents=True)
    aside.mkdir()
    (aside / "strayed_module.py").write_text("")
    (unlisted / "unlisted.py").write_text("")
    (unlisted / "unlisted-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: unlisted\nVersion: 1\n")
    (unlisted / "unlisted-1.dist-info" / "top_level.txt").write_text("unlisted\n")
    site = next((environment / "lib").glob("python3*")) / "site-packages"
    (site / "aside.pth").write_text(f"{aside}\n{unlisted}\n")


@pytest.fixture(scope="module")
def flights(tmp_path_factory):
    """A control that knows a dataset which may be read, and one that may be asked for."""
    world = World(tmp_path_factory.mktemp("w"))
    place = world.dataset("nyc/flights")
    world.dataset("hr/salaries")
    own = start_own_control(world.settings)
    yield Control(own.client), {str(place): "nyc/flights"}
    own.stop()


@pytest.fixture(scope="module")
def locked(tmp_path_factory, kernels):
    """What the environment's check finds out about the kernel that most notebooks use."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(kernels))
        work = bench(tmp_path_factory.mktemp("locked"), ["a = 1"], kernelspec="tiny")
        return environment.run(work, nothing), work


def cell_of(number, said):
    """A cell as a fresh run leaves it, unless the table says otherwise."""
    said = {"source": said} if isinstance(said, str) else said
    source = said["source"].replace("KEY", KEY)
    if said.get("type") == "markdown":
        return new_markdown_cell(source)
    text = said.get("prints", "").replace("KEY", KEY) or "a line of text\n" * (said.get("prints_mib", 0) * 70_000)
    shown = [new_output("stream", name="stdout", text=text)] if text else []
    if "html" in said:
        shown.append(new_output("display_data", data={"text/html": said["html"].replace("KEY", KEY)}))
    if said.get("picture"):
        shown.append(new_output("display_data", data={"image/png": PIXEL, "text/plain": "<Figure>"}))
    metadata = {"tags": said.get("tags", []), **{name: text.replace("KEY", KEY) for name, text in said.get("metadata", {}).items()}}
    return new_code_cell(source, execution_count=said.get("count", number), outputs=shown, metadata=metadata)


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("KEY", KEY))


def cells_of(row, places):
    """The row's cells, those that are run numbered by their order; each place named as it is on this machine."""
    count, place = 0, next(iter(places))
    for said in row["cells"]:
        said = {"source": said} if isinstance(said, str) else said
        is_run = said.get("type") != "markdown"
        count += is_run
        yield cell_of(count, said | {"source": said["source"].replace("PLACE-OF-FLIGHTS", place)})


def checked(row, root, flights, locked, monkeypatch):
    """Every check's result by its name."""
    control, places = flights
    workspace = root / "ws"
    workspace.mkdir()
    write(workspace, row.get("files", {}))
    write(root, row.get("outside", {}))
    for name, mib in row.get("sparse", {}).items():
        (workspace / name).touch()
        os.truncate(workspace / name, mib << 20)
    for name, target in row.get("links", {}).items():
        (workspace / name).symlink_to(target)
    cells = list(cells_of(row, places))
    for cell in cells:
        cell.source = cell.source.replace("WORKSPACE", str(workspace))
    kernel = row.get("kernel", "tiny")
    asked = {"parameters": row.get("parameters", {}), "denied_licenses": tuple(row.get("denied_licenses", ()))}
    work = bench(root, cells, kernelspec=kernel, places=places, **asked)
    work.control = control
    results = {}
    for check in load_checks(()):
        if check.NAME == "environment" and kernel == "tiny":
            found, known = locked
            silent = {row["says_no_license"]: ""} if "says_no_license" in row else {}
            said = tuple(replace(one, license=silent.get(one.canonical, one.license)) for one in known.interpreter.installed)
            work.interpreter, work.locks, results[check.NAME] = replace(known.interpreter, installed=said), dict(known.locks), found
        elif (check.NAME == "vulnerabilities" and "advisories" not in row) or check.NAME == LAST:
            continue  # it asks an index, and the clean run is another test's
        else:
            results[check.NAME] = check.run(work, nothing)
    return results


@pytest.fixture
def look(tmp_path, flights, locked, kernels, monkeypatch):
    """A function from a row to the results of its notebook; the index of advisories listens here."""
    monkeypatch.setenv("JUPYTER_PATH", str(kernels))

    def run(row):
        if "advisories" not in row:
            return checked(row, tmp_path, flights, locked, monkeypatch)
        pytest.importorskip("pip_audit", reason="the extra `vulnerabilities` is not installed")
        with serve_advisories(row["advisories"]) as address:
            monkeypatch.setenv("PIP_AUDIT_VULNERABILITY_SERVICE", "osv")
            monkeypatch.setenv("PIP_AUDIT_OSV_URL", address)
            return checked(row, tmp_path, flights, locked, monkeypatch)

    return run


@pytest.mark.parametrize("row", FLAWED, ids=lambda row: row["name"])
def test_a_flaw_fails_the_right_check_at_the_right_cell(row, look):
    results = look(row)
    failing = {name: result for name, result in results.items() if result.state in ("failed", "warned")}
    found = {name: {"cell": result.findings[0].cell, "kind": result.findings[0].kind} for name, result in failing.items()}
    assert found == row["fails"]
    assert all(finding.fix for result in failing.values() for finding in result.findings)
    assert KEY not in str(results)


@pytest.mark.parametrize("row", SOUND, ids=lambda row: row["name"])
def test_a_sound_notebook_fails_nothing(row, look):
    results = look(row)
    assert {name: replace(result, detail="") for name, result in results.items() if result.state != "passed"} == {}
