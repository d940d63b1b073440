"""The real process: who may speak to it, how it starts and ends, and that being killed loses nothing."""

import contextlib
import json
import os
import pwd
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from resting import resting_pid

from jupyter_guardrails.control import frames, process, service, waiting
from jupyter_guardrails.control.interface import ControlClient, receive_frame, send_frame
from jupyter_guardrails.control.interface.messages import Audit, Beat, KernelAdmit, KernelBeat, Kernels, KernelSettle, KernelStarted, Me, ProfileSet
from jupyter_guardrails.control.interface.own import running_control
from jupyter_guardrails.errors import BadRequest, Conflict, ControlAway, HostCannotEnforce, LimitReached, NotFound, Refused
from jupyter_guardrails.records import audit, budgets, leases, open_records

pytestmark = pytest.mark.slow  # left out of `make test-fast`

NO_USER = 65534


@pytest.fixture
def own(world):
    return world.start()


@pytest.fixture(scope="module")
def calm(calm_world):
    return calm_world.start()


def admit(client, key="k", **more):
    return client.admit(KernelAdmit(kernel_id=f"kernel-{key}", kernelspec="python3", workspace="/w", key=key, **more))


def begin(client, key="k", fds=(), listeners=()):
    guarantees = [{"name": name, "held": True, "how": "", "next_step": ""} for name in ("files", "network")]
    admission = admit(client, key)
    client.call(KernelStarted(lease=admission.lease, pid=resting_pid(), report={"guarantees": guarantees}, listeners=list(listeners)), fds=fds)
    return admission


def beat(client, admission, cpu_s):
    return client.call(KernelBeat(beats=[Beat(lease=admission.lease, cpu_s=cpu_s, memory_bytes=1 << 20, memory_peak_bytes=1 << 20)]))


def raw(world):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    connection.connect(str(world.settings.control_socket))
    return connection


def exchange(world, frame):
    with raw(world) as connection:
        send_frame(connection, frame)
        return receive_frame(connection)[0]


def records_of(world):
    return open_records(world.settings.state_dir / "records.sqlite", journal=world.settings.state_dir / "audit.jsonl")


def wait_for(condition, *, within_s=20.0):
    """Poll what has no event to wait for: another process's state."""
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def test_it_answers_and_its_files_are_private(world, own):
    assert own.client.call(Me())["person"] == "ana"
    for path, mode in ((world.settings.state_dir, 0o700), (world.settings.control_socket, 0o600), (world.settings.token_file, 0o600)):
        assert stat.S_IMODE(path.stat().st_mode) == mode, path
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in world.settings.state_dir.rglob("*")} == {0}


def test_the_token_on_disk_is_the_token(calm_world, calm):
    assert running_control(calm_world.settings).call(Me())["person"] == "ana"


@pytest.mark.parametrize("token", ["", "wrong", "é" * 40, None, 7, ["x"]])
def test_without_the_token_nothing_is_answered(calm_world, calm, token):
    answer = exchange(calm_world, {"v": 1, "id": 3, "op": "me", "args": {}, "token": token})
    assert (answer["ok"], answer["error"]["code"], answer["id"]) == (False, "refused", 3)


def test_with_it_the_same_request_is(calm_world, calm):
    assert exchange(calm_world, {"v": 1, "id": 3, "op": "me", "args": {}, "token": calm.client.token})["ok"]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ({"op": "nothing.such"}, "not_found"),
        ({"v": 2}, "bad_request"),
        ({"args": {"x": 1}}, "bad_request"),
        ({"args": []}, "bad_request"),
        ({"op": ["me"]}, "not_found"),
        ({"op": "kernel.admit", "args": {"key": "k"}}, "bad_request"),
        ({"op": "audit", "args": {"after": 2**63}}, "bad_request"),
        ({"op": "submissions.cancel", "args": {"id": "\ud800"}}, "bad_request"),
    ],
)
def test_malformed_requests_are_answered_as_such(calm_world, calm, frame, code):
    answer = exchange(calm_world, {"v": 1, "id": 1, "op": "me", "args": {}, "token": calm.client.token} | frame)
    assert (answer["ok"], answer["error"]["code"]) == (False, code)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0",
        struct.pack(">I", 5) + b"no",
        struct.pack(">I", 4) + b"nope",
        struct.pack(">I", 2) + b"[]",
        b"\xff\xff\xff\xff",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_bytes_that_are_no_frame_hurt_nobody(calm_world, calm, data):
    with raw(calm_world) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(EOFError, ConnectionResetError):
            assert receive_frame(connection)[0]["error"]["code"] == "bad_request"
    assert calm.client.call(Me())["person"] == "ana"


def test_deeply_nested_json_hurts_nobody(calm_world, calm):
    body = b"[" * 200_000
    with raw(calm_world) as connection:
        connection.sendall(struct.pack(">I", len(body)) + body)
        assert receive_frame(connection)[0]["error"]["code"] == "bad_request"
    assert calm.client.call(Me())["person"] == "ana"


