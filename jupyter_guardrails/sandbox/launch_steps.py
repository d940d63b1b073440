"""The order in which a process gets its limits. Each step is listed in the report; whoever prepared the start judges it and says go or not."""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import socket
from contextlib import suppress
from typing import Any, NoReturn

from . import launch_all_but as all_but
from . import launch_landlock as landlock
from . import launch_namespaces as namespaces
from . import launch_root
from . import launch_seccomp as seccomp
from . import launch_trace as trace
from .launch_libc import PR_SET_PDEATHSIG, drop_capabilities, no_new_privileges, prctl
from .launch_limits import hard_limits
from .launch_reaper import Above, Inner, Warden, is_in_front, take_terminal

REFUSED = 78  # sysexits.h: configuration error
GO = b"go"
NEEDS_ROOT, NEEDS_PROGRAM = b'{"need": "root"}', b'{"need": "program"}'
STARTS = b'{"starts": true}'  # after it, the socket closes when the program takes over
PART_BYTES, MORE = 1 << 16, b"+"  # as in wire.py: a message has to fit into the socket's buffer
WARDENS = 2  # both count as tasks of the new user namespace
Spec = dict[str, Any]
Layers = dict[str, Any]


def run(fd: int) -> NoReturn:
    """The whole start, on the socket that `handover.prepare` made. Never returns: becomes the process, or one of its wardens."""
    control = socket.socket(fileno=fd)
    control.set_inheritable(False)
    try:
        _outer(control, _read_spec(control))
    except BaseException as error:  # noqa: BLE001 - whatever fails must end in a refusal, in every one of the three processes
        _refuse(control, error)


def _outer(control: socket.socket, spec: Spec) -> NoReturn:
    """Makes the namespaces, and the listeners in them; then only watches."""
    os.chdir("/")  # a working directory elsewhere would keep the old root
    in_front = spec["tty"] and is_in_front()
    warden = Warden(spec["parent"], terminal=spec["tty"], in_front=in_front)
    layers: Layers = {"uid": os.getuid()}
    layers |= namespaces.enter(network=spec["network"] == "none", root=spec["root_by"], known=spec["known"])
    listeners = [] if layers["network_namespace"] else [namespaces.listen_tcp(*place) for place in _places(spec)]
    enclosed = not layers["process_namespace"]
    above = _watch_myself()
    child, status = warden.fork_warden()
    if child == 0:
        _inner(control, spec, layers, listeners, Above(os.getppid(), above, status, in_front))
    control.close()
    for opened in listeners:
        opened.close()
    no_new_privileges()
    drop_capabilities()
    warden.watch(child, whole_group=False, inner=Inner(status, enclosed=enclosed))


def _places(spec: Spec) -> list[tuple[str, int]]:
    """Where to listen in the network namespace: the proxy's address first."""
    proxy = [("127.0.0.1", spec["proxy_port"])] if spec["proxy_port"] else []
    return [*proxy, *((address, port) for address, port in spec["forwards"])]


def _inner(control: socket.socket, spec: Spec, layers: Layers, listeners: list[socket.socket], above: Above) -> NoReturn:
    """In a process group of its own; the first process of the process namespace, where there is one; changes the root."""
    group = os.getpgrp()
    os.setpgid(0, 0) if spec["tty"] else os.setsid()
    warden = Warden(above.pid, above_fd=above.handle, terminal=spec["tty"])
    missing = _own_root(control, spec, layers)
    control.send(NEEDS_PROGRAM)  # the place is ready: it may be long until somebody needs it
    spec = _read_spec(control)
    child = warden.fork()
    if child == 0:
        _join(group if spec["tty"] else None, warden=os.getppid(), in_front=above.in_front)
        _become(control, spec, layers, listeners, missing)
    control.close()
    for listener in listeners:
        listener.close()
    no_new_privileges()
    drop_capabilities()
    warden.watch(child, whole_group=not spec["tty"], tell=above.status)


