"""The kernel's channel over real sockets: what a client may ask, what it gets, and what it cannot make control do."""

import json
import os
import socket
import stat
import struct
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from channel_world import CLIENT, Served
from data_world import POLICY, DataWorld, Loop

from jupyter_guardrails.control import channel
from jupyter_guardrails.control.interface import receive_frame, send_frame
from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.records import requests


@pytest.fixture
def loop():
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def world(tmp_path):
    world = DataWorld(tmp_path)
    world.dataset("nyc/flights")
    world.dataset("hr/headcount", "confidential")
    world.dataset("hr/salaries", "restricted")
    yield world
    world.close()


@pytest.fixture
def served(world, loop):
    return Served(world, loop, datasets={"nyc/flights": str(world.data / "nyc/flights.parquet")})


def ended(connection):
    """Whether the other side has closed; with something left unread, that is a reset."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def grant(world, name, person="ana"):
    world.records.write_sync(requests.create, now=world.now, id=f"r-{name}", principal=person, dataset=name, purpose="a study", days=5)
    world.records.write_sync(requests.decide, f"r-{name}", "granted", now=world.now, actor="dana", reason="fine")


def test_hello_says_whose_kernel_it_is(served):
    assert served.connect().result("hello") == {"v": 1, "person": "ana", "kernel": "k-1", "datasets": ["nyc/flights"]}


def test_the_path_of_a_dataset_is_given_and_recorded_with_the_contracts_version(world, served):
    assert served.connect().result("datasets.path", name="nyc/flights") == {"path": str(world.data / "nyc/flights.parquet"), "readable": True}
    (record,) = world.audited("data.read")
    assert (record["allowed"], record["principal"], record["resource"], record["kernel"]) == (True, "ana", "nyc/flights", "k-1")
    assert record["reason"].startswith("version 1.2.0: ")
    assert record["rule"].startswith("guardrails.yaml:")


def test_a_refusal_has_all_that_one_needs(world, served):
    error = served.connect().result("datasets.path", name="hr/headcount")
    assert error["code"] == "refused"
    assert "hr/headcount" in error["message"]
    assert "dana" in error["message"] + error["next_step"]
    assert "guarded.request('hr/headcount'" in error["next_step"]
    assert error["rule"]
    (record,) = world.audited("data.read")
    assert (record["allowed"], record["resource"]) == (False, "hr/headcount")


def test_hidden_and_missing_ones_look_alike(served):
    kernel = served.connect()
    answers = [kernel.result("datasets.open", name=name) for name in ("hr/salaries", "hr/nothing1")]
    assert [error["code"] for error in answers] == ["not_found", "not_found"]
    assert answers[0]["message"].replace("hr/salaries", "hr/nothing1") == answers[1]["message"]


def test_an_open_file_is_a_regular_read_only_one(world, served):
    result, (fd,) = served.connect().ask("datasets.open", name="nyc/flights")
    try:
        found = os.fstat(fd)
        assert stat.S_ISREG(found.st_mode)
        assert result == {"path": str(world.data / "nyc/flights.parquet"), "size": found.st_size}
        assert os.pread(fd, 4, 0) == b"PAR1"
        with pytest.raises(OSError):
            os.pwrite(fd, b"x", 0)
        with pytest.raises(OSError):
            os.ftruncate(fd, 0)
    finally:
        os.close(fd)


def opened(path):
    """How often this process, which control's loop runs in, has a file open."""
    links = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{fd}")]
    return links.count(str(path))


def test_no_file_is_open_in_control_after_an_answer(world, served):
    kernel, path = served.connect(), world.data / "nyc/flights.parquet"
    fds = [fd for _ in range(5) for fd in kernel.ask("datasets.open", name="nyc/flights")[1]]
    kernel.result("hello")
    assert opened(path) == len(fds) == 5
    for fd in fds:
        os.close(fd)
    assert opened(path) == 0


@pytest.fixture
def folder(world, loop):
    """A dataset that is a folder, beside a secret, with links that lead to it."""
    part = world.parquet("days/deep/part-0.parquet")
    secret = world.data / "secret.txt"
    secret.write_text("secret")
    os.symlink(secret, world.data / "days/link")
    os.symlink(world.data, world.data / "days/up")
    os.mkfifo(world.data / "days/fifo")
    world.dataset("nyc/days", path=world.data / "days")
    return part


@pytest.mark.usefixtures("folder")
def test_a_folder_gives_its_files_by_name(world, served):
    kernel = served.connect()
    assert kernel.result("datasets.open", name="nyc/days") == {
        "path": str(world.data / "days"),
        "size": None,
        "files": ["fifo", "link", "deep/part-0.parquet"],
        "complete": True,
    }
    result, (fd,) = kernel.ask("datasets.open", name="nyc/days", file="deep/part-0.parquet")
    assert os.pread(fd, 4, 0) == b"PAR1"
    assert result["path"] == str(world.data / "days/deep/part-0.parquet")
    os.close(fd)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "file",
    [
        "../secret.txt",
        "link",
        "up/secret.txt",
        "/etc/passwd",
        "deep",
        ".",
        "deep/..",
        "fifo",
        "none",
        "a\0b",
        "deep/../../secret.txt",
        "up/days/deep/part-0.parquet",
    ],
)
def test_nothing_but_its_regular_files_comes_out_of_a_folder(served, file):
    error, fds = served.connect().ask("datasets.open", name="nyc/days", file=file)
    assert fds == []
    assert error["code"] in ("not_found", "bad_request")


