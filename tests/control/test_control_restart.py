"""Control that dies is started again and goes on: the same socket and token, kernels served again, nothing done twice, nobody told nonsense."""

import asyncio
import contextlib
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jupyter_guardrails.control import reattach
from jupyter_guardrails.control.interface import ControlClient, client, receive_frame, send_frame, start_own_control
from jupyter_guardrails.control.interface.messages import (
    Audit,
    Beat,
    KernelAdmit,
    KernelBeat,
    KernelRoot,
    Kernels,
    KernelSettle,
    KernelStarted,
    LaunchMounter,
    Me,
    ProfileSet,
)
from jupyter_guardrails.control.interface.notices import MoreAsk
from jupyter_guardrails.errors import ControlAway, MounterAway
from jupyter_guardrails.records import audit, balance, leases, open_records
from jupyter_guardrails.sandbox import wire

pytestmark = pytest.mark.slow
MORE = MoreAsk(resource="kernels.max", amount=9, until=datetime(2026, 3, 1, tzinfo=UTC), purpose="a workshop")

GUARANTEES = {"guarantees": [{"name": name, "held": True, "how": "tested", "next_step": ""} for name in ("files", "network")]}


@pytest.fixture
def own(world):
    return world.start_supervised()


def pid_of(world):
    """Control's own; 0 in the moment in which it is being written."""
    return int((world.settings.state_dir / "control.lock").read_text() or 0)


def kill(world):
    """kill -9 of control itself, waited for; its supervisor lives."""
    wait_for(lambda: pid_of(world))
    pid = pid_of(world)
    handle = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    assert select.select([handle], [], [], 20)[0]
    os.close(handle)
    return pid


def listener(name):
    found = socket.socket(socket.AF_UNIX)
    found.bind(f"\0{name}")
    found.listen()
    return found


@contextlib.contextmanager
def program(seconds=600):
    """A process that stands for a kernel."""
    running = subprocess.Popen(["sleep", str(seconds)])
    yield running
    running.kill()
    running.wait()


def begin(control, pid, key="k", fds=(), listeners=()):
    admission = control.admit(KernelAdmit(kernel_id=f"kernel-{key}", kernelspec="python3", workspace="/w", key=key))
    control.call(KernelStarted(lease=admission.lease, pid=pid, report=GUARANTEES, listeners=list(listeners)), fds=fds)
    return admission


def beat(control, admission, cpu_s=1.0):
    return control.call(KernelBeat(beats=[Beat(lease=admission.lease, cpu_s=cpu_s, memory_bytes=1 << 20, memory_peak_bytes=1 << 20)]))


def hello(name):
    with socket.socket(socket.AF_UNIX) as kernel:
        kernel.settimeout(20)
        kernel.connect(f"\0{name}")
        send_frame(kernel, {"v": 1, "id": 1, "op": "hello", "args": {}})
        return receive_frame(kernel)[0]


def actions(control, name):
    return [record for record in control.call(Audit(limit=1000))["records"] if record["action"] == name]


def books(world):
    opened = open_records(world.settings.state_dir / "records.sqlite", journal=world.settings.state_dir / "audit.jsonl")
    try:
        assert opened.read_sync(audit.verify_table).problems == ()
        assert audit.verify(world.audit_lines()).problems == ()
        assert opened.read_sync(balance.problems, now=datetime.now(UTC)) == []
    finally:
        opened.close()


def test_as_the_launcher_starts_it(world):
    """What the other tests start with more patience."""
    found = start_own_control(world.settings, supervised=True)
    world.started.append(found)
    kill(world)
    wait_for(lambda: contains_control(world, found))

    def answers():
        with contextlib.suppress(ControlAway):  # said where a busy machine takes longer for a start than people are left to wait
            return found.client.call(Me())["person"] == "ana"

    wait_for(answers)


def contains_control(world, found):
    """Whether control is a child of its supervisor and holds the state directory."""
    children = Path(f"/proc/{found.process.pid}/task/{found.process.pid}/children").read_text().split()
    return str(pid_of(world)) in children


