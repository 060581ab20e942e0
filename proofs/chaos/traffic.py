"""The upstream: a customer's system that sends applications through both doors, and writes down what it was promised.

Its ledger is a file of its own with one line for each event, on the disk before anything goes on. It repeats a request
under the same key until it is answered, as an upstream must; what it got a 202 for, or Kafka's word for a record, was
acknowledged. A few applications it takes further: a document that was asked for, an offer, a withdrawal.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from lendrail.contracts.intake import imported_application_id
from lendrail.contracts.topics import INTAKE
from lendrail.local import publish
from lendrail.local.configure import TENANT, UPSTREAM
from lendrail.local.paper import bank_statement
from proofs.chaos.cast import Planned
from proofs.chaos.doors import Intake, Rest
from proofs.chaos.shapes import Accepted
from proofs.chaos.truth import Truth, Version

READY_FOR = {"document": "info-required", "accept": "approved", "withdraw": "in-review"}
"""The status in which the upstream takes an application further."""
REASON = "the applicant found another way"
ACKNOWLEDGE_SECONDS = 120.0
"""At most so long after the last fault the upstream goes on to repeat what was not answered."""
LIVE_SECONDS = 30.0
"""And at most so long it waits for the moment to take an application further."""


@dataclass(frozen=True, kw_only=True)
class Acted:
    """A change that we acknowledged."""

    mark: str
    application: str
    partner: str
    life: str
    becomes: str


class Ledger:
    """The upstream's own, append-only."""

    def __init__(self, file: Path) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.sent: list[str] = []
        self.accepted: list[Accepted] = []
        self.acted: list[Acted] = []
        self.refused: Counter[str] = Counter()

    async def note(self, kind: str, **what: Any) -> None:
        """Return when it is on the disk."""
        line = json.dumps({"kind": kind, **what}, default=str).encode() + b"\n"
        await asyncio.to_thread(self._write, line)

    def _write(self, line: bytes) -> None:
        os.write(self._file, line)
        os.fdatasync(self._file)

    async def begin(self, planned: Planned) -> None:
        self.sent.append(planned.mark)
        await self.note("sent", mark=planned.mark, door=planned.door, partners=list(planned.wanted))

    async def accept(self, planned: Planned, application: str) -> None:
        accepted = Accepted(
            application=application,
            door=planned.door,
            at=dt.datetime.now(dt.UTC),
            mark=planned.mark,
            partners=tuple(planned.body["targetPartners"]),
            wanted=planned.wanted,
            withheld=planned.withheld,
        )
        self.accepted.append(accepted)
        await self.note("accepted", **asdict(accepted))

    async def act(self, acted: Acted) -> None:
        self.acted.append(acted)
        await self.note("acted", **asdict(acted))

    async def refuse(self, mark: str, what: str, reply: httpx.Response) -> None:
        """It was answered, and not as it should be."""
        said = f"{what} {reply.status_code} {_code(reply)}"
        self.refused[said] += 1
        await self.note("refused", mark=mark, said=said, problems=_pointers(reply))