def test_a_file_has_no_files_in_it(served):
    assert served.connect().result("datasets.open", name="nyc/flights", file="x")["code"] == "bad_request"


def test_a_place_that_became_a_symlink_is_not_followed(world, served):
    place = world.data / "nyc/flights.parquet"
    place.rename(world.data / "moved.parquet")
    place.symlink_to("/etc/passwd")
    error, fds = served.connect().ask("datasets.open", name="nyc/flights")
    assert fds == []
    assert "cannot be opened" in error["message"]


def test_what_was_granted_later_opens_by_descriptor_and_its_path_says_restart(world, served):
    kernel = served.connect()
    assert kernel.result("datasets.path", name="hr/headcount")["code"] == "refused"
    grant(world, "hr/headcount")
    found = kernel.result("datasets.path", name="hr/headcount")
    assert found["readable"] is False
    assert "restart the kernel" in found["next_step"]
    _, (fd,) = kernel.ask("datasets.open", name="hr/headcount")
    os.close(fd)
    world.pass_time(days=5)
    assert kernel.result("datasets.open", name="hr/headcount")["code"] == "refused"


def test_a_policy_that_changes_holds_at_the_next_question(world, served):
    kernel = served.connect()
    assert kernel.result("datasets.path", name="nyc/flights")["readable"]
    world.policy_file.write_text(POLICY.replace('read: ["nyc/*"]', 'read: ["none/*"]'))
    assert kernel.result("datasets.path", name="nyc/flights")["code"] in ("refused", "not_found")


def test_in_observe_mode_a_refusal_is_recorded_and_the_data_comes(world, loop):
    world.policy_file.write_text(POLICY.replace("mode: enforce", "mode: observe"))
    kernel = Served(world, loop, person="erin").connect()
    _, (fd,) = kernel.ask("datasets.open", name="hr/headcount")
    os.close(fd)
    (record,) = world.audited("data.read")
    assert (record["allowed"], record["principal"]) == (False, "erin")


def test_searching_and_asking(world, served):
    kernel = served.connect()
    assert [row["name"] for row in kernel.result("datasets.search", q="headcount")["datasets"]] == ["hr/headcount"]
    row = kernel.result("requests.create", dataset="hr/headcount", purpose="churn study", days=30)
    assert (row["state"], row["person"]) == ("open", "ana")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("hr/headcount.parquet", ["no rule lets ana read hr/headcount", "guarded.request"]),
        ("nyc/flights.parquet", []),
        ("hr/salaries.parquet", []),
        ("other", []),
    ],
)
def test_explaining_a_plain_open(world, served, path, words):
    message = served.connect().result("explain", path=str(world.data / path))["message"]
    assert all(word in message for word in words)
    assert bool(message) == bool(words)


def test_explaining_what_was_granted_later(world, served):
    grant(world, "hr/headcount")
    assert "restart the kernel" in served.connect().result("explain", path=str(world.data / "hr/headcount.parquet"))["message"]


@pytest.mark.parametrize("name", ["nyc/flights", "hr/headcount"])
def test_data_that_is_gone_is_said_to_be_gone_and_not_to_be_late(world, served, name):
    kernel, place = served.connect(), world.data / f"{name}.parquet"
    grant(world, "hr/headcount")
    world.state().catalogs.check_every_s = 1000.0  # the catalogue has not noticed yet
    kernel.result("datasets.path", name=name)
    place.rename(aside := world.root / "aside")
    assert "is not at" in kernel.result("explain", path=str(place))["message"]
    if name == "hr/headcount":
        said = kernel.result("datasets.path", name=name)
        assert (said["readable"], said["next_step"]) == (False, "tell its owner (dana)")
    aside.rename(place)
    assert "is not at" not in kernel.result("explain", path=str(place))["message"]


@pytest.mark.parametrize(
    ("op", "args", "code"),
    [
        ("kernel.admit", {}, "not_found"),
        ("__class__", {}, "not_found"),
        (None, {}, "not_found"),
        ("datasets.path", {}, "bad_request"),
        ("datasets.path", {"name": 5}, "bad_request"),
        ("datasets.path", {"name": "nyc/flights", "principal": "carol"}, "bad_request"),
        ("datasets.path", [], "bad_request"),
        ("datasets.path", {"name": "../../etc/passwd"}, "not_found"),
        ("requests.create", {"dataset": "hr/headcount", "purpose": "x", "days": 1}, "bad_request"),
        ("requests.create", {"dataset": "hr/headcount", "purpose": "xxx", "days": 9999}, "bad_request"),
        ("hello", {"x": 1}, "bad_request"),
    ],
)
def test_odd_questions_are_errors_and_the_conversation_goes_on(served, op, args, code):
    kernel = served.connect()
    send_frame(kernel.socket, {"v": 1, "id": 1, "op": op, "args": args})
    assert receive_frame(kernel.socket)[0]["error"]["code"] == code
    assert kernel.result("hello")["person"] == "ana"