def _own_root(control: socket.socket, spec: Spec, layers: Layers) -> list[str]:
    """Change to a root of its own, by oneself or with the mounter's help, and note in `layers` why not; paths that were not found."""
    layers["own_root"] = _why_no_own_root(spec, layers)
    if layers["own_root"]:
        return []
    if spec["root_by"] == "try":
        return launch_root.enter(_view(spec, fresh_proc=not layers["process_namespace"]))
    control.send(NEEDS_ROOT)  # a process inside a Landlock domain may not mount
    answer = _hear(control)
    if "error" in answer:
        raise OSError(f"no root of its own: {answer['error']}")
    os.chdir("/")
    missing: list[str] = answer["missing"]
    return missing


def _why_no_own_root(spec: Spec, layers: Layers) -> str:
    if spec["root_by"] is None:
        return namespaces.NOT_ASKED
    return f"no mounts of its own: {layers['mount_namespace']}" if layers["mount_namespace"] else ""


def _view(spec: Spec, *, fresh_proc: bool) -> launch_root.View:
    return launch_root.View(
        read=tuple(spec["read"]),
        write=tuple(spec["write"]),
        devices=tuple(spec["devices"]),
        temporary=spec["temporary"],
        covers=tuple((source, target) for source, target in spec["covers"]),
        shm_bytes=spec["limits"]["shm_bytes"],
        terminal=spec["tty"],
        fresh_proc=fresh_proc,
    )


def _watch_myself() -> int:
    """A descriptor by which the child sees this process end, from whatever process namespace; -1 on kernels before 5.3."""
    try:
        return os.pidfd_open(os.getpid())
    except OSError:
        return -1


def _become(control: socket.socket, spec: Spec, layers: Layers, listeners: list[Any], missing: list[str]) -> NoReturn:
    """Limits from the weakest to the last, report, wait for the word, exec."""
    no_new_privileges()
    drop_capabilities()
    layers["affinity"] = _hold_cpus(spec["limits"]["cpus"])
    layers["process_count"] = _set_limits(spec["limits"], layers)
    missing = list(dict.fromkeys([*missing, *_restrict_files(spec, layers)]))
    if spec["channel"]:
        listeners.insert(0, namespaces.listen_abstract(spec["channel"]))  # after Landlock: its scope lets one in only to sockets made in it
    layers["seccomp"] = _filter_calls(spec, layers)
    layers["trace"] = trace.start(listeners, directories=not spec["told"]) if spec["trace"] else "not asked for"
    control = _close_others(control, listeners)
    report = {"pid": os.getpid(), "layers": layers, "missing_paths": missing}
    _tell(control, report, listeners)
    for listener in listeners:
        listener.close()
    if control.recv(16) != GO:
        os._exit(REFUSED)
    os.chdir(spec["cwd"])
    program = _program(spec)
    control.send(STARTS)
    os.execve(program, spec["argv"], spec["env"])


def _read_spec(control: socket.socket) -> Spec:
    _, fds, _, _ = socket.recv_fds(control, 16, 1)
    if not fds:
        os._exit(REFUSED)  # whoever prepared this start has given it up
    with os.fdopen(fds[0], "rb") as memory:
        memory.seek(0)
        spec: Spec = json.load(memory)
    return spec


def _tell(control: socket.socket, body: dict[str, Any], listeners: list[Any]) -> None:
    """A message in as many parts as it takes; the listeners come with the last."""
    data = json.dumps(body).encode()
    while len(data) > PART_BYTES:
        control.send(MORE + data[:PART_BYTES])
        data = data[PART_BYTES:]
    socket.send_fds(control, [data], [listener.fileno() for listener in listeners])


def _hear(control: socket.socket) -> dict[str, Any]:
    whole, data = b"", MORE
    while data.startswith(MORE):
        data = control.recv(PART_BYTES + len(MORE))
        whole += data.removeprefix(MORE)
    body: dict[str, Any] = json.loads(whole)
    return body


