"""What scientists run works in there: the libraries, their worker processes, and a Jupyter kernel."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner
from sandbox_bench import DEVICES, SYSTEM

from jupyter_guardrails.sandbox.handover import prepare
from jupyter_guardrails.sandbox.spec import Limits, SandboxSpec

CODE = {
    "asyncio": (
        "import asyncio\nasync def f():\n    p = await asyncio.create_subprocess_exec('true')\n    return await p.wait()\n"
        "assert asyncio.run(f()) == 0"
    ),
    "asyncio over loopback": (
        "import asyncio\nasync def f():\n    s = await asyncio.start_server(lambda r, w: w.close(), '127.0.0.1', 0)\n"
        "    r, w = await asyncio.open_connection(*s.sockets[0].getsockname())\n    return await r.read()\nassert asyncio.run(f()) == b''"
    ),
    "multiprocessing": (
        "import multiprocessing as m\nfor way in ('fork', 'forkserver'):\n"
        "    with m.get_context(way).Pool(2) as pool: assert pool.map(abs, [-1, 2]) == [1, 2]"
    ),
    "shared memory": "from multiprocessing.shared_memory import SharedMemory as S\nm = S(create=True, size=99); m.buf[0] = 1; m.close(); m.unlink()",
    "threads": "from concurrent.futures import ThreadPoolExecutor as T\nassert list(T(8).map(abs, [-1, 2])) == [1, 2]",
    "sqlite": "import sqlite3; sqlite3.connect('x.db').execute('create table t (a)')",
    "a pseudo-terminal": "import pty, os\nassert pty.spawn(['true']) == 0",
    "a shell": "import subprocess\nassert subprocess.run('echo a | tr a b', shell=True, capture_output=True).stdout == b'b\\n'",
}
HEAVY = {
    "zmq over ipc": (
        "import zmq\nc = zmq.Context(); s = c.socket(zmq.REP); s.bind('ipc://sock')\n"
        "q = c.socket(zmq.REQ); q.connect('ipc://sock'); q.send(b'x'); s.recv()"
    ),
    "psutil": "import psutil, os\nassert psutil.Process().pid == os.getpid(); psutil.net_connections(kind='unix')",
    "numpy": "import numpy as np\nassert (np.ones((300, 300)) @ np.ones((300, 300)))[0, 0] == 300",
    "pandas and pyarrow": "import pandas as pd\npd.DataFrame({'a': [1]}).to_parquet('a.parquet'); assert pd.read_parquet('a.parquet').a[0] == 1",
    "matplotlib": "import matplotlib; matplotlib.use('agg')\nimport matplotlib.pyplot as p\np.plot([1, 2]); p.savefig('a.png')",
    "scikit-learn with joblib's workers": (
        "from joblib import Parallel, delayed\nfrom sklearn.linear_model import LinearRegression as L\nL(n_jobs=2).fit([[1], [2]], [1, 2])\n"
        "assert Parallel(n_jobs=2, backend='loky')(delayed(abs)(-i) for i in range(3)) == [0, 1, 2]"
    ),
}
DEVICES_WITH_TERMINALS = (*DEVICES, "/dev/tty", "/dev/ptmx", "/dev/pts")


@pytest.mark.parametrize("code", CODE.values(), ids=CODE)
def test_the_standard_library(sandbox, code):
    ran = sandbox.python(code, devices=DEVICES_WITH_TERMINALS, limits=Limits(memory_bytes=1 << 30, tasks=100))
    assert ran.code == 0, ran.err


@pytest.mark.slow
@pytest.mark.parametrize("code", HEAVY.values(), ids=HEAVY)
def test_scientific_libraries(sandbox, code):
    started = sandbox.start(
        sys.executable, "-c", code, env={"HOME": str(sandbox.workspace), "PATH": "/usr/bin:/bin", "MPLCONFIGDIR": str(sandbox.workspace)}
    )
    _, err = started.process.communicate(timeout=60)
    assert started.process.returncode == 0, err


class Sandboxed(LocalProvisioner):
    """jupyter_client's own provisioner with the kernel in a sandbox: what a product's provisioner adds is not needed here."""

    async def pre_launch(self, **kwargs):
        planned = await super().pre_launch(**kwargs)
        folder = os.path.dirname(self.parent.connection_file)
        environment = {"HOME": folder, "PATH": "/usr/bin:/bin", "IPYTHONDIR": folder, "JPY_PARENT_PID": "1"}
        spec = SandboxSpec(tuple(planned["cmd"]), environment, folder, SYSTEM, (folder, "/dev/shm"), DEVICES, limits=Limits(memory_bytes=1 << 30))
        self.prepared = prepare(spec)
        return planned | {"cmd": self.prepared.argv, "env": self.prepared.env, "pass_fds": self.prepared.pass_fds, "cwd": "/"}

    async def launch_kernel(self, cmd, **kwargs):
        connection = await super().launch_kernel(cmd, **kwargs)
        self.prepared.receive()
        return connection


@pytest.fixture
def kernel(sandbox, tmp_path, monkeypatch):
    """A factory of running kernels, sandboxed or plain: (manager, client)."""
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    made = []

    def begin(provisioner=Sandboxed):
        folder = tmp_path / f"k{len(made)}"
        folder.mkdir()
        made_by = lambda factory, kernel_id, kernel_spec, parent: provisioner(kernel_id=kernel_id, kernel_spec=kernel_spec, parent=parent)  # noqa: E731
        monkeypatch.setattr(KernelProvisionerFactory, "create_provisioner_instance", made_by)
        manager = KernelManager(transport="ipc", ip=str(folder / "s"), connection_file=str(folder / "kernel.json"))
        manager.start_kernel()
        client = manager.client()
        client.start_channels()
        made.append((manager, client))
        client.wait_for_ready(timeout=60)
        return manager, client

    yield begin
    for manager, client in made:
        client.stop_channels()
        if manager.has_kernel:
            manager.shutdown_kernel(now=True)


def run(client, code: str) -> str:
    out = []
    client.execute_interactive(code, timeout=60, output_hook=lambda m: out.append(m["content"].get("text") or m["content"].get("ename") or ""))
    return "".join(out).strip()


def runs(argument):
    """Whether a process of this machine has this argument."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # some end while these are read
            if argument.encode() in entry.read_bytes().split(b"\0"):
                return True
    return False


