"""The resource limits of a process, all of them finite: a hard limit that is set here can't be raised again from inside. Standard library only.

They bound what one process may do; memory and processors of the whole tree are held from outside (headroom) and by affinity.
"""

from __future__ import annotations

import math
import resource
from typing import Any

# Half of what x86-64 gives a process: above what JVMs, Go, AddressSanitizer and CUDA reserve without using it. At the size of real memory
# this limit breaks threads and JVMs, so the memory limit is not made of it.
ADDRESS_SPACE_BYTES = 1 << 46
LONG_S = 10 * 365 * 24 * 3600  # processor time, where the profile has no lifetime
GRACE_S = 300  # whoever ends a kernel at the end of its lifetime, and says why, comes first
MESSAGE_QUEUE_BYTES = 819_200  # Linux' own default
SIGNALS_PENDING = 4096


def hard_limits(limits: dict[str, Any]) -> dict[int, int]:
    """Values for `setrlimit` by resource, from the `limits` of a specification. The number of processes is not among them (see launch_steps)."""
    found = {
        resource.RLIMIT_CORE: 0,  # a core file would hold what a kernel had in memory
        resource.RLIMIT_NOFILE: int(limits["open_files"]),
        resource.RLIMIT_AS: ADDRESS_SPACE_BYTES,
        resource.RLIMIT_CPU: cpu_seconds(limits.get("lifetime_s"), limits["cpus"]),
        resource.RLIMIT_MSGQUEUE: MESSAGE_QUEUE_BYTES,
        resource.RLIMIT_SIGPENDING: SIGNALS_PENDING,
        resource.RLIMIT_RTPRIO: 0,  # real-time scheduling would starve everyone else
        resource.RLIMIT_NICE: 0,  # and so would a better priority
    }
    if limits["file_size_bytes"] is not None:
        found[resource.RLIMIT_FSIZE] = int(limits["file_size_bytes"])
    if limits["memory_bytes"] is not None:
        found[resource.RLIMIT_MEMLOCK] = int(limits["memory_bytes"])
    return found


def cpu_seconds(lifetime_s: int | None, cpus: float | None) -> int:
    """More processor time than one process can use in its lifetime; SIGKILL beyond. Affinity rounds `cpus` up, so this does."""
    return math.ceil(lifetime_s + GRACE_S) * math.ceil(cpus) if lifetime_s and cpus else LONG_S
