"""Spoilt records onto every topic while good applications go their way; then all letters are counted by their place."""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer
from pymongo import AsyncMongoClient
from standardwebhooks import Webhook as Signer
from tests import support
from tests.flow.stack import Stack, loan, opportunity, post, seen

from lendrail.contracts.topics import PUSH, TOPICS
from lendrail.local.publish import public_key, to_kafka
from lendrail.runtime.mongo import Document
from lendrail.runtime.settings import read_key
from lendrail.runtime.vault import LocalWrapper, Vault
from proofs.poison import examples, pushes, taken
from proofs.poison.counting import Letters, Place, Sent, count, sent
from proofs.poison.mutations import MARK, TAKEN, Raw, spoilt
from proofs.poison.pushes import Pushes
from proofs.poison.watching import Watch

OWN = {topic.name: topic.consumers for topic in TOPICS} | {examples.INTAKE: ("gateway",)}
PUSHED = {PUSH.name(credential): ("gateway",) for credential in pushes.ACCOUNTS}
CONSUMERS = OWN | PUSHED
GROUP_OF_PUSHES = "gateway.push"
GROUPS: dict[str, tuple[str, ...]] = {
    f"{service}.{'intake' if topic == examples.INTAKE else topic}": (topic,)
    for topic, services in OWN.items()
    for service in services
} | {GROUP_OF_PUSHES: tuple(PUSHED)}
FOUND_SECONDS = 90.0
"""The gateway finds a new topic within half a minute of a machine that has time for it."""
AT_ONCE = 100
Sources = Mapping[str, Iterator[Raw]]
_OURS = {topic.name for topic in TOPICS}


@dataclass
class Verdict:
    """What was counted. All of the lists must be empty."""

    silent: list[str] = field(default_factory=list)
    """Records without a letter of a service that reads their topic."""
    repeated: list[str] = field(default_factory=list)
    """More than one letter of one service about one record."""
    unexplained: list[str] = field(default_factory=list)
    """A letter without a reason."""
    changed: list[str] = field(default_factory=list)
    """A letter that holds another record than the one that was sent."""
    stuck: list[str] = field(default_factory=list)
    """Good applications that did not come to their end."""
    lost: list[str] = field(default_factory=list)
    """Good calls by Kafka that were not kept, or not heard."""
    foreign: list[str] = field(default_factory=list)
    """Calls that were kept and are none, or more than once."""
    blocked: list[str] = field(default_factory=list)
    """Partitions of a group that stood still, though something waited."""
    leaked: list[str] = field(default_factory=list)
    """Where something of a record's content stands in clear."""
    sent: int = 0
    letters: int = 0
    good: int = 0
    calls: int = 0
    too_long: int = 0
    longest_stand: float = 0.0
    seconds: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def bad(self) -> dict[str, list[str]]:
        names = ("silent", "repeated", "unexplained", "changed", "stuck", "lost", "foreign", "blocked", "leaked")
        return {name: found for name in names if (found := getattr(self, name))}


