"""Terminals run in the same sandbox as kernels, under a lease of their own."""

import os
import re
import sys

import pytest
from server_processes import runs
from server_terminal import Terminal


@pytest.fixture
def terminal(server):
    started = Terminal(server)
    yield started
    started.stop()


def test_a_terminal_reads_the_workspace_and_nothing_outside(terminal, server):
    (server.workspace / "own.txt").write_text("mine")
    assert "mine" in terminal.run("cat own.txt")
    assert "No such file" in terminal.run(f"cat {server.secret}/secret.txt")


def test_a_terminal_has_the_server_s_own_environment_and_can_t_change_it(terminal):
    folder = os.path.dirname(sys.executable)
    assert f"first={folder}\r" in terminal.run("echo first=${PATH%%:*}")
    assert "works\r" in terminal.run('python -c \'import jupyter_server; print("wor" + "ks")\'')
    assert "Read-only file system" in terminal.run(f"touch {folder}/made")


def test_a_command_that_needs_control_says_where_to_type_it(terminal, server):
    (server.workspace / "any.ipynb").write_text("{}")
    for command in ("submit any.ipynb", "data list", "exec -- true"):
        assert "type it in a shell outside of JupyterLab" in terminal.run(f"python -m jupyter_guardrails {command}")


def test_a_terminal_has_job_control_and_no_secret(terminal):
    assert "must-not-reach" not in terminal.run("env")
    assert "no job control" not in terminal.run("sleep 0 & wait; jobs; tty")


def test_a_terminal_holds_a_lease_and_its_end_settles_it(server):
    def terminals():
        return [k for k in server.rest("GET", "guardrails/kernels").json()["kernels"] if k["kind"] == "terminal"]

    before = len(terminals())
    started = Terminal(server)
    assert len(terminals()) == before + 1
    assert terminals()[-1]["profile"] == "tiny"
    started.stop()
    assert len(terminals()) == before


def test_a_refused_terminal_says_why(make_server):
    bare = make_server(policy=None).wait_ready()
    answer = bare.rest("POST", "api/terminals", json={})
    assert answer.status_code >= 400
    assert "guardrails.yaml" in answer.json()["message"]
    assert bare.rest("GET", "api/terminals").json() == []


def test_a_server_without_terminals_says_how_to_have_them(make_server):
    bare = make_server(extensions="'jupyter_guardrails': True, 'jupyter_server_terminals': False").wait_ready()
    answer = bare.rest("POST", "api/terminals", json={})
    assert answer.status_code == 404
    assert "jupyter server extension enable" in answer.json()["message"]


def test_what_ignores_every_polite_signal_ends_with_its_terminal(server):
    started = Terminal(server)
    mark = f"600.{os.getpid()}"  # nobody else's
    printed = started.run(
        f"(trap '' HUP TERM INT; setsid sleep {mark}) & until pgrep -x sleep > /dev/null; do :; done; pgrep -xc sleep | sed 's/^/found=/'"
    )
    assert re.findall(r"found=(\d+)", printed) == ["1"]
    assert runs(mark)
    started.stop()
    assert not runs(mark)