@pytest.mark.parametrize(
    "data", [struct.pack(">I", 1 << 30) + b"x", struct.pack(">I", 3) + b"not", struct.pack(">I", 2) + b"[]", struct.pack(">I", 4000) + b"[" * 4000]
)
def test_what_is_no_frame_ends_that_conversation_only(served, data):
    kernel, other = served.connect(), served.connect()
    kernel.socket.sendall(data)
    assert receive_frame(kernel.socket)[0]["error"]["code"] == "bad_request"
    assert ended(kernel.socket)
    assert other.result("hello")["person"] == "ana"


def test_descriptors_that_a_client_sends_are_closed(served, tmp_path):
    kernel = served.connect()
    (tmp_path / "mine").write_text("")
    with open(tmp_path / "mine") as mine:
        for _ in range(5):
            assert kernel.ask("hello", fds=[mine.fileno()])[0]["person"] == "ana"
        deadline = time.monotonic() + 20
        while opened(tmp_path / "mine") != 1:  # files are closed beside the conversation, since that may wait: no event tells
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_idle_connections_keep_nobody_out(served):
    idle = [served.connect() for _ in range(channel.MAX_CONNECTIONS + 20)]
    assert served.connect().result("hello")["person"] == "ana"
    assert idle[-1].result("hello")["person"] == "ana"
    assert ended(idle[0].socket)


def test_many_processes_talk_at_once(served):
    def one(number):
        kernel = served.connect()
        return [kernel.result("datasets.path", name="nyc/flights")["readable"] for _ in range(5)]

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(one, range(32))) == [[True] * 5] * 32


def test_close_ends_listener_and_conversations(served, loop):
    kernel = served.connect()
    kernel.result("hello")
    loop.call(served.channel.close)
    assert ended(kernel.socket)
    with pytest.raises(ConnectionRefusedError):
        served.connect()


@pytest.mark.parametrize(
    "make",
    [
        lambda: os.open("/dev/null", os.O_RDONLY),
        lambda: socket.socket(socket.AF_UNIX).detach(),
        lambda: socket.create_server(("127.0.0.1", 0)).detach(),
    ],
)
def test_only_a_listening_unix_socket_is_served(world, loop, make):
    fd = make()
    with pytest.raises(BadRequest):
        loop.run(channel.serve(world.state(), world.kernel(), fd))
    for thread in [one for one in threading.enumerate() if one.name == "closing"]:
        thread.join(20)
    with pytest.raises(OSError):
        os.fstat(fd)


def test_the_client_that_kernels_get_reads_real_data(world, served):
    """`guarded` in a fresh interpreter, as in a kernel: path, table, later grant, refusal."""
    grant(world, "hr/headcount")
    program = textwrap.dedent("""
        import json, guarded
        out = {"flights": len(guarded.open("nyc/flights").to_pandas()), "path": guarded.path("nyc/flights")}
        out["late"] = len(guarded.open("hr/headcount").read())
        out["names"] = [row["name"] for row in guarded.datasets()]
        try:
            guarded.path("hr/none")
        except FileNotFoundError as error:
            out["missing"] = str(error)
        print(json.dumps(out))
    """)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CLIENT), "GUARDRAILS_CHANNEL": f"@{served.name}"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["flights"] == 50
    assert found["late"] == (world.data / "hr/headcount.parquet").stat().st_size
    assert found["path"] == str(world.data / "nyc/flights.parquet")
    assert found["names"] == ["hr/headcount", "nyc/flights"]
    assert "there is no dataset" in found["missing"]


DASK = """
import dask
import dask.dataframe

if __name__ == "__main__":
    table = dask.dataframe.read_parquet("dataset://nyc/parts")
    for scheduler in ("threads", "processes"):
        with dask.config.set(scheduler=scheduler, num_workers=2):
            print(table.npartitions, len(table), table["delay"].sum().compute())
    try:
        dask.dataframe.read_parquet("dataset://hr/headcount")
    except PermissionError as error:
        print(error)
"""


def test_dask_reads_it_part_by_part_also_in_processes_of_its_own(world, served, tmp_path):
    folder = world.data / "parts"
    folder.mkdir()
    for number in range(2):
        pq.write_table(pa.table({"origin": ["JFK"] * 3, "delay": [number, 2, 3]}), folder / f"part-{number}.parquet")
    world.dataset("nyc/parts", path=folder)
    (tmp_path / "job.py").write_text(DASK)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CLIENT), "GUARDRAILS_CHANNEL": f"@{served.name}", "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, tmp_path / "job.py"], env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("2 6 11\n" * 2), done.stderr
    assert "no rule lets ana read hr/headcount" in done.stdout
    assert "next: ask dana" in done.stdout
