"""Where a partner's call comes from: the peer of the connection, or what a proxy of ours says of it.

A header that anybody may write counts only as far as it was written by proxies that we list: it is read from its right
end, and the first address that is none of theirs is the caller. What stands further left was said by the caller itself.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Literal

from lendrail.partners.partner import Webhook
from lendrail.partners.signatures import Headers

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
ProxyHeader = Literal["x-forwarded-for", "forwarded"]
PUBLISHED = "published"
"""In an account's list of sources: the addresses that the partner published."""
LONGEST, MOST_HOPS = 4096, 32
SHOWN_BITS = {4: 24, 6: 48}
"""How much of an address is kept where callers are counted: its network, not the machine."""
_NODE = re.compile(r"\[([0-9a-fA-F:.]{2,45})\](?::[0-9]{1,5})?|([0-9.]{7,15})(?::[0-9]{1,5})?|([0-9a-fA-F:.]{2,45})")
_PAIR = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:\"([^\"\\\x00-\x1f\x7f]*)\"|([!#$%&'*+.^_`|~0-9A-Za-z-]+))\s*")


def networks(text: str) -> tuple[Network, ...]:
    """Comma-separated networks or addresses. Raises ValueError."""
    return tuple(ipaddress.ip_network(each.strip()) for each in text.split(",") if each.strip())


def address(text: str | None) -> Address | None:
    """Strictly read; an IPv4 address inside an IPv6 one is the IPv4 address."""
    try:
        found = ipaddress.ip_address(text or "")
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address):
        if found.scope_id is not None:
            return None
        return found.ipv4_mapped or found
    return found


def within(found: Address | None, among: Iterable[Network]) -> bool:
    return found is not None and any(found in each for each in among)


def network_of(found: Address | None) -> str:
    """What may be kept of a caller."""
    if found is None:
        return "unknown"
    return str(ipaddress.ip_network((found, SHOWN_BITS[found.version]), strict=False))


def may_call(caller: Address | None, allowed: str | None, webhook: Webhook | None) -> bool:
    """Whether `allowed`, an account's list, names the caller; without a list everybody may call, by a list that cannot
    be read nobody.
    """
    if allowed is None or not allowed.strip():
        return True
    named = [each.strip() for each in allowed.split(",") if each.strip()]
    published = webhook.addresses if webhook is not None and PUBLISHED in named else ()
    try:
        wanted = networks(",".join([*(each for each in named if each != PUBLISHED), *published]))
    except ValueError:
        return False
    return within(caller, wanted)


class Proxies:
    """The proxies that we believe, and the header in which they say whose call it is."""

    def __init__(self, trusted: str = "", header: ProxyHeader = "x-forwarded-for") -> None:
        """Raises ValueError for a list that cannot be read: a service does not start with half of one."""
        self._trusted, self._header = networks(trusted), header

    def caller(self, peer: str | None, headers: Headers) -> Address | None:
        """The right-most address that is none of our proxies'; None where it cannot be told."""
        found = address(peer)
        if not within(found, self._trusted):
            return found
        hops = self._hops(headers)
        for hop in reversed(hops):
            found = hop
            if not within(found, self._trusted):
                return found
        return found

    def _hops(self, headers: Headers) -> Sequence[Address | None]:
        """All lines of the header are one list. What is odd in any way is no address, so that nothing lies behind."""
        name = self._header.encode()
        text = b",".join(value for each, value in headers if each.lower() == name)
        if not text.strip():
            return ()
        if len(text) > LONGEST or not text.isascii() or text.count(b",") >= MOST_HOPS:
            return (None,)
        parts = text.decode("ascii").split(",")
        return [_node(part.strip()) if self._header == "x-forwarded-for" else _forwarded(part) for part in parts]


def _node(text: str) -> Address | None:
    """`192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]:4711`."""
    found = _NODE.fullmatch(text)
    return address(next(each for each in found.groups() if each)) if found else None


def _forwarded(element: str) -> Address | None:
    """The `for` of one element (RFC 7239); a hidden or unknown one is no address."""
    said: list[str] = []
    for pair in element.split(";"):
        found = _PAIR.fullmatch(pair)
        if found is None:
            return None
        if found[1].lower() == "for":
            said.append(found[2] if found[2] is not None else found[3])
    return _node(said[0]) if len(said) == 1 else None