def test_a_request_that_is_too_long_is_refused_before_it_is_read(calm_world, calm):
    with raw(calm_world) as connection:
        connection.sendall(struct.pack(">I", frames.MAX_REQUEST_BYTES + 1))
        assert "too long" in receive_frame(connection)[0]["error"]["message"]


def test_idle_connections_keep_nobody_out(calm_world, calm):
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(raw(calm_world)) for _ in range(waiting.MAX_WAITING * 2)]
        assert calm.client.call(Me())["person"] == "ana"
        assert idle[0].recv(1) == b"", "the one that waited longest was let go"


@pytest.mark.slow
def test_a_connection_that_says_nothing_is_let_go(calm_world, calm):
    with raw(calm_world) as connection:
        connection.settimeout(10 * service.RECEIVE_S)
        assert connection.recv(1) == b""


def test_descriptors_that_nobody_asked_for_are_closed(calm_world, calm):
    mine, theirs = socket.socketpair()
    with mine, theirs:
        calm.client.call(Me(), fds=[theirs.fileno()])
        theirs.close()
        mine.settimeout(5)
        assert mine.recv(1) == b"", "the last copy of the other end is gone"


def open_fds(own):
    return len(os.listdir(f"/proc/{own.process.pid}/fd"))


@pytest.mark.skipif(os.geteuid() != 0, reason="/proc/PID/fd of a process that is not dumpable is root's only")
def test_no_descriptor_is_lost_however_a_request_ends(calm_world, calm):
    calm.client.call(Me())
    before = open_fds(calm)
    for _ in range(20):
        with open(os.devnull) as null, pytest.raises(NotFound):
            calm.client.call(KernelStarted(lease="none", pid=1, report={}, listeners=["channel"]), fds=[null.fileno()])
        with raw(calm_world) as connection:
            connection.sendall(b"\0\0")
    wait_for(lambda: open_fds(calm) <= before)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account for this test")
def test_another_account_is_refused_even_with_the_token(world, own):
    """File modes alone would do; this is what holds if they are wrong."""
    for path in (world.root, world.settings.state_dir):
        os.chmod(path, 0o755)
    os.chmod(world.settings.control_socket, 0o666)
    call = "import sys; from jupyter_guardrails.control.interface import ControlClient, messages\n"
    call += "print(ControlClient(*sys.argv[1:]).call(messages.Me()))"
    command = [sys.executable, "-c", call, str(world.settings.control_socket), own.client.token]
    home = str(Path(sys.modules["jupyter_guardrails"].__file__).parents[1])
    run = {"capture_output": True, "text": True, "cwd": "/", "env": {"PYTHONPATH": home}}
    other = subprocess.run(command, user=NO_USER, group=NO_USER, extra_groups=[], **run)
    if "Permission denied" in other.stderr or "ModuleNotFoundError" in other.stderr:
        pytest.skip("the source tree can't be read by another account here")
    assert f"uid {NO_USER} may not speak to this control" in other.stderr
    assert "'person': 'ana'" in subprocess.run(command, **run).stdout


def test_its_memory_is_nobodys_to_read(calm):
    status = Path(f"/proc/{calm.process.pid}/environ").stat()
    assert (status.st_uid, status.st_gid) == (0, 0)
    if os.geteuid() == 0:
        return
    with pytest.raises(PermissionError):
        Path(f"/proc/{calm.process.pid}/mem").read_bytes()


def test_a_second_control_for_the_same_state_ends_with_a_sentence(world, own, capfd):
    with pytest.raises(ControlAway):
        world.start(control_socket=world.root / "other.sock")
    assert f"another control (process {own.process.pid}) already serves {world.settings.state_dir}" in capfd.readouterr().err
    assert own.client.call(Me())["person"] == "ana"


def test_a_second_control_on_the_same_socket_ends_with_a_sentence(world, own, capfd):
    with pytest.raises(ControlAway):
        world.start(state_dir=world.root / "state2")
    assert "already answers at" in capfd.readouterr().err


def test_two_controls_with_their_own_places_live_together(world, own):
    second = world.start(person="ben", state_dir=world.root / "s2", control_socket=world.root / "s2" / "control.sock")
    assert [item.client.call(Me())["person"] for item in (own, second)] == ["ana", "ben"]


def test_an_unsafe_state_directory_is_refused(world, capfd):
    world.settings.state_dir.mkdir()
    os.chmod(world.settings.state_dir, 0o777)
    with pytest.raises(ControlAway):
        world.start()
    assert "can be written by others (mode 0777)" in capfd.readouterr().err


