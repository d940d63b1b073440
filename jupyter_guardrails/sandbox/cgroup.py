"""Control groups (version 2), where they were delegated to us: limits of the system's own above what headroom holds, for memory, tasks, processors.

Whether a group is ours is found by trying. Root could write any group; it takes one only where systemd says that it was delegated (the extended
attribute `user.delegate`, systemd 251 and newer) or in a container, never the machine's own root group.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from jupyter_guardrails.sandbox import meter
from jupyter_guardrails.sandbox.headroom import END_AT, LARGEST_RESERVE
from jupyter_guardrails.sandbox.spec import Limits

CONTROLLERS = ("memory", "pids", "cpu")
PERIOD_US = 100_000
WARDENS = 2
REST = "guardrails-rest"  # a group with limits for its children may hold no processes itself
DELEGATED = "user.delegate"
ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Delegation:
    """A group in which we may make others. `why_not` is why there is none; without controllers it would hold nothing."""

    root: Path = Path()
    controllers: tuple[str, ...] = ()
    why_not: str = ""

    def in_words(self) -> str:
        """For a guarantee's text: what holds, or why not and what would."""
        if self.why_not:
            return f"no control group stands behind it ({self.why_not}); with one (systemd: Delegate=yes) the system itself would hold the sum too"
        return f"a control group of the system's own stands behind it ({', '.join(self.controllers)})"


class KernelGroup:
    """The group of one tree; `close` removes it once it is empty."""

    def __init__(self, folder: Path, controllers: Sequence[str]) -> None:
        self.folder = folder
        self._controllers = tuple(controllers)

    def set(self, limits: Limits) -> None:
        """New limits, also for what runs already."""
        for name, value in limit_files(limits).items():
            if name.partition(".")[0] in self._controllers:
                (self.folder / name).write_text(value)

    def take(self, root_pid: int) -> None:
        """Move the whole tree in. Whoever is forked meanwhile by somebody who is in already is in; the others are found the next time round."""
        moved: set[int] = set()
        while fresh := [pid for pid in meter.sample(root_pid).pids if pid not in moved]:
            for pid in fresh:
                with suppress(ProcessLookupError):
                    (self.folder / "cgroup.procs").write_text(str(pid))
            moved |= set(fresh)

    def close(self) -> None:
        """Remove it; while something still runs in it, it stays, with its limits, until `sweep`."""
        with suppress(OSError):
            self.folder.rmdir()


def find(*, mount: Callable[[], Path | None] | None = None) -> Delegation:
    """The group that this process is in, if others may be made in it; nothing is changed."""
    root = (mount or _own_group)()
    if root is None:
        return Delegation(why_not="control groups version 2 are not mounted here")
    if not (root / "cgroup.events").exists():
        return Delegation(why_not="this process is in the machine's root group")
    if not all(os.access(root / name, os.W_OK) for name in (".", "cgroup.procs", "cgroup.subtree_control")):
        return Delegation(why_not="the group of this process is not this account's to write")
    if os.getuid() == 0 and not _is_ours(root):
        return Delegation(why_not="the group of this process was not delegated")
    offered = (root / "cgroup.controllers").read_text().split()
    found = tuple(name for name in CONTROLLERS if name in offered)
    if not found:
        return Delegation(why_not=f"its group offers none of {', '.join(CONTROLLERS)}")
    return Delegation(root, found) if _can_make(root) else Delegation(why_not="no group can be made in the group of this process")


def hold(delegation: Delegation, name: str, root_pid: int, limits: Limits) -> KernelGroup:
    """The tree of `root_pid` in a group of its own under the limits; OSError where the system refuses."""
    _enable(delegation)
    folder = delegation.root / f"guardrails-{name}"
    folder.mkdir(exist_ok=True)
    group = KernelGroup(folder, delegation.controllers)
    group.set(limits)
    group.take(root_pid)
    return group


def sweep(delegation: Delegation) -> None:
    """Remove groups of ours that have become empty."""
    for folder in delegation.root.glob("guardrails-*"):
        with suppress(OSError):  # those that are in use
            folder.rmdir()


def limit_files(limits: Limits) -> dict[str, str]:
    """What is written: memory above the ladder (which keeps the session), tasks and processors as they are."""
    files = {}
    if limits.memory_bytes is not None:
        files["memory.max"] = str(int(END_AT * limits.memory_bytes) + LARGEST_RESERVE)
    if limits.tasks is not None:
        files["pids.max"] = str(limits.tasks + WARDENS)
    if limits.cpus is not None:
        files["cpu.max"] = f"{int(limits.cpus * PERIOD_US)} {PERIOD_US}"
    return files


def _own_group() -> Path | None:
    """The folder of this process's group in the mounted hierarchy."""
    with suppress(OSError, StopIteration, IndexError):
        path = next(line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::"))
        for fields in map(str.split, Path("/proc/self/mountinfo").read_text().splitlines()):
            if fields[fields.index("-") + 1] == "cgroup2":
                return Path(fields[4]) / os.path.relpath(path, fields[3]) if path.startswith(fields[3]) else None
    return None


def _is_ours(root: Path) -> bool:
    """systemd's mark; or a container, where the group's namespace begins here."""
    with suppress(OSError):
        return os.getxattr(root, DELEGATED) == b"1"
    return Path("/proc/self/cgroup").read_text().splitlines()[-1] == "0::/"


def _can_make(root: Path) -> bool:
    tried = root / f"guardrails-try-{os.getpid()}"
    try:
        tried.mkdir()
        tried.rmdir()
    except OSError:
        return False
    return True


def _enable(delegation: Delegation) -> None:
    """Let children have limits. The processes of the group itself go to a child first: the system asks for that, and some may fork meanwhile."""
    control = delegation.root / "cgroup.subtree_control"
    if set(delegation.controllers) <= set(control.read_text().split()):
        return
    rest = delegation.root / REST
    rest.mkdir(exist_ok=True)
    for last in (False,) * ATTEMPTS + (True,):
        for pid in (delegation.root / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):
                (rest / "cgroup.procs").write_text(pid)
        try:
            control.write_text(" ".join(f"+{name}" for name in delegation.controllers))
            return
        except OSError as error:
            if last or error.errno != errno.EBUSY:
                raise
