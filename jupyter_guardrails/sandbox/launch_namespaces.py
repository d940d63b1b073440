"""Namespaces of a process's own: users (so that the rest works without root), network, System V memory, mounts, processes."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Callable
from typing import Literal, NamedTuple, NoReturn

from .launch_libc import unshare
from .launch_mounts import mount

NEWNS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x00020000, 0x08000000, 0x10000000, 0x20000000, 0x40000000
NOT_ASKED = "not asked for"
Root = Literal["try", "yes", "no"] | None
SIOCSIFFLAGS, IFF_UP_RUNNING = 0x8914, 0x41
BACKLOG = 256


def enter(*, network: bool, ipc: bool = True, root: Root = None, known: bool = False) -> dict[str, str]:
    """For each namespace ("user_namespace", "network_namespace", …): "" where entered, else the reason why not.

    Without a user namespace the others still work for a privileged account. `root`: with mounts of one's own, and with processes of one's own
    for children where /proc can be made anew ("try"; a mounter outside of this process's Landlock domain knows it: "yes" or "no").
    `known`: it worked a moment ago, so it is not tried in a child first.
    """
    trial = Trial("", "", "") if known else attempt(mounts=root == "try")
    reasons = {"user_namespace": trial.user_namespace}
    if not reasons["user_namespace"]:
        enter_user_namespace(os.getuid(), os.getgid())
    reasons["network_namespace"] = _attempt(NEWNET) if network else NOT_ASKED
    reasons["ipc_namespace"] = _attempt(NEWIPC) if ipc else NOT_ASKED
    reasons["mount_namespace"] = (trial.mounts or _attempt(NEWNS)) if root else NOT_ASKED
    reasons["process_namespace"] = _processes_of_its_own(root, trial, reasons["mount_namespace"])
    if not reasons["network_namespace"]:
        _loopback_up()
    elif network and reasons["user_namespace"]:
        reasons["network_namespace"] = f"no user namespace: {reasons['user_namespace']}"  # the cause, not the EPERM that follows from it
    return reasons


def _processes_of_its_own(root: Root, trial: Trial, mounts: str) -> str:
    """Never over the machine's /proc: psutil, dask and joblib would answer for the wrong process."""
    if root is None or mounts:
        return NOT_ASKED
    if root == "no" or trial.fresh_proc:
        return f"/proc can't be made anew here: {trial.fresh_proc or 'something is mounted over parts of it'}"
    return _attempt(NEWPID)


def listen_tcp(address: str, port: int) -> socket.socket:
    """A listener on a loopback address in the network namespace that this process is in."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
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
    return attempt().user_namespace


class Trial(NamedTuple):
    """What a child found: "" or why not."""

    user_namespace: str
    mounts: str
    fresh_proc: str


def attempt(*, mounts: bool = False) -> Trial:
    """Enter a user namespace, and with `mounts` mount a directory and a /proc of one's own, all in a child."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        _report_trial(write_end, mounts=mounts)
    os.close(write_end)
    with open(read_end, "rb") as pipe:
        numbers = pipe.read()
    os.waitpid(child, 0)
    return Trial(*map(_words, numbers if len(numbers) == len(Trial._fields) else (errno.EPERM,) * len(Trial._fields)))


def _report_trial(pipe: int, *, mounts: bool) -> NoReturn:
    """One byte an attempt: 0 or its error number."""
    user = _number_of(lambda: enter_user_namespace(os.getuid(), os.getgid()))
    may = mounts and not user
    directory = _number_of(_mount_something) if may else user
    proc = _number_of(_mount_proc) if may and not directory else directory
    os.write(pipe, bytes((user, directory, proc)))
    os._exit(0)


def _mount_something() -> None:
    """EPERM inside of a Landlock domain, whatever else would be allowed."""
    unshare(NEWNS | NEWPID)
    mount("tmpfs", "/tmp")


def _mount_proc() -> None:
    """The kernel refuses a new /proc where parts of the present one are covered, as containers do (mount_too_revealing in fs/namespace.c)."""
    child = os.fork()  # the first process of the new process namespace, whose /proc it would be
    if child == 0:
        os._exit(_number_of(lambda: mount("proc", "/proc")))
    number = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if number:
        raise OSError(number, os.strerror(number))


def _number_of(attempt: Callable[[], None]) -> int:
    try:
        attempt()
    except OSError as error:
        return error.errno or errno.EPERM
    return 0


def _words(number: int) -> str:
    return f"{errno.errorcode.get(number, number)}: {os.strerror(number)}" if number else ""


def enter_user_namespace(uid: int, gid: int) -> None:
    """Leave for a new user namespace in which this account is itself and nobody else."""
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
