"""A real systemd with a journal of its own, on a copy-on-write view of this machine: units, accounts and /etc of a test, and nothing of them stays.

It lives in namespaces (processes, mounts, names, control groups); the whole of it ends with its first process. Needs root.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

SYSTEMD = Path("/lib/systemd/systemd")
CHECKOUT = Path(__file__).parents[2]
PATIENCE_S = 60.0
TARGET = """[Unit]
Description=Nothing but what a test starts
Requires=systemd-journald.service
After=systemd-journald.service
AllowIsolate=yes
"""
# $1: a folder for the layers; the rest: folders that are on filesystems of their own, perhaps, and must be there all the same
SET_UP = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/changes" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/changes,workdir=$1/work" "$1/root"
root="$1/root"
shift
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
for folder in "$@"; do mkdir -p "$root$folder"; mount --rbind -o ro "$folder" "$root$folder"; done
umount --recursive "$root/sys/fs/cgroup" || true
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
printf '%s' "$TARGET" > "$root/etc/systemd/system/only-this.target"
cd "$root"
mkdir -p before
pivot_root . before
umount --lazy /before
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=other /lib/systemd/systemd --system --unit=only-this.target --show-status=no
"""


class Machine:
    """A running systemd; commands run beside it, inside."""

    def __init__(self, init_pid: int) -> None:
        self.init_pid = init_pid

    def run(self, *command: str, account: str | None = None, check: bool = True, **more: object) -> subprocess.CompletedProcess[str]:
        """A command inside, as root or an account; its output as text."""
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": f"/home/{account}" if account else "/root"}
        said = {"text": True, "capture_output": True, "timeout": PATIENCE_S, "env": environment} | more
        ended = subprocess.run(self.command(account, *command), **said)
        if check and ended.returncode != 0:
            raise AssertionError(f"{command}: exit code {ended.returncode}\n{ended.stdout}\n{ended.stderr}")
        return ended

    def command(self, account: str | None, *command: str) -> list[str]:
        """A command line for this side that runs inside, as root or an account."""
        become = ["setpriv", f"--reuid={account}", f"--regid={account}", "--init-groups"] if account else []
        return [*self._inside(), *become, *command]

    def write(self, path: str, text: str, *, mode: int = 0o644) -> None:
        """A file inside, with the folders above it."""
        self.run("sh", "-c", 'mkdir -p "$(dirname "$1")" && cat > "$1" && chmod "$2" "$1"', "-", path, f"{mode:o}", input=text)

    def journal(self, unit: str) -> str:
        """What a unit has said so far."""
        return self.run("journalctl", "--no-pager", "--output=cat", "--unit", unit).stdout

    def property(self, unit: str, name: str) -> str:
        """A property of a unit, as `systemctl show` says it."""
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).stdout.strip()

    def _inside(self) -> list[str]:
        return ["nsenter", f"--target={self.init_pid}", "--mount", "--pid", "--ipc", "--uts", "--cgroup"]


# What `SET_UP` needs of a host: containers with root often lack it.
TRY = """
set -e
mount -t tmpfs t /mnt
mkdir /mnt/u /mnt/w /mnt/r
mount -t overlay o -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/r
mount -t cgroup2 c /mnt/u
"""


def reason_against() -> str:
    """Why there can be none on this machine; empty when there can."""
    if os.getuid() != 0:
        return "needs root: a systemd of the test's own"
    if not SYSTEMD.exists():
        return "systemd is not on this machine"
    tried = subprocess.run(["unshare", "--fork", "--pid", "--mount", "--cgroup", "sh", "-c", TRY], capture_output=True, text=True, check=False)
    return f"this host lets no systemd of the test's own start: {tried.stderr}" if tried.returncode else ""


@contextlib.contextmanager
def booted() -> Iterator[Machine]:
    """A machine whose systemd answers; all of it ends with this block."""
    if reason := reason_against():
        pytest.skip(reason)
    layers = tempfile.mkdtemp(prefix="gr-sd-", dir="/tmp")
    apart = dict.fromkeys(str(place) for place in (CHECKOUT, Path(sys.prefix), Path(sys.base_prefix)) if os.stat(place).st_dev != os.stat("/").st_dev)
    command = ["unshare", "--fork", "--pid", "--mount", "--uts", "--ipc", "--cgroup", "--kill-child", "bash", "-c", SET_UP, "-", layers, *apart]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, env={"PATH": os.environ["PATH"], "TARGET": TARGET}, stdout=said, stderr=said, stdin=subprocess.DEVNULL)
        try:
            yield _answering(process, said)
        finally:
            process.kill()
            process.wait()
            shutil.rmtree(layers, ignore_errors=True)


def _answering(process: subprocess.Popen[bytes], said: object) -> Machine:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if children and Path(f"/proc/{children[0]}/comm").read_text().strip() == "systemd":
            machine = Machine(int(children[0]))
            if machine.run("systemctl", "is-active", "only-this.target", check=False).stdout.strip() == "active":
                return machine
        time.sleep(0.05)
    said.seek(0)
    raise AssertionError(f"systemd did not start here:\n{said.read()}")
