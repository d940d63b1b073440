"""Fifty kernel starts at once against a limit of three, asked of a real control's socket by several processes: exactly three, round after round."""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from jupyter_guardrails.control.interface import ControlClient
from jupyter_guardrails.control.interface.messages import Budget, Kernels, KernelSettle
from jupyter_guardrails.records import open_records
from jupyter_guardrails.records.audit import verify_table

pytestmark = [pytest.mark.slow, pytest.mark.soak]

ROUNDS = 200 if os.environ.get("GUARDRAILS_SOAK") == "1" else 20
PROCESSES, THREADS, MOST = 5, 10, 3
RULE = "guardrails.yaml:3 three-at-once"
POLICY = """apiVersion: guardrails/v1
rules:
  - {name: three-at-once, for: everyone, kernels: {max: MAX}, budget: {cpu_hours: CPU_HOURS}}
"""
CONTROL = """
import sys
from pathlib import Path
from jupyter_guardrails.control import process
from jupyter_guardrails.control.interface import Settings
root, records, fd = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
settings = Settings(root / "guardrails.yaml", root / "catalog", root / "state", root / "c.sock", True, "ana", records=records)
process.run(process.Options(settings, ready_fd=fd, die_with_parent=True))
"""
ASKER = """
import json, sys, threading
from concurrent.futures import ThreadPoolExecutor
from jupyter_guardrails.control.interface import ControlClient
from jupyter_guardrails.control.interface.messages import KernelAdmit
from jupyter_guardrails.errors import LimitReached
path, token, name, threads = sys.argv[1], sys.stdin.readline().strip(), sys.argv[2], int(sys.argv[3])
client, gate = ControlClient(path, token), threading.Barrier(threads)

def ask(key):
    gate.wait()
    try:
        return client.admit(KernelAdmit(kernel_id=key, kernelspec="python3", workspace="/w", key=key)).lease
    except LimitReached as error:
        return {"message": error.message, "rule": error.rule, "next_step": error.next_step}

with ThreadPoolExecutor(threads) as pool:
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(list(pool.map(ask, [f"{line.strip()}-{name}-{index}" for index in range(threads)]))), flush=True)
"""


class Race:
    """A control on one database, and processes that ask it all at the same moment."""

    def __init__(self, stack, place, *, most, cpu_hours):
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gr-", dir="/tmp")))
        (root / "catalog").mkdir()
        (root / "guardrails.yaml").write_text(POLICY.replace("MAX", str(most)).replace("CPU_HOURS", str(cpu_hours)))
        read_end, write_end = os.pipe()
        self.process = subprocess.Popen([sys.executable, "-c", CONTROL, root, place, str(write_end)], pass_fds=[write_end])
        stack.callback(self.stop)
        os.close(write_end)
        with open(read_end) as pipe:
            ready = json.loads(pipe.readline())
        self.client = ControlClient(ready["socket"], ready["token"])
        self.records = place if "://" in place else str(root / "state" / "records.sqlite")
        self.askers = [self._asker(stack, ready, index) for index in range(PROCESSES)]

    def _asker(self, stack, ready, index):
        command = [sys.executable, "-c", ASKER, ready["socket"], str(index), str(THREADS)]
        asker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        stack.callback(asker.wait)
        stack.callback(asker.stdin.close)
        print(ready["token"], file=asker.stdin, flush=True)
        assert asker.stdout.readline() == "ready\n"
        return asker

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)

    def round(self, number):
        """(leases, refusals) of fifty at once."""
        for asker in self.askers:
            print(number, file=asker.stdin, flush=True)
        answers = [answer for asker in self.askers for answer in json.loads(asker.stdout.readline())]
        return [item for item in answers if isinstance(item, str)], [item for item in answers if isinstance(item, dict)]

    def end(self, leases):
        for lease in leases:
            self.client.call(KernelSettle(lease=lease, reason="shut down"))


@pytest.fixture
def race(place):
    with ExitStack() as stack:
        yield lambda **limits: Race(stack, place, **limits)


def test_fifty_at_once_against_three_admit_exactly_three(race):
    made = race(most=MOST, cpu_hours=1000)
    for number in range(ROUNDS):
        admitted, refused = made.round(number)
        assert (len(admitted), len(set(admitted)), len(refused)) == (MOST, MOST, PROCESSES * THREADS - MOST), f"round {number}"
        assert {item["rule"] for item in refused} == {RULE}
        assert all("no more are allowed at once" in item["message"] and item["next_step"] for item in refused)
        assert len(made.client.call(Kernels())["kernels"]) == MOST
        made.end(admitted)
    assert made.client.call(Budget())["cpu_hours"] == {"used": 0.0, "reserved": pytest.approx(0.0, abs=1e-9), "limit": 1000.0}
    made.stop()
    opened = open_records(made.records)
    assert opened.read_sync(verify_table).ok
    opened.close()


def test_fifty_at_once_against_a_budget_for_three_admit_exactly_three(race):
    """Five minutes of one processor each, and room for three."""
    made = race(most=100, cpu_hours=3 * 300 / 3600)
    for number in range(max(1, ROUNDS // 4)):
        admitted, refused = made.round(number)
        assert (len(admitted), len(refused)) == (MOST, PROCESSES * THREADS - MOST), f"round {number}"
        assert all("cpu-hours used, 0.25 promised to what runs; a start needs 0.083" in item["message"] for item in refused)
        assert {item["rule"] for item in refused} == {RULE}
        made.end(admitted)
