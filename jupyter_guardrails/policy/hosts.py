"""Network entries: `host:port`, where a host is a name, a pattern over names, or one address. A name never matches an address."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from functools import lru_cache

from jupyter_guardrails.policy.globs import PatternIndex, check_glob
from jupyter_guardrails.policy.wording import shown

NAME = re.compile(r"[a-z0-9_*]([a-z0-9_*-]*[a-z0-9_*])?(\.[a-z0-9_*]([a-z0-9_*-]*[a-z0-9_*])?)*")
NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
PORT = re.compile("[0-9]{1,5}")
LONGEST_HOST = 253


@dataclass(frozen=True, slots=True)
class NetworkEntry:
    """One line of an allow or deny list; `port` None is any port, `private` the ranges that the name may resolve into."""

    host: str
    port: int | None
    private: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """`host:port` as it is written: `*` for any port, an IPv6 address in brackets."""
        return f"{bracketed(self.host)}:{self.port or '*'}"


def bracketed(host: str) -> str:
    """The host as it stands before a port."""
    return f"[{host}]" if ":" in host else host


def parse_entry(text: str) -> NetworkEntry:
    """`packages.example.com:443` -> NetworkEntry; ValueError, as a sentence, for anything else."""
    host, port = split_port(text)
    return NetworkEntry(check_host(host), None if port == "*" else check_port(port))


def split_port(text: str) -> tuple[str, str]:
    """Host (brackets taken off) and port text of `host:port`; ValueError if there is no port or it is ambiguous."""
    if not text.isascii():
        raise ValueError(f"{shown(text)} is not ASCII: write the host's xn-- form")
    if "/" in text:
        raise ValueError(f"{shown(text)} is no host:port: neither https:// nor a path or a range of addresses belongs here")
    host, separator, port = text.rpartition(":")
    if not separator or not host:
        raise ValueError(f"{shown(text)} has no port: write host:port, or host:* for any port")
    if host.startswith("[") and host.endswith("]") and ":" in host:
        return host[1:-1], port
    if ":" in host:
        raise ValueError(f"{shown(text)} is ambiguous: write an IPv6 address in brackets, [::1]:443")
    return host, port


def check_port(port: object) -> int:
    """1 to 65535; ValueError, as a sentence, for anything else."""
    number = int(port) if isinstance(port, str) and PORT.fullmatch(port) else port
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= 65535:
        raise ValueError(f"the port must be 1 to 65535, or * for any, not {shown(port)}")
    return number


def check_host(host: str) -> str:
    """The host in normal form, patterns allowed; ValueError, as a sentence, if it is none."""
    if host == "*":
        raise ValueError("* alone would only match hosts without a dot, like localhost: write ** for every name")
    return normal_host(host, patterns=True)


@lru_cache(maxsize=4096)
def normal_host(host: str, *, patterns: bool = False) -> str:
    """Lower case, no dot at the end, an address in its one spelling (0x7f.1 is 127.0.0.1); ValueError if it is no host."""
    name = host.lower().removesuffix(".")
    if (found := address(name)) is not None:
        return str(found)
    if ":" in name or NUMERIC_LABEL.fullmatch(name.rpartition(".")[2]):
        raise ValueError(f"{shown(host)} looks like an address but is none")
    if len(name) > LONGEST_HOST or not NAME.fullmatch(name) or ("*" in name and not patterns):
        raise ValueError(f"{shown(host)} is not the name or address of a host")
    return check_glob(name) if patterns else name


def address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a resolver would take this for without asking anybody, IPv4-mapped ones unmapped; else None."""
    if ":" in host and "%" not in host:
        try:
            found = ipaddress.IPv6Address(host)
        except ValueError:
            return None
        return found.ipv4_mapped or found
    if NUMERIC_LABEL.fullmatch(host.rpartition(".")[2]):
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))  # as the C library reads it: octal, hexadecimal, fewer parts
        except OSError:
            return None
    return None


class HostIndex:
    """Entries by host; finds the first in order that covers a `host:port`."""

    def __init__(self, entries: tuple[NetworkEntry, ...], *, deny: bool = False) -> None:
        self._any_port = _index([(n, e) for n, e in enumerate(entries) if e.port is None], deny=deny)
        ports = {entry.port for entry in entries if entry.port is not None}
        self._by_port = {port: _index([(n, e) for n, e in enumerate(entries) if e.port == port], deny=deny) for port in ports}

    def first(self, host: str, port: int) -> int | None:
        """The position of the first entry that covers a host in normal form, else None."""
        is_name = address(host) is None
        any_port, this_port = (_first(index, host, is_name=is_name) for index in (self._any_port, self._by_port.get(port, NOTHING)))
        return any_port if this_port is None or (any_port is not None and any_port < this_port) else this_port


Indices = tuple[PatternIndex[int], dict[str, int]]
NOTHING: Indices = PatternIndex(()), {}


def _index(entries: list[tuple[int, NetworkEntry]], *, deny: bool) -> Indices:
    """Names and addresses apart. Only a deny of `**` covers addresses too: to refuse too much is safe, to refuse too little isn't."""
    addresses: dict[str, int] = {}
    for position, entry in entries:
        if address(entry.host) is not None or (deny and entry.host == "**"):
            addresses.setdefault(entry.host, position)
    names = [(entry.host, position) for position, entry in entries if address(entry.host) is None]
    return PatternIndex(names, ".", from_end=True), addresses


def _first(index: Indices, host: str, *, is_name: bool) -> int | None:
    names, addresses = index
    if is_name:
        return names.first(host)
    return min((addresses[key] for key in (host, "**") if key in addresses), default=None)