class Upstream:
    """Sends what is planned, each at its time."""

    def __init__(
        self, endpoints: dict[str, Any], key: dict[str, Any], file: Path, truth: Truth, *, seed: int, over: float
    ) -> None:
        """`over`: when the faults are, by the monotonic clock."""
        self.ledger, self._truth = Ledger(file), truth
        self._until, self._last = over + ACKNOWLEDGE_SECONDS, over + LIVE_SECONDS
        self._rest, self._intake = Rest(endpoints, self._until), Intake(endpoints["kafka"])
        self._key, self._names = key, random.Random(seed)

    async def run(self, planned: Sequence[Planned], begin: float) -> None:
        """`begin`: when the run began, by the monotonic clock."""
        keys = [str(uuid.UUID(int=self._names.getrandbits(128), version=4)) for _ in planned]
        try:
            async with asyncio.TaskGroup() as tasks:
                for each, key in zip(planned, keys, strict=True):
                    tasks.create_task(self._one(each, key, begin + each.at))
        finally:
            await self._rest.close()
            await self._intake.close()

    async def _one(self, planned: Planned, key: str, at: float) -> None:
        await asyncio.sleep(max(0.0, at - time.monotonic()))
        await self.ledger.begin(planned)
        try:
            application = await (self._by_rest if planned.door == "rest" else self._by_kafka)(planned, key)
            if application is None:
                return
            await self.ledger.accept(planned, application)
            if planned.life is not None:
                await self._live(planned, application, key)
        except TimeoutError:
            await self.ledger.note("given-up", mark=planned.mark)

    async def _by_rest(self, planned: Planned, key: str) -> str | None:
        reply = await self._rest.post("/v1/applications", key, json=planned.body)
        if reply.status_code != 202:
            await self.ledger.refuse(planned.mark, "application", reply)
            return None
        return str(reply.json()["applicationId"])

    async def _by_kafka(self, planned: Planned, key: str) -> str:
        """The record is made once: what is repeated has the same event id."""
        value, headers, event = await asyncio.to_thread(publish.record, planned.body, self._key)
        async with asyncio.timeout_at(asyncio.get_running_loop().time() + self._until - time.monotonic()):
            await self._intake.send(INTAKE.name(UPSTREAM), value, event.encode(), headers)
        return str(imported_application_id(TENANT, publish.SOURCE, event))

    async def _live(self, planned: Planned, application: str, key: str) -> None:
        life, partner = planned.life or "", planned.life_at
        opportunity = await self._reached(application, partner, READY_FOR[life])
        path, what = await self._change(life, application, opportunity)
        reply = await self._rest.post(path, f"{key}-{life}", **what)
        if reply.status_code != 202:
            await self.ledger.refuse(planned.mark, life, reply)
            return
        acted = Acted(mark=planned.mark, application=application, partner=partner, life=life, becomes=planned.becomes)
        await self.ledger.act(acted)

    async def _reached(self, application: str, partner: str, status: str) -> str:
        """The opportunity, once it is there. Raises TimeoutError: it does not come so far."""
        while True:
            opportunity, version = self._truth.newest(application).get(partner, ("", NOTHING))
            if version.status == status:
                return opportunity
            if version.person or time.monotonic() > self._last:
                raise TimeoutError
            await asyncio.sleep(0.5)

    async def _change(self, life: str, application: str, opportunity: str) -> tuple[str, dict[str, Any]]:
        if life == "document":
            content = bank_statement(application)
            params = {"kind": "bank-statement", "name": "bank-statement.pdf"}
            return f"/v1/applications/{application}/documents", {"params": params, "content": content}
        if life == "withdraw":
            return f"/v1/opportunities/{opportunity}/withdraw", {"json": {"reason": REASON}}
        view = await self._rest.get(f"/v1/applications/{application}", _offers(opportunity))
        (mine,) = (each for each in view["opportunities"] if each["opportunityId"] == opportunity)
        offer = mine["offers"][0]
        variant = {"variant": offer["variant"]} if offer.get("variant") else {}
        return f"/v1/opportunities/{opportunity}/accept", {"json": {"offerId": offer["id"]} | variant}


NOTHING = Version(number=0, partner="", status="", told=False, person=False)


def _offers(opportunity: str) -> Callable[[dict[str, Any]], bool]:
    """Whether the view shows an offer there: it may be a moment behind."""

    def shown(view: dict[str, Any]) -> bool:
        return any(each["opportunityId"] == opportunity and each.get("offers") for each in view["opportunities"])

    return shown


def _code(reply: httpx.Response) -> str:
    try:
        return str(reply.json().get("code", ""))
    except ValueError:
        return ""


def _pointers(reply: httpx.Response) -> list[str]:
    try:
        return [f"{each.get('pointer')} {each.get('code')}" for each in reply.json().get("errors", ())]
    except ValueError:
        return []
