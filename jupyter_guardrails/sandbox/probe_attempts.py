"""Attempts on what is promised, each with a twin that must work. The text of this file is run inside a sandbox and, for comparison, outside.

Standard library only and nothing of ours: it runs with `-I -S` where this package need not be readable. A trial is the attempt first; its
twin does nearly the same within what is allowed, so that a broken trial can't look like a held promise.
"""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable

MPTCP, FAST_OPEN, PTRACE_SEIZE = 262, 0x20000000, 0x4206
MANY, FEW = 80, 3  # processes: more than the sandbox of the trials may have, and fewer
ALLOWANCE_WAIT_S = 10.0


def run_program(path: str) -> None:
    """Execute a file in a child; OSError as execve gave it."""
    child = os.fork()
    if child == 0:
        try:
            os.execv(path, ["true"])
        except OSError as error:
            os._exit(error.errno or 1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise OSError(code, os.strerror(abs(code)))


def connect(port: int, protocol: int = 0) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol) as client:
        client.settimeout(2)
        client.connect(("127.0.0.1", port))


def fast_open(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:  # without a time limit: else it answers EINPROGRESS
        client.sendto(b"x", FAST_OPEN, ("127.0.0.1", port))


def send_datagram(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", ("127.0.0.1", port))


def own_tcp() -> None:
    """Its own loopback; where no internet socket is allowed at all, a pair of unix sockets."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            connect(listener.getsockname()[1])
    except OSError as error:
        if error.errno != errno.EAFNOSUPPORT:
            raise
        own_pair(socket.SOCK_STREAM)


def own_pair(kind: int) -> None:
    one, other = socket.socketpair(socket.AF_UNIX, kind)
    with one, other:
        one.send(b"x")


def connect_unix(address: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(address)


def own_unix(address: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(address)
        listener.listen(1)
        connect_unix(address)


def signal_child() -> None:
    child = os.fork()
    if child == 0:
        signal.pause()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def debug(pid: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    libc.ptrace.restype = ctypes.c_long
    if libc.ptrace(PTRACE_SEIZE, pid, None, None) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def fork_many(count: int) -> None:
    children = []
    try:
        for _ in range(count):
            child = os.fork()
            if child == 0:
                signal.pause()
            children.append(child)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def take_memory(size_bytes: int, *, too_much: bool) -> None:
    """ENOMEM instead of a MemoryError, or of the interrupt that comes first on a busy machine where it is too much.

    The limit is set from outside within a second: wait for it, where there will be one. An interrupt is noted from now on and ends nothing: one
    that comes late meets what is tried next.
    """
    interrupts: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
    deadline = time.monotonic() + ALLOWANCE_WAIT_S
    while CONFIG["inside"] and resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        bytearray(size_bytes)
    except MemoryError as error:
        raise OSError(errno.ENOMEM, "MemoryError") from error
    if too_much and interrupts:
        raise OSError(errno.ENOMEM, "interrupted")


def leave_a_daemon() -> int:
    """The pid of a process that left its session, its parent and its output; it holds a lock in the workspace as long as it lives."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        daemon = os.fork()
        if daemon:
            os.write(writer, str(daemon).encode())
            os._exit(0)
        lock = os.open(os.path.join(CONFIG["workspace"], "daemon-lock"), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.dup2(lock, 0)
        os.write(writer, b"\n")
        os.closerange(1, 256)
        time.sleep(300)
        os._exit(0)
    os.wait()
    said = b""
    while b"\n" not in said:
        said += os.read(reader, 32)
    return int(said.replace(b"\n", b""))


def trials() -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """name -> (attempt, twin). The names are those of `probe_trials.TRIALS`."""
    outside, inside = CONFIG["outside"], CONFIG["workspace"]
    port, outsider, limit = CONFIG["port"], CONFIG["outsider"], CONFIG["memory_bytes"]
    return {
        "read": (lambda: open(outside + "/secret").close(), lambda: open(inside + "/own").close()),
        "write": (lambda: open(outside + "/new", "w").close(), lambda: open(inside + "/new", "w").close()),
        "truncate": (lambda: os.truncate(outside + "/secret", 1), lambda: os.truncate(inside + "/own", 1)),
        "execute": (lambda: run_program(outside + "/program"), lambda: run_program(inside + "/program")),
        "tcp": (lambda: connect(port), own_tcp),
        "mptcp": (lambda: connect(port, MPTCP), own_tcp),
        "fast_open": (lambda: fast_open(port), own_tcp),
        "udp": (lambda: send_datagram(port), lambda: own_pair(socket.SOCK_DGRAM)),
        "signal": (lambda: os.kill(outsider, 0), signal_child),
        "ptrace": (lambda: debug(outsider), signal_child),
        "mem": (lambda: open(f"/proc/{outsider}/mem", "rb").close(), lambda: open("/proc/self/mem", "rb").close()),
        "count": (lambda: fork_many(MANY), lambda: fork_many(FEW)),
        "abstract": (lambda: connect_unix("\0" + CONFIG["abstract"]), lambda: own_unix("\0" + CONFIG["abstract"] + "-own")),
        "pathname": (lambda: connect_unix(outside + "/socket"), lambda: own_unix(inside + "/own-socket")),
        "memory": (lambda: take_memory(2 * limit, too_much=True), lambda: take_memory(limit // 16, too_much=False)),
    }


def outcome(attempt: Callable[[], object]) -> str:
    """ "done", or the name of the error that stopped it."""
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "done"


if __name__ == "__main__":
    CONFIG = json.loads(sys.argv[1])
    seen = {name: (outcome(attempt), outcome(twin)) for name, (attempt, twin) in trials().items()}
    with contextlib.suppress(OSError):
        seen["daemon"] = (str(leave_a_daemon()), "done")
    print(json.dumps(seen))
