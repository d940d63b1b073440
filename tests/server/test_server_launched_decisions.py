"""A launched server carries the mark by which control knows that no decision may come from it, and so does all that runs in it."""

import os

import pytest
from server_processes import command

from jupyter_guardrails.cli import demo_server
from jupyter_guardrails.control.outside import is_marked
from jupyter_guardrails.sandbox.meter import sample

pytestmark = pytest.mark.slow
POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
profiles: {small: {memory: 400MiB, cpus: 2}}
rules: [{name: everyone, for: everyone, kernels: {profiles: [small], max: 5}}]
"""


def test_every_process_of_a_launched_server_is_marked(tmp_path):
    for name in ("work", "catalog"):
        (tmp_path / name).mkdir()
    (tmp_path / "guardrails.yaml").write_text(POLICY)
    names = {"GUARDRAILS_POLICY": "guardrails.yaml", "GUARDRAILS_CATALOG": "catalog", "GUARDRAILS_STATE_DIR": "state"}
    environment = {**os.environ, "JUPYTER_NO_CONFIG": "1", **{name: str(tmp_path / path) for name, path in names.items()}}
    with demo_server.serve(["jupyter_guardrails", "server"], tmp_path / "work", environment=environment, log=tmp_path / "log") as server:
        kernel = server.kernel("python3")
        assert kernel.run("print(6 * 7)").text == "42\n"
        pids = [pid for pid in sample(server.process.pid).pids if "control" not in command(pid)]  # control and its workers stand outside
        marks = {pid: is_marked(pid) for pid in pids}
        marked = {pid: mark for pid, mark in marks.items() if mark is not None}  # some end meanwhile
        kernel.close()
    assert len(marked) > 1, "the server and the kernel's own processes"
    assert set(marked.values()) == {True}, marked
