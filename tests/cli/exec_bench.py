"""What tests of `jupyter guardrails exec` share: a policy with small limits and the command, alone or in a shell on a terminal."""

import os
import pty
import select
import shlex
import signal
import subprocess
import sys

PATIENCE_S = 30.0
POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
profiles: {small: {memory: 200MiB, cpus: 1, tasks: 40, shm: 64MiB}}
rules: [{name: everyone, for: everyone, kernels: {profiles: [small], default: small}, workspace: {size: 20MiB}}]
"""
EXEC = [sys.executable, "-m", "jupyter_guardrails", "exec", "--"]


class Bench:
    """A policy, a catalogue, records and a workspace of their own below `root`."""

    def __init__(self, root):
        self.work = root / "work"
        (root / "guardrails.yaml").write_text(POLICY)
        for folder in (self.work, root / "catalog", root / "state", root / "home"):
            folder.mkdir()
        names = {"GUARDRAILS_POLICY": "guardrails.yaml", "GUARDRAILS_CATALOG": "catalog", "GUARDRAILS_STATE_DIR": "state", "HOME": "home"}
        self.environment = os.environ | {name: str(root / path) for name, path in names.items()}

    def run(self, *command, account=None):
        """A command to its end, as another account where one is named."""
        become = {"user": account, "group": "nogroup", "extra_groups": []} if account else {}
        return subprocess.run(
            [*EXEC, *command], env=self.environment, cwd=self.work, capture_output=True, text=True, timeout=PATIENCE_S, check=False, **become
        )


class Shell:
    """An interactive shell on a terminal of its own, as a person has one. `$G` is the command under test."""

    def __init__(self, bench):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell hands on that it is ignored, as it is in what runs in the background
            os.chdir(bench.work)
            variables = bench.environment | {"PS1": "", "TERM": "dumb", "G": shlex.join(EXEC)}
            os.execvpe("/bin/bash", ["bash", "--norc", "--noprofile", "-i"], variables)
        self.seen = ""

    def type(self, text):
        os.write(self.terminal, text.encode())

    def line(self, text):
        self.type(text + "\r")

    def until(self, mark):
        """What was shown up to a mark, which the shell has to compute, so that the echo of its command doesn't count."""
        while mark not in self.seen:
            ready = select.poll()  # select(2) knows no descriptor above 1,023
            ready.register(self.terminal, select.POLLIN)
            assert ready.poll(PATIENCE_S * 1000), f"no {mark!r} in {self.seen!r}"
            self.seen += os.read(self.terminal, 4096).decode(errors="replace")
        shown, _, self.seen = self.seen.partition(mark)
        return shown

    def close(self):
        os.close(self.terminal)  # hangs up: everything on it ends
        os.waitpid(self.pid, 0)
