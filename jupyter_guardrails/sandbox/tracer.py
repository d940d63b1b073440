"""The starter's side of the tracer: its process, and what it found.

The tracer only records: between its look at a path and the operating system's own, a program may change the path. What must not happen is
held by Landlock and the network namespace, never by this. It has the only copy of the listener: were it gone, each traced call would fail
with ENOSYS, so whoever starts a traced process ends it when the tracer ends before it.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from jupyter_guardrails.sandbox.spec import SandboxSpec

SHIM = str(Path(__file__).with_name("launch.py"))
MAX_MESSAGE_BYTES = 1 << 20
END_S = 5.0
Kind = Literal["read", "write", "connect"]


@dataclass(frozen=True, slots=True)
class Seen:
    """Something that would be refused, or (`SandboxSpec.told`) was opened: a real path, or `host:port`; `stopped` = it was refused; `at` = when
    the call came, as time.monotonic() says it."""

    kind: Kind
    what: str
    stopped: bool = False
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Batch:
    """What was found, each once per traced process; `lost` more were not kept, `unread` calls could not be looked into."""

    items: tuple[Seen, ...]
    lost: int = 0
    unread: int = 0


class Tracer:
    """Started with the sandbox that is to be traced, so that it is ready when the first call comes."""

    def __init__(self, spec: SandboxSpec, env: Mapping[str, str]) -> None:
        self._lists = {"read": spec.read, "write": spec.write, "devices": spec.devices, "shut": spec.shut}
        self._lists |= {"told": spec.told, "beside": spec.beside} if spec.told else {}
        self._ours, childs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with childs:
            command = [sys.executable, "-I", "-S", SHIM, str(childs.fileno()), "launch_tracer"]
            self.process = subprocess.Popen(
                command, env=dict(env), pass_fds=(childs.fileno(),), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
            )

    def attach(self, listener_fd: int) -> None:
        """Hand the listener over; closes it here."""
        memory = os.memfd_create("lists", os.MFD_CLOEXEC)  # thousands of datasets don't fit into a message
        try:
            with os.fdopen(os.dup(memory), "wb") as file:
                file.write(json.dumps(self._lists).encode())
            socket.send_fds(self._ours, [b"trace"], [listener_fd, memory])
        finally:
            os.close(memory)
            os.close(listener_fd)

    def batches(self) -> Iterator[Batch]:
        """What it finds, until the last traced process ended. Blocks: for a thread."""
        while True:
            try:
                message = self._ours.recv(MAX_MESSAGE_BYTES)
            except OSError:
                break
            if not message:
                break
            yield _batch(json.loads(message))
        self._end()

    @property
    def broke(self) -> bool:
        """Whether it ended by anything but the end of what it traced."""
        return self.process.poll() not in (None, 0)

    def close(self) -> None:
        """For a start that failed: it ends without having traced anything."""
        self._end()

    def _end(self) -> None:
        self._ours.close()
        try:
            self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _batch(message: dict[str, object]) -> Batch:
    items = cast("list[tuple[Kind, str, bool, float]]", message["items"])
    return Batch(tuple(Seen(*item) for item in items), cast("int", message["lost"]), cast("int", message["unread"]))
