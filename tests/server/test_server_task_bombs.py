"""Fork bombs and thread bombs in kernels of an ordinary account: so many and no more, on the processors of the profile, and gone with the kernel.

Root's processes are counted by nobody, so the server is another account's also where root runs the tests.
"""

import os
import pwd
import shutil
import subprocess
import sys
import time

import pytest

from jupyter_guardrails.sandbox.meter import ProcessTable

OTHER = "nobody"
TASKS = 80
ABOVE = 3  # two wardens, and one that has ended and was not collected yet
POLICY = f"""\
apiVersion: guardrails/v1
mode: enforce
require: [files, network, processes]
profiles: {{small: {{memory: 1GiB, cpus: 1, tasks: {TASKS}}}}}
rules: [{{name: everyone, for: everyone, kernels: {{profiles: [small], max: 5}}}}]
"""
FORK_BOMB = "import subprocess\nkept = 41\nbomb = subprocess.Popen(['bash', '-c', ':(){ :|:& };:'], stderr=subprocess.DEVNULL)\nprint('lit')"
THREAD_BOMB = (
    "import threading\nstop, threads = threading.Event(), []\ntry:\n    while True:\n        threads.append(threading.Thread(target=stop.wait))\n"
    "        threads[-1].start()\nexcept RuntimeError as error:\n    print(len(threads), error)\nstop.set()"
)


@pytest.fixture(scope="module")
def ordinary(make_server):
    if os.getuid() != 0:
        return make_server(policy=POLICY).wait_ready()
    account = pwd.getpwnam(OTHER)
    command = [sys.executable, "-c", "import jupyter_guardrails.server.app"]
    tried = subprocess.run(command, user=account.pw_uid, group=account.pw_gid, extra_groups=[], cwd="/", capture_output=True, check=False)
    if tried.returncode:
        pytest.skip("Linux counts no processes of root, and no other account can run this interpreter")
    return make_server(policy=POLICY, account=OTHER).wait_ready()


class Tree:
    """Everything below the server: how much it is, again and again."""

    def __init__(self, server):
        self.table, self.root = ProcessTable(), server.process.pid

    def tasks(self):
        return self.table.read().tree(self.root).tasks

    def most(self, seconds):
        until, most = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            most = max(most, self.tasks())
        return most


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_a_fork_bomb_is_contained_and_gone_with_its_kernel(ordinary):
    kernel, tree = ordinary.start_kernel(), Tree(ordinary)
    before = tree.tasks()
    assert kernel.run(FORK_BOMB).strip() == "lit"
    most = tree.most(2.0)
    assert before + 20 < most <= before + TASKS + ABOVE, "a bomb that does not go off tests nothing"
    assert kernel.run("print(kept + 1)").strip() == "42"
    assert "BlockingIOError" in kernel.run("import os\nfor _ in range(200): os.fork() or os._exit(0)")
    other = ordinary.start_kernel()  # another kernel of the same person has its own count
    assert other.run("import subprocess; print(subprocess.run(['true']).returncode)").strip() == "0"
    other.stop()
    assert kernel.stop().status_code == 204
    deadline = time.monotonic() + 10
    while tree.tasks() >= before - 5:  # the kernel itself has threads
        assert time.monotonic() < deadline, "something survived"


@pytest.mark.slow
def test_a_thread_bomb_is_an_error_in_the_cell(ordinary):
    kernel = ordinary.start_kernel()
    count, _, words = kernel.run(THREAD_BOMB).strip().partition(" ")
    assert TASKS // 2 < int(count) < TASKS
    assert words == "can't start new thread"
    few = "threads = [threading.Thread(target=print) for _ in range(20)]\nfor t in threads: t.start()\nfor t in threads: t.join()\nprint('fine')"
    assert kernel.run(few).strip() == "fine"
    kernel.stop()


@pytest.mark.slow
def test_ten_busy_processes_have_one_processor(ordinary):
    kernel = ordinary.start_kernel()
    spin = "import subprocess, sys, os, time\nkids = [subprocess.Popen([sys.executable, '-c', 'while True: pass']) for _ in range(10)]\n"
    spin += "begin = time.monotonic()\ntime.sleep(2)\nticks = [open(f'/proc/{k.pid}/stat').read().split() for k in kids]\n"
    spin += "used = sum(int(t[13]) + int(t[14]) for t in ticks) / os.sysconf('SC_CLK_TCK')\nshare = used / (time.monotonic() - begin)\n"
    spin += "for k in kids: k.kill()\nprint(share)"
    assert 0.1 < float(kernel.run(spin)) < 1.15
    kernel.stop()
