"""Once by key, at both doors: requests, repeats, other bodies, twins, and processes that die in the middle.

The doors are the product's own functions, and the store is a real MongoDB: what is tried is what its unique indexes and
compare-and-set give. A process that dies is a request that is cancelled at some point and a memory that is thrown away;
what it had handed to the driver by then may still arrive, as from a real process. Kills of real processes are in
tests/gateway and in the chaos run.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

from fastapi import Request, Response
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from pymongo import AsyncMongoClient
from tests import make, support

from lendrail.contracts.intake import Intake, NewApplication
from lendrail.gateway.door import Door
from lendrail.gateway.intake import IntakeDoor, IntakeKeys
from lendrail.gateway.lists.index import Index
from lendrail.gateway.store import Applications
from lendrail.runtime.directory import Mounted, Tenants
from lendrail.runtime.failures import DefectMeter
from lendrail.runtime.http import Problem
from lendrail.runtime.mongo import Document
from lendrail.runtime.tokens import Caller
from lendrail.runtime.vault import LocalWrapper, Vault

CALLERS = tuple(Caller(tenant, f"{tenant}-upstream", "test", frozenset()) for tenant in ("demo", "other"))
BODIES = tuple(make.application_json(notes=f"body {number}") for number in range(2))
FAULTY: dict[str, Any] = {"also": "invalid"}
EVENTS = ("event-1", "event-2")
TURNS = 40
"""At most so often the loop turns before a process dies: a whole request takes fewer."""


@dataclass
class Ours:
    """What must be so of one key or event by what was seen."""

    said: tuple[int, str] | None = None
    """The body's number and the application, once that was answered."""
    perhaps: set[int] = field(default_factory=set)
    """Bodies that came with a process that died."""


class NoChanges:
    """Nothing amends here."""

    async def keep(self, changes: list[Any]) -> list[Any]:
        assert not changes
        return []


class Process:
    """One replica's memory."""

    def __init__(self, database: Any, keys: Any, tenants: Mounted[Tenants]) -> None:
        self.applications = Applications(database["applications"], Index(database["listed"], owner="_id"))
        self.applications.prepared = True
        vault = Vault(keys, LocalWrapper(b"0" * 32))
        relay: Any = SimpleNamespace(wake=lambda: None)
        self.door = Door(self.applications, vault, relay, tenants, "gateway-1")
        nothing: Any = None
        changes: Any = NoChanges()
        self.intake = IntakeDoor(
            self.applications, database["conflicts"], vault, tenants, IntakeKeys(), nothing, DefectMeter(), changes,
            clear_allowed=True,
        )  # fmt: skip


