"""Control for tests: a real process over its socket (`world`), or its operations in this process with a clock that tests move (`desk`)."""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jupyter_guardrails.control import process
from jupyter_guardrails.control.interface import Admission, ControlClient, OwnControl, Settings, start_own_control
from jupyter_guardrails.control.interface.messages import Beat, KernelAdmit, KernelBeat, KernelSettle, KernelStarted
from jupyter_guardrails.control.service import Service
from tests.control.data_world import Loop
from tests.control.resting import resting_pid
from tests.control.scan_world import made

POLICY = """apiVersion: guardrails/v1
mode: enforce
require: [files, network]
admins: {users: [carol]}
environment: {pass: [LANG], set: {HTTPS_CA: /etc/ssl/company.pem}}
paths: {read: [/opt/shared], write: ["/scratch/{user}"]}
profiles:
  small: {memory: 2GiB, cpus: 1, idle: 2h}
  large: {memory: 8GiB, cpus: 4}
  shell: {memory: 1GiB, cpus: 1}
rules:
  - name: everyone-small
    for: everyone
    kernels: {profiles: [small], default: small, max: 2, terminals: shell}
    network: {allow: ["packages.example.com:443"]}
    workspace: {size: 20GiB}
  - name: analysts-large
    for: {users: [ana]}
    kernels: {profiles: [large]}
    budget: {cpu_hours: 2, memory_gib_hours: 8, per: 7d}
promotion: {production_profile: large}
"""
TTL_SCRIPT = """
import sys
from pathlib import Path
from jupyter_guardrails.control import process
from jupyter_guardrails.control.interface import Settings
policy, catalog, state, socket, person, ttl_s, *ready = sys.argv[1:]
settings = Settings(Path(policy), Path(catalog), Path(state), Path(socket), True, person)
process.run(process.Options(settings, ready_fd=int(ready[0].partition("=")[2]) if ready else None, die_with_parent=True, lease_ttl_s=float(ttl_s)))
"""
SUPERVISE = """
import sys
from jupyter_guardrails.control import hardening, supervisor
patience_s, ready_fd, *command = sys.argv[1:]
parent = hardening.end_with_parent()
sys.exit(supervisor.Supervisor(command, int(ready_fd), parent, away_s=float(patience_s), most_quick=1000).run())
"""
READY = "@READY@"  # in a command: the number of the descriptor on which it says that it is ready
PATIENCE_S = 60.0  # machines that test are busy: nobody is told that control is away when it only takes its time to start
GOOD_REPORT = {
    "pid": 1,
    "guarantees": [{"name": name, "held": True, "how": "tested", "next_step": ""} for name in ("files", "network")],
    "layers": {},
}