def test_callers_go_on_with_the_same_socket_and_token(world, own):
    inode = world.settings.control_socket.stat().st_ino
    for _ in range(3):
        killed = kill(world)
        assert own.client.call(Me())["person"] == "ana"
        assert pid_of(world) != killed
    assert world.settings.control_socket.stat().st_ino == inode
    assert world.settings.token_file.read_text() == own.client.token
    own.stop()
    assert (own.process.returncode, world.settings.control_socket.exists()) == (0, False)


def test_a_kernels_channel_is_served_again(world, own):
    name = f"gr-test-{world.root.name}"
    with program() as kernel, listener(name) as channel:
        admission = begin(own.client, kernel.pid, fds=[channel.fileno()], listeners=["channel"])
        channel.close()
        for _ in range(2):
            kill(world)
            assert hello(name)["result"]["kernel"] == "kernel-k"
            own.client.call(Me())  # it has taken everything up
        assert beat(own.client, admission)["end"] == []
        assert [record["allowed"] for record in actions(own.client, "kernel.reattach")] == [True, True]
        own.client.call(KernelSettle(lease=admission.lease, reason="shut down"))
        with pytest.raises(ConnectionRefusedError):
            hello(name)
        kill(world)
        assert own.client.call(Kernels())["kernels"] == []
        with pytest.raises(ConnectionRefusedError):
            hello(name)
    own.stop()
    books(world)


def test_a_start_that_is_told_twice_is_one(world, own):
    """As the client does by itself when control dies before its answer: the listeners of the first time must not be cut."""
    name = f"gr-test-{world.root.name}"
    with program() as kernel, listener(name) as channel:
        admission = begin(own.client, kernel.pid, fds=[channel.fileno()], listeners=["channel"])
        kill(world)
        begin(own.client, kernel.pid, fds=[channel.fileno()], listeners=["channel"])
        channel.close()
        assert hello(name)["ok"]
        assert len(actions(own.client, "kernel.start")) == 1
        with program() as restarted, listener(f"{name}-2") as other:
            begin(own.client, restarted.pid, fds=[other.fileno()], listeners=["channel"])
            other.close()
            assert hello(f"{name}-2")["ok"]
            with pytest.raises(ConnectionRefusedError):
                hello(name)
            kill(world)
            assert hello(f"{name}-2")["ok"], "what is kept is what the restart brought"
        assert [item["id"] for item in own.client.call(Kernels())["kernels"]] == ["kernel-k"]
        own.client.call(KernelSettle(lease=admission.lease, reason="shut down"))


def test_without_its_connections_a_kernel_goes_on_and_its_person_is_told(world):
    """Nobody supervised this control, so nobody kept anything."""
    name = f"gr-test-{world.root.name}"
    first = world.start()
    with program() as kernel, listener(name) as channel:
        admission = begin(first.client, kernel.pid, fds=[channel.fileno()], listeners=["channel"])
        channel.close()
        first.process.kill()
        first.process.wait()
        again = world.start()
        told = beat(again.client, admission)
        assert (told["end"], [item["lease"] for item in told["tell"]]) == ([], [admission.lease])
        assert "Restart the kernel" in told["tell"][0]["text"]
        assert "tell" not in beat(again.client, admission), "said once"
        assert [(record["allowed"], "(channel)" in record["reason"]) for record in actions(again.client, "kernel.reattach")] == [(False, True)]
        with listener(f"{name}-2") as fresh:
            begin(again.client, kernel.pid, fds=[fresh.fileno()], listeners=["channel"])
        assert hello(f"{name}-2")["ok"], "a restart mends it"


