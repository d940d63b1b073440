"""The mounter with a real server domain and real sandboxes in it; the test plays control, honest or not."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from launch_bench import Launch, named
from sandbox_bench import has_user_namespaces, landlock_version

pytestmark = pytest.mark.skipif(landlock_version() < 6 or not has_user_namespaces(), reason="needs Landlock 6 and user namespaces")


@pytest.fixture
def launch(tmp_path):
    made = Launch(tmp_path)
    yield made
    made.close()


def test_a_kernel_sees_the_table_its_own_folder_and_what_was_granted(launch):
    place = launch.place
    launch.start(place / "granted", place / "secret", place / "w", launch.private / "tmp", launch.private / "state", read=(str(place / "granted"),))
    answer = launch.order(launch.process_behind_the_request(), read=(str(place / "granted"),), granted=(named(place / "granted"),))
    assert answer == {"missing": [], "written": [str(place / "w")]}
    outcome = launch.outcome(answer)
    assert outcome["out"].split() == [str(place / "granted"), str(place / "w"), str(launch.private / "tmp")]
    assert "sockets" in outcome["held"]
    assert (place / "w" / "made").exists()


@pytest.mark.parametrize(
    "path", ["secret", "k", "k/0123abcd", "k/0123abcd/c/kernel.json", "k/0123abcd/../../secret", "roots", "w/../secret", "/root"]
)
def test_a_path_that_nobody_granted_is_missing(launch, path):
    wanted = str(launch.place / path) if not path.startswith("/") else path
    launch.start(launch.place / "secret", read=(wanted,))
    answer = launch.order(launch.process_behind_the_request(), read=(wanted,))
    assert answer == {"missing": [wanted], "written": [str(launch.place / "w")]}
    assert launch.outcome(answer)["out"].strip() == ""


@pytest.mark.parametrize("swap", ["another folder", "a link to a secret"])
def test_a_dataset_that_was_replaced_since_it_was_granted_stops_the_start(launch, swap):
    granted, secret = launch.place / "granted", launch.place / "secret"
    before = named(granted)
    granted.rename(launch.place / "moved")
    granted.mkdir() if swap == "another folder" else granted.symlink_to(secret)
    launch.start(read=(str(granted),))
    answer = launch.order(launch.process_behind_the_request(), read=(str(granted),), granted=(before,))
    assert "another file than the one that was granted" in answer["error"]
    assert "another file" in launch.outcome(answer)["error"]
    assert not (launch.place / "w" / "made").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"temporary": "/etc"},
        {"temporary": "k/0123abcd/state"},
        {"covers": [["/etc/passwd", "/etc/hosts"]]},
        {"covers": [["k/0123abcd/tmp", "/etc/shadow"]]},
    ],
    ids=str,
)
def test_other_folders_are_not_shown_as_private_ones(launch, changes):
    changes = json.loads(json.dumps(changes).replace("k/0123abcd", str(launch.private)))
    launch.start()
    answer = launch.order(launch.process_behind_the_request(), **changes)
    assert "error" in answer
    assert "error" in launch.outcome(answer)


def test_the_server_itself_gets_no_other_root(launch):
    pidfd = os.pidfd_open(launch.process.pid)
    assert "system call 308" in launch.order(pidfd)["error"]  # setns: EPERM, or EINVAL without a process namespace
    ours = os.pidfd_open(os.getpid())
    assert "error" in launch.order(ours)


def test_when_the_mounter_has_ended_nothing_starts(launch):
    launch.start()
    pidfd = launch.process_behind_the_request()
    for entry in Path("/proc").glob("[0-9]*"):
        if children_of(launch.process.pid, entry):
            os.kill(int(entry.name), signal.SIGKILL)
    launch.orders.settimeout(10)
    assert launch.orders.recv(10) == b""  # what control sees
    outcome = launch.outcome({"error": "it has ended"})
    assert "it has ended" in outcome["error"]
    os.close(pidfd)


def children_of(server: int, entry: Path) -> bool:
    """Whether an entry of /proc is the mounter: the server's child that leads a session."""
    try:
        fields = (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return int(fields[1]) == server and int(fields[3]) == int(entry.name)


def test_it_ends_with_its_server(launch):
    launch.process.kill()
    launch.process.wait()
    launch.orders.settimeout(10)
    assert launch.orders.recv(10) == b""


def test_thousands_of_granted_files_are_shown_and_thousands_that_are_missing_are_told(launch):
    files = [launch.place / "granted" / f"{'n' * 100}-{number}" for number in range(3000)]
    for file in files[:50]:
        file.touch()
    launch.start(files[0], files[49], read=tuple(map(str, files[:50])))
    granted = [{"path": str(file), "file": [file.stat().st_dev, file.stat().st_ino]} for file in files[:50]]
    answer = launch.order(launch.process_behind_the_request(), read=tuple(map(str, files)), granted=tuple(granted))
    assert set(answer["missing"]) >= set(map(str, files[50:]))
    assert launch.outcome(answer)["out"].split() == [str(files[0]), str(files[49])]
