"""Approved places that don't speak HTTP (databases, ssh): each gets a loopback address in the kernel's own network, under its real name. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from jupyter_guardrails.control.interface.messages import Forward
from jupyter_guardrails.policy.hosts import NetworkEntry, address

HTTP_PORTS = (80, 443, 8080, 8443)  # programs reach these through the proxy
MOST = 32  # for one kernel: each is a listener
LOCAL = ("localhost", "localdomain")


def forwards_of(entries: Sequence[NetworkEntry]) -> list[Forward]:
    """One for each name with a port, in the policy's order; those with a wildcard, an address or a port of HTTP have none."""
    exact = dict.fromkeys((entry.host, entry.port) for entry in entries if entry.port is not None and _is_exact(entry))
    hosts: dict[str, str] = {}
    found = []
    for host, port in list(exact)[:MOST]:
        local = hosts.setdefault(host, f"127.64.0.{len(hosts) + 1}")  # one for all ports of a host: a name has one address
        found.append(Forward(address=local, host=host, port=port))
    return found


def _is_exact(entry: NetworkEntry) -> bool:
    is_name = "*" not in entry.host and address(entry.host) is None and entry.host.rpartition(".")[2] not in LOCAL
    return is_name and entry.port not in HTTP_PORTS