class Doors(RuleBasedStateMachine):
    """Two replicas, two tenants."""

    mongo: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.prefix = f"m{uuid.uuid4().hex[:10]}_"
        self.folder = Path(tempfile.mkdtemp(prefix="lendrail-doors-"))
        tenants = [
            {"id": c.tenant_id, "name": c.tenant_id, "mode": "test", "emails": [], "clients": [],
             "upstreams": [f"{c.tenant_id}-crm"],
             "partners": [{"partner": "forward-financing", "credential": f"{c.tenant_id}-ff", "mode": "test",
                           "enabled": True, "options": {}, "webhookPath": c.tenant_id[0] * 40}]}
            for c in CALLERS
        ]  # fmt: skip
        self.tenants = Mounted(support.tenants_file(self.folder, tenants), Tenants)
        self.keys: dict[tuple[str, str], Ours] = {}
        self.events: dict[tuple[str, str], Ours] = {}
        self.stored: dict[str, tuple[bytes, ...]] = {}
        self.runner.run(self._open())

    async def _open(self) -> None:
        self.client: AsyncMongoClient[Document] = AsyncMongoClient(
            self.mongo, w="majority", journal=True, readConcernLevel="majority", tz_aware=True
        )
        self.database = self.client[f"{self.prefix}gateway"]
        self.vaults = self.client[f"{self.prefix}keys"]["data_keys"]
        self.processes = [self._process() for _ in range(2)]
        await self.processes[0].applications.prepare()

    def _process(self) -> Process:
        return Process(self.database, self.vaults, self.tenants)

    def teardown(self) -> None:
        self.runner.run(self._close())
        self.runner.close()
        shutil.rmtree(self.folder)

    async def _close(self) -> None:
        for name in ("gateway", "keys"):
            await self.client.drop_database(f"{self.prefix}{name}")
        await self.client.close()

    # -- the REST door

    @rule(where=st.integers(0, 1), who=st.sampled_from(CALLERS), key=st.sampled_from("ab"), body=st.integers(0, 2))
    def post(self, where: int, who: Caller, key: str, body: int) -> None:
        self._judge((who.tenant_id, key), body, self.runner.run(self._answer(where, who, key, body)))

    @rule(
        who=st.sampled_from(CALLERS), key=st.sampled_from("ab"),
        twins=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=5),
    )  # fmt: skip
    def race(self, who: Caller, key: str, twins: list[tuple[int, int]]) -> None:
        """At the same moment, at both replicas, with one body or two."""
        answers = self.runner.run(self._together([self._answer(where, who, key, body) for where, body in twins]))
        name = (who.tenant_id, key)
        taken = {(body, answer[1]) for (_, body), answer in zip(twins, answers, strict=True) if answer[0] == 202}
        assert len(taken) <= 1, "two answers under one key"
        for (_, body), answer in sorted(zip(twins, answers, strict=True), key=_repeats_last):
            if answer[0] == 202:
                self._judge(name, body, answer)
        for (_, body), answer in zip(twins, answers, strict=True):
            if answer[0] not in (202, 409):
                self._judge(name, body, answer)

    @rule(
        where=st.integers(0, 1), who=st.sampled_from(CALLERS), key=st.sampled_from("ab"), body=st.integers(0, 1),
        turns=st.integers(0, TURNS),
    )  # fmt: skip
    def die(self, where: int, who: Caller, key: str, body: int, turns: int) -> None:
        ours = self.keys.setdefault((who.tenant_id, key), Ours())
        self.runner.run(self._die(where, self._answer(where, who, key, body), turns))
        ours.perhaps.add(body)

    async def _die(self, where: int, work: Coroutine[Any, Any, Any], turns: int) -> None:
        task = asyncio.create_task(work)
        for _ in range(turns):
            await asyncio.sleep(0.0005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self.processes[where] = self._process()
        await asyncio.sleep(0.02)  # what was on its way arrives

    @staticmethod
    async def _together(work: list[Any]) -> list[Any]:
        return list(await asyncio.gather(*work))

    async def _answer(self, where: int, who: Caller, key: str, body: int) -> tuple[int, str, bool]:
        """Status, application or code, and whether it says that it is a repeat."""
        data = BODIES[body] if body < len(BODIES) else FAULTY
        try:
            reply: Response = await self.processes[where].door.post(_request(key, data), who)
        except Problem as problem:
            return problem.status, problem.code, False
        said = json.loads(bytes(reply.body))
        return reply.status_code, said["applicationId"], "idempotency-replayed" in reply.headers

    def _judge(self, name: tuple[str, str], body: int, answer: tuple[int, str, bool]) -> None:
        ours, (status, said, again) = self.keys.setdefault(name, Ours()), answer
        if status == 202:
            assert body < len(BODIES)
            if ours.said is not None:
                assert ours.said == (body, said)
            elif again:
                assert body in ours.perhaps, "a repeat of what nobody sent"
            ours.said = body, said
        elif said == "idempotency-key-reused":
            assert status == 422
            others = {ours.said[0]} if ours.said else ours.perhaps
            assert others - {body}, "a fresh key was called used"
        else:
            assert (status, said) == (422, "invalid-application")
            assert body == len(BODIES)
            assert ours.said is None

    # -- the Kafka door

    @rule(where=st.integers(0, 1), who=st.sampled_from(CALLERS), event=st.sampled_from(EVENTS), body=st.integers(0, 1))
    def import_(self, where: int, who: Caller, event: str, body: int) -> None:
        out = self.runner.run(self.processes[where].intake.take([_record(who, event, body)]))
        self._imported((who.tenant_id, event), body, out)

    @rule(who=st.sampled_from(CALLERS), event=st.sampled_from(EVENTS), bodies=st.tuples(*[st.integers(0, 1)] * 2))
    def import_at_once(self, who: Caller, event: str, bodies: tuple[int, int]) -> None:
        work = [self.processes[i].intake.take([_record(who, event, body)]) for i, body in enumerate(bodies)]
        outs = self.runner.run(self._together(work))
        taken = [(body, out) for body, out in zip(bodies, outs, strict=True) if out]
        assert len({body for body, _ in taken}) <= 1, "two bodies of one event"
        for body, out in sorted(zip(bodies, outs, strict=True), key=lambda it: not it[1]):
            self._imported((who.tenant_id, event), body, out)

    @rule(
        where=st.integers(0, 1), who=st.sampled_from(CALLERS), event=st.sampled_from(EVENTS), body=st.integers(0, 1),
        turns=st.integers(0, TURNS),
    )  # fmt: skip
    def die_importing(self, where: int, who: Caller, event: str, body: int, turns: int) -> None:
        ours = self.events.setdefault((who.tenant_id, event), Ours())
        work = self.processes[where].intake.take([_record(who, event, body)])
        self.runner.run(self._die(where, work, turns))
        ours.perhaps.add(body)

    def _imported(self, name: tuple[str, str], body: int, out: list[Any]) -> None:
        """The same import publishes the same bytes; another body is parked, and publishes nothing."""
        ours = self.events.setdefault(name, Ours())
        if not out:
            assert ({ours.said[0]} if ours.said else ours.perhaps) - {body}, "a fresh event was called a conflict"
            return
        (record,) = out
        application = record.key.decode()
        assert ours.said in (None, (body, application))
        ours.said = body, application
        assert self.stored.setdefault(application, (record.value,)) == (record.value,)

    # -- what always holds

    @invariant()
    def there_is_one_of_each(self) -> None:
        documents = self.runner.run(self._documents())
        keyed = [(each["tenant"], each["idempotency"]) for each in documents if "idempotency" in each]
        assert len(keyed) == len(set(keyed)), "two applications of one key"
        ids = {each["_id"] for each in documents}
        for ours in (*self.keys.values(), *self.events.values()):
            assert ours.said is None or ours.said[1] in ids, "an acknowledged application is gone"
        open_ones = [ours for ours in (*self.keys.values(), *self.events.values()) if ours.said or ours.perhaps]
        assert len(documents) <= len(open_ones)
        assert all(len(each["outbox"]) == 1 for each in documents)

    async def _documents(self) -> list[Document]:
        return await self.database["applications"].find({}).to_list()


def _request(key: str, data: Any) -> Request:
    content = json.dumps(data).encode()
    headers = [(b"idempotency-key", key.encode()), (b"content-type", b"application/json")]
    scope: dict[str, Any] = {
        "type": "http", "method": "POST", "path": "/v1/applications", "headers": headers,
        "lendrail.request_id": str(uuid.uuid4()), "lendrail.correlation_id": str(uuid.uuid4()),
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    return Request(scope, receive)


def _record(who: Caller, event: str, body: int) -> Any:
    intake = Intake(intent=NewApplication(application=BODIES[body]))
    attributes = {
        "ce_id": event, "ce_type": Intake.type, "ce_source": "urn:example:crm", "ce_specversion": "1.0",
        "ce_time": make.NOW.isoformat(),
    }  # fmt: skip
    return SimpleNamespace(
        topic=f"{Intake.prefix}{who.tenant_id}-crm", partition=0, offset=uuid.uuid4().int % 10**9, key=b"k",
        value=intake.model_dump_json(by_alias=True, exclude_none=True).encode(), timestamp=0,
        headers=tuple((name, text.encode()) for name, text in attributes.items()),
    )  # fmt: skip


def _repeats_last(answered: tuple[tuple[int, int], tuple[int, str, bool]]) -> bool:
    """Of a race the one who was first is judged first, wherever it stands in the list."""
    return answered[1][2]
