"""System call numbers of the two architectures that the filter knows. The aarch64 table was compared with the kernel's headers, never run."""

from __future__ import annotations

from typing import NamedTuple

# The same on both: everything since Linux 5.1.
SHARED = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "clone3": 435,
    "pidfd_getfd": 438,
    "process_madvise": 440,
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "memfd_secret": 447,
    "process_mrelease": 448,
}
# name: (x86-64, aarch64)
DIFFERENT = {
    "ioctl": (16, 29),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    "clone": (56, 220),
    "unshare": (272, 97),
    "setns": (308, 268),
    "prlimit64": (302, 261),
    "setrlimit": (160, 164),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "syslog": (103, 116),
    "quotactl": (179, 60),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
}


class Architecture(NamedTuple):
    """A machine's audit number and its system calls by name."""

    audit: int
    numbers: dict[str, int]
    x32: bool = False  # numbers from 0x40000000 on are the same calls under another ABI: refused


def _table(column: int) -> dict[str, int]:
    return {**{name: pair[column] for name, pair in DIFFERENT.items()}, **SHARED}


ARCHITECTURES = {
    "x86_64": Architecture(0xC000003E, _table(0), x32=True),
    "aarch64": Architecture(0xC00000B7, _table(1)),
}