class World:
    """A policy, an empty catalogue and a state directory, in a folder with a short path."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.policy = root / "guardrails.yaml"
        self.policy.write_text(POLICY)
        (root / "catalog").mkdir()
        self.settings = Settings(self.policy, root / "catalog", root / "state", root / "state" / "control.sock", True, "ana")
        self.started: list[OwnControl] = []

    def start(self, *, person="ana", **changed) -> OwnControl:
        """A control by the real command."""
        own = start_own_control(replace(self.settings, person=person, **changed))
        self.started.append(own)
        return own

    def start_supervised(self, *, patience_s: float = PATIENCE_S, ttl_s: float | None = None) -> OwnControl:
        """A control that is started again however often it dies; the process is its supervisor."""
        places = [f"--policy={self.policy}", f"--catalog={self.settings.catalog_path}", f"--state-dir={self.settings.state_dir}"]
        places += [f"--socket={self.settings.control_socket}", "--as=ana"]
        control = [sys.executable, "-I", "-m", "jupyter_guardrails", "control", "--die-with-parent", *places]
        if ttl_s is not None:
            names = (self.policy, self.settings.catalog_path, self.settings.state_dir, self.settings.control_socket)
            control = [sys.executable, "-c", TTL_SCRIPT, *map(str, names), "ana", str(ttl_s)]
        return self.start_command(control, patience_s=patience_s)

    def start_command(self, control: list[str], *, patience_s: float = PATIENCE_S) -> OwnControl:
        """The same with another command than the real one."""
        return self._started([sys.executable, "-c", SUPERVISE, str(patience_s), READY, *control])

    def start_with_ttl(self, ttl_s: float) -> OwnControl:
        """A control whose leases live that long."""
        places = [self.policy, self.settings.catalog_path, self.settings.state_dir, self.settings.control_socket]
        return self._started([sys.executable, "-c", TTL_SCRIPT, *map(str, places), "ana", str(ttl_s), f"--ready-fd={READY}"])

    def _started(self, command: list[str]) -> OwnControl:
        read_end, write_end = os.pipe()
        started = subprocess.Popen([word.replace(READY, str(write_end)) for word in command], pass_fds=[write_end])
        os.close(write_end)
        with open(read_end) as pipe:
            ready = json.loads(pipe.readline())
        own = OwnControl(started, ControlClient(ready["socket"], ready["token"]))
        self.started.append(own)
        return own

    def audit_lines(self):
        return [json.loads(line) for line in (self.settings.state_dir / "audit.jsonl").read_text().splitlines()]


class Desk:
    """Control's operations without a socket; `now` is moved by hand."""

    def __init__(self, world: World, person: str) -> None:
        self.world = world
        self.state = process.open_state(process.Options(replace(world.settings, person=person)))
        self.now = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
        self.state.clock = lambda: self.now
        self.service = Service(self.state)
        self.runner = asyncio.Runner()

    def ask(self, request, fds=(), token=None):
        frame = {"v": 1, "op": request.op, "args": request.model_dump(mode="json"), "token": token or self.state.token}
        return self.run(self.service.answer(frame, list(fds))).result

    def run(self, coroutine):
        return self.runner.run(coroutine)

    def later(self, **span):
        self.now += timedelta(**span)

    def admit(self, key="k1", **more) -> Admission:
        said = {"kernel_id": f"kernel-{key}", "kernelspec": "python3", "workspace": "/w", "key": key}
        token = more.pop("token", None)
        return Admission.model_validate(self.ask(KernelAdmit(**said | more), token=token))

    def begin(self, key="k1", report=GOOD_REPORT, **more) -> Admission:
        pid = more.pop("pid", resting_pid())
        admission = self.admit(key, **more)
        self.ask(KernelStarted(lease=admission.lease, pid=pid, report=report))
        return admission

    def beat(self, admission, *, cpu_s, memory_bytes=1 << 30):
        beats = [Beat(lease=admission.lease, cpu_s=cpu_s, memory_bytes=memory_bytes, memory_peak_bytes=memory_bytes)]
        return self.ask(KernelBeat(beats=beats))

    def settle(self, admission, reason="shut down", **use):
        return self.ask(KernelSettle(lease=admission.lease, reason=reason, **use))

    def close(self):
        self.runner.close()
        self.state.records.close()


@contextlib.contextmanager
def made_world():
    """A world that is taken down at the end, with every control that was started in it."""
    root = Path(tempfile.mkdtemp(prefix="gr-", dir="/tmp"))
    made = World(root)
    try:
        yield made
    finally:
        for own in made.started:
            own.stop()
        shutil.rmtree(root)


@pytest.fixture(scope="module")
def calm_world():
    """For tests that leave control as they found it."""
    with made_world() as made:
        yield made


@pytest.fixture
def world():
    with made_world() as made:
        yield made


@pytest.fixture
def desk_for(world):
    """A desk for any person; all of a test share one policy and state directory, so one at a time."""
    with contextlib.ExitStack() as stack:

        def make(person):
            (world.root / "state").mkdir(mode=0o700, exist_ok=True)
            desk = Desk(world, person)
            stack.callback(desk.close)
            return desk

        yield make


@pytest.fixture
def desk(desk_for):
    return desk_for("ana")


@pytest.fixture(scope="module")
def loop():
    """Control's event loop in a thread, for all tests of a file."""
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture(scope="module")
def masked_world(loop, tmp_path_factory):
    """The datasets of scan_world.py, in which a file puts its own; their worker ends with the file's tests."""
    world = made(tmp_path_factory.mktemp("masked"))
    yield world
    loop.run(world.state().brokers.stop())
    world.close()
