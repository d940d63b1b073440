"""Approved places without HTTP in a launched server's kernels: the name is there through the mounter, in each kernel, made ahead or not."""

import json
import os

import pytest

POLICY = """\
apiVersion: guardrails/v1
mode: enforce
rules:
  - name: out
    for: everyone
    network: {allow: ["db.example.com:5432"]}
"""
LOOK = """\
import socket
print(sorted({found[4][0] for found in socket.getaddrinfo(NAME, 5432, type=socket.SOCK_STREAM)}))
with socket.create_connection((NAME, 5432), 20) as s:
    print(s.recv(1))
"""


@pytest.fixture(scope="module")
def launched(make_server, server):
    """Of the same account as the shared one."""
    account = server.account.pw_name if server.account.pw_uid != os.getuid() else None
    return make_server(account=account, policy=POLICY, module=("jupyter_guardrails", "server")).wait_ready()


def look(kernel, name):
    return kernel.run(LOOK.replace("NAME", repr(name)))


def connections(server):
    lines = map(json.loads, (server.state / "audit.jsonl").read_text().splitlines())
    return [(line["resource"], line["allowed"]) for line in lines if line["action"] == "network.connect"]


def test_an_approved_place_has_its_name_and_its_listener_in_each_kernel(launched):
    kernels = [launched.start_kernel(), launched.start_kernel()]
    for kernel in kernels:
        assert look(kernel, "db.example.com").splitlines() == ["['127.64.0.1']", "b''"]  # there is no such server
        assert "gaierror" in look(kernel, "other.example.com")
        assert "Error" in kernel.run("open('/etc/hosts', 'a')")
    assert ("db.example.com:5432", True) in connections(launched)
    kernels[0].restart()
    assert look(kernels[0], "db.example.com").splitlines() == ["['127.64.0.1']", "b''"]
    for kernel in kernels:
        kernel.stop()


def test_a_place_that_is_added_comes_with_the_next_kernel_and_one_that_is_taken_away_is_refused(launched):
    before = launched.start_kernel()
    launched.policy.write_text(POLICY.replace('"db.example.com:5432"', '"new.example.com:5432", "git.example.com:22"'))
    after = launched.start_kernel()
    assert look(after, "new.example.com").splitlines() == ["['127.64.0.1']", "b''"]
    assert "gaierror" in look(after, "db.example.com")
    assert look(before, "db.example.com").splitlines() == ["['127.64.0.1']", "b''"]
    assert ("db.example.com:5432", False) in connections(launched)
    for kernel in (before, after):
        kernel.stop()
