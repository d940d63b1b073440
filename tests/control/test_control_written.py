"""Where a kernel really writes, and so where its labels lie: by the mounter's word, against servers that say something else."""

import asyncio
import ctypes
import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
from data_world import DataWorld

from jupyter_guardrails.control import channel_operations, outside, written
from jupyter_guardrails.control.channel_operations import Arguments, Name
from jupyter_guardrails.control.interface.live import LivePlace
from jupyter_guardrails.control.interface.messages import KernelRoot, KernelStarted, LaunchMounter
from tests.control.conftest import GOOD_REPORT
from tests.control.resting import resting_pid

sys.path.insert(0, str(Path(__file__).parents[1] / "sandbox"))
from launch_bench import DEVICES, SYSTEM, Launch
from sandbox_bench import PYTHON, has_user_namespaces, landlock_version

WAITS = "open('ready', 'w').close(); open('go').close()"  # a FIFO opens when both ends are there
OUTSIDE_ONLY = pytest.mark.skipif(bool(outside.is_marked(1)), reason="the first process here has no_new_privs: nothing can be told by it")


@pytest.fixture
def rooted(desk_for, tmp_path):
    """A desk, and a real server's kernel that waits in the root that the real mounter made by this control's order; both processes."""
    if landlock_version() < 6 or not has_user_namespaces():
        pytest.skip("needs Landlock 6 and user namespaces")
    desk, launch = desk_for("ana"), Launch(tmp_path)
    name = desk.ask(LaunchMounter(), fds=[os.dup(launch.mounter)])["launch"]
    for fifo in ("ready", "go"):
        os.mkfifo(tmp_path / "w" / fifo)
    launch.start(argv=[PYTHON, "-c", WAITS])
    process = launch.process_behind_the_request()
    (inner,) = [line.split()[1] for line in Path(f"/proc/self/fdinfo/{process}").read_text().splitlines() if line.startswith("Pid:")]
    admission = desk.admit(workspace=str(tmp_path / "fresh"))
    asked = {"read": list(SYSTEM), "write": [str(tmp_path / "w"), str(launch.private / "tmp")], "devices": list(DEVICES)}
    root = KernelRoot(lease=admission.lease, launch=name, fresh_proc=launch.report["fresh_proc"], **asked)
    launch.send(desk.ask(root, fds=[process]))
    open(tmp_path / "w" / "ready").close()
    (program,) = Path(f"/proc/{inner}/task/{inner}/children").read_text().split()
    yield desk, admission, LivePlace(folder=str(launch.private / "data"), pid=int(program), launch=name), tmp_path
    open(tmp_path / "w" / "go", "w").close()
    launch.heard()
    launch.close()


def begun(desk, admission, live, report=GOOD_REPORT):
    desk.ask(KernelStarted(lease=admission.lease, pid=resting_pid(), report=report, live=live))
    return desk.state.kernels[admission.lease]


def test_what_a_kernel_writes_is_known_by_its_root_and_not_by_its_server(rooted):
    """The server says `fresh`, and had a root ordered that writes `w`."""
    desk, admission, live, place = rooted
    kernel = begun(desk, admission, live, GOOD_REPORT | {"written": ["/said/by/the/server"], "unknown_places": True})
    assert kernel.report["written"] == [str(place / "w")]
    assert written.places(kernel)[:1] + written.places(kernel)[-1:] == [str(place / "fresh"), str(place / "w")]
    assert not written.is_unknown(kernel)


def test_another_process_beside_it_has_not_that_root(rooted):
    desk, admission, live, _ = rooted
    kernel = begun(desk, admission, live.model_copy(update={"pid": resting_pid()}))
    assert "written" not in kernel.report


@pytest.fixture
def data(tmp_path):
    data = DataWorld(tmp_path)
    data.dataset("nyc/flights", "confidential")
    yield data
    data.close()


def kernel(data, workspace, **report):
    return dataclasses.replace(data.kernel(), workspace=workspace, report=report)


def read(data, live):
    asyncio.run(channel_operations.path(data.state(), live, Name(name="nyc/flights")))


def label(data, live):
    return asyncio.run(channel_operations.carried(data.state(), live, Arguments())).result["classification"]


def test_a_forged_workspace_launders_nothing_and_an_honest_one_marks_itself_alone(data):
    read(data, kernel(data, "/forged", written=["/w/real"]))
    assert label(data, kernel(data, "/w/real", written=["/w/real"])) == "confidential"
    assert label(data, kernel(data, "/w/other", written=["/w/other"])) == ""


def test_the_honest_twin(data):
    read(data, kernel(data, "/w/honest", written=["/w/honest"]))
    assert label(data, kernel(data, "/w/honest", written=["/w/honest"])) == "confidential"
    assert label(data, kernel(data, "/w/fresh", written=["/w/fresh"])) == ""


def test_what_is_read_where_nobody_knows_the_places_counts_for_all_of_its_person(data):
    read(data, kernel(data, "/forged", unknown_places=True))
    assert label(data, kernel(data, "/w/fresh", written=["/w/fresh"])) == "confidential"
    other = dataclasses.replace(data.kernel("ben"), workspace="/w/ben")
    assert asyncio.run(channel_operations.carried(data.state("ben"), other, Arguments())).result["classification"] == ""


def test_what_is_made_where_nobody_knows_the_places_inherits_all_that_its_person_was_given(data):
    read(data, kernel(data, "/w/honest", written=["/w/honest"]))
    assert label(data, kernel(data, "/w/fresh", unknown_places=True)) == "confidential"


def noted(data, pid, **settings):
    state = data.state()
    state = dataclasses.replace(state, peer_pid=pid, settings=dataclasses.replace(state.settings, **settings))
    request = KernelStarted(lease="l", pid=1, report={"written": ["/said"], "unknown_places": False})
    return written.noted(state, request).report


@pytest.fixture
def inside():
    """A process with what a launched server has."""
    program = "import sys; print(flush=True); sys.stdin.read()"
    limit = ctypes.CDLL(None).prctl
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=lambda: limit(38, 1, 0, 0, 0)
    )
    process.stdout.readline()
    yield process.pid
    process.communicate()


@OUTSIDE_ONLY
def test_of_a_service_s_kernels_those_of_servers_without_a_root_are_of_unknown_places(data, inside):
    assert noted(data, inside, service=True) == {"unknown_places": True}
    assert noted(data, resting_pid(), service=True) == {}  # a command in its person's own shell
    assert noted(data, inside) == {}  # an own control's server is its own account anyway