def _hold_cpus(cpus: float | None) -> str:
    """Bind to as many processors as the limit, rounded up; a different set for each start. "" or the reason why not."""
    if cpus is None:
        return "not asked for"
    available = sorted(os.sched_getaffinity(0))
    count = min(max(1, math.ceil(cpus)), len(available))
    first = os.urandom(1)[0] % len(available)
    os.sched_setaffinity(0, {available[(first + step) % len(available)] for step in range(count)})
    return ""


def _join(group: int | None, *, warden: int, in_front: bool) -> None:
    """A session of one's own, or on a terminal the group that was in its foreground; and death with the warden.

    In a process namespace that group has no number (0): then a group of its own is put into the foreground.
    """
    if group is None:
        os.setsid()
    elif group:
        os.setpgid(0, group)
    else:
        os.setpgid(0, 0)
        if in_front:
            take_terminal(os.getpgrp())
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != warden:
        os._exit(REFUSED)


def _set_limits(limits: dict[str, Any], layers: Layers) -> str:
    """Set the resource limits; "" or the reason why the number of processes is not limited."""
    for which, value in hard_limits(limits).items():
        _limit(which, value)
    if limits["tasks"] is None:
        return "not asked for"
    if layers["user_namespace"]:
        return "without a user namespace the count would include all other processes of this account"
    if layers["uid"] == 0:
        return "Linux counts no processes of root"
    _limit(resource.RLIMIT_NPROC, limits["tasks"] + WARDENS)
    return ""


def _limit(which: int, value: int) -> None:
    hard = resource.getrlimit(which)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def _restrict_files(spec: Spec, layers: Layers) -> list[str]:
    tcp = () if spec["network"] == "none" and layers["network_namespace"] else None
    names = () if layers["own_root"] else ("/",)  # what exists there is this process's own view: it may be listed
    domain = landlock.Domain(
        read=tuple(spec["read"]), names=names, write=tuple(spec["write"]), devices=tuple(spec["devices"]), tcp_bind=tcp, tcp_connect=tcp
    )
    if spec["observed"]:
        domain = domain._replace(all_but=tuple(spec["shut"]), tcp_bind=None, tcp_connect=None)
        layers["no_new_entries"] = all_but.ways(spec["shut"])
    try:
        applied = landlock.restrict(domain)
    except OSError as error:
        layers["landlock"] = {"abi": 0, "reason": str(error)}
        return []
    layers["landlock"] = {"abi": applied.abi, "reason": "", "scopes": applied.scopes, "tcp": applied.tcp}
    return applied.missing_paths


def _filter_calls(spec: Spec, layers: Layers) -> str:
    """ "" or why this kernel takes no filter. An unknown architecture is an error: nothing starts there."""
    network: seccomp.Network = "host" if spec["network"] == "host" else "none" if layers["network_namespace"] else "loopback"
    instructions = seccomp.kernel_filter(seccomp.architecture(), network)
    try:
        seccomp.install(instructions)
    except OSError as error:
        return str(error)
    return ""


def _close_others(control: socket.socket, listeners: list[Any]) -> socket.socket:
    """Every descriptor but the standard three, the control socket and the listeners: an open directory would lead out."""
    keep = sorted({control.fileno(), *(listener.fileno() for listener in listeners)})
    for after, before in zip([2, *keep], [*keep, 1 << 20], strict=True):
        os.closerange(after + 1, before)
    return control


def _program(spec: Spec) -> str:
    """The file to execute: as the shell would find it, along the PATH of the process to be."""
    name: str = spec["argv"][0]
    if "/" in name:
        return name
    for directory in spec["env"].get("PATH", os.defpath).split(os.pathsep):
        candidate = os.path.join(directory, name)
        if os.access(candidate, os.X_OK):
            return candidate
    raise FileNotFoundError(f"no program {name} on the sandbox's PATH")


def _refuse(control: socket.socket, error: BaseException) -> NoReturn:
    with suppress(OSError):  # where the other end is gone, it takes the closed socket for a refusal
        control.send(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode())
    os._exit(REFUSED)
