"""Which addresses a webhook may go to: an own table, since `ipaddress.is_global` calls some internal ones public.

Source: the IANA special-purpose address registries for IPv4 and IPv6 (RFC 6890 and its updates), multicast and reserved
space, and one address in public space at which a large cloud serves its machines' configuration.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_DENIED_V4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carriers' shared space
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # a cloud's host agent
        "169.254.0.0/16",  # link-local, metadata services
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # automatic multicast tunneling
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
"""All that is handed out for unicast; what lies outside (mapped, NAT64, unique local, multicast, …) is denied."""
_DENIED_V6 = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, Teredo and ORCHID among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: carries an IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
_ISATAP = (0x00005EFE, 0x02005EFE)
"""Bits 64 to 95 of an ISATAP address (RFC 5214); an IPv4 address follows."""
_LOOPBACK = (ipaddress.IPv4Network("127.0.0.0/8"), ipaddress.IPv6Network("::1/128"))


class Forbidden(Exception):
    """The name leads to an address that is not on the public internet. The text never says which."""


class Unresolvable(Exception):
    """The name has no address (now)."""


def allowed(text: str, *, loopback: bool = False) -> bool:
    """Whether a webhook may go to this address; `loopback` is for development."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if loopback and any(address.version == net.version and address in net for net in _LOOPBACK):
        return True
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in net for net in _DENIED_V4)
    if int(address) >> 32 & 0xFFFFFFFF in _ISATAP:
        return False
    return address in _GLOBAL_V6 and not any(address in net for net in _DENIED_V6)


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of `host`, as this system reads it: old spellings such as `127.1` included. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Resolver:
    """Turns a host into addresses that are all allowed, or refuses it."""

    def __init__(self, *, loopback: bool, resolve: Resolve = resolve) -> None:
        self._loopback, self._resolve = loopback, resolve

    async def checked(self, host: str, port: int) -> Sequence[str]:
        """Raises `Forbidden` when any address is, and `Unresolvable`."""
        try:
            found = await self._resolve(host, port)
        except (OSError, UnicodeError):
            raise Unresolvable from None
        if not found:
            raise Unresolvable
        if not all(allowed(address, loopback=self._loopback) for address in found):
            raise Forbidden
        return found
