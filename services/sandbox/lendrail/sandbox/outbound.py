"""What a partner sends and fetches by itself: webhooks to its customers, documents from the links they gave.

Links are read with one httpx client per lane: a client shared by many concurrent calls costs four times the CPU.
Addresses may be loopback or private, since the sandbox is a rehearsal tool and listens on loopback itself.
"""

import asyncio
import hashlib
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import httpx

from lendrail.sandbox.journal import Record
from lendrail.sandbox.ledger import Effect, Ledger, event
from lendrail.sandbox.posts import Posts

LANES = 8
RETRY_SECONDS = (0.2, 1.0, 3.0)
"""Between attempts of a webhook that has no schedule of its own; only a connection that failed is tried again then, an
HTTP answer of any kind is final."""
CALL_SECONDS = 10.0
FETCH_LIMIT = 50 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Fetched:
    """The hash and size of what a link gave, or why it gave nothing."""

    sha256: str = ""
    size: int = 0
    error: str | None = None


def is_web_url(value: object) -> bool:
    """http:// or https:// with a host, as the documentation asks of every URL."""
    if not isinstance(value, str) or not value.startswith(("http://", "https://")):
        return False
    try:
        return bool(httpx.URL(value).host)
    except httpx.InvalidURL:
        return False


class Outbound:
    """Webhooks are planned in a committed record first, so a kill -9 between decision and delivery loses none."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._pending: dict[str, Effect] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._lanes: asyncio.LifoQueue[httpx.AsyncClient] = asyncio.LifoQueue()
        self._clients: list[httpx.AsyncClient] = []
        self._posts: Posts | None = None
        self.sign: Callable[[Effect], Mapping[str, str]] | None = None
        """Headers of one attempt, made at its moment, for partners that sign a time."""

    def apply(self, record: Record) -> None:
        """Follower: what is planned and not yet sent."""
        for effect in record.get("effects", ()):
            for webhook in effect.get("planned", ()):
                self._pending[webhook["id"]] = webhook
            if effect["kind"] == "webhooks":
                self._pending.pop(effect["id"], None)

    def start(self) -> None:
        """Opens the lanes and takes up what an earlier life had planned."""
        trust = ssl.create_default_context()
        self._posts = Posts(trust)
        for _ in range(LANES):
            client = httpx.AsyncClient(verify=trust, trust_env=False, follow_redirects=False, timeout=CALL_SECONDS)
            self._clients.append(client)
            self._lanes.put_nowait(client)
        for webhook in list(self._pending.values()):
            self.send(webhook)

    async def stop(self) -> None:
        """Unsent webhooks stay planned in the ledger and go out after the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._posts is not None:
            self._posts.close()
        for client in self._clients:
            await client.aclose()

    def plan(
        self,
        url: str,
        body: Any,
        reference: str | None,
        late_ms: int = 0,
        method: str = "POST",
        headers: Mapping[str, str] = MappingProxyType({}),
        retries: Sequence[float] | None = None,
    ) -> Effect:
        """One webhook for a record's `planned` list; send it after the commit. Its bytes are `orjson.dumps(body)`, so
        that a signature among the headers can be made before. `retries` are the seconds between attempts until one is
        answered with 2xx."""
        due = time.time() + late_ms / 1000
        how: dict[str, Any] = {"method": method, "headers": dict(headers)}
        how |= {} if retries is None else {"retries": list(retries)}
        return {"id": secrets.token_hex(8), "url": url, "body": body, "reference": reference, "due": due, **how}

    def send(self, webhook: Effect) -> asyncio.Task[None]:
        task = asyncio.create_task(self._deliver(webhook))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _deliver(self, webhook: Effect) -> None:
        await asyncio.sleep(max(0.0, webhook["due"] - time.time()))
        started, status, attempts = time.monotonic(), None, 0
        insists = "retries" in webhook
        for pause in (*webhook.get("retries", RETRY_SECONDS), None):
            attempts += 1
            status = await self._post(webhook)
            if pause is None or (status is not None and (not insists or 200 <= status < 300)):
                break
            await asyncio.sleep(pause)
        sent: dict[str, Any] = {
            "kind": "webhooks",
            **{name: webhook[name] for name in ("id", "url", "body")},
            "result": "unreachable" if status is None else "answered",
            "status": status,
            "attempts": attempts,
            "milliseconds": round((time.monotonic() - started) * 1000, 1),
        }
        await self._ledger.commit(event([sent], webhook["reference"]))

    async def _post(self, webhook: Effect) -> int | None:
        """The HTTP status, or None when no answer came."""
        assert self._posts is not None, "started"
        method, headers = webhook.get("method", "POST"), webhook.get("headers", {})
        if self.sign is not None:
            headers = {**headers, **self.sign(webhook)}
        try:
            return await self._posts.send(method, webhook["url"], webhook["body"], headers, CALL_SECONDS)
        except OSError:  # TimeoutError and NoAnswer are such
            return None

    async def fetch(self, url: str) -> Fetched:
        """Read a link to its end, hashing as it comes."""
        try:
            async with asyncio.timeout(CALL_SECONDS), self._lane() as client, client.stream("GET", url) as reply:
                if reply.status_code != 200:
                    return Fetched(error=f"unreachable url (status {reply.status_code})")
                return await _digest(reply)
        except (httpx.HTTPError, TimeoutError):
            return Fetched(error="unreachable url")

    @asynccontextmanager
    async def _lane(self) -> AsyncIterator[httpx.AsyncClient]:
        client = await self._lanes.get()
        try:
            yield client
        finally:
            self._lanes.put_nowait(client)


async def _digest(reply: httpx.Response) -> Fetched:
    digest, size = hashlib.sha256(), 0
    async for chunk in reply.aiter_bytes():
        size += len(chunk)
        if size > FETCH_LIMIT:
            return Fetched(error="file too large")
        digest.update(chunk)
    return Fetched(digest.hexdigest(), size)