def test_a_kernel_that_ended_meanwhile_is_ended_with_the_reason(desk_for, monkeypatch):
    monkeypatch.setattr(reattach, "GONE_S", 0.1)
    desk = desk_for("ana")
    with program() as gone, program() as alive:
        for key, running in (("gone", gone), ("alive", alive)):
            lease = desk.admit(key).lease
            desk.ask(KernelStarted(lease=lease, pid=running.pid, report=GUARANTEES))
        gone.kill()
        gone.wait()
        desk.state.kernels.clear()
        desk.run(reattach.reattach(desk.state))
        desk.run(wait_for_tasks(desk.state))
        assert [item["id"] for item in desk.ask(Kernels())["kernels"]] == ["kernel-alive"]
        ends = [record for record in desk.ask(Audit())["records"] if record["action"] == "kernel.end"]
        assert [(record["kernel"], record["reason"]) for record in ends] == [("kernel-gone", "its kernel ended while control was away")]


class Patience:
    """The time that a server has to say what became of a kernel, for `reattach.asyncio`: over when the test says so."""

    def __init__(self):
        self.over = asyncio.Event()

    async def sleep(self, _seconds):
        await self.over.wait()


@pytest.fixture
def patience(monkeypatch):
    made = Patience()
    monkeypatch.setattr(reattach, "asyncio", made)
    return made


def test_an_end_that_control_did_not_live_to_record_is_charged_by_its_repetition_or_ended_for_it(desk_for, patience):
    desk = desk_for("ana")
    for key in ("told", "not"):
        admission = desk.begin(key)
        desk.beat(admission, cpu_s=1.0)
        desk.run(desk.state.records.write(leases.close, admission.lease, "ana"))
    desk.state.kernels.clear()
    desk.run(reattach.reattach(desk.state))
    desk.settle(desk.admit("told"), cpu_s=2.0)
    patience.over.set()
    desk.run(wait_for_tasks(desk.state))
    rows = [desk.run(desk.state.records.read(leases.of_key, "ana", key)) for key in ("told", "not")]
    assert [(row["state"], row["cpu_s"], row["reason"]) for row in rows] == [("settled", 2.0, "shut down"), ("settled", 1.0, reattach.CLOSING)]


async def wait_for_tasks(state):
    for task in list(state.tasks):
        await task


def test_a_restart_during_the_outage_counts_more_than_the_death_of_the_old_process(desk_for, patience):
    desk = desk_for("ana")
    with program() as old, program() as new:
        lease = desk.admit().lease
        desk.ask(KernelStarted(lease=lease, pid=old.pid, report=GUARANTEES))
        old.kill()
        old.wait()
        desk.state.kernels.clear()
        desk.run(reattach.reattach(desk.state))
        desk.ask(KernelStarted(lease=lease, pid=new.pid, report=GUARANTEES))
        patience.over.set()
        desk.run(wait_for_tasks(desk.state))
        assert [item["id"] for item in desk.ask(Kernels())["kernels"]] == ["kernel-k1"]


def play_mounter(theirs, orders):
    while True:
        order, fds = wire.receive_in_memory(theirs)
        if not order:
            return
        orders.append(order)
        for fd in fds:
            os.close(fd)
        wire.send_in_memory(theirs, {"id": order["id"], "missing": [f"order {len(orders)}"]})


def root_for(control, admission, launch):
    handle = os.pidfd_open(os.getpid())
    try:
        return control.call(KernelRoot(lease=admission.lease, launch=launch, read=[], write=[], devices=[]), fds=[handle])
    finally:
        os.close(handle)


def test_a_launchs_mounter_takes_orders_again(world, own):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    orders = []
    mounter = threading.Thread(target=play_mounter, args=(theirs, orders), daemon=True)
    mounter.start()
    launch = own.client.call(LaunchMounter(), fds=[ours.fileno()])["launch"]
    ours.close()
    with program() as kernel:
        admission = begin(own.client, kernel.pid)
        for number in (1, 2):
            assert root_for(own.client, admission, launch) == {"missing": [f"order {number}"]}
            kill(world)
        assert root_for(own.client, admission, launch) == {"missing": ["order 3"]}
        theirs.shutdown(socket.SHUT_RDWR)
        mounter.join(20)
        own.client.call(Me())
        with pytest.raises(MounterAway):
            root_for(own.client, admission, launch)


