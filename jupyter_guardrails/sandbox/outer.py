"""The domain of the server itself, around all kernels: what a notebook makes the server run can do no more than its person may.

Kernels are nested in it, and a Landlock domain's TCP rules would bind their own loopback too (debuggers, dask). So the server gets a network
namespace of its own; a relay outside carries its listed ports. Only where there are no user namespaces, and kernels have no internet sockets
at all, are Landlock's TCP rules used: they know ports, not hosts. It also gets a root of its own, with what it may reach and nothing else in it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jupyter_guardrails.errors import GuardrailsError, HostCannotEnforce
from jupyter_guardrails.sandbox import launch_landlock, launch_mounts, launch_namespaces, launch_root, launch_seccomp, mounter, relay
from jupyter_guardrails.sandbox.guarantees import ENABLE_LANDLOCK
from jupyter_guardrails.sandbox.launch_libc import drop_capabilities, no_new_privileges, unshare

CAP_SETFCAP = 31  # without it in the creator's hands, root can't be mapped into a nested user namespace (Linux 5.12)


@dataclass(frozen=True, slots=True)
class OuterSpec:
    """What the server may reach. `names`: directories that may be listed, their files not opened. `tcp_bind`: ports on which it serves this
    machine's loopback; `tcp_connect`: ports there which it may call."""

    read: tuple[str, ...]
    write: tuple[str, ...]
    names: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    tcp_bind: tuple[int, ...] = ()
    bind_address: str = relay.LOOPBACK  # of this machine, where the relay takes connections for `tcp_bind`
    tcp_connect: tuple[int, ...] = ()
    private_dir: str | None = None  # below it lie the private folders of kernels
    roots_dir: str | None = None  # an empty directory of one's own: the mounter keeps the roots of kernels there
    temporary: str | None = None  # the directory that shows as /tmp
    observed: bool = False  # every file but `shut` is open: the policy observes, and kernels nested in here must not be refused more
    shut: tuple[str, ...] = ()  # real paths
    open_network: bool = False  # no network of its own: the server itself listens at its address, and nothing is relayed


HandOver = Callable[[int], str]  # gives control the socket on which the mounter takes its orders: the name of this launch


def enter(spec: OuterSpec, *, hand_over: HandOver | None = None, best_effort: bool = False) -> dict[str, Any]:
    """Put this (single-threaded) process into the domain, for good; what holds, as a plain dict. Then exec the server.

    HostCannotEnforce without Landlock, before anything was changed, unless `best_effort`; GuardrailsError when a port is taken.
    """
    _check_alone()
    version, reason = _landlock_version()
    if not version and not best_effort:
        raise HostCannotEnforce(f"the server itself cannot be confined: Landlock is not available ({reason})", next_step=ENABLE_LANDLOCK)
    report = {"outer": bool(version), "landlock_abi": version, "reason": reason, "uid": os.getuid()}
    trial = launch_namespaces.attempt(mounts=True)
    report |= _own_network(spec, trial.user_namespace)
    roots = _own_root(spec, trial, report, hand_over)
    no_new_privileges()
    drop_capabilities(keep=(CAP_SETFCAP,) if os.getuid() == 0 and report["user_namespace"] else ())
    report["missing_paths"] = _restrict(spec, roots, tcp=not (report["network_namespace"] or spec.open_network)) if version else []
    sockets: launch_seccomp.Network = "host" if spec.open_network else "loopback"
    launch_seccomp.install(launch_seccomp.server_filter(launch_seccomp.architecture(), sockets))
    return report


def _check_alone() -> None:
    """A thread would stay outside of the domain, and Linux lets no process with threads into a user namespace."""
    others = len(os.listdir("/proc/self/task")) - 1
    if others:
        raise GuardrailsError(
            f"the server cannot be confined: {others} more threads run already", next_step="report this: the launcher must be single-threaded"
        )


def _landlock_version() -> tuple[int, str]:
    try:
        return launch_landlock.abi(), ""
    except OSError as error:
        return 0, str(error)


