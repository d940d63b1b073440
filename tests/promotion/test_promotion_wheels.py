"""Packages that no index has: built into wheels from the workspace, in the sandbox, and carried along; and a package that runs without any index."""

import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from promotion_world import World, add_kernelspec, check_of
from uv import find_uv_bin

from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.package import archive
from jupyter_guardrails.promotion import interpreter
from jupyter_guardrails.promotion.interpreter import Installed
from jupyter_guardrails.promotion.wheels import Bench, modules_of, wheel_of

SYSTEM_PYTHON, OTHER = "/usr/bin/python3", "nobody"
PROJECT = """[build-system]
requires = ["setuptools>=61"]
build-backend = "setuptools.build_meta"
[project]
name = "home-made"
version = "1.5"
"""
SETUP = """import os, socket
from setuptools import setup
said = {}
for name, attempt in {
    "network": lambda: socket.create_connection(("127.0.0.1", PORT), 2),
    "outside": lambda: open(OUTSIDE, "w"),
    "here": lambda: open("written.txt", "w"),
}.items():
    try:
        attempt()
        said[name] = "done"
    except OSError as error:
        said[name] = type(error).__name__
setup(name="home-made", version="1.5", py_modules=["home_made"], description=repr(said))
"""


def project(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    for name, text in {"pyproject.toml": PROJECT, "home_made.py": "def answer():\n    return 42\n", **files}.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def bench(tmp_path: Path, tiny: Path) -> Bench:
    (tmp_path / "ws").mkdir()
    (tmp_path / "scratch").mkdir()
    (tmp_path / "probe").mkdir()
    return Bench(tmp_path / "ws", tmp_path / "scratch", tmp_path / "store", interpreter.probe(str(tiny), tmp_path / "probe"))


def installed(path: Path | str, name: str = "home_made") -> Installed:
    return Installed(name, "1.5", f"file://{path}", editable=True)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("file:///somewhere/home-made", "outside of the workspace"),
        ("file:///WS", "outside of the workspace"),
        ("file:///WS/../x", "outside of the workspace"),
        ("file:///WS/link", "outside of the workspace"),
        ("https://packages.example.com/home-made.zip", "from an address"),
        ("git+ssh://x@packages.example.com/home-made", "from an address"),
        ("file:///WS/empty", "neither pyproject.toml nor setup.py"),
        ("file:///WS/gone.whl", "no file now"),
        ("file:///WS/other-1.5-py3-none-any.whl", "no wheel of home_made"),
        ("file:///WS/home_made-1.5-py3-none-any.whl", "no wheel of home_made"),
    ],
)
def test_what_can_not_go_along_is_refused_with_the_reason(bench, tmp_path, url, words):
    (bench.workspace / "empty").mkdir()
    project(tmp_path / "elsewhere")
    (bench.workspace / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("other", "home_made"):
        (bench.workspace / f"{name}-1.5-py3-none-any.whl").write_text("no zip")
    package = Installed("home_made", "1.5", url.replace("/WS", str(bench.workspace)))
    with pytest.raises(BadRequest, match=words) as refused:
        wheel_of(package, bench)
    assert refused.value.next_step


def test_a_wheels_file_of_the_workspace_is_taken_as_it_is(bench):
    path = bench.workspace / "home_made-1.5-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("home_made.py", "")
        made.writestr("home_made-1.5.dist-info/METADATA", "Name: home-made\nVersion: 1.5\n")
    wheel = wheel_of(installed(path), bench)
    assert wheel.read_bytes() == path.read_bytes()
    assert modules_of(wheel) == {"home_made"}


def test_a_build_that_takes_something_from_an_address_is_refused(bench):
    text = PROJECT.replace("setuptools>=61", "x @ https://packages.example.com/x.zip")
    project(bench.workspace / "p", **{"pyproject.toml": text})
    with pytest.raises(BadRequest, match="from an address"):
        wheel_of(installed(bench.workspace / "p"), bench)


@pytest.mark.slow
def test_building_has_no_network_writes_nothing_outside_and_is_the_same_twice(bench, tmp_path):
    """Its allow twin is in the same run: it may write where it is built."""

    with socket.create_server(("127.0.0.1", 0)) as listener:
        outside = tmp_path / "outside.txt"
        setup = SETUP.replace("PORT", str(listener.getsockname()[1])).replace("OUTSIDE", repr(str(outside)))
        text = PROJECT.partition("[project]")[0]
        folder = project(bench.workspace / "p", **{"setup.py": setup, "pyproject.toml": text})
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        wheel = wheel_of(installed(folder), bench)
    with zipfile.ZipFile(wheel) as opened:
        said = opened.read("home_made-1.5.dist-info/METADATA").decode()
    assert "'here': 'done'" in said
    assert "'network': 'done'" not in said
    assert "'outside': 'done'" not in said
    assert not outside.exists()
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    first = wheel.read_bytes()
    assert wheel_of(installed(folder), bench).read_bytes() == first


@pytest.fixture(scope="module")
def submitted(world: World, tiny: Path) -> tuple[World, dict]:
    """A notebook whose kernel has a package installed from a folder of its workspace, really, as editable."""
    folder = project(world.workspace / "lib" / "home-made")
    env = world.root / "env"
    uv = find_uv_bin()
    subprocess.run([uv, "venv", "-q", "--python", SYSTEM_PYTHON, str(env)], check=True)
    subprocess.run([uv, "pip", "install", "-q", "--python", str(env / "bin" / "python"), "ipykernel", "-e", str(folder)], check=True)
    add_kernelspec(world.root / "jupyter", "homemade", env / "bin" / "python")
    world.notebook("import home_made\nopen('answer.txt', 'w').write(str(home_made.answer()));", name="made.ipynb", kernel="homemade")
    return world, world.submit("made.ipynb")


@pytest.mark.slow
def test_an_editable_package_of_the_workspace_goes_along_as_a_wheel(submitted, tmp_path):
    world, found = submitted
    assert found["state"] == "in_review", found["checks"]
    assert "home_made-1.5-py3-none-any.whl goes along" in check_of(found, "environment")["detail"]
    archive.unpack(world.package(found["id"], tmp_path / "p.zip"), tmp_path / "p")
    assert [path.name for path in (tmp_path / "p" / "wheels").iterdir()] == ["home_made-1.5-py3-none-any.whl"]
    lock = tomllib.loads((tmp_path / "p" / "env" / "pylock.kernel.toml").read_text())
    assert next(one for one in lock["packages"] if one["name"] == "home-made")["wheels"][0]["path"] == "../wheels/home_made-1.5-py3-none-any.whl"
    again = world.submit("made.ipynb")
    assert again["content_digest"] == found["content_digest"]
    module = world.workspace / "lib" / "home-made" / "home_made.py"
    sound = module.read_text()
    module.write_text(f"{sound}KEY = '{'AKIA' + 'IOSFODNN7EXAMPLE'}'\n")
    try:
        flawed = world.submit("made.ipynb")
    finally:
        module.write_text(sound)
    assert flawed["error"] == "failed: secrets"
    assert "home_made.py of home_made-1.5-py3-none-any.whl, line 3" in check_of(flawed, "secrets")["findings"][0]["message"]
    assert "and the wheels that go along" in check_of(found, "secrets")["detail"]


@pytest.mark.slow
def test_it_runs_offline_as_another_account_with_an_empty_cache(submitted, tmp_path):
    """Show 2, its second part: wheels fetched where there is an index; then no network, no cache, no uv, none of this project."""
    if os.getuid() != 0:
        pytest.skip("needs root, to become another account")
    world, found = submitted
    account = pwd.getpwnam(OTHER)
    root = Path(tempfile.mkdtemp(prefix="gr-offline-", dir="/tmp"))
    archive.unpack(world.package(found["id"], tmp_path / "p.zip"), root / "job")
    for path in [root, *root.rglob("*")]:
        os.chown(path, account.pw_uid, account.pw_gid)
    environ = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
    environ |= {"PATH": "/usr/bin:/bin", "HOME": str(root), "LANG": "C.UTF-8"}
    become = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]

    def go(*words: str, network: bool) -> subprocess.CompletedProcess[str]:
        argv = [*([] if network else ["unshare", "--net"]), *become, SYSTEM_PYTHON, "run.py", *words]
        return subprocess.run(argv, capture_output=True, text=True, env=environ, cwd=root / "job")

    try:
        fetched = go("--fetch", "../wheels", network=True)
        assert fetched.returncode == 0, fetched.stderr
        without = go("--out=../none", network=False)
        assert (without.returncode, "can't be built" in without.stderr) == (3, True)  # the twin: there really is no network
        done = go("--wheels", "../wheels", "--out=../out", network=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert (root / "out" / "files" / "answer.txt").read_text() == "42"
        assert json.loads((root / "out" / "run.json").read_text())["state"] == "complete"
    finally:
        shutil.rmtree(root)