def test_under_load_nobody_notices_but_by_waiting(world, own):
    """Starts, beats and ends from several clients while control is killed: each is done once, and none is refused for it."""
    stop, failures, done = threading.Event(), [], []

    def work(number):
        with program() as kernel:
            for turn in range(10_000):
                if stop.is_set():
                    return
                try:
                    admission = begin(own.client, kernel.pid, f"c{number}-{turn}")
                    beat(own.client, admission, 1.0)
                    own.client.call(KernelSettle(lease=admission.lease, reason="done", cpu_s=2.0))
                    done.append(admission.lease)
                except Exception as error:  # noqa: BLE001 - shown by the assertion below
                    failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        target = len(done) + 3
        wait_for(lambda target=target: len(done) >= target)
        kill(world)
    target = len(done) + 3
    wait_for(lambda: len(done) >= target)
    stop.set()
    for thread in threads:
        thread.join()
    own.stop()
    assert failures == []
    opened = open_records(world.settings.state_dir / "records.sqlite")
    rows = [opened.read_sync(leases.get, lease, "ana") for lease in done]
    opened.close()
    assert {(row["state"], row["cpu_s"]) for row in rows} == {("settled", 2.0)}
    books(world)


def wait_for(condition, *, within_s=60.0):
    """Poll what has no event to wait for: another process's state."""
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def test_the_supervisor_ends_control_with_itself(world, own):
    """Even when it is killed itself: then control ends in good order, and nothing of it stays."""
    control = os.pidfd_open(pid_of(world))
    own.process.kill()
    own.process.wait()
    assert select.select([control], [], [], 20)[0]
    os.close(control)
    wait_for(lambda: not world.settings.control_socket.exists())


def test_the_supervisor_ends_with_whoever_started_it(world):
    script = "import sys, time\nfrom pathlib import Path\nfrom jupyter_guardrails.control.interface import Settings, start_own_control\n"
    script += "own = start_own_control(Settings(*map(Path, sys.argv[1:]), True), supervised=True)\nprint(own.process.pid, flush=True)\ntime.sleep(60)"
    places = [world.policy, world.settings.catalog_path, world.settings.state_dir, world.settings.control_socket]
    parent = subprocess.Popen([sys.executable, "-c", script, *map(str, places)], stdout=subprocess.PIPE, text=True)
    both = [os.pidfd_open(int(parent.stdout.readline())), os.pidfd_open(pid_of(world))]
    parent.kill()
    parent.wait()
    for handle in both:
        assert select.select([handle], [], [], 20)[0]
        os.close(handle)
    assert not world.settings.control_socket.exists()


def test_a_control_that_can_not_start_is_not_tried_again(world, capfd):
    world.settings.state_dir.mkdir()
    os.chmod(world.settings.state_dir, 0o777)
    with pytest.raises(ControlAway, match="exit code 2"):
        start_own_control(world.settings, supervised=True)
    assert capfd.readouterr().err.count("can be written by others") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root owns what nobody may read: an ordinary account tells")
def test_its_memory_and_descriptors_are_nobodys_to_read(world):
    """As the launcher starts them: the supervisor, and control below it. This very process is the twin."""
    own = start_own_control(replace(world.settings, person="ana"), supervised=True)
    world.started.append(own)
    for pid in (own.process.pid, pid_of(world)):
        status = Path(f"/proc/{pid}/environ").stat()
        assert (status.st_uid, status.st_gid) == (0, 0)
        with pytest.raises(PermissionError):
            os.listdir(f"/proc/{pid}/fd")
    assert own.process.pid != pid_of(world)
    assert os.listdir("/proc/self/fd")


