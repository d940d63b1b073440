"""What a process is allowed to do, as one plain value; and what the operating system then really holds."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

GUARANTEES = ("files", "network", "processes", "memory", "sockets")


@dataclass(frozen=True, slots=True)
class Limits:
    """Numbers for one sandbox; None = no limit of ours. Memory is held from outside (see headroom), not by an rlimit here."""

    memory_bytes: int | None = None
    cpus: float | None = None
    tasks: int | None = None
    open_files: int = 4096
    file_size_bytes: int | None = None
    shm_bytes: int | None = None  # of /dev/shm, held where the process has a root of its own
    lifetime_s: int | None = None


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """One process to start and everything that it may reach. Paths are absolute; a directory rules its tree."""

    argv: tuple[str, ...]
    env: dict[str, str]  # the whole environment of the process
    cwd: str
    read: tuple[str, ...] = ()  # readable and executable
    write: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    network: Literal["none", "host"] = "none"
    proxy_port: int | None = None  # listen here on 127.0.0.1 inside the network namespace, hand the listener over
    forwards: tuple[tuple[str, int], ...] = ()  # (address, port): further listeners there, handed over after the proxy's
    channel: str | None = None  # abstract unix socket name (no leading NUL) to listen on, handed over as well
    limits: Limits = field(default_factory=Limits)
    require: tuple[str, ...] = ()  # guarantees without which it must not start
    tty: bool = False
    root: Literal["own", "shared"] = "own"  # shared: Landlock alone keeps the rest of the file system away
    temporary: str | None = None  # the directory that an own root shows as /tmp
    covers: tuple[tuple[str, str], ...] = ()  # (file, the file in whose place an own root shows it)
    observed: bool = False  # no file is refused but what lies in `shut`; the lists above say what would be
    shut: tuple[str, ...] = ()  # real paths
    trace: bool = False  # record what is named in system calls: see tracer.py
    told: tuple[str, ...] = ()  # with `trace`: every file opened in here, or outside of `beside`, instead of what would be refused
    beside: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The form in which the shim gets it."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Guarantee:
    """Whether one guarantee holds, by what means, and what would change that."""

    name: str
    held: bool
    how: str
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What holds around a started process, as the shim reported it before it became that process."""

    pid: int
    guarantees: tuple[Guarantee, ...]
    layers: dict[str, Any]
    missing_paths: tuple[str, ...] = ()

    def held(self) -> tuple[str, ...]:
        """Names of the guarantees that hold."""
        return tuple(g.name for g in self.guarantees if g.held)

    def to_json(self) -> dict[str, Any]:
        """A plain dict for records and the panel."""
        return asdict(self)
