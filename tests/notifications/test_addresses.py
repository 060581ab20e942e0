"""The deny table against the ways in which an internal address can be written, read by this machine's own resolver."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lendrail.notifications.addresses import Forbidden, Resolver, Unresolvable, allowed, resolve
from lendrail.notifications.web import BadUrl, read_url

_INTERNAL = """
127.0.0.1 127.1 127.0.1 127.255.255.254 0 0.0.0.0 0.0 00 0x0 0x7f.1 0x7f.0.0.1 0x7f000001 0x7F000001 0177.0.0.1 0177.1
017700000001 2130706433 127.000.000.001 0x7f.0x0.0x0.0x1 localhost LOCALHOST localhost. 10.0.0.1 10.1 0xa.1 012.1
167772161 172.16.0.1 172.31.255.255 172.16.1 192.168.0.1 192.168.1 0xc0.0xa8.1 3232235521 169.254.169.254
0xa9.0xfe.0xa9.0xfe 2852039166 0251.0376.0251.0376 169.254.43518 100.64.0.1 100.100.100.200 168.63.129.16 192.0.0.192
192.0.2.1 192.88.99.1 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1
255.255.255.255 4294967295 0xffffffff [::1] [::] [0:0:0:0:0:0:0:1] [::ffff:127.0.0.1] [::ffff:7f00:1]
[::ffff:169.254.169.254] [::ffff:8.8.8.8] [::127.0.0.1] [::10.0.0.1] [64:ff9b::127.0.0.1] [64:ff9b::a9fe:a9fe]
[64:ff9b:1::10.0.0.1] [2002:7f00:1::] [2002:a9fe:a9fe::1] [2002:c0a8:1::] [2001:0:7f00:1::] [2001::1] [2001:10::1]
[2001:20::1] [2001:db8::1] [3fff::1] [fc00::1] [fd00:ec2::254] [fe80::1] [fec0::1] [ff02::1] [100::1] [5f00::1]
[2600:1f00::5efe:10.0.0.1] [2600:1f00::200:5efe:7f00:1] [2620:4f:8000::1] [4000::1]
"""
_PUBLIC = """
1.1.1.1 8.8.8.8 93.184.216.34 172.32.0.1 172.15.0.1 11.0.0.1 100.128.0.1 2606:4700::1111 2a00:1450::1
"""
SPELLINGS, PUBLIC = _INTERNAL.split(), _PUBLIC.split()


def test_the_corpus_is_large() -> None:
    assert len(set(SPELLINGS)) >= 60


@pytest.mark.parametrize("host", SPELLINGS)
async def test_no_spelling_of_an_internal_address_gets_through(host: str) -> None:
    async def reach() -> None:
        url = read_url(f"https://{host}/hook", https_only=True)
        await Resolver(loopback=False).checked(url.raw_host.decode(), 443)

    with pytest.raises((Forbidden, Unresolvable, BadUrl)):
        await reach()


async def test_old_spellings_are_refused_for_what_they_mean() -> None:
    """So that the corpus does not pass merely because nothing resolves."""
    for host in ("127.1", "0x7f.1", "2130706433", "0177.1", "localhost"):
        with pytest.raises(Forbidden):
            await Resolver(loopback=False).checked(host, 443)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    assert allowed(address)


async def test_one_internal_address_among_public_ones_refuses_the_name() -> None:
    async def rebinding(host: str, port: int) -> list[str]:
        return ["93.184.216.34", "127.0.0.1"]

    with pytest.raises(Forbidden):
        await Resolver(loopback=False, resolve=rebinding).checked("rebinding.example.test", 443)


async def test_development_allows_loopback_and_nothing_else() -> None:
    development = Resolver(loopback=True, resolve=resolve)
    assert await development.checked("127.0.0.1", 80)
    for host in ("10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "0.0.0.0"):
        with pytest.raises(Forbidden):
            await development.checked(host, 80)


@given(st.ip_addresses(v=4))
def test_whatever_the_library_calls_private_we_refuse(address: ipaddress.IPv4Address) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert not allowed(str(address))


@given(st.ip_addresses(v=6))
def test_only_unicast_that_is_handed_out_is_allowed(address: ipaddress.IPv6Address) -> None:
    if allowed(str(address)):
        assert address.is_global
        assert address.ipv4_mapped is None
        assert address.sixtofour is None
        assert address.teredo is None


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_a_bad_one(text: str) -> None:
    try:
        url = read_url(text, https_only=True)
    except BadUrl:
        return
    assert url.scheme == "https"
    assert url.host


_BAD = """http://a.example.test|ftp://a.example.test|https://u:p@a.example.test|https://a.example.test/#x|https://|
//a.example.test|https://a.example.test:0|https://a b.example.test|https://a\n.example.test|javascript:1"""


@pytest.mark.parametrize("text", _BAD.split("|"))
def test_bad_addresses(text: str) -> None:
    with pytest.raises(BadUrl):
        read_url(text, https_only=True)
