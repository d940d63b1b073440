"""The domain of the server itself, around all kernels: what a notebook makes the server run can do no more than its person may.

Kernels are nested in it, and a Landlock domain's TCP rules would bind their own loopback too (debuggers, dask). So the server gets a network
namespace of its own; a relay outside carries its listed ports. Only where there are no user namespaces, and kernels have no internet sockets
at all, are Landlock's TCP rules used: they know ports, not hosts.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import Any

from jupyter_guardrails.errors import GuardrailsError, HostCannotEnforce
from jupyter_guardrails.sandbox import launch_landlock, launch_namespaces, launch_seccomp, relay
from jupyter_guardrails.sandbox.guarantees import ENABLE_LANDLOCK
from jupyter_guardrails.sandbox.launch_libc import drop_capabilities, no_new_privileges

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


def enter(spec: OuterSpec, *, best_effort: bool = False) -> dict[str, Any]:
    """Put this (single-threaded) process into the domain, for good; what holds, as a plain dict. Then exec the server.

    HostCannotEnforce without Landlock, before anything was changed, unless `best_effort`; GuardrailsError when a port is taken.
    """
    _check_alone()
    version, reason = _landlock_version()
    if not version and not best_effort:
        raise HostCannotEnforce(f"the server itself cannot be confined: Landlock is not available ({reason})", next_step=ENABLE_LANDLOCK)
    report = {"outer": bool(version), "landlock_abi": version, "reason": reason, "uid": os.getuid()}
    report |= _own_network(spec)
    no_new_privileges()
    drop_capabilities(keep=(CAP_SETFCAP,) if os.getuid() == 0 and report["network_namespace"] else ())
    report["missing_paths"] = _restrict(spec, tcp=not report["network_namespace"]) if version else []
    launch_seccomp.install(launch_seccomp.server_filter(launch_seccomp.architecture()))
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


def _own_network(spec: OuterSpec) -> dict[str, Any]:
    """A network namespace with the listed ports relayed into and out of it; or why there is none."""
    reason = launch_namespaces.why_no_user_namespace()
    if reason:
        return {"network_namespace": False, "network": f"by port only, with Landlock: {reason}"}
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
    return {"network_namespace": True, "network": "its own, with nothing in it but its loopback and the listed ports"}


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


def _restrict(spec: OuterSpec, *, tcp: bool) -> list[str]:
    """Nested sandboxes must write their user and group maps: existing files below /proc may be written."""
    domain = launch_landlock.Domain(
        read=spec.read,
        names=spec.names,
        write=spec.write,
        devices=spec.devices,
        overwrite=("/proc",),
        tcp_bind=spec.tcp_bind if tcp else None,
        tcp_connect=spec.tcp_connect if tcp else None,
    )
    return launch_landlock.restrict(domain).missing_paths
