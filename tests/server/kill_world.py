"""A launched server whose control is of our own making (short leases, endless patience), with programs that use both, and ways to kill either."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import requests

from jupyter_guardrails.control.interface import ControlClient
from jupyter_guardrails.control.interface.messages import Audit, Beat, KernelAdmit, KernelBeat, KernelSettle, KernelStarted, SubmissionCreate
from jupyter_guardrails.errors import ControlAway, LimitReached
from jupyter_guardrails.records import audit, balance, open_records

SOAK = bool(os.environ.get("GUARDRAILS_SOAK"))
KILLS = 100 if SOAK else 5
TTL_S = 15.0  # servers beat every 10 s
PATIENCE_S = 60.0
POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
profiles:
  small: {memory: 1GiB, cpus: 1}
rules:
  - name: everyone
    for: everyone
    kernels: {profiles: [small], default: small, max: MAXIMUM, terminals: small}
    budget: {cpu_hours: 1000000, memory_gib_hours: 1000000, per: 7d}
    network: {allow: ["approved.example.com:443"]}
    data: {read: ["nyc/*"], request: ["hr/*"], browse: all}
promotion: {production_profile: small, checks: {vulnerabilities: off}}
"""
CONTROL = """
import sys
from pathlib import Path
from jupyter_guardrails.control import process
from jupyter_guardrails.control.interface import Settings
policy, catalog, state, ttl_s, records, *ready = sys.argv[1:]
settings = Settings(Path(policy), Path(catalog), Path(state), Path(state) / "control.sock", True, None, records=records)
ready_fd = int(ready[0].partition("=")[2]) if ready else None
process.run(process.Options(settings, ready_fd=ready_fd, die_with_parent=True, lease_ttl_s=float(ttl_s)))
"""
SUPERVISE = """
import sys
from jupyter_guardrails.control import hardening, supervisor
patience_s, ready_fd, *command = sys.argv[1:]
parent = hardening.end_with_parent()
sys.exit(supervisor.Supervisor(command, int(ready_fd), parent, away_s=float(patience_s), most_quick=1000).run())
"""
READ = "import guarded; print(guarded.open('nyc/flights').read())"
KNOCK = """\
import os, socket
from urllib.parse import urlsplit
proxy = urlsplit(os.environ["HTTPS_PROXY"])
with socket.create_connection((proxy.hostname, proxy.port), 30) as s:
    s.settimeout(30)
    s.sendall(b"CONNECT other.example.com:443 HTTP/1.1\\r\\nHost: other.example.com:443\\r\\n\\r\\n")
    print(s.recv(12))
"""


