"""Ten ways to use up memory, each let off in a governed kernel of its own: what is left of the session, and how much memory it came to.

The memory is looked at from here, by other means than the product's: every few milliseconds, each page once.
"""

import asyncio
import os
import resource
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from jupyter_guardrails.control.interface import Settings, start_own_control
from jupyter_guardrails.kernels.folders import make_run_dir
from jupyter_guardrails.kernels.governed import GovernedContext, kernel_manager_class

MIB = 1 << 20
LIMIT_MIB = 512
LOOK_S = 0.01
CELL_S = 60
ARGV = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
profiles: {small: {memory: LIMITMiB, cpus: 2, tasks: 512}}
rules: [{name: everyone, for: everyone, kernels: {profiles: [small], default: small, max: 100}}]
""".replace("LIMIT", str(LIMIT_MIB))
EAT = "x = []\\nwhile True: x.append(bytearray(b'1' * (4 << 20)))"
BOMBS = {
    "numpy": "import numpy as np\nx = []\nwhile True: x.append(np.ones(2 << 20))",
    "bytes": "x = b'1' * 1000\nwhile True: x += x",
    "objects": "x, i = {}, 0\nwhile True:\n    x[i] = {'n': str(i), 'l': [i]}\n    i += 1",
    "pandas": "import numpy as np, pandas as pd\nx = pd.DataFrame(np.ones((1 << 16, 8)))\nwhile True: x = pd.concat([x, x])",
    "shared mmap": "import mmap\nx = []\nwhile True:\n    x.append(mmap.mmap(-1, 8 << 20))\n    x[-1].write(b'1' * (8 << 20))",
    "/dev/shm": (  # its files are closed and never mapped; when there is no more room, ordinary memory comes on top
        "x, i = b'1' * (8 << 20), 0\ntry:\n    while True:\n        i += 1\n"
        "        with open(f'/dev/shm/bomb-{i}', 'wb') as file: file.write(x)\nexcept OSError as error: print(error)\n" + EAT.replace("\\n", "\n")
    ),
    "memfd": "import os\nfd, x = os.memfd_create('bomb'), b'1' * (1 << 20)\nwhile True: os.write(fd, x)",
    "fork tree": (
        "import os\nchildren = []\nfor _ in range(8):\n    pid = os.fork()\n    if pid == 0:\n        if os.fork() == 0:\n            x = []\n"
        "            try:\n                while True: x.append(bytearray(b'1' * (4 << 20)))\n            finally: os._exit(1)\n"
        "        os.wait()\n        os._exit(1)\n    children.append(pid)\nprint([os.waitpid(pid, 0)[1] for pid in children])"
    ),
    "threads": (
        "import threading\nx = []\ndef eat():\n    while True: x.append(bytearray(b'1' * (4 << 20)))\n"
        "threads = [threading.Thread(target=eat) for _ in range(8)]\nfor t in threads: t.start()\nfor t in threads: t.join()"
    ),
    "subprocess": f"import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', {EAT!r}.replace(chr(92) + 'n', chr(10))]).returncode)",
}


@dataclass(frozen=True)
class Outcome:
    """One bomb: `survived` = its variable was still there and the next cell ran; `peak` is a share of the limit."""

    kind: str
    survived: bool
    peak: float
    seconds: float
    said: str  # the cell's error, or what it printed
    told: tuple[str, ...]  # what the person was told beside it


class Observer:
    """Looks at a tree in a thread of its own; `peak_bytes` counts each page once, and memory files that nothing maps."""

    def __init__(self, root_pid):
        self.root_pid, self.peak_bytes, self._stop = root_pid, 0, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.wait(LOOK_S):
            self.peak_bytes = max(self.peak_bytes, tree_bytes(self.root_pid))


def tree_bytes(root_pid):
    """The tree's proportional sizes, and the sizes of memory files that are written but not mapped."""
    total, seen = 0, set()
    for pid in tree(root_pid):
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                total += next(int(line.split()[1]) for line in file if line.startswith("Pss:")) * 1024
            for number in os.listdir(f"/proc/{pid}/fd"):
                name = os.readlink(f"/proc/{pid}/fd/{number}")
                if name.startswith("/memfd:bomb"):
                    state = os.stat(f"/proc/{pid}/fd/{number}")
                    total += 0 if state.st_ino in seen else state.st_blocks * 512
                    seen.add(state.st_ino)
        except (OSError, StopIteration):
            continue
    return total + own_shm_bytes(root_pid)


