"""Syslog as a witness: RFC 5424 over UDP (RFC 5426) or TCP with counted frames (RFC 6587); the local daemon's socket in the form that it reads.

Syslog never answers. The local socket and UDP say no more than that the system took a line, TCP that the other side was there: a collector
that must answer is reached by OTLP.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from jupyter_guardrails.records.sinks import WAIT_S, Told

DEV_LOG = Path("/dev/log")
FACILITY = 13  # "log audit" of RFC 5424
NOTICE, WARNING = 5, 4
NAME = "jupyter-guardrails"
MOST_BYTES = 8 << 10  # rsyslogd's, unless its admin says otherwise; others take more
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")  # whatever the language is


def message(told: Told, *, host: str | None = None, pid: int | None = None) -> bytes:
    """One RFC 5424 message; header fields are ours alone, what people typed stands in the JSON, which is ASCII without control characters."""
    priority = FACILITY * 8 + (NOTICE if told.allowed else WARNING)
    where = _header_text(host or socket.gethostname())
    return f"<{priority}>1 {told.time} {where} {NAME} {pid or os.getpid()} {_kind(told)} - {told.text}".encode("ascii")


def local_message(told: Told) -> bytes:
    """As syslog(3) writes it to the local daemon: rsyslogd and journald take the version of an RFC 5424 message there for the program's name."""
    priority = FACILITY * 8 + (NOTICE if told.allowed else WARNING)
    now = time.localtime()
    return f"<{priority}>{MONTHS[now.tm_mon - 1]} {now.tm_mday:2} {time.strftime('%H:%M:%S', now)} {NAME}[{os.getpid()}]: {told.text}".encode("ascii")


def taken_whole(told: Told, written: Callable[[Told], bytes]) -> bytes:
    """The message, of what is too long for a syslog server with number and hash alone: rsyslogd would cut it, and take the rest, which may be
    what somebody typed, for a message of its own."""
    whole = written(told)
    return whole if len(whole) <= MOST_BYTES else written(short(told))


def short(told: Told) -> Told:
    """A record by number and hash alone."""
    text = f'{{"record":{{"hash":"{told.hash}","seq":{told.seq}}}}}'
    return Told(told.seq, told.hash, told.time, told.action, told.allowed, text)


def _kind(told: Told) -> str:
    return "anchor" if told.action == "anchor" else "record"


def _header_text(text: str) -> str:
    return "".join(letter for letter in text if 33 <= ord(letter) <= 126)[:255] or "-"


class SyslogSocket:
    """The machine's own syslog daemon at /dev/log."""

    def __init__(self, *, required: bool, every_record: bool, rule: str, path: Path = DEV_LOG) -> None:
        self.name, self.required, self.every_record, self.rule, self.path = "syslog", required, every_record, rule, path

    def send(self, lines: Sequence[Told]) -> None:
        """Called by the sinks; a datagram each. OSError when nobody listens, or doesn't take it in time."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
            link.settimeout(WAIT_S)
            link.connect(str(self.path))
            for told in lines:
                link.send(taken_whole(told, local_message))

    def close(self) -> None:
        """Nothing is kept open."""


class SyslogUdp:
    """A syslog server that is sent datagrams; whether they arrive nobody knows."""

    def __init__(self, name: str, host: str, port: int, *, required: bool, every_record: bool, rule: str) -> None:
        self.name, self.required, self.every_record, self.rule, self._address = name, required, every_record, rule, (host, port)

    def send(self, lines: Sequence[Told]) -> None:
        """Called by the sinks; OSError when the name can't be found or this host has no way there."""
        family, kind, protocol, _, address = socket.getaddrinfo(*self._address, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as link:
            link.settimeout(WAIT_S)
            link.connect(address)
            for told in lines:
                link.send(taken_whole(told, message))

    def close(self) -> None:
        """Nothing is kept open."""


class SyslogTcp:
    """A syslog server over one connection, made anew when the other side closed it."""

    def __init__(self, name: str, host: str, port: int, *, required: bool, every_record: bool, rule: str) -> None:
        self.name, self.required, self.every_record, self.rule, self._address = name, required, every_record, rule, (host, port)
        self._link: socket.socket | None = None

    def send(self, lines: Sequence[Told]) -> None:
        """Called by the sinks; OSError when the other side is not there. A line may come twice after that, none is left out."""
        frames = b"".join(b"%d %s" % (len(one), one) for one in (taken_whole(told, message) for told in lines))
        try:
            self._connected().sendall(frames)
            self._notice_end()
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """End the connection."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def _connected(self) -> socket.socket:
        if self._link is not None and _is_over(self._link):
            self.close()
        if self._link is None:
            self._link = socket.create_connection(self._address, timeout=WAIT_S)
        return self._link

    def _notice_end(self) -> None:
        if self._link is not None and _is_over(self._link):
            raise ConnectionResetError(errno.ECONNRESET, "the syslog server closed the connection")


def _is_over(link: socket.socket) -> bool:
    """Whether the other side has ended; a syslog server never says anything else."""
    waiting = select.poll()
    waiting.register(link, select.POLLIN)
    return bool(waiting.poll(0)) and link.recv(1, socket.MSG_PEEK) == b""
