"""The launcher under a policy that observes: its own domain and its network refuse nothing that kernels in it may do, but for the secrets."""

import os
import socket

import pytest

pytestmark = pytest.mark.slow
POLICY = """apiVersion: guardrails/v1
mode: {mode}
profiles: {{small: {{memory: 1GiB, cpus: 1}}}}
rules:
  - {{name: everyone, for: everyone, kernels: {{profiles: [small], default: small, max: 10, terminals: small}}}}
"""
ACCOUNTS = ["this account", "an ordinary account"]


def launch(make_server, mode, account):
    if account == "an ordinary account" and os.getuid() != 0:
        pytest.skip("only root can become another account; this run is an ordinary one already")
    other = "nobody" if account == "an ordinary account" else None
    return make_server(policy=POLICY.format(mode=mode), account=other, module=("jupyter_guardrails", "server")).wait_ready()


@pytest.mark.parametrize("account", ACCOUNTS)
def test_under_the_launcher_files_and_network_are_open_and_controls_state_is_shut(make_server, account):
    server = launch(make_server, "observe", account)
    kernel = server.start_kernel()
    secret, new = server.secret / "secret.txt", server.secret / "new"
    assert "not for kernels" in kernel.run(f"print(open({str(secret)!r}).read()); open({str(new)!r}, 'w').write('x')")
    assert new.read_text() == "x"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert "connected" in kernel.run(f"import socket; socket.create_connection(('127.0.0.1', {port})); print('connected')")
    assert "PermissionError" in kernel.run(f"open({str(server.state / 'control.token')!r})")
    kernel.stop()
    records = server.rest("GET", "guardrails/audit?after=0").json()["records"]
    found = {(record["action"], record["resource"], record["mode"]) for record in records if not record["allowed"]}
    expected = {("file.read", str(secret), "observe"), ("file.write", str(new), "observe"), ("network.connect", f"127.0.0.1:{port}", "observe")}
    assert expected <= found


def test_under_the_launcher_the_same_is_refused_when_enforced(make_server):
    server = launch(make_server, "enforce", "this account")
    kernel = server.start_kernel()
    said = kernel.run(f"open({str(server.secret / 'secret.txt')!r})")
    assert "PermissionError" in said or "FileNotFoundError" in said  # the latter where kernels have a root of their own
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert "refused" in kernel.run(f"import socket; socket.create_connection(('127.0.0.1', {listener.getsockname()[1]}))")
