"""What a named path or address means: whether the sandbox, were it enforced, would have refused it."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress
from typing import NamedTuple

MOST = 1000  # different things that one process tree has recorded; more are counted
PROCESSES = 256  # whose sockets are looked through for a listener of one's own
LISTENING = "0A"
FOLDERS = 4096  # known at once: where they lead
NO_NAMES = (b"", b".", b"..")
DNS = 53
COMPILED = b"__pycache__"  # Python writes its compiled modules where it may, and goes on without a word where it may not


class Named(NamedTuple):
    """Something that a system call named: `where` is relative to `base` unless absolute; for an address it is the socket address."""

    kind: str  # read, write, create, entry, address
    base: bytes
    where: bytes


class Judge:
    """Knows the lists of the sandbox that would be. Says each thing once; `beyond` counts those after the first `most`."""

    most = MOST

    def __init__(self, read: list[str], write: list[str], devices: list[str], shut: list[str]) -> None:
        self._write = frozenset(folder(path) for path in (*write, *devices))
        self._read = self._write.union(folder(path) for path in read)
        self._shut = frozenset(os.fsencode(path) for path in shut)
        self._said: set[tuple[str, str]] = set()
        self._threads: dict[int, None] = {}
        self._resolvers = _resolvers()
        self._folders: dict[bytes, bytes] = {}
        self.beyond = 0

    def look(self, named: Named) -> tuple[str, str, bool] | None:
        """("read" | "write" | "connect", path or host:port, whether it was stopped since it is shut); None for what would be allowed, would
        fail anyway, or was said."""
        path = os.path.join(named.base, named.where)
        found = self._address(named.where) if named.kind == "address" else self._path(named.kind, path)
        if found is None or found in self._said:
            return None
        if len(self._said) >= self.most:
            self.beyond += 1
            return None
        self._said.add(found)
        return *found, self._was_stopped(named, path)

    def rest(self) -> None:
        """Nothing waits to be looked at: where folders lead may change until there is."""
        self._folders.clear()

    def forget(self) -> None:
        """Nobody listens any more."""
        self.beyond = 0

    def _path(self, kind: str, raw: bytes) -> tuple[str, str] | None:
        path = self._real(raw, entry=kind == "entry")
        if kind in ("create", "entry"):
            unimportant = within(path, self._write) or COMPILED in path.split(b"/") or not changeable(path, kind)
            return None if unimportant else ("write", printable(path))
        if kind == "write":
            return None if within(path, self._write) or not os.access(path, os.W_OK) else ("write", printable(path))
        return None if within(path, self._read) or not os.access(path, os.R_OK) else ("read", printable(path))

    def _real(self, raw: bytes, *, entry: bool) -> bytes:
        """Where it leads; of a name that is made, removed or moved, where its directory leads."""
        folder, name = os.path.split((raw.rstrip(b"/") or raw) if entry else raw)
        real = self._folders.get(folder)
        if real is None:
            if len(self._folders) >= FOLDERS:
                self._folders.clear()
            real = self._folders[folder] = os.path.realpath(folder)
        path = os.path.join(real, name)
        return path if entry or (name not in NO_NAMES and not os.path.islink(path)) else os.path.realpath(path)

    def _was_stopped(self, named: Named, path: bytes) -> bool:
        """Since it is shut; a directory there can be listed."""
        if named.kind == "address":
            return False
        real = os.path.realpath(path)
        return within(real, self._shut) and not os.path.isdir(real)

    def is_own(self, thread: int, address: bytes) -> bool:
        """Whether it is a loopback address on which a process that connected before, or this one, itself listens (a debugger, a dask cluster)."""
        self._threads[thread] = None
        if len(self._threads) > PROCESSES:
            self._threads.pop(next(iter(self._threads)))
        place = _host_and_port(address)
        return place is not None and _is_loopback(place[0]) and any(_listens(one, place[1]) for one in self._threads)

    def _address(self, address: bytes) -> tuple[str, str] | None:
        """getaddrinfo compares addresses by connecting to port 0; and behind the proxy no kernel needs a resolver."""
        place = _host_and_port(address)
        if place is None or place[1] == 0 or (place[1] == DNS and place[0] in self._resolvers):
            return None
        host, port = place
        return "connect", f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def folder(path: str) -> bytes:
    return os.path.realpath(os.fsencode(path))


def within(path: bytes, folders: frozenset[bytes]) -> bool:
    """Whether it, or a folder above it, is one of them: thousands of datasets cost no more than one."""
    while path not in folders:
        above = os.path.dirname(path)
        if above == path:
            return False
        path = above
    return True


def changeable(path: bytes, kind: str) -> bool:
    """Whether the account itself could: an existing file that it may write, else an entry in a directory that it may change."""
    if kind == "create" and os.path.lexists(path):
        return os.access(path, os.W_OK)
    return os.access(os.path.dirname(path), os.W_OK)


def printable(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")


def _host_and_port(address: bytes) -> tuple[str, int] | None:
    """Of an IPv4 or IPv6 socket address; None for any other family."""
    if len(address) < 8:
        return None
    family, port = struct.unpack_from("=H", address)[0], struct.unpack_from("!H", address, 2)[0]
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, address[4:8]), port
    if family == socket.AF_INET6 and len(address) >= 24:
        return socket.inet_ntop(socket.AF_INET6, address[8:24]).removeprefix("::ffff:"), port
    return None


def _is_loopback(host: str) -> bool:
    return host.startswith("127.") or host in ("::1", "0.0.0.0", "::")


def _listens(thread: int, port: int) -> bool:
    """Whether the thread's process listens there."""
    with suppress(OSError):
        inodes = {inode for name in ("tcp", "tcp6") for inode in _listeners(f"/proc/{thread}/net/{name}", port)}
        return bool(inodes) and any(_link(f"/proc/{thread}/fd/{fd}") in inodes for fd in os.listdir(f"/proc/{thread}/fd"))
    return False


def _listeners(table: str, port: int) -> set[str]:
    with open(table) as lines:
        rows = [line.split() for line in lines][1:]
    return {f"socket:[{row[9]}]" for row in rows if row[3] == LISTENING and int(row[1].rpartition(":")[2], 16) == port}


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _resolvers() -> frozenset[str]:
    with suppress(OSError), open("/etc/resolv.conf") as lines:
        return frozenset(words[1] for words in map(str.split, lines) if len(words) > 1 and words[0] == "nameserver")
    return frozenset()
