"""Where the demo's scenes are played: the doors of a stack that is up, its timeline, and the partners' own books."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from lendrail.local import timeline
from lendrail.local.hooks import Receiver
from lendrail.local.publish import Api, public_key, to_kafka
from lendrail.local.render import rendered
from lendrail.local.state import State, read_json
from lendrail.local.timeline import Line


class Missed(Exception):
    """A step that did not happen; the message names it."""


Check = tuple[str, Callable[[], bool]]
"""What shall happen, and whether it has."""


def everything(_: Line) -> bool:
    return True


def nothing(_: Line) -> bool:
    return False


class Stage:
    """Sends, watches and asks; a scene says what and what for."""

    def __init__(
        self,
        state: State,
        console: Console,
        *,
        hurried: bool,
        told: Callable[..., AsyncIterator[Line]] = timeline.lines,
    ) -> None:
        """`told`: who tells the timeline's lines; Kafka, unless somebody else plays it."""
        self.console, self.hurried, self._told = console, hurried, told
        self.lines: list[Line] = []
        self.shown: Callable[[Line], bool] = everything
        """Which lines of the timeline are printed."""
        self.receiver = Receiver()
        endpoints = read_json(state.endpoints)
        self.credentials: list[dict[str, Any]] = read_json(state.config / "credentials.json")["credentials"]
        self.api = Api(endpoints)
        self._kafka: str = endpoints["kafka"]
        self._key = public_key(state.config / "intake.jwk")
        self._mail = Path(endpoints["mail"])
        self._sandbox = httpx.AsyncClient(
            base_url=endpoints["sandbox"]["url"], trust_env=False, timeout=20, follow_redirects=False
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Hear everything, from Kafka and as a customer does, until the end. Raises Missed."""
        with self.receiver:
            async with self.api.client, self._sandbox:
                await self._register()
                started = asyncio.Event()
                watching = asyncio.create_task(self._watch(started))
                try:
                    await asyncio.wait_for(started.wait(), 20)
                    yield
                finally:
                    watching.cancel()
                    with suppress(asyncio.CancelledError):
                        await watching

    async def _register(self) -> None:
        answer = await self.api.post("/v1/endpoints", {"url": self.receiver.url, "description": "demo"})
        if answer.status_code != 201:
            raise Missed(f"registering the webhook endpoint: POST /v1/endpoints answered {answer.status_code}")
        self.receiver.secret = answer.json()["secret"]

    async def _watch(self, started: asyncio.Event) -> None:
        async for line in self._told(self._kafka, started=started):
            self.lines.append(line)
            if self.shown(line):
                self.console.print(rendered(line))

    async def send(self, title: str, door: str, application: dict[str, Any]) -> str:
        """Its id. Raises Missed: it was not accepted."""
        if door == "Kafka":
            (sent,) = await to_kafka(self._kafka, self._key, [application])
        else:
            sent = await self.api.apply(application)
        if sent.application_id is None:
            raise Missed(f"{title}: the application was not accepted, the gateway answered {sent.status}")
        return sent.application_id

    async def change(self, title: str, path: str, **what: Any) -> int:
        """The revision that this change of an application became.

        Sent twice under one key, as by a client that lost the answer. Raises Missed: it was not taken, or taken twice.
        """
        key = str(uuid.uuid4())
        first, again = [await self.api.send(path, key, **what) for _ in range(2)]
        if first.status_code != 202:
            raise Missed(f"{title}: POST {path} answered {first.status_code}")
        if (again.status_code, again.json()) != (202, first.json()) or "Idempotency-Replayed" not in again.headers:
            raise Missed(f"{title}: POST {path} under the same key was not answered as before")
        return int(first.json()["revision"])

    async def until(self, title: str, checks: list[Check], seconds: float) -> None:
        """Raises Missed with everything that has not happened after so long."""
        end = time.monotonic() + seconds
        while missing := [step for step, happened in checks if not happened()]:
            if time.monotonic() > end:
                raise Missed(f"{title}: within {seconds:.0f} s these did not happen: {'; '.join(missing)}")
            await asyncio.sleep(0.05)

    async def view(self, title: str, application: str) -> dict[str, Any]:
        """What the API says of it. Raises Missed."""
        answer = await self.api.get(f"/v1/applications/{application}")
        if answer.status_code != 200:
            raise Missed(f"{title}: GET /v1/applications answered {answer.status_code}")
        found: dict[str, Any] = answer.json()
        return found

    async def dial(self, partner: str, dial: dict[str, Any]) -> None:
        """Choose what a simulated partner does next."""
        (await self._sandbox.post(f"/_dials/{partner}", json=dial)).raise_for_status()

    async def ledger(self, partner: str, reference: str | None = None) -> dict[str, Any]:
        """What the partner itself wrote down, of everything or of one reference."""
        asked = {"bodies": "false"} | ({"reference": reference} if reference else {})
        found: dict[str, Any] = (await self._sandbox.get(f"/_ledger/{partner}", params=asked)).json()
        return found

    def mailed(self, application: str, status: str = "") -> int:
        """How many mails tell of it, and of this status."""
        texts = (file.read_text(errors="replace") for file in self._mail.glob("*.eml"))
        return sum(application in text and status in text for text in texts)

    def notified(self, application: str) -> list[str]:
        webhooks = len({notice.id for notice in self.receiver.notices if notice.application == application})
        return [counted(webhooks, "signed webhook"), counted(self.mailed(application), "email")]


def counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