@pytest.mark.slow
def test_a_jupyter_kernel_runs_is_interrupted_and_shut_down(kernel, secret):
    manager, client = kernel()
    assert run(client, "print(6 * 7)") == "42"
    assert "FileNotFoundError" in run(client, f"open({str(secret)!r})")
    # without stop_on_error: after an error ipykernel aborts what comes at once, so that the next cell could print nothing
    # and many short sleeps: Python loses an interrupt for as long as a call takes that it comes just before (1 of 4,000 where both are at once)
    message = client.execute("import time; print('in it', flush=True)\nfor _ in range(600): time.sleep(0.1)", stop_on_error=False)
    while client.get_iopub_msg(timeout=30)["content"].get("text") != "in it\n":
        pass  # not at "busy", which is said before the cell starts
    manager.interrupt_kernel()
    while (reply := client.get_shell_msg(timeout=30))["parent_header"].get("msg_id") != message:
        pass
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert runs(manager.connection_file)
    manager.shutdown_kernel()
    assert not runs(manager.connection_file)


@pytest.mark.slow
def test_a_restart_takes_no_longer_than_a_plain_one(kernel):
    """jupyter_client waits 2.5 s for a kernel that was asked to end and does not: the sandbox must not look like one.

    The better of three: jupyter_client interrupts before it asks, and an interrupt that comes into the kernel's own end can hold that up."""
    seconds = {}
    for name, provisioner in (("plain", LocalProvisioner), ("sandboxed", Sandboxed)):
        manager, client = kernel(provisioner)
        seconds[name] = min(_restarted_s(manager, client) for _ in range(3))
    assert seconds["sandboxed"] < seconds["plain"] + 1.0, seconds


def _restarted_s(manager, client) -> float:
    begin = time.monotonic()
    manager.restart_kernel()
    client.wait_for_ready(timeout=60)
    return time.monotonic() - begin