def own_shm_bytes(root_pid):
    """What is in the /dev/shm of the tree's last process: it has one of its own, which is not this process's."""
    try:
        folder = f"/proc/{tree(root_pid)[-1]}/root/dev/shm"
        found = os.statvfs(folder)
        return 0 if os.stat(folder).st_dev == os.stat("/dev/shm").st_dev else (found.f_blocks - found.f_bfree) * found.f_frsize
    except OSError:
        return 0


def tree(root_pid):
    parents = defaultdict(list)
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            parents[int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])].append(int(name))
        except OSError:
            continue
    found = [root_pid]
    for pid in found:
        found += parents[pid]
    return found


class Range:
    """A real control and a context; `let_off` starts a kernel, sets a variable, runs the bomb, looks what is left, ends the kernel."""

    def __enter__(self):
        self.root = Path(tempfile.mkdtemp(prefix="gb-", dir="/tmp"))
        (self.root / "guardrails.yaml").write_text(POLICY)
        for name in ("catalog", "ws"):
            (self.root / name).mkdir()
        places = (self.root / "guardrails.yaml", self.root / "catalog", self.root / "state", self.root / "state" / "control.sock")
        self.control = start_own_control(Settings(*places, self_chosen=True))
        self.told = defaultdict(list)
        run_dir = make_run_dir()
        self.context = GovernedContext(self.control.client, self.root / "ws", run_dir, tell=lambda kernel, text: self.told[kernel].append(text))
        return self

    def __exit__(self, *_):
        self.control.stop()
        shutil.rmtree(self.context.run_dir)
        shutil.rmtree(self.root)

    async def let_off(self, kind):
        manager = kernel_manager_class(self.context, ARGV)(kernel_name="python3")
        await manager.start_kernel()
        client = manager.client()
        try:
            client.start_channels()
            await client.wait_for_ready(120)
            await run(client, "kept = 41")
            begin = time.monotonic()
            with Observer(manager.provisioner.pid) as observer:
                said = await run(client, BOMBS[kind])
                seconds = time.monotonic() - begin
                after = await run(client, "print(kept + 1)")
            told = tuple(self.told[manager.kernel_id])
            return Outcome(kind, after == "42\n", observer.peak_bytes / (LIMIT_MIB * MIB), seconds, said.strip(), told)
        finally:
            client.stop_channels()
            await manager.shutdown_kernel(now=True)

    async def many(self, each, kinds=tuple(BOMBS), *, heard=lambda outcome: None):
        outcomes = []
        for _ in range(each):
            for kind in kinds:
                outcomes.append(await self.let_off(kind))
                heard(outcomes[-1])
        return outcomes


async def run(client, code):
    """What a cell printed, its error as `Name: value`; a kernel that is gone or doesn't answer is an answer too."""
    printed = []

    def hear(message):
        content = message["content"]
        printed.append(content.get("text") or (f"{content['ename']}: {content['evalue']}" if message["msg_type"] == "error" else ""))

    try:
        await asyncio.wait_for(client.execute_interactive(code, output_hook=hear, timeout=CELL_S), CELL_S + 5)
    except (TimeoutError, RuntimeError) as error:
        printed.append(f"(no answer: {error or type(error).__name__})")
    return "".join(printed)


def explode(each, kinds=tuple(BOMBS), *, heard=lambda outcome: None):
    """The outcomes of `each` bombs of every kind."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    with Range() as place:
        return asyncio.run(place.many(each, kinds, heard=heard))


def summary(outcomes):
    """By kind: how many, how many sessions survived, middle and highest peak."""
    kinds = defaultdict(list)
    for outcome in outcomes:
        kinds[outcome.kind].append(outcome)
    return {
        kind: {
            "bombs": len(found),
            "survived": sum(one.survived for one in found),
            "peak_median": round(statistics.median(one.peak for one in found), 2),
            "peak_max": round(max(one.peak for one in found), 2),
            "seconds_median": round(statistics.median(one.seconds for one in found), 1),
        }
        for kind, found in kinds.items()
    }
