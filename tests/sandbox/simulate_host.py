"""Run a command as on a host that lacks something: `simulate_host.py KIND COMMAND…`.

seccomp: what container engines' default profiles do (no namespaces, no mounts); enospc: the same with the other error that is met; sysctl:
user.max_user_namespaces = 0; nolandlock: seccomp and no Landlock in the kernel either; notbooted: Landlock is in the kernel, but not in lsm=;
nonet: user namespaces but no network namespaces.
"""

import errno
import os
import sys

from jupyter_guardrails.sandbox import launch_namespaces, launch_seccomp
from jupyter_guardrails.sandbox.launch_libc import no_new_privileges
from jupyter_guardrails.sandbox.launch_syscalls import ARCHITECTURES, Architecture

WITHOUT_LANDLOCK = {"nolandlock": errno.ENOSYS, "notbooted": errno.EOPNOTSUPP}


def forbid_namespaces(kind: str) -> None:
    native = launch_seccomp.architecture()
    arch = Architecture(native.audit, native.numbers | {"landlock_create_ruleset": 444})
    names = {"unshare": errno.ENOSPC if kind == "enospc" else errno.EPERM, "setns": errno.EPERM, "mount": errno.EPERM}
    if kind in WITHOUT_LANDLOCK:
        names["landlock_create_ruleset"] = WITHOUT_LANDLOCK[kind]
    no_new_privileges()
    launch_seccomp.install(launch_seccomp.refuse_calls(arch, names))


def set_to_zero(*names: str) -> None:
    launch_namespaces.enter(network=False, ipc=False)
    for name in names:
        fd = os.open(f"/proc/sys/user/{name}", os.O_WRONLY)
        os.write(fd, b"0")
        os.close(fd)


if __name__ == "__main__":
    assert ARCHITECTURES
    if sys.argv[1] == "sysctl":
        set_to_zero("max_user_namespaces")
    elif sys.argv[1] == "nonet":
        set_to_zero("max_net_namespaces")
    else:
        forbid_namespaces(sys.argv[1])
    os.execv(sys.argv[2], sys.argv[2:])
