"""A full workspace: what may be saved over HTTP, and where its fill level is shown."""

import time

import pytest

POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
profiles: {small: {memory: 1GiB, cpus: 1}}
rules: [{name: small-workspaces, for: everyone, kernels: {profiles: [small]}, workspace: {size: 5MiB}}]
"""
MIB = 1 << 20


@pytest.fixture(scope="module")
def small(make_server):
    return make_server(policy=POLICY).wait_ready()


def save(server, name, size):
    return server.rest("PUT", f"api/contents/{name}", json={"type": "file", "format": "text", "content": "1" * size})


def until_full(server, expected):
    deadline = time.monotonic() + 20
    while (found := server.rest("GET", "guardrails/kernels").json()["workspace"])["full"] != expected:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


@pytest.mark.slow
def test_growth_is_refused_and_small_files_and_deleting_are_not(small):
    assert save(small, "first.txt", 2 * MIB).status_code == 201
    assert not until_full(small, False)["full"]
    (small.workspace / "large.bin").write_bytes(b"1" * 4 * MIB)
    found = until_full(small, True)
    assert (found["limit_bytes"], found["used_bytes"] > 6 * MIB) == (5 * MIB, True)
    assert "small-workspaces" in found["rule"]
    refused = save(small, "second.txt", 2 * MIB)
    assert refused.status_code == 507
    for words in ("second.txt was not saved: it has 2 MiB", "your workspace is full (6 MiB of 5 MiB)", "large.bin (4 MiB)"):
        assert words in refused.json()["message"]
    assert save(small, "first.txt", 2 * MIB + 1).status_code == 507
    assert save(small, "first.txt", 2 * MIB - 1).status_code == 200  # smaller than it was
    assert save(small, "notebook.txt", MIB // 2).status_code == 201  # nobody loses a notebook
    assert small.rest("DELETE", "api/contents/large.bin").status_code == 204
    until_full(small, False)
    assert save(small, "second.txt", 2 * MIB).status_code == 201


@pytest.mark.slow
def test_the_fill_level_stands_beside_the_limit(small):
    until_full(small, False)
    limits = small.rest("GET", "guardrails/me").json()["limits"]
    (value,) = (limit["value"] for limit in limits if limit["key"] == "workspace.size")
    assert value.endswith(" of 5 MiB")
