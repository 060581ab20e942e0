"""Webhook calls: to checked addresses only, no redirects, one deadline, a capped answer.

httpcore is what httpx sends with; used directly it lets us choose the address that a connection goes to while the name
stays in Host, SNI and the certificate check, it costs less, and it reads no environment and follows no redirect.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import httpcore
import httpx

from lendrail.notifications.addresses import Forbidden, Resolver, Unresolvable
from lendrail.runtime.faults import call_point

ANSWER_BYTES = 64 * 1024
URL_CHARACTERS = 2000


class BadUrl(ValueError):
    """Not an address that we call; the text is one of a few fixed sentences."""


def read_url(text: str, *, https_only: bool) -> httpx.URL:
    """Parse and check the form of a webhook address. Raises `BadUrl`."""
    if len(text) > URL_CHARACTERS or any(ord(c) <= 32 or ord(c) == 127 for c in text):
        raise BadUrl(f"must have at most {URL_CHARACTERS} characters and no spaces")
    try:
        url = httpx.URL(text)
        host = url.host
    except (httpx.InvalidURL, ValueError, UnicodeError):
        raise BadUrl("must be an absolute http or https address") from None
    if url.scheme not in ("http", "https") or not host or url.port == 0:
        raise BadUrl("must be an absolute http or https address")
    if https_only and url.scheme != "https":
        raise BadUrl("must begin with https://")
    if url.userinfo or url.fragment:
        raise BadUrl("must hold neither credentials nor a fragment")
    return url


@lru_cache(maxsize=1024)
def _target(text: str) -> tuple[httpcore.URL, bytes]:
    """What httpcore calls, and the value of Host. Parsing takes 70 µs, as long as signing and sealing together."""
    url = httpx.URL(text)
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path), url.netloc


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections to addresses that the resolver allows."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver, self._inner = resolver, httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """The first address that answers. Raises `Forbidden`, `Unresolvable`, `httpcore.ConnectError`."""
        failure: Exception = httpcore.ConnectError("no address")
        for address in await self._resolver.checked(host, port):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise Forbidden

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Caller:
    """One lane's connections."""

    def __init__(self, resolver: Resolver, tls: ssl.SSLContext, seconds: float) -> None:
        self._seconds = seconds
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=20,
            max_keepalive_connections=10,
            keepalive_expiry=20,
            network_backend=CheckedBackend(resolver),
        )

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> str:
        """What came of it: `http-<status>`, or why there was no answer. Never raises for what the network does."""
        try:
            async with asyncio.timeout(self._seconds):
                await call_point("webhook.before", ConnectionResetError)
                status = await self._status(url, headers, body)
                await call_point("webhook.after", ConnectionResetError)
                return f"http-{status}"
        except TimeoutError:
            return "timeout"
        except Forbidden:
            return "address-forbidden"
        except Unresolvable:
            return "name-not-found"
        except (httpcore.ConnectError, httpcore.ConnectTimeout):
            return "not-connected"
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError):
            return "broken-off"

    async def _status(self, url: str, headers: dict[str, str], body: bytes) -> int:
        target, host = _target(url)
        named = [(b"Host", host), *((name.encode(), value.encode()) for name, value in headers.items())]
        seen = 0
        async with self._pool.stream("POST", target, headers=named, content=body) as response:
            async for chunk in response.aiter_stream():
                seen += len(chunk)
                if seen > ANSWER_BYTES:
                    break
        return int(response.status)

    async def aclose(self) -> None:
        await self._pool.aclose()
