"""The disk of the records runs full under a real server with real kernels: they go on, starts are refused with the reason, and it mends itself."""

import os
import shutil
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
PATIENCE_S = 40.0


@pytest.fixture(scope="module")
def cramped(make_server):
    """A server whose state directory is a filesystem of 3 MiB, in a mount namespace of its own."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("needs root, to mount a small disk for a server whose kernels are in sandboxes of their own")
    mounting = 'mkdir -p "$0" && mount -t tmpfs -o size=3m,mode=700 records "$0" && exec "$@"'
    return make_server(before=("unshare", "--mount", "sh", "-c", mounting, "state"))


def test_kernels_go_on_and_starts_are_refused_until_there_is_room(cramped):
    server = cramped.wait_ready()
    state = Path(f"/proc/{server.process.pid}/root") / str(server.state).lstrip("/")
    assert state.joinpath("records.sqlite").exists()
    kernel = server.start_kernel()
    kernel.run("kept = 41")
    fill(state / "ballast")
    refused = start_until_refused(server)
    assert refused.status_code == 503
    message = refused.json()["message"]
    assert "the records can't be written: no space left on the disk of" in message
    assert "next: free some space there" in message
    assert kernel.run("print(kept + 1)") == "42\n"
    assert server.rest("GET", "guardrails/me").status_code == 200
    assert kernel.id in [k["id"] for k in server.rest("GET", "guardrails/kernels").json()["kernels"]]
    (state / "ballast").unlink()
    again = start_until_allowed(server)
    assert again.run("print(1)") == "1\n"
    assert kernel.run("print(kept + 2)") == "43\n"
    for started in (kernel, again):
        assert started.stop().status_code == 204


def take_all(file, size):
    while True:
        file.write(b"x" * size)


def fill(ballast):
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 12, 1):
            with pytest.raises(OSError, match="No space left"):
                take_all(file, size)


def start_until_refused(server):
    """SQLite's log may hold room for one or two more."""
    for _ in range(8):
        answer = server.rest("POST", "api/kernels", json={"name": "python3"})
        if answer.status_code != 201:
            return answer
        server.rest("DELETE", f"api/kernels/{answer.json()['id']}")
    raise AssertionError("a full disk refused nothing")


def start_until_allowed(server):
    deadline = time.monotonic() + PATIENCE_S
    while (answer := server.rest("POST", "api/kernels", json={"name": "python3"})).status_code != 201:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)
    return server.attach(answer.json()["id"])
