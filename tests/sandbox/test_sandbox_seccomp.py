"""The system call filter: its numbers against the kernel's headers, its logic for both architectures on a small model of the machine."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest

from jupyter_guardrails.sandbox import launch_seccomp as seccomp
from jupyter_guardrails.sandbox.launch_syscalls import ARCHITECTURES, DIFFERENT

HEADERS = {"x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "aarch64": "/usr/include/asm-generic/unistd.h"}
ALLOWED = "allowed"


@pytest.mark.parametrize("machine", HEADERS)
def test_numbers_are_those_of_the_headers(machine):
    header = Path(HEADERS[machine])
    if not header.exists():
        pytest.skip(f"{header} is not here (linux-libc-dev)")
    known = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)\b", header.read_text())}
    ours = ARCHITECTURES[machine].numbers
    assert len(set(ours.values())) == len(ours)
    for name, number in ours.items():
        assert known.get(name, number) == number, name
    assert set(DIFFERENT) <= set(known)


def run(program, number, *arguments, audit):
    """What the filter answers: "allowed", "killed" or the name of an error ("0" = faked)."""
    words = {0: number, 4: audit} | {
        16 + 4 * i: (arguments[i // 2] >> (32 * (i % 2))) & 0xFFFFFFFF if i // 2 < len(arguments) else 0 for i in range(12)
    }
    at, accumulator = 0, 0
    while True:
        code, jump_true, jump_false, constant = program[at]
        at += 1
        if code == seccomp.LOAD:
            accumulator = words[constant]
        elif code == seccomp.AND:
            accumulator &= constant
        elif code == seccomp.RETURN:
            kinds = {seccomp.ALLOW: ALLOWED, seccomp.KILL_PROCESS: "killed"}
            return kinds.get(constant) or errno.errorcode.get(constant & 0xFFFF, str(constant & 0xFFFF))
        else:
            test = {seccomp.EQUAL: accumulator == constant, seccomp.AT_LEAST: accumulator >= constant, seccomp.ANY_BIT: bool(accumulator & constant)}[
                code
            ]
            at += jump_true if test else jump_false


CASES = [
    ("socket", (1, 1, 0), ALLOWED),
    ("socket", (2, 1, 0), ALLOWED),
    ("socket", (10, 1 | 0o2000000, 6), ALLOWED),  # SOCK_CLOEXEC
    ("socket", (2, 1, 262), "EAFNOSUPPORT"),  # MPTCP
    ("socket", (2, 2, 0), "EAFNOSUPPORT"),
    ("socket", (2, 3, 1), "EAFNOSUPPORT"),
    ("socket", (16, 3, 0), ALLOWED),
    ("socket", (16, 3, 15), "EAFNOSUPPORT"),
    ("socket", (40, 1, 0), "EAFNOSUPPORT"),
    ("socketpair", (1, 1, 0), ALLOWED),
    ("socketpair", (30, 1, 0), "EAFNOSUPPORT"),
    ("clone", (0x11,), ALLOWED),
    ("clone", (0x3D0F00,), ALLOWED),  # a thread
    ("clone", (0x10000011,), "EPERM"),
    ("clone", (0x40000000,), "EPERM"),
    ("clone3", (), "ENOSYS"),
    ("unshare", (0x400,), ALLOWED),  # CLONE_FILES
    ("unshare", (0x80,), "EPERM"),
    ("unshare", (0x10000000,), "EPERM"),
    ("ioctl", (0, 0x5413), ALLOWED),
    ("ioctl", (0, 0x5412), "EPERM"),
    ("ioctl", (0, 0x5412 | 1 << 32), "EPERM"),  # the kernel looks at the low half only
    ("prlimit64", (77, 2, 0), ALLOWED),  # reading
    ("prlimit64", (77, 7, 0x7F0000000000), "EPERM"),
    ("prlimit64", (0, 7, 0x7F0000000000), ALLOWED),
    ("prlimit64", (0, 2, 0x7F0000000000), "EPERM"),
    ("prlimit64", (0, 2, 0x100000000), "EPERM"),  # a pointer whose low half is zero
    ("setrlimit", (2, 1), "EPERM"),
    ("setrlimit", (7, 1), ALLOWED),
    ("setpriority", (0, 0, 5), ALLOWED),
    ("setpriority", (0, 77, 5), "EPERM"),
    ("setpriority", (2, 0, 5), "EPERM"),  # everything of the account
    ("ioprio_set", (1, 0), ALLOWED),
    ("ioprio_set", (3, 0), "EPERM"),
    ("sendto", (3, 0, 0, 0x20000000), "EPERM"),
    ("sendto", (3, 0, 0, 0x4000), ALLOWED),
    ("sendmsg", (3, 0, 0x20000000), "EPERM"),
    ("sendmmsg", (3, 0, 1, 0x20000000), "EPERM"),
    ("sendmmsg", (3, 0, 1, 0), ALLOWED),
    ("sched_setaffinity", (0,), "0"),
    ("sched_setscheduler", (0,), "0"),
    *((name, (), "EPERM") for name in (*seccomp.REFUSED, *seccomp.IO_URING)),
]


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_each_rule_of_the_kernels_filter(machine):
    arch = ARCHITECTURES[machine]
    program = seccomp.kernel_filter(arch, "loopback")
    for name, arguments, expected in CASES:
        assert run(program, arch.numbers[name], *arguments, audit=arch.audit) == expected, (name, arguments)
    assert run(program, 0xFFF, audit=arch.audit) == ALLOWED


def test_other_binary_interfaces_are_refused():
    arch = ARCHITECTURES["x86_64"]
    program = seccomp.kernel_filter(arch, "loopback")
    assert run(program, 1, audit=0x40000003) == "killed"  # 32 bit
    assert run(program, 0x40000000 | 41, 2, 2, 0, audit=arch.audit) == "ENOSYS"  # x32


@pytest.mark.parametrize(
    ("network", "tcp", "udp"), [("none", "EAFNOSUPPORT", "EAFNOSUPPORT"), ("loopback", ALLOWED, "EAFNOSUPPORT"), ("host", ALLOWED, ALLOWED)]
)
def test_internet_sockets_follow_the_network(network, tcp, udp):
    arch = ARCHITECTURES["x86_64"]
    program = seccomp.kernel_filter(arch, network)
    assert run(program, 41, 2, 1, 0, audit=arch.audit) == tcp
    assert run(program, 41, 2, 2, 17, audit=arch.audit) == udp
    assert run(program, 41, 2, 3, 255, audit=arch.audit) == "EAFNOSUPPORT"


def test_the_servers_filter_leaves_what_nested_sandboxes_need():
    arch = ARCHITECTURES["x86_64"]
    program = seccomp.server_filter(arch)
    for name, arguments in (("unshare", (0x10000000,)), ("clone", (0x10000011,)), ("prlimit64", (77, 2, 1)), ("sched_setaffinity", ())):
        assert run(program, arch.numbers[name], *arguments, audit=arch.audit) == ALLOWED, name
    assert run(program, arch.numbers["socket"], 2, 2, 0, audit=arch.audit) == "EAFNOSUPPORT"
    assert run(program, arch.numbers["io_uring_setup"], audit=arch.audit) == "EPERM"


def test_an_unknown_machine_is_an_error():
    assert seccomp.architecture("aarch64") is ARCHITECTURES["aarch64"]
    with pytest.raises(seccomp.UnknownArchitecture, match="riscv64"):
        seccomp.architecture("riscv64")
