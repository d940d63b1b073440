"""Roots under the launcher: the server and its kernels see what is listed, and nothing starts when the mounter is gone."""

import os
import signal
import socket
from pathlib import Path

import pytest
from server_processes import children_of, command, descendants, leads_a_session

OTHER = "nobody"
CONNECT = "import socket; s = socket.socket(socket.AF_UNIX); s.connect({!r}); print('connected')"


@pytest.fixture(scope="module")
def launched(make_server, server):
    """Of the same account as the shared one."""
    account = server.account.pw_name if server.account.pw_uid != os.getuid() else None
    return make_server(account=account, module=("jupyter_guardrails", "server")).wait_ready()


@pytest.fixture
def agent(launched):
    """A socket of the account's, as those of ssh agents and container engines."""
    path = launched.secret / "agent.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        os.chown(path, launched.account.pw_uid, launched.account.pw_gid)
        listener.listen()
        yield path
    path.unlink()


def test_a_kernel_sees_its_workspace_its_data_and_no_socket_outside(launched, agent):
    kernel = launched.start_kernel()
    assert "FileNotFoundError" in kernel.run(CONNECT.format(str(agent)))
    inside = "import socket; l = socket.socket(socket.AF_UNIX); l.bind('own.sock'); l.listen()\n"
    assert kernel.run(inside + CONNECT.format("own.sock")).strip() == "connected"
    assert "AA,3" in kernel.run("import os; print(open(os.environ['GUARDRAILS_DATA'] + '/nyc/flights').read())")
    assert set(kernel.run("import os; print(*os.listdir('/'))").split()).isdisjoint({"root", "srv", "run"})
    found = kernel.run("import os; print(*(os.path.join(place, name) for place, names, _ in os.walk('/var') for name in names))").split()
    assert set(found) <= {"/var/cache", "/var/cache/fontconfig"}
    (shown,) = [one for one in launched.rest("GET", "guardrails/kernels").json()["kernels"] if one["id"] == kernel.id]
    assert {"files", "network", "sockets"} <= set(shown["enforced"])
    kernel.stop()


def test_a_terminal_sees_no_more(launched, agent):
    name = launched.rest("POST", "api/terminals", json={}).json()["name"]
    (shell,) = [pid for pid in descendants(launched.process.pid) if command(pid).startswith(("/usr/bin/bash", "/bin/bash"))]
    assert not Path(f"/proc/{shell}/root{agent}").exists()
    assert Path(f"/proc/{shell}/root{launched.workspace}").exists()
    assert launched.rest("DELETE", f"api/terminals/{name}").status_code == 204


def test_the_server_itself_sees_no_more(launched, agent):
    assert not Path(f"/proc/{launched.process.pid}/root{agent}").exists()
    assert Path(f"/proc/{launched.process.pid}/root{launched.workspace}").exists()


def test_without_its_mounter_nothing_starts_and_what_runs_goes_on(make_server, launched):
    account = launched.account.pw_name if launched.account.pw_uid != os.getuid() else None
    server = make_server(account=account, module=("jupyter_guardrails", "server"), arguments=("--Guardrails.spare_kernel=False",)).wait_ready()
    kernel = server.start_kernel()
    (mounter,) = [pid for pid in children_of(server.process.pid) if leads_a_session(pid) and "launch.py" not in command(pid)]
    os.kill(mounter, signal.SIGKILL)
    answer = server.rest("POST", "api/kernels", json={})
    assert answer.status_code == 503
    assert "no kernel can get a root of its own" in answer.json()["message"]
    assert "start the server again" in answer.json()["next_step"]
    assert kernel.run("print(6 * 7)").strip() == "42"
    assert server.rest("GET", "guardrails/kernels").json()["kernels"][0]["id"] == kernel.id