CRASHING = """
import os, sys
from jupyter_guardrails.control import descriptor_store
store = descriptor_store.from_environment(os.environ)
kept = store.take("control")
if not kept:
    import socket
    made = socket.socket(socket.AF_UNIX)
    made.bind(sys.argv[1])
    made.listen()
    store.put("control", [made.fileno()])
    store.say("READY=1")
print(len(kept), flush=True)
if len(sys.argv) > 2 and kept:
    import time
    time.sleep(60)
os._exit(3)
"""
SUPERVISE = """
import sys
from jupyter_guardrails.control import supervisor
supervisor.QUICK_S = 60.0  # a start takes its time on a busy machine
sys.exit(supervisor.Supervisor([sys.executable, "-c", *sys.argv[2:]], most_quick=int(sys.argv[1]), away_s=1.0).run())
"""


EARLY = """
import os, signal, sys
from pathlib import Path
from jupyter_guardrails.control import descriptor_store
store = descriptor_store.from_environment(os.environ)
lives = Path(sys.argv[1])
lives.write_text(lives.read_text() + "x" if lives.exists() else "x")
if len(lives.read_text()) < 3:
    os.kill(os.getpid(), signal.SIGKILL)
ready = int(sys.argv[2].partition("=")[2])
os.write(ready, b"ready")
store.say("READY=1")
"""


def test_one_that_is_killed_before_it_was_ready_is_started_again(tmp_path):
    """Whoever waits for it hears of the first that gets ready."""
    read_end, write_end = os.pipe()
    script = "import sys\nfrom jupyter_guardrails.control import supervisor\n"
    script += "sys.exit(supervisor.Supervisor([sys.executable, '-c', *sys.argv[2:]], int(sys.argv[1])).run())"
    command = [sys.executable, "-c", script, str(write_end), EARLY, str(tmp_path / "lives")]
    running = subprocess.Popen(command, pass_fds=[write_end], stderr=subprocess.DEVNULL)
    os.close(write_end)
    with open(read_end) as pipe:
        assert pipe.read() == "ready"
    assert running.wait(20) == 0
    assert (tmp_path / "lives").read_text() == "xxx"


def test_one_that_dies_again_and_again_is_given_up_with_the_reason(world):
    command = [sys.executable, "-c", SUPERVISE, "3", CRASHING, str(world.root / "c.sock")]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 3
    assert found.stdout.split() == ["0", "1", "1"], "what the first put aside came to each one after it"
    assert "died 3 times, each within 60 s of its start" in found.stderr
    with socket.socket(socket.AF_UNIX) as late, pytest.raises(ConnectionRefusedError):
        late.connect(str(world.root / "c.sock"))