def test_a_socket_path_that_does_not_fit_is_refused(world):
    with pytest.raises(BadRequest, match="107 bytes"):
        process.listen(world.root / ("x" * 108))
    process.listen(world.root / "short.sock").close()


def test_the_principal_is_the_account_and_no_variable(world, monkeypatch):
    for name in ("LOGNAME", "USER", "USERNAME", "LNAME"):
        monkeypatch.setenv(name, "carol")
    assert world.start(person=None).client.call(Me())["person"] == pwd.getpwuid(os.getuid()).pw_name


def test_acting_as_somebody_is_for_self_chosen_policies(world):
    assert process.principal_of(world.settings) == "ana"
    with pytest.raises(Refused, match="--as is for demos"):
        process.principal_of(replace(world.settings, self_chosen=False))


def test_fifty_admissions_at_once_give_two_kernels(own):
    gate = threading.Barrier(50)

    def attempt(number):
        gate.wait()
        try:
            return admit(own.client, f"k{number}").lease
        except LimitReached:
            return None

    with ThreadPoolExecutor(50) as pool:
        assert len([lease for lease in pool.map(attempt, range(50)) if lease]) == 2


def listener(name):
    found = socket.socket(socket.AF_UNIX)
    found.bind(f"\0{name}")
    found.listen()
    return found


def test_a_kernels_channel_is_served_until_its_lease_ends(world, own):
    name = f"gr-test-{world.root.name}"
    with listener(name) as channel:
        admission = begin(own.client, fds=[channel.fileno()], listeners=["channel"])
    with socket.socket(socket.AF_UNIX) as kernel:
        kernel.connect(f"\0{name}")
        kernel.settimeout(10)
        send_frame(kernel, {"v": 1, "id": 1, "op": "hello", "args": {}})
        assert receive_frame(kernel)[0]["ok"]
        own.client.call(KernelSettle(lease=admission.lease, reason="shut down"))
        assert kernel.recv(1) == b""
    with socket.socket(socket.AF_UNIX) as late, pytest.raises(ConnectionRefusedError):
        late.connect(f"\0{name}")


def test_sigterm_ends_it_in_good_order(world, own):
    first = begin(own.client, "a")
    beat(own.client, first, 3.0)
    own.process.send_signal(signal.SIGTERM)
    assert own.process.wait(20) == 0
    assert not world.settings.control_socket.exists()
    assert not world.settings.token_file.exists()
    opened = records_of(world)
    row = opened.read_sync(leases.get, first.lease, "ana")
    assert (row["state"], row["reason"], row["cpu_s"]) == ("settled", "control ended", 3.0)
    found = opened.read_sync(audit.verify_table)
    assert (found.ok, found.anchored_to) == (True, found.count)
    opened.close()


def test_a_call_in_flight_at_sigterm_is_answered(world, own):
    with raw(world) as connection:
        send_frame(connection, {"v": 1, "id": 1, "op": "me", "args": {}, "token": own.client.token})
        own.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(EOFError, ConnectionResetError):  # it may also have been too late for it: both are an end
            assert receive_frame(connection)[0]["ok"]
    assert own.process.wait(20) == 0


PARENT = """
import sys, time
from pathlib import Path
from jupyter_guardrails.control.interface import Settings, start_own_control
from jupyter_guardrails.sandbox import outer
own = start_own_control(Settings(*map(Path, sys.argv[1:]), True))
ENTER
print(own.process.pid, flush=True)
time.sleep(60)
"""
ENTER = 'print(outer.enter(outer.OuterSpec(read=("/",), write=("/tmp",), devices=("/dev/null",)), best_effort=True), file=sys.stderr)'