class Attack:
    """One run against a stack that is up."""

    def __init__(self, stack: Stack, seed: int, say: Callable[[str], None] = lambda _: None) -> None:
        self._stack, self._seed, self._say = stack, seed, say
        self._kafka = str(stack.endpoints["kafka"])
        self._placed: dict[Place, Sent] = {}
        self._good: dict[str, tuple[str, ...]] = {}
        """Applications, and how each may end."""
        self._calls = taken.Calls()
        self._planned = 0
        self._verdict = Verdict()

    async def run(self, client: httpx.AsyncClient, records: int, good: int, patience: float = 60.0) -> Verdict:
        """`records` spoilt ones onto each topic, `good` applications between them."""
        began = time.monotonic()
        own = examples.of_events()
        examples.unlock(self._stack.endpoints["mongo"], self._stack.folder, own)
        sources = self._sources(own)
        self._planned = records * len(sources)
        pushing = self._pushing()
        async with Watch(self._kafka, GROUPS) as watch:
            await asyncio.gather(
                self._spoil(sources, records), self._push(watch, pushing, records), self._apply(client, good)
            )
            await self._settle(watch, client, patience)
        self._verdict.longest_stand, self._verdict.blocked = watch.longest, watch.blocked
        await self._count()
        self._verdict.seconds = time.monotonic() - began
        return self._verdict

    def _sources(self, own: dict[str, list[Raw]]) -> Sources:
        everything = [raw for raws in own.values() for raw in raws]
        found = {
            topic: spoilt(raws, [raw for raw in everything if raw.topic != topic], f"{self._seed}|{topic}")
            for topic, raws in own.items()
        }
        found[examples.INTAKE] = spoilt(
            examples.of_intake(self._stack.folder), everything, f"{self._seed}|{examples.INTAKE}"
        )
        assert found.keys() == OWN.keys()
        return found

    def _pushing(self) -> Sources:
        """As an operator lets partners push: switched on in the tenants file, then the topics are applied."""
        config = self._stack.folder / "config"
        file, secrets = config / "tenants.json", json.loads((config / "webhook-secrets.json").read_text())["secrets"]
        told = json.loads(file.read_text())
        for account in told["tenants"][0]["partners"]:
            if push := pushes.ACCOUNTS.get(account["credential"]):
                account["push"] = push
        file.write_text(json.dumps(told))
        self._stack.lendrail("topics", "apply")
        signers = {each["credential"]: Signer(each["secrets"][0]) for each in secrets}
        return {PUSH.name(each): iter(Pushes(each, signers.get(each), str(self._seed))) for each in pushes.ACCOUNTS}

    async def _push(self, watch: Watch, sources: Sources, records: int) -> None:
        await support.eventually(lambda: watch.reads(GROUP_OF_PUSHES), FOUND_SECONDS)
        await self._spoil(sources, records)

    async def _spoil(self, sources: Sources, records: int) -> None:
        """Turn by turn onto each topic, so that good ones always stand between."""
        producer: Any = AIOKafkaProducer(
            bootstrap_servers=self._kafka,
            enable_idempotence=True,
            max_request_size=4 * 1024 * 1024,
            partitioner=_anywhere,
        )
        await producer.start()
        try:
            for begin in range(0, records, AT_ONCE):
                for source in sources.values():
                    batch = [self._drawn(source) for _ in range(min(AT_ONCE, records - begin))]
                    await self._send(producer, batch)
                self._say(f"{len(self._placed)} spoilt records sent")
        finally:
            await producer.stop()

    @staticmethod
    def _drawn(source: Iterator[Raw]) -> Raw:
        """What a fault left readable by chance is not sent: only pushes have good ones among them."""
        return next(raw for raw in source if not (raw.topic in _OURS and examples.readable(raw)))

    async def _send(self, producer: Any, batch: Sequence[Raw]) -> None:
        futures = [await producer.send(r.topic, r.value, key=r.key, headers=list(r.headers)) for r in batch]
        for raw, future in zip(batch, futures, strict=True):
            placed = await future
            if raw.topic in PUSHED:
                self._calls.note(raw)
            if raw.kind != TAKEN:
                self._placed[placed.topic, placed.partition, placed.offset] = sent(raw)
                self._verdict.kinds[raw.kind] += 1

    async def _apply(self, client: httpx.AsyncClient, good: int) -> None:
        """Through both doors, spread over the spoilt ones; some with a fault that validation finds, some that are
        withdrawn again.
        """
        key = public_key(self._stack.folder / "config" / "intake.jwk")
        for number in range(good):
            while len(self._placed) < self._planned * number // good:  # noqa: ASYNC110 - it comes batch by batch
                await asyncio.sleep(0.05)
            if number % 4 == 1:
                (known,) = await to_kafka(self._kafka, key, [loan("30000")])
                self._good[str(known.application_id)] = ("approved",)
            elif number % 4 == 2:
                faulty = loan("30000") | {"requestedFinance": {"purpose": "working-capital"}}
                (known,) = await to_kafka(self._kafka, key, [faulty])
                self._good[str(known.application_id)] = ("invalid",)
            else:
                application = await post(client, loan("30000"))
                self._good[application] = ("approved",)
                if number % 4 == 3:
                    await self._withdraw(client, application)

    async def _withdraw(self, client: httpx.AsyncClient, application: str) -> None:
        """It ends as whichever came first."""
        said = {"reason": "poison between"}
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        path = f"/v1/applications/{application}/withdraw"
        answer = await client.post(path, json=said, headers=headers)
        if answer.status_code == 202:
            self._good[application] = ("approved", "withdrawn")

    async def _settle(self, watch: Watch, client: httpx.AsyncClient, patience: float) -> None:
        """Until every good one ended and every group has read its topic."""
        deadline = time.monotonic() + patience
        waiting = dict(self._good)
        while time.monotonic() < deadline and (waiting or await watch.lag()):
            for application in list(waiting):
                try:
                    view = await seen(client, application)
                except (AssertionError, httpx.TransportError):
                    continue  # the intake has it not read yet
                if {view["status"], opportunity(view).get("status")} & set(waiting[application]):
                    del waiting[application]
            await asyncio.sleep(0.2)
        self._verdict.good = len(self._good)
        self._verdict.stuck = sorted(waiting)

    async def _count(self) -> None:
        """Every letter; and whatever an attacker wrote is in no log."""
        verdict, endpoints = self._verdict, self._stack.endpoints
        found: Letters = await count(self._kafka, endpoints["mongo"], self._stack.folder, self._placed, CONSUMERS)
        verdict.sent, verdict.letters, verdict.too_long = len(self._placed), found.count, found.too_long
        verdict.silent, verdict.repeated, verdict.reasons = found.silent, found.repeated, found.reasons
        verdict.unexplained, verdict.changed, verdict.leaked = found.unexplained, found.changed, found.leaked
        await self._look_at_calls(endpoints["mongo"])
        for file in sorted((self._stack.folder / "logs").glob("*.log")):
            if MARK.encode() in file.read_bytes():
                verdict.leaked.append(file.name)

    async def _look_at_calls(self, mongo: str) -> None:
        verdict, client = self._verdict, AsyncMongoClient[Document](mongo, tz_aware=True)
        async with client:
            master = read_key(self._stack.folder / "config" / "master.key")
            vault = Vault(client["keys"]["data_keys"], LocalWrapper(master))
            found = await taken.look(client, vault, self._calls, pushes.ACCOUNTS)
        verdict.calls = sum(self._calls.sent.values())
        verdict.lost, verdict.foreign = found.lost, found.foreign + found.doubled
        verdict.leaked += found.leaked


def _anywhere(key: bytes | None, partitions: Sequence[int], _: Sequence[int]) -> int:
    """As the client's own, which takes a second for the longest of our keys."""
    return partitions[zlib.crc32(key or b"") % len(partitions)]


def attack_seed(text: str | None) -> int:
    return int(text) if text else random.SystemRandom().randrange(10**9)
