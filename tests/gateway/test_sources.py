"""Whose call it is: what proxies of ours say counts, what the caller says does not."""

import ipaddress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lendrail.gateway.webhooks.sources import Proxies, address, may_call, network_of
from lendrail.partners import PARTNERS

PROXY, INNER, CALLER = "192.0.2.10", "198.51.100.5", "203.0.113.77"
OURS = f"{PROXY}, 198.51.100.0/24, 2001:db8:aa::/48"


def told(*values: str, header: str = "x-forwarded-for") -> list[tuple[bytes, bytes]]:
    return [(header.encode(), value.encode("latin-1")) for value in values]


@pytest.mark.parametrize(
    ("peer", "headers", "caller"),
    [
        (CALLER, [], CALLER),
        (CALLER, told("192.0.2.99"), CALLER),
        (PROXY, told(CALLER), CALLER),
        (PROXY, told("192.0.2.99, " + CALLER), CALLER),
        (PROXY, told("192.0.2.99", CALLER), CALLER),
        (PROXY, told(f"192.0.2.99, {CALLER}, {INNER}"), CALLER),
        (PROXY, told(f"{CALLER}:4711"), CALLER),
        (PROXY, told("[2001:db8::7]:4711"), "2001:db8::7"),
        (PROXY, told("2001:db8::7"), "2001:db8::7"),
        (PROXY, told(f"::ffff:{CALLER}"), CALLER),
        ("2001:db8:aa::1", told(CALLER), CALLER),
        (f"::ffff:{PROXY}", told(CALLER), CALLER),
        (PROXY, told(INNER), INNER),
        (PROXY, [], PROXY),
        (PROXY, told(""), PROXY),
        (PROXY, told(f"{CALLER}, unknown"), None),
        (PROXY, told(f"{CALLER},"), None),
        (PROXY, told("203.0.113.077"), None),
        (PROXY, told("fe80::1%eth0"), None),
        (PROXY, told("203.0.113.7\xb2"), None),
        (PROXY, told("[203.0.113.7]:1"), CALLER.replace(".77", ".7")),
        (PROXY, told(", ".join(["192.0.2.99"] * 40)), None),
        (PROXY, told(" " * 5000 + CALLER), None),
        (None, told(CALLER), None),
        ("testclient", told(CALLER), None),
    ],
)
def test_the_right_most_address_that_is_not_ours(
    peer: str | None, headers: list[tuple[bytes, bytes]], caller: str | None
) -> None:
    found = Proxies(OURS).caller(peer, headers)
    assert (str(found) if found else None) == caller


@pytest.mark.parametrize(
    ("value", "caller"),
    [
        (f"for={CALLER}", CALLER),
        (f'For="{CALLER}:4711";proto=https;by=192.0.2.10', CALLER),
        ('for="[2001:db8::7]:4711"', "2001:db8::7"),
        (f"for=192.0.2.99, for={CALLER}, for={INNER};proto=http", CALLER),
        ("for=unknown", None),
        ("for=_hidden", None),
        (f"for={CALLER};for=192.0.2.99", None),
        ("proto=https", None),
        (f'for="{CALLER}', None),
        ('for="192.0.2.1, for=203.0.113.1"', None),
        (f"for = {CALLER}", None),
        ("for=2001:db8::7", None),
    ],
)
def test_the_standard_header(value: str, caller: str | None) -> None:
    found = Proxies(OURS, "forwarded").caller(PROXY, told(value, header="Forwarded"))
    assert (str(found) if found else None) == caller
    assert str(Proxies(OURS, "forwarded").caller(PROXY, told(CALLER))) == PROXY, "only one header counts"
    assert str(Proxies().caller(PROXY, told(value, header="Forwarded"))) == PROXY, "nobody is believed"


@given(st.lists(st.binary(max_size=60), max_size=5), st.sampled_from(["x-forwarded-for", "forwarded"]))
def test_no_header_breaks_it_or_gets_behind_it(values: list[bytes], header: str) -> None:
    """Whatever stands left of what our proxy wrote changes nothing."""
    right = CALLER if header == "x-forwarded-for" else f"for={CALLER}"
    proxies = Proxies(OURS, "forwarded" if header == "forwarded" else "x-forwarded-for")
    lines = [(header.encode(), value) for value in values]
    proxies.caller(PROXY, lines)
    found = proxies.caller(PROXY, [*lines, (header.encode(), right.encode())])
    assert found is None or str(found) == CALLER


def test_a_list_that_cannot_be_read_is_no_list() -> None:
    with pytest.raises(ValueError):
        Proxies("192.0.2.1/24")


def test_the_list_of_sources() -> None:
    caller, published = address("192.0.2.7"), PARTNERS["forward-financing"].webhook
    assert published is not None
    assert may_call(caller, None, published)
    assert may_call(caller, "198.51.100.0/24, 192.0.2.0/24", None)
    assert may_call(address("::ffff:192.0.2.7"), "192.0.2.0/24", None)
    assert not may_call(caller, "198.51.100.0/24", None)
    assert not may_call(None, "198.51.100.0/24", None)
    assert not may_call(caller, "nonsense", None)
    assert not may_call(caller, "192.0.2.0/24, nonsense", None)
    assert not may_call(caller, "published", published)
    assert may_call(address(published.addresses[0]), "published", published)
    assert may_call(caller, "published, 192.0.2.0/24", published)
    assert not may_call(caller, "published", replace(published, addresses=())), "nothing is published: nobody"
    assert not may_call(caller, "published", None)


def test_of_a_caller_its_network_is_kept() -> None:
    assert network_of(address("203.0.113.77")) == "203.0.113.0/24"
    assert network_of(address("2001:db8:1:2::3")) == "2001:db8:1::/48"
    assert network_of(None) == "unknown"
    assert ipaddress.ip_network(network_of(address("::ffff:203.0.113.77"))).version == 4
