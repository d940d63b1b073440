"""CFG-05: nothing in a person's home or workspace switches the extension off, or runs, when the server starts the next time."""

import json
import sys
from pathlib import Path

import pytest
from launched_server import Place

pytestmark = pytest.mark.slow  # left out of `make test-fast`

SWITCH_OFF = {"ServerApp": {"jpserver_extensions": {"jupyter_guardrails": False}}}
# What a kernel could leave for the next start; `ran` is where code of it would leave a mark.
HOSTILE_JSON = (
    "{}/.jupyter/jupyter_server_config.d/zz.json",
    "{}/.jupyter/jupyter_server_config.json",
    "{}/.jupyter/jupyter_config.json",
    "{}/.local/etc/jupyter/jupyter_server_config.d/zz.json",
    "{}/.local/etc/jupyter/jupyter_config.json",
    "{}/jupyter_server_config.json",
    "{}/jupyter_config.json",
)
HOSTILE_CODE = (
    "{}/.jupyter/jupyter_server_config.py",
    "{}/.jupyter/jupyter_config.py",
    "{}/.local/etc/jupyter/jupyter_server_config.py",
    "{}/.ipython/profile_default/startup/00.py",
    "{}/.ipython/profile_default/ipython_kernel_config.py",
    "{}/jupyter_server_config.py",
    "{}/jupyter_guardrails.py",
    "{}/sitecustomize.py",
    f"{{}}/.local/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages/usercustomize.py",
)


@pytest.fixture
def place():
    made = Place()
    yield made
    made.remove()


@pytest.fixture
def hostile(place):
    """Hostile files in home and workspace; where a mark would be, in the workspace, which every server may write."""
    ran = place.work / "ran"
    for folder in (place.home, place.work):
        for name in HOSTILE_JSON:
            write(name.format(folder), json.dumps(SWITCH_OFF))
        for name in HOSTILE_CODE:
            write(name.format(folder), f"with open({str(ran)!r}, 'a') as mark: mark.write({name.format(folder)!r} + chr(10))\n")
    return ran


def write(path, text):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def test_a_launched_server_is_governed_whatever_lies_there(place, hostile):
    with place.serve("jupyter-guardrails", "server") as server:
        assert server.rest("GET", "guardrails/me").status_code == 200, server.log()
        assert "FileNotFoundError" in server.run(f"open({str(place.secret)!r}).read()")
    assert not hostile.exists(), hostile.read_text()


def test_a_plain_server_obeys_what_lies_there(place, hostile):
    """The twin: the files work where nobody holds them back."""
    with place.serve("jupyter-server") as server:
        assert server.rest("GET", "guardrails/me").status_code == 404
    assert ".jupyter/jupyter_server_config.py" in hostile.read_text()


def test_a_plain_server_without_them_is_governed(place):
    with place.serve("jupyter-server") as server:
        assert server.rest("GET", "guardrails/me").status_code == 200, server.log()


def test_what_a_kernel_can_write_switches_nothing_off(place):
    """The kernel's own configuration folder is read-only and empty, and `jupyter` commands work with it."""
    code = """
import os, subprocess, sys
from jupyter_core.paths import jupyter_config_dir
print(sorted(os.listdir(jupyter_config_dir())))
try:
    os.makedirs(os.path.join(jupyter_config_dir(), "jupyter_server_config.d"))
except OSError:
    print("refused")
done = subprocess.run(["jupyter", "server", "extension", "list"], capture_output=True, text=True)
said = done.stdout + done.stderr
print(done.returncode, "jupyter_guardrails" in said and "disabled" not in said, said[-300:])
open("allowed.txt", "w").close()
"""
    with place.serve("jupyter-guardrails", "server") as server:
        assert server.run(code).startswith("['migrated']\nrefused\n0 True")
    assert (place.work / "allowed.txt").exists()


def test_a_command_that_needs_the_marker_works_in_a_kernel(place):
    code = "import subprocess; print(subprocess.run('jupyter kernelspec list', shell=True, capture_output=True, text=True).stdout)"
    with place.serve("jupyter-guardrails", "server") as server:
        assert "python3" in server.run(code)
