"""The two doors as an upstream knocks at them: again and again, with the same key or record, until it is answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

AGAIN = frozenset({401, 408, 425, 429, 500, 502, 503, 504})
"""Answers that say nothing of the request itself; 401 is a token that the service no longer takes."""
RUNNING = "request-in-progress"
PAUSE_SECONDS = 0.4
CONNECTIONS = 64


class Rest:
    """The REST door, under a token of the tenant's client."""

    def __init__(self, endpoints: dict[str, Any], until: float) -> None:
        self._oauth, self._until = endpoints["oauth"], until
        self._token, self._expires = "", 0.0
        self._renewing = asyncio.Lock()
        limits = httpx.Limits(max_connections=CONNECTIONS)
        self._client = httpx.AsyncClient(base_url=endpoints["gateway"], trust_env=False, timeout=10, limits=limits)

    async def close(self) -> None:
        await self._client.aclose()

    async def post(self, path: str, key: str, **what: Any) -> httpx.Response:
        """The answer to the request itself. Raises TimeoutError: there was none until the end."""
        return await self._insist("POST", path, {"Idempotency-Key": key}, what, lambda _: True)

    async def get(self, path: str, good: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """The view once it is good. Raises TimeoutError."""
        reply = await self._insist("GET", path, {}, {}, lambda said: said.status_code == 200 and good(said.json()))
        found: dict[str, Any] = reply.json()
        return found

    async def find(self, path: str) -> dict[str, Any] | None:
        """The view now; None where there is none. Raises TimeoutError."""
        reply = await self._insist("GET", path, {}, {}, lambda said: said.status_code in (200, 404))
        return None if reply.status_code == 404 else dict(reply.json())

    async def _insist(
        self, method: str, path: str, headers: dict[str, str], what: dict[str, Any], good: Callable[[Any], bool]
    ) -> httpx.Response:
        while time.monotonic() < self._until:
            with suppress(httpx.HTTPError):
                reply = await self._client.request(method, path, headers=headers | await self._authorised(), **what)
                if reply.status_code == 401:
                    self._expires = 0.0
                if not _says_nothing(reply) and good(reply):
                    return reply
            await asyncio.sleep(PAUSE_SECONDS)
        raise TimeoutError

    async def _authorised(self) -> dict[str, str]:
        """Raises httpx.HTTPError."""
        async with self._renewing:
            if time.monotonic() > self._expires:
                client = self._oauth["client_id"], self._oauth["client_secret"]
                form = {"grant_type": "client_credentials"}
                reply = await self._client.post(self._oauth["token_url"], data=form, auth=client)
                said = reply.raise_for_status().json()
                self._token, self._expires = said["access_token"], time.monotonic() + said.get("expires_in", 300) / 2
            return {"Authorization": f"Bearer {self._token}"}


def _says_nothing(reply: httpx.Response) -> bool:
    if reply.status_code == 409:
        with suppress(ValueError):
            return bool(reply.json().get("code") == RUNNING)
    return reply.status_code in AGAIN


class Intake:
    """The Kafka intake: one producer for all records, a new one where it broke."""

    def __init__(self, kafka: str) -> None:
        self._kafka = kafka
        self._producer: Any = None
        self._opening = asyncio.Lock()

    async def send(self, topic: str, value: bytes, key: bytes, headers: list[tuple[str, bytes]]) -> None:
        """Return when Kafka has it, for as long as that takes."""
        while True:
            producer: Any = None
            try:
                producer = await self._open()
                await producer.send_and_wait(topic, value, key=key, headers=headers)
                return
            except (KafkaError, OSError):
                await self._drop(producer)
                await asyncio.sleep(PAUSE_SECONDS)

    async def close(self) -> None:
        await self._drop(self._producer)

    async def _open(self) -> Any:
        async with self._opening:
            if self._producer is None:
                made: Any = AIOKafkaProducer(bootstrap_servers=self._kafka, acks="all", enable_idempotence=True)
                try:
                    await made.start()
                except BaseException:
                    await made.stop()
                    raise
                self._producer = made
            return self._producer

    async def _drop(self, producer: Any) -> None:
        """Others may use another one by now."""
        if producer is None or producer is not self._producer:
            return
        self._producer = None
        with suppress(KafkaError, OSError, TimeoutError):
            await asyncio.wait_for(producer.stop(), 10)
