"""seccomp: refuses the system calls by which a process could get past Landlock, namespaces or the memory watch.

A filter is a list of instructions of classic BPF. Every rule is "if the call is N: body, else go on", and each body ends in a return, so that
the accumulator still holds the call's number wherever the next rule starts.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from typing import Literal

from .launch_libc import syscall
from .launch_syscalls import ARCHITECTURES, Architecture

Network = Literal["none", "loopback", "host"]
Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant
Body = list[Instruction]

LOAD, AND, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL_PROCESS, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
NUMBER_OFFSET, AUDIT_OFFSET, ARGUMENTS_OFFSET = 0, 4, 16
SYS_SECCOMP = {"x86_64": 317, "aarch64": 277}
SET_MODE_FILTER = 1

NEW_NAMESPACES = 0x7E020080  # every CLONE_NEW*; CLONE_NEWTIME (0x80) is an exit signal that does not exist for clone(2)
MSG_FASTOPEN = 0x20000000  # connects without connect(2), past Landlock's TCP rules
TIOCSTI, TIOCLINUX = 0x5412, 0x541C  # type into the terminal that the person uses
RLIMIT_FSIZE, RLIMIT_DATA = 1, 2  # held from outside: see kernels/quota.py and headroom.py
HELD_FROM_OUTSIDE = (RLIMIT_DATA, RLIMIT_FSIZE)
AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, NETLINK_ROUTE = 1, 2, 10, 16, 0
SOCK_STREAM, SOCK_DGRAM, SOCK_TYPE_MASK, IPPROTO_TCP, IPPROTO_UDP = 1, 2, 0xF, 6, 17
IO_URING = ("io_uring_setup", "io_uring_enter", "io_uring_register")  # does sockets and files without the calls filtered here
REFUSED = (
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "pidfd_getfd", "kcmp", "move_pages", "migrate_pages"),
    *("keyctl", "add_key", "request_key", "bpf", "perf_event_open", "userfaultfd", "memfd_secret"),
    *("mount", "umount2", "pivot_root", "chroot", "setns", "fsopen", "fsconfig", "fsmount", "fspick", "open_tree", "move_mount", "mount_setattr"),
    *("name_to_handle_at", "open_by_handle_at", "fanotify_init", "quotactl", "quotactl_fd"),
    *("kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "reboot", "swapon", "swapoff", "acct", "syslog"),
)
# Answered "done" without doing it: an error aborts libzmq, and affinity is how `cpus` is held.
FAKED = ("sched_setaffinity", "sched_setscheduler", "sched_setparam", "sched_setattr")


class UnknownArchitecture(Exception):
    """A machine whose system call numbers are not known: nothing can be filtered, so nothing may start."""


def architecture(machine: str | None = None) -> Architecture:
    """The table of this (or the named) machine; UnknownArchitecture."""
    name = machine or platform.machine()
    if name not in ARCHITECTURES:
        raise UnknownArchitecture(f"no system call table for {name}: only {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]


def kernel_filter(arch: Architecture, network: Network) -> Body:
    """The whole filter for user code."""
    n = arch.numbers
    rules = [
        _when(n["clone3"], _answer(errno.ENOSYS)),  # its flags are behind a pointer; libc falls back to clone
        _when(n["clone"], _unless_bits(0, NEW_NAMESPACES & ~0xFF)),
        _when(n["unshare"], _unless_bits(0, NEW_NAMESPACES)),
        _when(n["ioctl"], _unless_values(1, (TIOCSTI, TIOCLINUX))),
        _when(n["prlimit64"], _own_limits_but_data()),
        _when(n["setrlimit"], _unless_values(0, HELD_FROM_OUTSIDE)),
        _when(n["setpriority"], _if_values((0, 0), (1, 0))),
        _when(n["ioprio_set"], _if_values((0, 1), (1, 0))),
        *(_when(n[name], _answer(errno.EPERM)) for name in REFUSED),
        *(_when(n[name], _answer(0)) for name in FAKED),
        *_socket_rules(arch, network),
    ]
    return _program(arch, rules)


def server_filter(arch: Architecture, network: Network = "loopback") -> Body:
    """Sockets only: whatever else nested sandboxes need (unshare, prlimit, signals) stays possible."""
    return _program(arch, _socket_rules(arch, network))


def install(instructions: Body) -> int:
    """Put the filter on this thread and its future children; its length. Needs no_new_privs."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", op, jt, jf, k) for op, jt, jf, k in instructions))
    program = struct.pack("HxxxxxxQ", len(instructions), ctypes.addressof(code))
    syscall(SYS_SECCOMP[platform.machine()], SET_MODE_FILTER, 0, program)
    return len(instructions)