def _own_root(spec: OuterSpec, trial: launch_namespaces.Trial, report: dict[str, Any], hand_over: HandOver | None) -> int | None:
    """Change the root; the directory of kernels' roots, if a mounter stands ready for them. The report says what came of it."""
    # root's /proc gets parts covered (launch_root), and beneath such a one no kernel may have a new one
    report |= {"own_root": trial.user_namespace or trial.mounts, "mounter": None, "fresh_proc": not trial.fresh_proc and os.getuid() != 0}
    if spec.observed or "/" in (*spec.read, *spec.write):
        report["own_root"] = "the policy only observes" if spec.observed else "the policy lists the whole file system"
    if report["own_root"]:
        return None
    unshare(launch_namespaces.NEWNS)
    launch_mounts.set_propagation(launch_mounts.MS_SLAVE)
    roots = None
    if hand_over and spec.private_dir and spec.roots_dir:
        launch_mounts.mount("tmpfs", spec.roots_dir, options="mode=755,size=16m")
        roots = os.open(spec.roots_dir, os.O_PATH | os.O_CLOEXEC)
        report["mounter"] = _fork_mounter(spec, roots, hand_over)
        unshare(launch_namespaces.NEWNS)  # the mounter stays behind in the other one, where everything is still there
    view = launch_root.View(spec.read, spec.write, spec.devices, names=spec.names, temporary=spec.temporary, fresh_proc=False)
    launch_root.enter(view)
    return roots


def _fork_mounter(spec: OuterSpec, roots: int, hand_over: HandOver) -> str:
    ours, controls = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    assert spec.private_dir
    found = launch_root.find(launch_root.View(spec.read, spec.write, spec.devices))
    private = os.open(spec.private_dir, os.O_PATH | os.O_CLOEXEC)
    server = os.getpid()
    if os.fork() == 0:
        controls.close()
        mounter.serve(ours, mounter.Tables(found, spec.private_dir, private, roots, server))
    ours.close()
    for fd in (private, *(one.handle for one in found.shown)):
        os.close(fd)
    with controls:
        return hand_over(controls.fileno())


def _own_network(spec: OuterSpec, reason: str) -> dict[str, Any]:
    """A network namespace with the listed ports relayed into and out of it; or why there is none."""
    if spec.open_network:  # a user namespace all the same, where root keeps what nested ones need
        entered = not (reason or launch_namespaces.enter(network=False, ipc=False)["user_namespace"])
        return {"user_namespace": entered, "network_namespace": False, "network": "this machine's: the policy only observes"}
    if reason:
        return {"user_namespace": False, "network_namespace": False, "network": f"by port only, with Landlock: {reason}"}
    outside = {port: _listen(port, spec.bind_address) for port in spec.tcp_bind}
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    _fork_outgoing(ours, theirs, spec.tcp_connect)
    problems = launch_namespaces.enter(network=True, ipc=False)
    if problems["network_namespace"]:
        raise HostCannotEnforce(
            f"no network namespace for the server: {problems['network_namespace']}", next_step="allow more: user.max_net_namespaces"
        )
    inside = [relay.listen(port) for port in spec.tcp_connect]
    if inside:
        socket.send_fds(ours, [b"listeners"], [listener.fileno() for listener in inside])
    if outside:
        relay.fork_relay(outside)
    for opened in (*outside.values(), *inside, ours):
        opened.close()
    return {"user_namespace": True, "network_namespace": True, "network": "its own, with nothing in it but its loopback and the listed ports"}


def _fork_outgoing(ours: socket.socket, theirs: socket.socket, ports: tuple[int, ...]) -> None:
    """The relay for calls to the outside stays out here, and gets its listeners from inside the namespace once there is one."""
    parent = os.getpid()
    if ports and os.fork() == 0:
        ours.close()
        relay.serve_received(parent, theirs, ports)
    theirs.close()


def _listen(port: int, address: str) -> socket.socket:
    try:
        return relay.listen(port, address=address)
    except OSError as error:
        raise GuardrailsError(f"port {port} of {address} can't be used: {error.strerror}", next_step="choose another one: --port=N") from error


def _restrict(spec: OuterSpec, roots: int | None, *, tcp: bool) -> list[str]:
    """Nested sandboxes must write their user and group maps: existing files below /proc may be written.

    What exists in a kernel's root was put there by the mounter, and a walk up from it ends at `roots`.
    """
    domain = launch_landlock.Domain(
        read=spec.read,
        names=spec.names,
        write=spec.write,
        devices=spec.devices,
        overwrite=("/proc",),
        handles=() if roots is None else (roots,),
        tcp_bind=spec.tcp_bind if tcp else None,
        tcp_connect=spec.tcp_connect if tcp else None,
        all_but=spec.shut if spec.observed else None,
    )
    return launch_landlock.restrict(domain).missing_paths
