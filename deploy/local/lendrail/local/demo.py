"""`lendrail demo`: four applications, live, on the real stack; whatever does not happen is named."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Any

import httpx
from rich.console import Console

from lendrail.local import timeline
from lendrail.local.configure import PARTNER
from lendrail.local.hooks import Receiver
from lendrail.local.publish import Api, Sent, public_key, to_kafka
from lendrail.local.render import rendered
from lendrail.local.scenes import FAULTS, SECONDS, Scene, scenes
from lendrail.local.state import State, read_json
from lendrail.local.timeline import Line

SUBMITTED = ("application-received", "application-validated", "submit", "partner-ack", "partner-webhook", "notify")
REFUSED = ("application-rejected", "notify")


class Missed(Exception):
    """A step that did not happen; the message names it."""


@dataclass
class Ending:
    """What the summary says of one application."""

    scene: Scene
    application: str
    seconds: float
    view: dict[str, Any] = field(default_factory=dict)
    notified: list[str] = field(default_factory=list)


Check = tuple[str, Callable[[], bool]]


class Demo:
    """Plays the scenes one after the other against a stack that is up."""

    def __init__(self, state: State, console: Console) -> None:
        self._endpoints = read_json(state.endpoints)
        self._key = public_key(state.config / "intake.jwk")
        self._mail = Path(self._endpoints["mail"])
        self._console = console
        self._lines: list[Line] = []
        self._api = Api(self._endpoints)
        self._sandbox = httpx.AsyncClient(
            base_url=self._endpoints["sandbox"]["url"], trust_env=False, timeout=20, follow_redirects=False
        )

    async def play(self, loans: Path) -> list[Ending]:
        """All scenes. Raises Missed: the step that did not happen."""
        with Receiver() as receiver:
            async with self._api.client, self._sandbox:
                await self._register(receiver)
                started = asyncio.Event()
                watching = asyncio.create_task(self._watch(started))
                try:
                    await asyncio.wait_for(started.wait(), 20)
                    return [await self._scene(scene, receiver) for scene in scenes(loans)]
                finally:
                    watching.cancel()
                    with suppress(asyncio.CancelledError):
                        await watching

    async def _register(self, receiver: Receiver) -> None:
        answer = await self._api.post("/v1/endpoints", {"url": receiver.url, "description": "demo"})
        if answer.status_code != 201:
            raise Missed(f"registering the webhook endpoint: POST /v1/endpoints answered {answer.status_code}")
        receiver.secret = answer.json()["secret"]

    async def _watch(self, started: asyncio.Event) -> None:
        async for line in timeline.lines(self._endpoints["kafka"], started=started):
            self._lines.append(line)
            self._console.print(rendered(line))

    async def _scene(self, scene: Scene, receiver: Receiver) -> Ending:
        self._console.rule(f"[bold]{scene.title}", align="left")
        if scene.outcome:
            dial = {"kind": "outcome", "operation": "lead", "times": 1, **scene.outcome}
            (await self._sandbox.post(f"/_dials/{PARTNER}", json=dial)).raise_for_status()
        begin = time.monotonic()
        if scene.ends == "invalid":
            await self._refused_at_the_door(scene)
        application = await self._send(scene)
        await self._until(scene, self._checks(scene, application, receiver))
        seconds = time.monotonic() - begin
        return await self._ending(scene, application, seconds, receiver)

    async def _send(self, scene: Scene) -> str:
        if scene.door == "Kafka":
            (sent,) = await to_kafka(self._endpoints["kafka"], self._key, [scene.application])
        else:
            sent = await self._api.apply(scene.application)
        if sent.application_id is None:
            raise Missed(f"{scene.title}: the application was not accepted, the gateway answered {sent.status}")
        return sent.application_id

    async def _refused_at_the_door(self, scene: Scene) -> None:
        """At the API what can be told at once is a 422 with every fault, and nothing is stored."""
        sent: Sent = await self._api.apply(scene.application)
        for problem in sent.problems:
            said = f"{problem.get('pointer')}: {problem.get('message')}"
            self._console.print(f"   422 at the API   {shorten(said, 100)}", markup=False, style="yellow")
        if sent.status != 422 or len(sent.problems) < FAULTS:
            raise Missed(f"{scene.title}: the API answered {sent.status} with {len(sent.problems)} of {FAULTS} errors")
        self._console.print("   nothing was stored; the same through the Kafka intake, where nobody waits:")

    def _checks(self, scene: Scene, application: str, receiver: Receiver) -> list[Check]:
        def said(event: str, word: str = "") -> Check:
            def happened() -> bool:
                found = (line for line in self._lines if line.application == application and line.event == event)
                return any(word in (line.word or "") for line in found)

            return (f"{event} {word}".strip(), happened)

        checks = [said(event) for event in (SUBMITTED if scene.outcome else REFUSED)]
        if scene.outcome:
            checks += [said("partner-ack", "create: accepted"), said("partner-ack", "document: accepted")]
        checks.append(said("status-updated", scene.ends))
        checks.append((f"the signed webhook notice of {scene.ends}", lambda: receiver.told(application, scene.ends)))
        checks.append((f"the email about {scene.ends}", lambda: self._mailed(application, scene.ends)))
        return checks

    def _mailed(self, application: str, status: str) -> bool:
        return any(
            application in text and status in text
            for text in (file.read_text(errors="replace") for file in self._mail.glob("*.eml"))
        )

    async def _until(self, scene: Scene, checks: list[Check]) -> None:
        """Raises Missed with everything that has not happened after SECONDS."""
        end = time.monotonic() + SECONDS
        while missing := [step for step, happened in checks if not happened()]:
            if time.monotonic() > end:
                raise Missed(f"{scene.title}: within {SECONDS:.0f} s these did not happen: {'; '.join(missing)}")
            await asyncio.sleep(0.05)

    async def _ending(self, scene: Scene, application: str, seconds: float, receiver: Receiver) -> Ending:
        """What the API says in the end. Raises Missed when it or the partner's own ledger disagrees."""
        answer = await self._api.get(f"/v1/applications/{application}")
        if answer.status_code != 200:
            raise Missed(f"{scene.title}: GET /v1/applications answered {answer.status_code}")
        view = answer.json()
        if view["status"] != scene.ends:
            raise Missed(f"{scene.title}: the API says {view['status']} and not {scene.ends}")
        await self._once_at_the_partner(scene, view)
        webhooks = len({notice.id for notice in receiver.notices if notice.application == application})
        mails = sum(application in file.read_text(errors="replace") for file in self._mail.glob("*.eml"))
        return Ending(scene, application, seconds, view, [f"{webhooks} signed webhooks", f"{mails} emails"])

    async def _once_at_the_partner(self, scene: Scene, view: dict[str, Any]) -> None:
        known = {each["partnerId"] for each in view["opportunities"] if each.get("partnerId")}
        ledger = (await self._sandbox.get(f"/_ledger/{PARTNER}", params={"bodies": "false"})).json()
        leads = sum(each["leadId"] in known for each in ledger["leads"])
        if leads != (1 if scene.outcome else 0):
            raise Missed(f"{scene.title}: the partner's own ledger has the application {leads} times")
