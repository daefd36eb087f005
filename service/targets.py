"""Where webhooks may be sent: addresses are judged after the name is resolved, and connected to as judged.

A URL that somebody wrote down must not make this machine speak to its own network, whatever a name resolves to, and
whenever that changes.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host."""

_Network = IPv4Network | IPv6Network


def _networks(text: str) -> tuple[_Network, ...]:
    return tuple(ip_network(part) for part in text.split())


_NAT64 = IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NOBODYS = _networks("192.88.99.0/24 2002::/16 2001::/23 2001:db8::/32 3fff::/20")
"""Relays, tunnels and documentation, some of which `ipaddress` calls global in some versions of Python."""
_METADATA = _networks("168.63.129.16/32 100.100.100.200/32 fd00:ec2::/32 fd20:ce::254/128")
"""Where clouds tell a machine its secrets, beside the link-local addresses."""
_PRIVATE = _networks("10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 127.0.0.0/8 100.64.0.0/10 fc00::/7 ::1/128")
"""What ``allow_private`` opens."""


class ForbiddenTargetError(Exception):
    """A name resolves to an address that webhooks aren't sent to, or to none."""


def may_reach(text: str, *, private: bool = False) -> bool:
    """Whether webhooks may be sent to an address; `private` opens private and loopback networks, and nothing else.

    Link-local, multicast, reserved and metadata addresses are never open. IPv4 inside IPv6 (mapped, NAT64) is judged as
    what it leads to; text that is no address is refused.
    """
    try:
        address = _unwrapped(ip_address(text.partition("%")[0]))
    except ValueError:
        return False
    if address.is_link_local or _within(address, _METADATA):
        return False
    if _within(address, _PRIVATE):
        return private
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved and not _within(address, _NOBODYS)


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses that the system has for a host, as it is now; raises OSError if it has none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for _, _, _, _, address in found))


async def judged(host: str, port: int, *, private: bool, resolve: Resolve = resolve) -> list[str]:
    """Return the addresses of a host, all of which may be reached.

    Raises
    ------
    ForbiddenTargetError
        If any may not: which of them is taken is up to whoever answers for the name.
    OSError
        If the name can't be resolved.
    """
    found = list(await resolve(host, port))
    if not found or not all(may_reach(address, private=private) for address in found):
        raise ForbiddenTargetError
    return found


def _within(address: IPv4Address | IPv6Address, networks: Sequence[_Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address
