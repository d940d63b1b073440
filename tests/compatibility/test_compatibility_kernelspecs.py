"""Kernelspecs of a person's own: installed while the server runs, of environments here and there."""

import json
import shutil

import pytest
from live_server import make_environment, write_kernelspec

pytestmark = [pytest.mark.slow]
PACKAGES = ["ipykernel==7.4.0"]
LAUNCH = ["-m", "ipykernel_launcher", "-f", "{connection_file}"]


def share_of(server):
    return server.home / ".local" / "share" / "jupyter"


def names(server):
    return set(server.request("GET", "api/kernelspecs").json()["kernelspecs"])


def check_governed(server, name):
    """It runs, in the workspace, and can't read what lies elsewhere."""
    kernel = server.kernel(name)
    assert kernel.run("open('own.txt', 'w').write('x'); print(6 * 7)").text == "42\n"
    refused = kernel.run(f"print(open('{server.root}/elsewhere/secret.txt').read())").text
    kernel.close()
    assert "FileNotFoundError" in refused
    assert "only-for-the-admin" not in refused


def test_ipykernel_install_user_while_the_server_runs(governed, place):
    assert "mine" not in names(governed)
    governed.as_person([str(place / "env" / "bin" / "python"), "-m", "ipykernel", "install", "--user", "--name=mine"])
    assert "mine" in names(governed)
    check_governed(governed, "mine")


def test_an_environment_in_the_workspace(governed):
    make_environment(governed.workspace / ".venv", PACKAGES)
    write_kernelspec(share_of(governed), "local", [str(governed.workspace / ".venv" / "bin" / "python"), *LAUNCH])
    governed.own(governed.workspace / ".venv")
    governed.own(share_of(governed) / "kernels")
    check_governed(governed, "local")


def test_an_environment_that_the_server_was_not_started_with_is_refused_with_the_next_step(governed, place):
    make_environment(place / "late", PACKAGES)
    write_kernelspec(share_of(governed), "late", [str(place / "late" / "bin" / "python"), *LAUNCH])
    governed.own(share_of(governed) / "kernels")
    answer = governed.request("POST", "api/kernels", json={"name": "late"})
    assert answer.status_code == 403, answer.text
    assert str(place / "late") in answer.json()["message"]
    assert "start the server again" in answer.json()["next_step"]


def test_a_prefix_that_looks_like_condas(place, serve):
    """Real conda is not to be had here: `conda-meta` in the prefix and a kernelspec as nb_conda_kernels writes them, with its variables."""
    prefix = make_environment(place / "conda", PACKAGES)
    (prefix / "conda-meta").mkdir()
    write_kernelspec(place / "share" / "jupyter", "conda-env", [str(prefix / "bin" / "python"), *LAUNCH], env={"CONDA_PREFIX": str(prefix)})
    server = serve("c", "jupyter_guardrails", "server").wait_ready()
    check_governed(server, "conda-env")
    kernel = server.kernel("conda-env")
    assert kernel.run("import os; print(os.environ['CONDA_PREFIX'])").text.strip() == str(prefix)
    kernel.close()
    shutil.rmtree(place / "share" / "jupyter" / "kernels" / "conda-env")


def test_the_kernelspecs_file_is_what_starts(governed, place):
    """The twin of the refusal above: the same file with an environment that the server knows."""
    write_kernelspec(share_of(governed), "known", [str(place / "env" / "bin" / "python"), *LAUNCH])
    governed.own(share_of(governed) / "kernels")
    assert json.loads((share_of(governed) / "kernels" / "known" / "kernel.json").read_text())["argv"][0].startswith(str(place))
    check_governed(governed, "known")