@pytest.mark.parametrize("enter", ["pass", ENTER], ids=["plain", "in the outer domain"])
def test_it_ends_with_whoever_started_it(world, enter):
    """Also when that one is killed, and when it is confined so that no signal of its death gets through."""
    script = PARENT.replace("ENTER", enter)
    places = [world.policy, world.settings.catalog_path, world.settings.state_dir, world.settings.control_socket]
    parent = subprocess.Popen([sys.executable, "-c", script, *map(str, places)], stdout=subprocess.PIPE, text=True)
    control = os.pidfd_open(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    assert select.select([control], [], [], 20)[0], "control outlived its parent"
    os.close(control)
    assert not world.settings.control_socket.exists()


def test_killed_and_started_again_it_goes_on(world, own):
    """kill -9: the lease is still there, the kernel's next beat is taken, and the chain verifies."""
    admission = begin(own.client)
    beat(own.client, admission, 2.0)
    own.process.kill()
    own.process.wait()
    again = world.start()
    assert [item["id"] for item in again.client.call(Kernels())["kernels"]] == ["kernel-k"]
    assert beat(again.client, admission, 5.0)["end"] == []
    assert again.client.call(Kernels())["kernels"][0]["cpu_s"] == 5.0
    again.client.call(KernelSettle(lease=admission.lease, reason="shut down"))
    again.stop()
    opened = records_of(world)
    assert opened.read_sync(audit.verify_table).ok
    opened.close()
    assert [record["action"] for record in world.audit_lines()] == ["audit.key", "kernel.start", "kernel.reattach", "kernel.end"]


def test_killed_between_admission_and_start_the_kernel_starts_under_what_was_granted(world, own):
    admission = admit(own.client)
    own.process.kill()
    own.process.wait()
    again = world.start()
    with pytest.raises(HostCannotEnforce):
        again.client.call(KernelStarted(lease=admission.lease, pid=resting_pid(), report={}))
    assert again.client.call(Kernels())["kernels"] == []
    admission = admit(again.client, "another")
    again.process.kill()
    again.process.wait()
    third = world.start()
    assert begin(third.client, "another").lease == admission.lease


def test_killed_with_its_server_the_lease_expires_by_itself(world):
    first = world.start_with_ttl(4.0)
    admission = begin(first.client)
    beat(first.client, admission, 2.0)
    first.process.kill()
    first.process.wait()
    again = world.start_with_ttl(4.0)
    wait_for(lambda: again.client.call(Kernels())["kernels"] == [])
    found = [(item["action"], item["reason"]) for item in again.client.call(Audit())["records"]]
    assert "kernel.reattach" in [action for action, _ in found], "it gets its time again first"
    assert found[-1] == ("kernel.end", "expired: no beats from its server")
    assert [item["lease"] for item in beat(again.client, admission, 9.0)["end"]] == [admission.lease]


@pytest.mark.slow
def test_killed_again_and_again_under_load_the_books_balance(world):
    """Every confirmed change is there, the chain verifies, and budgets are the sum of leases."""
    confirmed = []
    for round_ in range(5):
        own = world.start()
        stop = threading.Event()

        def work(name, client=own.client, stop=stop):
            for number in range(10_000):
                if stop.is_set():
                    return
                with contextlib.suppress(ControlAway, LimitReached):
                    admission = begin(client, f"{name}-{number}")
                    beat(client, admission, 1.0)
                    client.call(KernelSettle(lease=admission.lease, reason="done", cpu_s=2.0))
                    confirmed.append(admission.lease)

        threads = [threading.Thread(target=work, args=(f"r{round_}t{index}",)) for index in range(2)]
        for thread in threads:
            thread.start()
        target = len(confirmed) + 10
        wait_for(lambda target=target: len(confirmed) >= target)
        own.process.kill()
        own.process.wait()
        stop.set()
        for thread in threads:
            thread.join()
        opened = records_of(world)
        opened.write_sync(leases.sweep, now=datetime.now(UTC) + timedelta(minutes=2))
        opened.close()
    opened = records_of(world)
    assert opened.read_sync(audit.verify_table).ok
    rows = [opened.read_sync(leases.get, lease, "ana") for lease in confirmed]
    assert {(row["state"], row["cpu_s"]) for row in rows} == {("settled", 2.0)}
    opened.close()
    assert audit.verify(world.audit_lines()).ok


def test_requests_from_many_threads_are_all_answered(calm):
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda number: calm.client.call(ProfileSet(profile="small", notebook=f"n{number}")), range(200)))
    assert len({answer["notebook"] for answer in answers}) == 200


def test_a_client_without_control_is_told_so(world):
    with pytest.raises(ControlAway, match="does not answer"):
        ControlClient(world.settings.control_socket, "x").call(Me())


def test_errors_reach_the_command_line_as_json(world):
    world.settings.state_dir.mkdir(mode=0o700)
    os.chmod(world.settings.state_dir, 0o777)
    command = [sys.executable, "-m", "jupyter_guardrails", "control", "--json", f"--state-dir={world.settings.state_dir}"]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 2
    assert json.loads(found.stdout)["error"]["code"] == "unsafe_place"
    assert "chmod 700" in found.stderr


def test_budgets_survive_it_all(world, own):
    admission = begin(own.client)
    beat(own.client, admission, 36.0)
    own.process.kill()
    own.process.wait()
    opened = records_of(world)
    people = opened.read_sync(budgets.people, None, now=datetime.now(UTC), per_s=3600)
    assert people["ana"].cpu_hours == pytest.approx(0.01)
    opened.close()


def test_a_control_from_before_the_admins_policy_is_not_taken_for_it(world):
    own = world.start()
    assert running_control(world.settings).call(Me())["person"] == "ana"
    decided = replace(world.settings, policy_path=Path("/etc/jupyter/guardrails/guardrails.yaml"), self_chosen=False)
    with pytest.raises(Conflict, match="this machine's policy is /etc/jupyter/guardrails"):
        running_control(decided)
    assert running_control(replace(world.settings, self_chosen=False)) is not None
    own.stop()
    assert running_control(decided) is None
