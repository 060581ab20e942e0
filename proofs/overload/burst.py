"""Clients by the thousand, as cheap as can be: they share two processors with what they are to overload.

A client is one application with one Idempotency-Key. Half of the clients do as `Retry-After` says and come back with
the same request, four times; the other half come again at once, twice. Then they give up.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from proofs.loans import loans

CONNECTIONS = 1000
"""Open at the same time; a client that finds none free waits for one."""
ANSWER_SECONDS = 30.0
PATIENT_TRIES, HASTY_TRIES = 5, 3
_NUMBER = "8888888"


class Template:
    """The bytes of a request for the n-th application; each is another invented business and person."""

    def __init__(self, gateway: str, token: str, partners: Sequence[str]) -> None:
        """Without `partners`: to all that the tenant has."""
        loan = loans(1, 0)[0] | {"targetPartners": list(partners) or "all"}
        loan["business"]["registrations"][0]["number"] = f"00-{_NUMBER}"
        loan["business"]["legalName"] = f"Example Venture {_NUMBER} LLC"
        loan["owners"][0]["ssn"] = f"90{_NUMBER}"
        self._body = json.dumps(loan).encode()
        lines = (
            "POST /v1/applications HTTP/1.1",
            f"Host: {urlsplit(gateway).netloc}",
            f"Authorization: Bearer {token}",
            "Content-Type: application/json",
            f"Content-Length: {len(self._body)}",
            "Idempotency-Key: ",
        )
        self._head = "\r\n".join(lines).encode()

    @property
    def size(self) -> int:
        return len(self._body)

    def request(self, number: int, key: str) -> bytes:
        body = self._body.replace(_NUMBER.encode(), b"%07d" % number)
        return self._head + key.encode() + b"\r\n\r\n" + body


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    code: str
    retry_after: int | None
    application: str
    seconds: float


class Door:
    """A bounded number of kept connections to the gateway."""

    def __init__(self, gateway: str, connections: int = CONNECTIONS) -> None:
        where = urlsplit(gateway)
        self._host, self._port = where.hostname or "", where.port or 80
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._places = asyncio.Semaphore(connections)

    async def ask(self, request: bytes) -> Answer:
        """Status 0: there was no whole answer."""
        async with self._places:
            begun = time.monotonic()
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    return await self._exchange(request, begun)
            except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError) as error:
                return Answer(0, type(error).__name__, None, "", time.monotonic() - begun)

    async def _exchange(self, request: bytes, begun: float) -> Answer:
        reused = bool(self._free)
        reader, writer = self._free.pop() if reused else await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
        except (ConnectionError, EOFError):
            writer.close()
            if not reused:
                raise
            return await self._exchange(request, begun)  # a kept connection that the server had closed meanwhile
        except BaseException:
            writer.close()
            raise
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        body = await reader.readexactly(int(headers[b"content-length"]))
        if headers.get(b"connection") == b"close":
            writer.close()
        else:
            self._free.append((reader, writer))
        said = json.loads(body)
        after = headers.get(b"retry-after")
        status = int(head[9:12])
        known = said.get("applicationId", "") if status == 202 else ""
        return Answer(status, said.get("code", ""), int(after) if after else None, known, time.monotonic() - begun)

    def close(self) -> None:
        for _, writer in self._free:
            writer.close()


@dataclass
class Book:
    """What the clients saw."""

    offered: int = 0
    accepted: dict[str, float] = field(default_factory=dict)
    """Ids that we got a 202 for, and when (seconds since the epoch)."""
    answers: Counter[str] = field(default_factory=Counter)
    """Status and code of each answer."""
    unsaid: int = 0
    """429 and 503 without `Retry-After`."""
    came_back: int = 0
    """Accepted after they had been told to come back."""
    gave_up: int = 0
    seconds: dict[str, list[float]] = field(default_factory=dict)
    """How long each answer took, by what it was."""

    def note(self, answer: Answer) -> None:
        name = f"{answer.status} {answer.code}".strip()
        self.answers[name] += 1
        self.seconds.setdefault(name, []).append(answer.seconds)
        if answer.status in (429, 503) and answer.retry_after is None:
            self.unsaid += 1
        if answer.application:
            self.accepted.setdefault(answer.application, time.time())

    @property
    def refused(self) -> int:
        return sum(count for name, count in self.answers.items() if name[:3] in ("429", "503"))

    @property
    def unexpected(self) -> dict[str, int]:
        """Anything but taken, refused for now, and *under way*, which is told to who repeats himself too early."""
        fine = ("202", "429 too-many-requests", "503 overloaded", "503 unavailable", "409 request-in-progress")
        return {name: count for name, count in self.answers.items() if name not in fine}


class Burst:
    def __init__(self, door: Door, template: Template, book: Book) -> None:
        self._door, self._template, self.book = door, template, book
        self._number = 0

    async def closed(self, count: int, callers: int) -> float:
        """So many applications by so many patient callers, one after the other; applications a second."""
        waiting, begun = iter(range(count)), time.monotonic()

        async def caller() -> None:
            for _ in waiting:
                await self._client(patient=True, until=begun + 600)

        await asyncio.gather(*(caller() for _ in range(callers)))
        return count / (time.monotonic() - begun)

    async def open(self, rate: float, seconds: float) -> None:
        """New clients at random times, whatever becomes of those before."""
        begun, at, clients = time.monotonic(), 0.0, set[asyncio.Task[None]]()
        end = begun + seconds
        while (at := at + random.expovariate(rate)) < seconds:
            if (early := begun + at - time.monotonic()) > 0:
                await asyncio.sleep(early)
            elif random.random() < 0.02:
                await asyncio.sleep(0)  # we are late ourselves: let the others have their turn
            client = asyncio.create_task(self._client(patient=random.random() < 0.5, until=end))
            clients.add(client)
            client.add_done_callback(clients.discard)
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS + 5):
                await asyncio.gather(*clients)

    async def _client(self, *, patient: bool, until: float) -> None:
        number, self._number = self._number, self._number + 1
        key, tries, most = str(uuid.uuid4()), 0, PATIENT_TRIES if patient else HASTY_TRIES
        self.book.offered += 1
        while True:
            answer = await self._door.ask(self._template.request(number, key))
            self.book.note(answer)
            tries += 1
            if answer.application:
                self.book.came_back += tries > 1
                return
            if answer.status not in (0, 409, 429, 503):
                return
            wait = float(answer.retry_after or 1) if patient else 0.0
            if time.monotonic() + wait > until or tries >= most:
                self.book.gave_up += 1
                return
            await asyncio.sleep(wait)
