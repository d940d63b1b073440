"""Namespaces of a process's own: users (so that the rest works without root), network, System V memory."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct

from .launch_libc import unshare

NEWIPC, NEWUSER, NEWNET = 0x08000000, 0x10000000, 0x40000000
SIOCSIFFLAGS, IFF_UP_RUNNING = 0x8914, 0x41
BACKLOG = 256


def enter(*, network: bool, ipc: bool = True) -> dict[str, str]:
    """For `user_namespace`, `network_namespace`, `ipc_namespace`: "" where entered, else the reason why not.

    Without a user namespace the others still work for a privileged account.
    """
    reasons = {"user_namespace": why_no_user_namespace()}
    if not reasons["user_namespace"]:
        _enter_user_namespace(os.getuid(), os.getgid())
    reasons["network_namespace"] = _attempt(NEWNET) if network else "not asked for"
    reasons["ipc_namespace"] = _attempt(NEWIPC) if ipc else "not asked for"
    if not reasons["network_namespace"]:
        _loopback_up()
    elif network and reasons["user_namespace"]:
        reasons["network_namespace"] = f"no user namespace: {reasons['user_namespace']}"  # the cause, not the EPERM that follows from it
    return reasons


def listen_tcp(port: int) -> socket.socket:
    """A listener on 127.0.0.1 in the network namespace that this process is in."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(BACKLOG)
    return listener


def listen_abstract(name: str) -> socket.socket:
    """A listener on the abstract unix socket of that name."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind("\0" + name)
    listener.listen(BACKLOG)
    return listener


def why_no_user_namespace() -> str:
    """ "" or why not, tried in a child: where AppArmor lets a process enter but not map, there would be no way back (Ubuntu 24.04)."""
    child = os.fork()
    if child == 0:
        try:
            _enter_user_namespace(os.getuid(), os.getgid())
        except OSError as error:
            os._exit(error.errno or errno.EPERM)
        os._exit(0)
    number = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return f"{errno.errorcode.get(number, number)}: {os.strerror(abs(number))}" if number else ""


def _enter_user_namespace(uid: int, gid: int) -> None:
    unshare(NEWUSER)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        fd = os.open(f"/proc/self/{name}", os.O_WRONLY)  # not open(…, "w"): that asks Landlock for truncation too
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)


def _attempt(flag: int) -> str:
    try:
        unshare(flag)
    except OSError as error:
        return f"{errno.errorcode.get(error.errno or 0, error.errno)}: {error.strerror}"
    return ""


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", IFF_UP_RUNNING))
