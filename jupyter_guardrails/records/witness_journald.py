"""journald as a witness, by its native protocol: fields of their own, so that nothing in a record passes for another entry.

See https://systemd.io/JOURNAL_NATIVE_PROTOCOL/. The journal belongs to another uid, and can be sealed or sent on by its own means.
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Sequence
from pathlib import Path

from jupyter_guardrails.records.sinks import WAIT_S, Told
from jupyter_guardrails.records.witness_syslog import FACILITY, NAME, NOTICE, WARNING

SOCKET = Path("/run/systemd/journal/socket")


def entry(told: Told) -> bytes:
    """One entry; values are given with their length, so that not even a line break could end one."""
    fields = {
        "MESSAGE": told.text,
        "PRIORITY": str(NOTICE if told.allowed else WARNING),
        "SYSLOG_IDENTIFIER": NAME,
        "SYSLOG_FACILITY": str(FACILITY),
        "GUARDRAILS_SEQ": str(told.seq),
        "GUARDRAILS_HASH": told.hash,
        "GUARDRAILS_ACTION": told.action,
    }
    return b"".join(name.encode() + b"\n" + struct.pack("<Q", len(value.encode())) + value.encode() + b"\n" for name, value in fields.items())


class Journald:
    """The machine's journal."""

    def __init__(self, *, required: bool, every_record: bool, rule: str, path: Path = SOCKET) -> None:
        self.name, self.required, self.every_record, self.rule, self.path = "journald", required, every_record, rule, path

    def send(self, lines: Sequence[Told]) -> None:
        """Called by the sinks; OSError when no journal listens, or doesn't take an entry in time."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
            link.settimeout(WAIT_S)
            link.connect(str(self.path))
            for told in lines:
                _send(link, entry(told))

    def close(self) -> None:
        """Nothing is kept open."""


def _send(link: socket.socket, data: bytes) -> None:
    """As a datagram; what is too long for one in a sealed memory file, as the protocol wants it."""
    try:
        link.send(data)
    except OSError as error:
        if error.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
            raise
        _send_in_file(link, data)


def _send_in_file(link: socket.socket, data: bytes) -> None:
    descriptor = os.memfd_create("journal-entry", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.write(descriptor, data)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL)
        link.sendmsg([b""], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))])
    finally:
        os.close(descriptor)
