"""Carries a request to a partner over HTTP, and says truthfully whether it left us.

httpx's exceptions cannot tell: the same `RemoteProtocolError` or `ReadError` comes when the partner recorded the call
and when it did not. So the truth is taken from the transport itself: *not sent* is what failed before the transport
began to write the request's head; everything after that moment, whatever its exception, is *no answer*.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx

from lendrail.contracts.terms import Mode
from lendrail.partners.channels.auth import Auth, AuthFailed
from lendrail.partners.exchange import NoAnswer, NoAnswerReason, NotSent, NotSentReason, Reply, Request

CONNECT_SECONDS = 10.0
LARGEST_REPLY = 1_000_000
"""Bytes; partners' answers are a few kilobytes."""
TOKEN_DEADLINE_SECONDS = 30.0


class PlainHttpRefused(ValueError):
    """A live credential whose address is not https."""


class _Withheld(Exception):
    """The guard said no, just before the first byte."""


def lane_client(verify: ssl.SSLContext | bool = True) -> httpx.AsyncClient:
    """A client for one worker lane: one connection, no proxies of the environment, no redirects, quiet logs.

    The idle time is short, since a partner that closes an idle connection while we write to it leaves us not knowing.
    """
    for name in ("httpx", "httpcore"):  # they log addresses at INFO and headers at DEBUG
        logging.getLogger(name).setLevel(logging.WARNING)
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=3.0)
    timeout = httpx.Timeout(None, connect=CONNECT_SECONDS)
    return httpx.AsyncClient(
        verify=verify,
        trust_env=False,
        follow_redirects=False,
        limits=limits,
        timeout=timeout,
        headers={"user-agent": "lendrail"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),  # none: a lane serves several credentials
    )


class RestChannel:
    """Calls one credential's base address. Raises `PlainHttpRefused` when it is made for live with plain http."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        base_url: str,
        mode: Mode,
        auth: Auth,
        pace: Callable[[], Awaitable[object]] | None = None,
        largest_reply: int = LARGEST_REPLY,
    ) -> None:
        """`pace` is awaited before every call of one `send` but the first, whatever it is: a token call uses the turn
        that the caller waited for, and the request itself waits for another.
        """
        if mode == "live" and not all(urlsplit(url).scheme == "https" for url in (base_url, *auth.addresses)):
            raise PlainHttpRefused("a live credential needs https addresses")
        self._client, self._base_url, self._auth = client, base_url.rstrip("/"), auth
        self._pace, self._largest_reply = pace, largest_reply

    async def send(
        self, request: Request, deadline: float, guard: Callable[[], bool] | None = None
    ) -> Reply | NotSent | NoAnswer:
        """Send it once; once more only after a complete 401, with a renewed token.

        `deadline` is the total time of one call in seconds. `guard` is asked at the last moment before the first byte:
        false withholds the request (a worker whose lease is over must not send).
        """
        turns = itertools.count()

        async def turn() -> None:
            if next(turns) and self._pace is not None:
                await self._pace()

        async def fetch(token_url: str, asked: Request) -> Reply | None:
            await turn()
            reply = await self._call(token_url, asked, {}, TOKEN_DEADLINE_SECONDS, None)
            return reply if isinstance(reply, Reply) else None

        try:
            headers = await self._auth.headers(fetch)
            signed = self._auth.sign(request)
            url = self._url(signed)
            await turn()
            reply = await self._call(url, signed, headers, deadline, guard)
            if isinstance(reply, Reply) and reply.status == 401:
                renewed = await self._auth.renew(headers, fetch)
                if renewed is not None:
                    await turn()
                    reply = await self._call(url, signed, renewed, deadline, guard)
        except AuthFailed as failure:
            return NotSent(failure.reason)
        return reply

    def _url(self, request: Request) -> str:
        query = "?" + urlencode(request.query, quote_via=quote) if request.query else ""
        return self._base_url + request.path + query

    async def _call(
        self, url: str, request: Request, auth: Mapping[str, str], deadline: float, guard: Callable[[], bool] | None
    ) -> Reply | NotSent | NoAnswer:
        began = False

        async def trace(event: str, _: Mapping[str, Any]) -> None:
            nonlocal began
            if event.endswith("send_request_headers.started"):
                if guard is not None and not guard():
                    raise _Withheld
                began = True

        headers = {**dict(request.headers), "accept-encoding": "identity", **auth}
        try:
            async with (
                asyncio.timeout(deadline),
                self._client.stream(
                    request.method, url, headers=headers, content=request.content, extensions={"trace": trace}
                ) as response,
            ):
                return await self._read(response)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, OSError, _Withheld) as error:
            return NoAnswer(_why_no_answer(error)) if began else NotSent(_why_not_sent(error))
        except Exception as error:
            if not began:
                raise
            # a fault of a library, or ours, tells nothing of what the partner got
            logging.getLogger(__name__).error("a reply could not be received: %s", type(error).__name__)
            return NoAnswer("failed")

    async def _read(self, response: httpx.Response) -> Reply | NoAnswer:
        content = bytearray()
        async for chunk in response.aiter_raw():
            content += chunk
            if len(content) > self._largest_reply:
                return NoAnswer("too-large")
        headers = {k.lower(): v for k, v in response.headers.items()}
        headers.setdefault("date", formatdate(usegmt=True))  # waits that are dates count from it
        return Reply(response.status_code, headers, bytes(content))


def _why_no_answer(error: Exception) -> NoAnswerReason:
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return "deadline"
    return "cut" if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError) else "failed"


def _why_not_sent(error: Exception) -> NotSentReason:
    """The cause at the bottom of httpx's chain names what happened to the connection."""
    if isinstance(error, _Withheld):
        return "withheld"
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.LocalProtocolError | UnicodeError):
        return "invalid-request"
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return "connect-timeout"
    chain: list[BaseException] = [error]
    while (below := chain[-1].__cause__ or chain[-1].__context__) is not None and below not in chain:
        chain.append(below)
    kinds: tuple[tuple[type[BaseException], NotSentReason], ...] = (
        (ssl.SSLError, "tls"),
        (socket.gaierror, "no-such-host"),
        (ConnectionRefusedError, "refused"),
    )
    return next((reason for kind, reason in kinds if any(isinstance(each, kind) for each in chain)), "not-connected")
