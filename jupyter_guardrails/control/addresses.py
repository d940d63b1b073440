"""Which addresses an approved name may lead to: public ones, and private ones only where the policy's entry names their range."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
COMPATIBLE = ipaddress.IPv6Network("::/96")
LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
SITE_LOCAL = ipaddress.IPv6Network("fec0::/10")
DOCUMENTATION = ipaddress.IPv6Network("3fff::/20")  # RFC 9637: Python 3.11 does not know it
NEVER_NAMED = (LOCAL_NAT64, SITE_LOCAL, DOCUMENTATION)


async def resolve(host: str, port: int, *, timeout_s: float) -> list[Address]:
    """The addresses of a host, in the resolver's order; OSError when there are none, TimeoutError when it takes too long."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(timeout_s):
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ipaddress.ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found]


def unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 one carries (mapped, compatible, NAT64, 6to4): where the packets would go in the end."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    carried = address.ipv4_mapped or address.sixtofour
    if carried is None and (address in NAT64 or (address in COMPATIBLE and int(address) > 1)):
        carried = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return carried or address


def objection(address: Address, private: Sequence[str] = ()) -> str:
    """Why an address may not be connected to, as words after "which is"; empty when it may. `private`: ranges that the entry names."""
    address = unwrapped(address)
    for kind in ("multicast", "loopback", "link_local", "unspecified"):
        if getattr(address, f"is_{kind}"):
            return f"{kind.replace('_', '-')}"
    if is_own(address):
        return "an address of this machine itself"
    named = any(address in ipaddress.ip_network(text) for text in private)
    public = address.is_global and not address.is_reserved and not any(address in network for network in NEVER_NAMED)
    return "" if public or named else "not public, and the entry names no range with it"


def is_own(address: Address) -> bool:
    """Whether one of this machine's interfaces has the address: the system then picks it as source as well. Sends nothing."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((str(address), 9))
        return ipaddress.ip_address(probe.getsockname()[0]) == address
    return False  # no route, or no such family: the connection itself will say so
