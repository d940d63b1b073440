"""Descriptors that outlive this process: whoever started it (systemd, or supervisor.py) keeps them, by systemd's own protocol.

sd_notify(3): `FDSTORE=1`, `FDNAME=`, `FDSTOREREMOVE=1` over $NOTIFY_SOCKET; sd_listen_fds(3): $LISTEN_PID, $LISTEN_FDS, $LISTEN_FDNAMES at the start.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import struct
from collections.abc import Iterator, MutableMapping, Sequence

log = logging.getLogger("jupyter_guardrails.control")
LISTENER = "control"  # the name under which control keeps the socket that it listens on
FIRST = 3  # SD_LISTEN_FDS_START
SEND_S = 2.0  # whoever keeps the store takes a message at once, or is no help
Kept = dict[str, list[int]]


class DescriptorStore:
    """What came from the process before, and what is put aside for the next one. Without a keeper (`address` None) nothing is kept.

    A keeper that has gone takes everything with it: then there is nothing to remove.
    """

    def __init__(self, address: str | None = None, came: Kept | None = None) -> None:
        self._address = address
        self._came = came or {}
        self._kept = set(self._came)

    @property
    def is_kept(self) -> bool:
        """Whether anybody keeps what is put here."""
        return self._address is not None

    def take(self, name: str) -> list[int]:
        """The descriptors of that name that came, once; the caller's from now on."""
        return self._came.pop(name, [])

    def came(self, prefix: str) -> Iterator[tuple[str, list[int]]]:
        """(rest of the name, descriptors) of what came under a prefix, once; the caller's from now on."""
        for name in [name for name in self._came if name.startswith(prefix)]:
            yield name.removeprefix(prefix), self.take(name)

    def put(self, name: str, fds: Sequence[int]) -> None:
        """Have copies kept under a name, which several may share; may block for `SEND_S`. Logged when it fails: then the next process lacks them."""
        for fd in fds:
            # systemd would drop what has hung up by itself; we say when something is over
            if self._tell(f"FDSTORE=1\nFDNAME={name}\nFDPOLL=0", (fd,)):
                self._kept.add(name)

    def remove(self, name: str) -> None:
        """Have everything under that name closed."""
        if name in self._kept:
            self._kept.discard(name)
            self._tell(f"FDSTOREREMOVE=1\nFDNAME={name}")

    def remove_all(self, prefix: str) -> None:
        """The same for every name that begins so."""
        for name in [name for name in self._kept if name.startswith(prefix)]:
            self.remove(name)

    def drop_rest(self) -> list[str]:
        """Close what came and nobody took, here and in the store; the names."""
        left = list(self._came)
        for name in left:
            for fd in self._came.pop(name):
                os.close(fd)
            self.remove(name)
        return left

    def say(self, state: str) -> None:
        """`READY=1`, `STOPPING=1`, `STATUS=…`."""
        self._tell(state)

    def _tell(self, text: str, fds: Sequence[int] = ()) -> bool:
        if self._address is None:
            return False
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack(f"{len(fds)}i", *fds))] if fds else []
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
                connection.settimeout(SEND_S)
                connection.sendmsg([text.encode()], rights, 0, self._address)
        except OSError as error:
            said = text.replace("\n", " ")
            log.log(logging.ERROR if fds else logging.DEBUG, "whoever keeps what must outlive control did not hear %r: %s", said, error)
            return False
        return True


def from_environment(environ: MutableMapping[str, str]) -> DescriptorStore:
    """The store of this process; the variables are taken out, so that no child takes them for its own."""
    said = {name: environ.pop(name, "") for name in ("NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")}
    address = said["NOTIFY_SOCKET"]
    ours = said["LISTEN_PID"] == str(os.getpid()) and said["LISTEN_FDS"].isdigit()
    return DescriptorStore(_abstract(address) if address else None, _came(int(said["LISTEN_FDS"]), said["LISTEN_FDNAMES"]) if ours else None)


def _came(count: int, names: str) -> Kept:
    found: Kept = {}
    given = names.split(":") if names else []
    for number in range(count):
        with contextlib.suppress(OSError):  # said to be there and not there: nothing that could be used
            os.set_inheritable(FIRST + number, False)
            found.setdefault(given[number] if number < len(given) else "unknown", []).append(FIRST + number)
    return found


def _abstract(address: str) -> str:
    return "\0" + address[1:] if address.startswith("@") else address
