"""What control keeps of where a kernel's data can be changed, and what it does where nothing can be: the rest is in tests/server and tests/cli."""

import asyncio
import os
import socket
import subprocess

import pytest
from data_world import DataWorld

from jupyter_guardrails.control import live_grants, live_orders
from jupyter_guardrails.control.dataset_files import file_of
from jupyter_guardrails.control.interface.live import LivePlace
from jupyter_guardrails.control.interface.messages import KernelStarted
from jupyter_guardrails.control.roots import Mounter
from jupyter_guardrails.errors import Refused
from jupyter_guardrails.sandbox.meter import start_time
from tests.control.conftest import GOOD_REPORT
from tests.control.resting import resting_pid


@pytest.fixture
def data(tmp_path):
    world = DataWorld(tmp_path)
    world.dataset("nyc/flights")
    yield world
    world.close()


def started(desk, pid):
    admission = desk.admit()
    desk.ask(KernelStarted(lease=admission.lease, pid=resting_pid(), report=GOOD_REPORT, live=LivePlace(folder="/f", pid=pid, launch="l")))
    return desk.state.kernels[admission.lease]


def test_the_program_is_known_by_its_start_too(desk_for):
    pid = resting_pid()
    assert started(desk_for("ana"), pid).report["live"] == {"folder": "/f", "pid": pid, "launch": "l", "started": start_time(pid)}


def test_a_program_that_has_ended_already_is_none_and_its_kernel_starts(desk_for):
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert "live" not in started(desk_for("ana"), ended.pid).report


@pytest.mark.parametrize("pid", [1, os.getpid()], ids=["the machine's first", "control itself"])
def test_another_process_is_no_program_of_a_kernel(desk_for, pid):
    with pytest.raises(Refused, match="is no running process of ana's kernels"):
        started(desk_for("ana"), pid)


def test_without_a_mounter_nothing_is_shown_and_what_was_there_at_the_start_stays(data):
    state, flights = data.state(), str(data.data / "nyc/flights.parquet")
    kernel = data.kernel(datasets={"nyc/flights": flights})
    kernel.report["live"] = {"folder": "/run/k/data", "pid": os.getpid(), "launch": "gone", "started": start_time(os.getpid())}
    assert asyncio.run(live_grants.grant(state, kernel, "hr/people", "/data/people")) is None
    assert asyncio.run(live_grants.path_in(state, kernel, "nyc/flights", flights)) == flights
    assert asyncio.run(live_grants.path_in(state, kernel, "nyc/flights", "/elsewhere")) is None
    assert live_grants.names(kernel) == ["nyc/flights"]


def test_a_path_that_is_being_taken_away_is_not_given_as_one_that_is_there(data):
    """An order that was made before a grant may take the dataset away after it: whoever asks for its path waits for that order to end."""
    state, place, flights = data.state(), "/run/k/data/nyc/flights", str(data.data / "nyc/flights.parquet")
    kernel = data.kernel()
    kernel.report["live"] = {"folder": "/run/k/data", "pid": os.getpid(), "launch": "gone"}
    shown = live_orders.shown_by(kernel)
    shown.live, shown.files = {"nyc/flights": flights}, {"nyc/flights": file_of(flights)}

    async def asked_meanwhile():
        async with shown.busy:
            asked = asyncio.create_task(live_grants.path_in(state, kernel, "nyc/flights", flights))
            done, _ = await asyncio.wait([asked], timeout=0.1)
            shown.live = {}
        return bool(done), await asked

    assert asyncio.run(live_grants.path_in(state, kernel, "nyc/flights", flights)) == place
    assert asyncio.run(asked_meanwhile()) == (False, None)  # and without a mounter nothing brings it back


def test_the_mounter_of_somebody_elses_launch_is_none_of_this_kernels(data):
    state, kernel = data.state(), data.kernel()
    kernel.report["live"] = {"folder": "/run/k/data", "pid": os.getpid(), "launch": "l"}
    ours, theirs = socket.socketpair()
    with ours, theirs:
        state.mounters["l"] = Mounter(ours, "ben")
        assert live_orders.mounter_of(state, kernel) is None
        state.mounters["l"] = Mounter(ours, "ana")
        assert live_orders.mounter_of(state, kernel) is state.mounters["l"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/run/k/data/nyc/flights", "nyc/flights"),
        ("/run/k/data/nyc/flights/2013/one.csv", "nyc/flights"),
        ("/run/k/data/./nyc//flights", "nyc/flights"),
        ("/run/k/data/nyc", ""),
        ("/run/k/data/../tmp/nyc/flights", ""),
        ("/run/k/dataset/nyc/flights", ""),
        ("/nyc/flights", ""),
    ],
)
def test_a_path_in_the_kernels_folder_is_a_datasets(data, path, name):
    kernel = data.kernel()
    kernel.report["live"] = {"folder": "/run/k/data", "pid": 1, "launch": ""}
    assert live_grants.dataset_at(kernel, path, {"nyc/flights"}) == name


def test_more_than_a_hundred_datasets_at_a_start_are_one_record(data):
    row = {"principal": "ana", "kernel_id": "k-1", "notebook": None, "policy_digest": "d"}
    few = data.kernel(datasets={"nyc/flights": "/f", "gone/since": "/g"}).admission
    records = asyncio.run(live_grants.given_at_start(data.state(), few, row))
    assert [one["resource"] for one in records] == ["nyc/flights", "gone/since"]
    assert records[0]["reason"].startswith("version 1.2.0: ")
    assert records[0]["rule"].startswith("guardrails.yaml:")
    many = data.kernel(datasets={f"nyc/{number}": "/f" for number in range(101)}).admission
    (record,) = asyncio.run(live_grants.given_at_start(data.state(), many, row))
    assert record["resource"] == "101 datasets"