def test_callers_are_told_when_it_does_not_come_back(world):
    """The second one never gets ready: whoever asks hears so within seconds instead of waiting in a queue."""
    command = [sys.executable, "-c", SUPERVISE, "3", CRASHING, str(world.root / "c.sock"), "stay"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert [running.stdout.readline().strip() for _ in range(2)] == ["0", "1"]
    asking = ControlClient(world.root / "c.sock", "x")
    with pytest.raises(ControlAway, match="being started again"):
        asking.call(Me())
    with pytest.raises(ControlAway, match="being started again"):
        asking.call(LaunchMounter())
    running.terminate()
    running.wait(20)


SLOW = """
import os, select, socket, sys, time
from jupyter_guardrails.control import descriptor_store, frames
store = descriptor_store.from_environment(os.environ)
made = socket.socket(socket.AF_UNIX)
made.bind(sys.argv[1])
made.listen()
store.put("control", [made.fileno()])
print("listens", flush=True)
select.select([made], [], [])
time.sleep(0.5)  # so long it would be turned away
made.setblocking(False)
connection, _ = made.accept()
store.say("READY=1")
connection.send(frames.encode({"id": 1, "ok": True, "result": {"said": "by control"}}))
"""


def test_who_asks_a_control_that_is_slow_to_start_waits_for_it(world):
    """It has not ended: there was none before it."""
    command = [sys.executable, "-c", SUPERVISE.replace("away_s=1.0", "away_s=0.0"), "3", SLOW, str(world.root / "c.sock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout.readline().strip() == "listens"
            assert ControlClient(world.root / "c.sock", "x").call(Me()) == {"said": "by control"}
            assert running.wait(20) == 0
        finally:
            running.terminate()


def test_a_control_that_reads_nothing_is_away(world, monkeypatch):
    monkeypatch.setattr(client, "AWAY_S", 0.3)
    with listener_at(world.root / "deaf.sock"), pytest.raises(ControlAway, match="nobody has read the request"):
        ControlClient(world.root / "deaf.sock", "x").call(Me())


@contextlib.contextmanager
def listener_at(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
        made.listen()
        yield made


@pytest.mark.parametrize(
    ("request_", "times"),
    [(Me(), 2), (MORE, 2), (LaunchMounter(), 1)],
    ids=["repeatable", "one open request", "not"],
)
def test_only_what_is_harmless_twice_is_sent_again(world, request_, times):
    """A control that dies after it has read: nobody knows what it has done."""
    seen = []

    def deaf(made):
        while made.fileno() >= 0:  # for ever, it would keep a processor busy through all tests that follow
            with contextlib.suppress(OSError):
                connection, _ = made.accept()
                with connection:
                    frame, _ = receive_frame(connection)
                    seen.append(frame["op"])

    with listener_at(world.root / "deaf.sock") as made:
        threading.Thread(target=deaf, args=(made,), daemon=True).start()
        with pytest.raises(ControlAway):
            ControlClient(world.root / "deaf.sock", "x").call(request_)
    assert seen == [request_.op] * times


def test_what_nobody_waits_for_any_more_is_not_done(world, own):
    """A request that waits while there is no control, and whose caller gives up, is not carried out when control is back."""
    key = secrets.token_hex(4)
    supervisor_pid = own.process.pid
    os.kill(supervisor_pid, signal.SIGSTOP)
    kill(world)
    for notebook, gives_up in ((f"{key}-left", True), (f"{key}-waited", False)):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(world.settings.control_socket))
        asked = ProfileSet(profile="small", notebook=notebook)
        send_frame(connection, {"v": 1, "id": 1, "op": asked.op, "args": asked.model_dump(), "token": own.client.token})
        if gives_up:
            connection.close()
    os.kill(supervisor_pid, signal.SIGCONT)
    connection.settimeout(30)
    assert receive_frame(connection)[0]["ok"]
    connection.close()
    own.stop()
    opened = open_records(world.settings.state_dir / "records.sqlite")
    chosen = opened.read_sync(lambda found: [row[0] for row in found.exec_driver_sql("select notebook from profile_choices")])
    opened.close()
    assert chosen == [f"{key}-waited"]


LASTING = """
import sys
from pathlib import Path
from jupyter_guardrails.control import process
from jupyter_guardrails.control.interface import Settings
policy, catalog, state, socket = map(Path, sys.argv[1:5])
ready = [int(word.partition("=")[2]) for word in sys.argv[5:]]
settings = Settings(policy, catalog, state, socket, True, "ana")
sys.exit(process.run(process.Options(settings, ready_fd=ready[0] if ready else None, die_with_parent=True, lasting=True)) or 75)
"""


def test_a_service_that_is_restarted_in_good_order_leaves_everything_to_the_next(world):
    """As systemd does it at an upgrade: SIGTERM, and another one with what was kept."""
    places = [world.policy, world.settings.catalog_path, world.settings.state_dir, world.settings.control_socket]
    own = world.start_command([sys.executable, "-c", LASTING, *map(str, places)])
    control = own.client
    name = f"gr-test-{world.root.name}"
    with program() as kernel, listener(name) as channel:
        admission = begin(control, kernel.pid, fds=[channel.fileno()], listeners=["channel"])
        channel.close()
        before = pid_of(world)
        os.kill(before, signal.SIGTERM)
        wait_for(lambda: pid_of(world) not in (0, before))
        assert hello(name)["ok"]
        assert beat(control, admission)["end"] == []
        assert actions(control, "kernel.end") == []
        control.call(KernelSettle(lease=admission.lease, reason="shut down"))
    own.stop()
    books(world)