class Killable:
    """Beside a GovernedServer (in conftest.py): it may be killed and started again; its control stays."""

    control: ControlClient | None = None
    records = ""  # a URL of PostgreSQL; else SQLite in the state directory

    def _start(self, module, arguments, environment):
        if self.control is None:
            self.supervisor, self.control = self._own_control()
        return super()._start(module, arguments, environment)

    def _own_control(self):
        read_end, write_end = os.pipe()
        control = [sys.executable, "-c", CONTROL, str(self.policy), str(self.root / "catalog"), str(self.state), str(TTL_S), self.records]
        command = [sys.executable, "-c", SUPERVISE, str(PATIENCE_S), str(write_end), *control]
        started = subprocess.Popen(command, pass_fds=[write_end], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(write_end)
        with open(read_end) as pipe:
            ready = json.loads(pipe.readline())
        return started, ControlClient(ready["socket"], ready["token"])

    def kill_control(self):
        """kill -9, waited for."""
        pid = wait_for(lambda: int((self.state / "control.lock").read_text() or 0))
        handle = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        assert select.select([handle], [], [], 20)[0]
        os.close(handle)

    def start_again(self, module):
        """The server, after it was killed."""
        self._ready, self._ended = threading.Event(), threading.Event()
        self.process = self._start(module, (), {})
        threading.Thread(target=self._read_log, daemon=True).start()

    def stop(self):
        self.supervisor.terminate()
        self.supervisor.wait(30)
        super().stop()

    def processes(self):
        """Command lines of everything that was started below its folder, kernels in their sandboxes included."""
        found = {}
        for entry in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{entry}/cmdline").read_bytes() + Path(f"/proc/{entry}/environ").read_bytes()
                if str(self.root).encode() in words:
                    found[int(entry)] = Path(f"/proc/{entry}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
        return found


def wait_for(condition, *, within_s=PATIENCE_S, what="it did not happen in time"):
    """Poll what has no event to wait for; what the condition was true with."""
    until = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < until, what() if callable(what) else what
        time.sleep(0.05)
    return found


class Load:
    """Clients that start, beat and settle, and one that submits, until `stop()`; what control confirmed to them is kept."""

    def __init__(self, server):
        self.server, self.control = server, server.control
        self._kernel = subprocess.Popen(["sleep", "infinity"])  # stands for each
        self.settled, self.submitted, self.unanswered, self.failures = [], {}, [], []
        self.rounds = dict.fromkeys(("a", "b"), 0)  # that each of those that start has come through
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(name,)) for name in self.rounds]
        self._threads.append(threading.Thread(target=self._submit))
        (server.workspace / "job.ipynb").write_text("this is no notebook: its worker says so, and ends")
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
        self._kernel.kill()
        self._kernel.wait()

    def _work(self, name):
        report = {"guarantees": [{"name": held, "held": True, "how": "", "next_step": ""} for held in ("files", "network")]}
        number = 0
        while not self._stop.wait(0.02):
            number += 1
            key = f"{name}-{number}-{uuid.uuid4().hex}"
            try:
                admission = self.control.admit(KernelAdmit(kernel_id=key, kernelspec="python3", workspace="/w", key=key))
                self.control.call(KernelStarted(lease=admission.lease, pid=self._kernel.pid, report=report))
                self.control.call(KernelBeat(beats=[Beat(lease=admission.lease, cpu_s=1.0, memory_bytes=1 << 20, memory_peak_bytes=1 << 20)]))
                self.control.call(KernelSettle(lease=admission.lease, reason="done", cpu_s=2.0))
                self.settled.append(admission.lease)
                self.rounds[name] = number
            except LimitReached:
                time.sleep(0.05)
            except Exception as error:  # noqa: BLE001 - shown by whoever asserts that there is none
                self.failures.append(error)

    def _submit(self):
        while not self._stop.wait(2.0):  # each is a process of its own
            key = uuid.uuid4().hex
            request = SubmissionCreate(notebook="job.ipynb", workspace=str(self.server.workspace), key=key, reason="under load")
            try:
                self.submitted[key] = self.control.call(request)["id"]
            except ControlAway:
                self.unanswered.append(key)
            except Exception as error:  # noqa: BLE001 - as above
                self.failures.append(error)


def opened(server):
    """The records beside the control that runs."""
    return open_records(server.records or server.state / "records.sqlite")


def balanced(server, load=None):
    """Everything that must hold after any kill."""
    records = opened(server)
    try:
        found = records.read_sync(audit.verify_table)
        assert found.problems == ()
        assert records.read_sync(balance.problems, now=datetime.now(UTC), late_s=TTL_S / 4) == []
        if load is not None:
            _confirmed(records, load)
    finally:
        records.close()


def _confirmed(records, load):
    rows = records.read_sync(lambda connection: connection.exec_driver_sql("select id, state, cpu_s from leases").all())
    known = {row[0]: (row[1], row[2]) for row in rows}
    assert {known[lease] for lease in list(load.settled)} <= {("settled", 2.0)}
    made = records.read_sync(lambda connection: connection.exec_driver_sql("select key, id from submissions").all())
    submitted = dict(load.submitted)
    assert {key: id for key, id in made if key in submitted} == submitted, "each that was confirmed is there, under its key, once"


def no_orphans(server):
    """Each frozen notebook and package on disk is a submission's."""
    records = opened(server)
    rows = records.read_sync(lambda connection: connection.exec_driver_sql("select id, package_path from submissions").all())
    records.close()
    folder = server.state / "submissions"
    assert {entry.name for entry in folder.iterdir()} <= {row[0] for row in rows}
    kept = {Path(row[1]).name for row in rows if row[1]}
    assert {entry.name for entry in (server.state / "packages").glob("**/*.zip")} <= kept


def records_of(control, action):
    found, after = [], 0
    while page := control.call(Audit(after=after, limit=1000))["records"]:
        found += [record for record in page if record["action"] == action]
        after = page[-1]["seq"]
    return found


def answers(server):
    with contextlib.suppress(requests.RequestException):
        return server.rest("GET", "guardrails/me").status_code == 200
    return False