def refuse_calls(arch: Architecture, names: dict[str, int]) -> Body:
    """A filter that answers the named calls with the given error number: what a container's profile does (tests, probes)."""
    return _program(arch, [_when(arch.numbers[name], _answer(number)) for name, number in names.items()], strict=False)


def _program(arch: Architecture, rules: list[Body], *, strict: bool = True) -> Body:
    start: Body = [
        (LOAD, 0, 0, AUDIT_OFFSET),
        (EQUAL, 1, 0, arch.audit),
        (RETURN, 0, 0, KILL_PROCESS if strict else ALLOW),
        (LOAD, 0, 0, NUMBER_OFFSET),
    ]
    if arch.x32 and strict:
        start += [(AT_LEAST, 0, 1, 0x40000000), (RETURN, 0, 0, ERRNO | errno.ENOSYS)]
    return [*start, *(instruction for rule in rules for instruction in rule), (RETURN, 0, 0, ALLOW)]


def _when(number: int, body: Body) -> Body:
    assert len(body) < 256, "a jump in classic BPF reaches 255 instructions"
    return [(EQUAL, 0, len(body), number), *body]


def _answer(number: int) -> Body:
    return [(RETURN, 0, 0, ERRNO | number)]


def _low(argument: int) -> Instruction:
    return (LOAD, 0, 0, ARGUMENTS_OFFSET + 8 * argument)


def _high(argument: int) -> Instruction:
    return (LOAD, 0, 0, ARGUMENTS_OFFSET + 8 * argument + 4)


def _unless_bits(argument: int, mask: int) -> Body:
    return [_low(argument), (ANY_BIT, 0, 1, mask), *_answer(errno.EPERM), (RETURN, 0, 0, ALLOW)]


def _unless_values(argument: int, values: tuple[int, ...]) -> Body:
    tests = [step for value in values for step in ((EQUAL, 0, 1, value), *_answer(errno.EPERM))]
    return [_low(argument), *tests, (RETURN, 0, 0, ALLOW)]


def _if_values(*wanted: tuple[int, int]) -> Body:
    tests = [step for argument, value in wanted for step in (_low(argument), (EQUAL, 1, 0, value), *_answer(errno.EPERM))]
    return [*tests, (RETURN, 0, 0, ALLOW)]


def _own_limits_but_data() -> Body:
    """prlimit64(pid, resource, new, old): reading is free; writing only one's own, and never what is held from outside."""
    write = [*_if_values((0, 0))[:-1], *_unless_values(1, HELD_FROM_OUTSIDE)]
    return [_low(2), (EQUAL, 0, 3, 0), _high(2), (EQUAL, 0, 1, 0), (RETURN, 0, 0, ALLOW), *write]


def _socket_rules(arch: Architecture, network: Network) -> list[Body]:
    n = arch.numbers
    fast_open = [] if network == "host" else [("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)]
    return [
        _when(n["socket"], _families(network)),
        _when(n["socketpair"], [_low(0), (EQUAL, 1, 0, AF_UNIX), *_answer(errno.EAFNOSUPPORT), (RETURN, 0, 0, ALLOW)]),
        *(_when(n[name], _unless_bits(flags, MSG_FASTOPEN)) for name, flags in fast_open),
        *(_when(n[name], _answer(errno.EPERM)) for name in IO_URING),
    ]


def _families(network: Network) -> Body:
    """socket(family, type, protocol): unix, netlink's ROUTE, and of inet what `network` has: nothing, plain TCP, or TCP and UDP."""
    refused = _answer(errno.EAFNOSUPPORT)
    body: Body = [_low(0), (EQUAL, 0, 1, AF_UNIX), (RETURN, 0, 0, ALLOW)]
    body += [(EQUAL, 0, 4, AF_NETLINK), _low(2), (EQUAL, 0, 1, NETLINK_ROUTE), (RETURN, 0, 0, ALLOW), *refused]
    if network == "none":
        return body + refused
    body += [(EQUAL, 2, 0, AF_INET), (EQUAL, 1, 0, AF_INET6), *refused]
    body += _of_type(SOCK_STREAM, IPPROTO_TCP)  # MPTCP and SCTP are other protocols, and outside Landlock's TCP rules
    if network == "host":
        body += _of_type(SOCK_DGRAM, IPPROTO_UDP)
    return body + refused


def _of_type(kind: int, protocol: int) -> Body:
    return [
        _low(1),
        (AND, 0, 0, SOCK_TYPE_MASK),
        (EQUAL, 0, 4, kind),
        _low(2),
        (EQUAL, 1, 0, 0),
        (EQUAL, 0, 1, protocol),
        (RETURN, 0, 0, ALLOW),
    ]
