"""Landlock: which files, TCP ports, abstract sockets and signals a process and all its children may use from now on."""

from __future__ import annotations

import os
import stat
import struct
from typing import NamedTuple

from . import launch_all_but
from .launch_libc import syscall

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same numbers on x86-64 and aarch64
CREATE_RULESET_VERSION = 1
RULE_PATH_BENEATH, RULE_NET_PORT = 1, 2
SCOPE_ABSTRACT_UNIX_SOCKET, SCOPE_SIGNAL = 1, 2
NET_BIND, NET_CONNECT = 1, 2

(
    EXECUTE,
    WRITE_FILE,
    READ_FILE,
    READ_DIR,
    REMOVE_DIR,
    REMOVE_FILE,
    MAKE_CHAR,
    MAKE_DIR,
    MAKE_REG,
    MAKE_SOCK,
    MAKE_FIFO,
    MAKE_BLOCK,
    MAKE_SYM,
    REFER,
    TRUNCATE,
    IOCTL_DEV,
) = (1 << bit for bit in range(16))
READ = EXECUTE | READ_FILE | READ_DIR
WRITE = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SOCK | MAKE_FIFO | MAKE_SYM | REFER | TRUNCATE
DEVICE = READ_FILE | WRITE_FILE | READ_DIR | IOCTL_DEV
OVERWRITE = READ | WRITE_FILE  # existing files only: /proc for the id maps of nested sandboxes
OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV  # the kernel refuses the others for a rule on a file


class Domain(NamedTuple):
    """What stays allowed. `tcp_*` None = TCP is not this domain's business; () = no port at all."""

    read: tuple[str, ...] = ()
    names: tuple[str, ...] = ()  # what lies in these directories may be listed, not opened
    write: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    overwrite: tuple[str, ...] = ()
    handles: tuple[int, ...] = ()  # directories by descriptor, for everything that a file can be used for
    tcp_bind: tuple[int, ...] | None = None
    tcp_connect: tuple[int, ...] | None = None
    scopes: int = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL
    all_but: tuple[str, ...] | None = None  # every file but these (real paths); the lists above then only add what lies in them


class Applied(NamedTuple):
    """What of a domain this kernel could take, and which of its paths do not exist."""

    abi: int
    tcp: bool
    scopes: int
    missing_paths: list[str]


def abi() -> int:
    """The kernel's Landlock version; OSError where there is none (ENOSYS: not built or filtered, EOPNOTSUPP: off at boot)."""
    return syscall(CREATE_RULESET, None, 0, CREATE_RULESET_VERSION)


def handled_files(version: int) -> int:
    """All file rights that this version knows: what no rule grants is refused."""
    bits = {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)
    return (1 << bits) - 1


def restrict(domain: Domain) -> Applied:
    """Put this thread and its future children into the domain, for good. Needs no_new_privs."""
    version = abi()
    files = handled_files(version)
    network = _handled_network(domain) if version >= 4 else 0
    scopes = domain.scopes if version >= 6 else 0
    attributes = struct.pack("QQQ", files, network, scopes)[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = syscall(CREATE_RULESET, attributes, len(attributes), 0)
    try:
        missing = _allow_paths(ruleset, domain if domain.all_but is None else _all_but(ruleset, domain, files), files)
        for handle in domain.handles:
            _allow(ruleset, handle, (WRITE | DEVICE) & files)
        if network:
            _allow_ports(ruleset, domain)
        syscall(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return Applied(version, bool(network), scopes, missing)


def _all_but(ruleset: int, domain: Domain, handled: int) -> Domain:
    """Open every file but the shut ones; the domain without the entries that would open those again."""
    shut = domain.all_but or ()
    for fd, everything in launch_all_but.entries(shut):
        _allow(ruleset, fd, handled if everything else READ_DIR)
    return domain._replace(
        read=launch_all_but.beside(domain.read, shut),
        names=launch_all_but.beside(domain.names, shut),
        write=launch_all_but.beside(domain.write, shut),
        devices=launch_all_but.beside(domain.devices, shut),
        overwrite=launch_all_but.beside(domain.overwrite, shut),
    )


def _handled_network(domain: Domain) -> int:
    return (NET_BIND if domain.tcp_bind is not None else 0) | (NET_CONNECT if domain.tcp_connect is not None else 0)


def _allow_paths(ruleset: int, domain: Domain, handled: int) -> list[str]:
    missing = []
    for paths, rights in (
        (domain.read, READ),
        (domain.names, READ_DIR),
        (domain.write, WRITE),
        (domain.devices, DEVICE),
        (domain.overwrite, OVERWRITE),
    ):
        for path in paths:
            try:
                _allow_path(ruleset, path, rights & handled)
            except FileNotFoundError:
                missing.append(path)
            except PermissionError:
                missing.append(path)  # a directory above it is closed to this account, so nothing below could be used either
    return missing


def _allow_path(ruleset: int, path: str, rights: int) -> None:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        _allow(ruleset, fd, rights)
    finally:
        os.close(fd)


def _allow(ruleset: int, fd: int, rights: int) -> None:
    if not stat.S_ISDIR(os.fstat(fd).st_mode):
        rights &= OF_A_FILE
    syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, struct.pack("=Qi", rights, fd), 0)


def _allow_ports(ruleset: int, domain: Domain) -> None:
    for right, ports in ((NET_BIND, domain.tcp_bind), (NET_CONNECT, domain.tcp_connect)):
        for port in ports or ():
            syscall(ADD_RULE, ruleset, RULE_NET_PORT, struct.pack("QQ", right, port), 0)
