"""Applications sent through a whole stack, and what became of them by the books of those who got them.

Judges are the simulated partners' ledgers, the subscriber's book and the tenant's topic, none of which ever dies here.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition
from tests.flow.stack import Stack, deal, post, seen

from lendrail.contracts.terms import attempt_id, opportunity_id
from lendrail.local.configure import TENANT
from lendrail.partners import PARTNERS
from proofs.page import Check
from proofs.subscriber import Subscriber, Version

LENDERS = {
    "forward-financing": "demo-ff",
    "finpace": "demo-finpace",
    "reference-partner": "demo-reference",
    "soap-lender": "demo-soap",
    "email-lender": "demo-mail",
}
"""Each with the account that the demo tenant has there."""
GROUPS = (
    ("forward-financing",),
    ("finpace", "reference-partner"),
    ("soap-lender", "email-lender"),
    ("forward-financing", "reference-partner", "finpace"),
)
ENDINGS = {"40000": "approved", "40001": "declined", "40003": "in-review"}
"""What partners decide by the amount (docs/test-and-live.md); the lender by mail never answers."""
UNASKABLE = tuple(name for name in LENDERS if PARTNERS[name].read is None and PARTNERS[name].webhook is not None)
"""They tell what they decided by a call of theirs alone: what that did not bring, nobody knows."""
UNDECIDED = ("submitted", "in-review")
LOOK_SECONDS, ASK_SECONDS = 0.3, 5.0
"""Between two looks at what we show, and at least between two looks into partners' books."""
PARTITIONS = 6
"""Of each topic of ours; topics of dead letters have one."""
QUIET = ("received", "submitting")
"""Versions of which nobody is told where there is nothing to add to the word."""


@dataclass(frozen=True)
class Sent:
    """An application that the gateway acknowledged."""

    application: str
    partners: tuple[str, ...]
    amount: str
    ends: str = ""
    """The status everywhere, where it is not the amount that decides."""

    @property
    def wanted(self) -> dict[str, str]:
        """The status at each partner in the end."""
        unanswered = {"email-lender": "submitted"}
        return {each: self.ends or unanswered.get(each) or ENDINGS[self.amount] for each in self.partners}

    def reference(self, partner: str) -> str:
        """What the partner knows it by: there is no second generation unless a person asked for one."""
        opportunity = opportunity_id(UUID(self.application), partner, LENDERS[partner])
        return str(attempt_id(opportunity, "create", "", 1))


@dataclass(frozen=True)
class Left:
    """An application that does not show what it must, when the wait for it is over."""

    sent: Sent
    shown: dict[str, str]

    @property
    def differing(self) -> list[str]:
        """Partners at which it shows something else."""
        return [partner for partner, status in self.sent.wanted.items() if self.shown.get(partner) != status]

    def __str__(self) -> str:
        return f"{self.sent.application}: {self.shown}, not {self.sent.wanted}"


@dataclass(frozen=True)
class Settled:
    wrong: tuple[Left, ...]
    unheard: tuple[Left, ...]
    """Shown as undecided, since the partner's own call found nobody, and it cannot be asked."""


@dataclass(frozen=True)
class Verdict:
    """What was counted; all but the last three must be empty."""

    accepted: int
    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    wrong: tuple[str, ...]
    renumbered: tuple[str, ...]
    untold: tuple[str, ...]
    disordered: tuple[str, ...]
    missing: tuple[str, ...]
    """Versions that the tenant's own topic does not hold."""
    dead: tuple[str, ...]
    """Topics of dead letters that hold some."""
    unheard: tuple[str, ...]
    """Decided, and the partner told nobody: its call came while nobody was there, and it cannot be asked."""
    repeated: int
    told: int

    @property
    def bad(self) -> dict[str, tuple[str, ...]]:
        return {name: getattr(self, name) for name in MEANING if getattr(self, name)}

    def rows(self) -> Iterator[tuple[str, str]]:
        """What was counted beside."""
        yield "accepted", str(self.accepted)
        yield "decided, and told nobody by a partner that cannot be asked", str(len(self.unheard))
        yield "notices told", str(self.told)
        yield "notices repeated under their one id", str(self.repeated)

    def checks(self) -> Iterator[Check]:
        yield Check("something was accepted", self.accepted > 0, str(self.accepted))
        for name, said in MEANING.items():
            found: tuple[str, ...] = getattr(self, name)
            yield Check(said, not found, "; ".join([str(len(found)), *found[:MOST]]))


MEANING = {
    "lost": "none is lost at a partner",
    "doubled": "none is at a partner twice",
    "wrong": "none has a wrong final status",
    "renumbered": "no notice has a second id or another content",
    "untold": "every version was told to the subscriber",
    "disordered": "no opportunity was told in a wrong order",
    "missing": "every version is in the tenant's topic",
    "dead": "no topic has dead letters",
}
"""What must be of each name of a violation."""
MOST = 5
"""Of one name that are listed."""


async def send(client: httpx.AsyncClient, count: int, start: int = 0) -> list[Sent]:
    """So many applications to several partners each, with all endings."""
    amounts = list(ENDINGS)
    kinds = [(amounts[n % len(amounts)], GROUPS[n % len(GROUPS)]) for n in range(start, start + count)]
    ids = await asyncio.gather(*(post(client, deal(amount, *partners)) for amount, partners in kinds))
    return [Sent(id, partners, amount) for id, (amount, partners) in zip(ids, kinds, strict=True)]


async def settled(stack: Stack, client: httpx.AsyncClient, sent: Sequence[Sent], seconds: float) -> Settled:
    """Wait until all show what they must, at most so long; those that do not."""
    now = asyncio.get_running_loop().time
    left, end, ask = [Left(each, {}) for each in sent], now() + seconds, now() + ASK_SECONDS
    unheard = list[Left]()
    while left:
        views = await asyncio.gather(*(_shown(client, each.sent.application) for each in left))
        left = [Left(each.sent, view) for each, view in zip(left, views, strict=True)]
        left = [each for each in left if each.differing]
        if now() > min(ask, end):
            ask, deaf = now() + ASK_SECONDS, await told_nobody(stack, left)
            unheard += deaf
            left = [each for each in left if each not in deaf]
        if now() > end:
            break
        await asyncio.sleep(LOOK_SECONDS)
    return Settled(tuple(left), tuple(unheard))


async def told_nobody(stack: Stack, left: Sequence[Left]) -> list[Left]:
    """Those of which partners that cannot be asked have decided, and whose call was answered by nobody."""
    partners = {name for each in left for name in each.differing} & set(UNASKABLE)
    ledgers = {name: await asyncio.to_thread(stack.ledger, name) for name in partners}
    return [each for each in left if all(_is_deaf(each, name, ledgers) for name in each.differing)]


def _is_deaf(left: Left, partner: str, ledgers: Mapping[str, Any]) -> bool:
    """Its book notes a call when it has given it up, or has got an answer."""
    if partner not in ledgers or left.shown.get(partner) not in UNDECIDED:
        return False
    known_as = left.sent.reference(partner)
    calls = [each["status"] for each in ledgers[partner]["webhooks"] if each["reference"] == known_as]
    return bool(calls) and not any(200 <= (status or 0) < 300 for status in calls)


async def _shown(client: httpx.AsyncClient, id: str) -> dict[str, str]:
    try:
        view = await seen(client, id)
    except (httpx.TransportError, AssertionError):
        return {}
    return {each["partner"]: each["status"] for each in view.get("opportunities", ())}


def taken(stack: Stack, partner: str) -> Counter[str]:
    """How often a partner has each reference."""
    return Counter(each["reference"] for each in stack.ledger(partner)["leads"])


async def judge(
    stack: Stack, client: httpx.AsyncClient, sent: Sequence[Sent], subscriber: Subscriber, seconds: float
) -> Verdict:
    """Wait until all is quiet, at most so long, and count."""
    found = await settled(stack, client, sent, seconds)
    books = {partner: await asyncio.to_thread(taken, stack, partner) for partner in LENDERS}
    counted = [(each, partner, books[partner][each.reference(partner)]) for each in sent for partner in each.partners]
    kafka = stack.endpoints["kafka"]
    untold = missing = tuple[str, ...](("not looked",))
    for _ in range(60):
        truth = await versions(kafka, "status-updated")
        mine = {each.application for each in sent}
        to_tell = {at for at, said in truth.items() if said["applicationId"] in mine and _is_told(said)}
        untold = tuple(_gaps(truth, mine) + _names(to_tell - subscriber.versions.keys()))
        missing = tuple(_names(to_tell - (await versions(kafka, f"outcomes-{TENANT}")).keys()))
        if not untold and not missing:
            break
        await asyncio.sleep(0.5)
    return Verdict(
        accepted=len(sent),
        lost=tuple(f"{each.application} at {partner}" for each, partner, count in counted if not count),
        doubled=tuple(f"{each.application} at {partner}" for each, partner, count in counted if count > 1),
        wrong=tuple(map(str, found.wrong)),
        renumbered=tuple(subscriber.renumbered()),
        untold=untold,
        disordered=tuple(subscriber.disordered()),
        missing=missing,
        dead=tuple(await dead_letters(kafka)),
        unheard=tuple(map(str, found.unheard)),
        repeated=subscriber.repeated(),
        told=len(subscriber.told),
    )


def _names(found: set[Version]) -> list[str]:
    return [f"{about} v{number}" for about, number in sorted(found)]


def _gaps(truth: dict[Version, dict[str, Any]], applications: set[str]) -> list[str]:
    """Versions that must have been, since there are later ones."""
    newest: dict[str, int] = {}
    for (about, number), said in truth.items():
        if said["applicationId"] in applications:
            newest[about] = max(number, newest.get(about, 0))
    every = {(about, number) for about, last in newest.items() for number in range(1, last + 1)}
    return _names(every - truth.keys())


def _is_told(said: dict[str, Any]) -> bool:
    return said["status"] not in QUIET or bool(said.get("flags") or said.get("problems"))


async def versions(kafka: str, topic: str) -> dict[Version, dict[str, Any]]:
    """What a topic says of opportunities, by version."""
    found: dict[Version, dict[str, Any]] = {}
    async for record in records(kafka, topic):
        said = json.loads(record.value)
        number = int(said.get("stateVersion") or said.get("version") or 0)
        found[said.get("opportunityId") or said["applicationId"], number] = said
    return found


async def records(kafka: str, topic: str) -> Any:
    """All that a topic holds now."""
    consumer: Any = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False, max_partition_fetch_bytes=2**23)
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < ends[place] for place in places]):
            for found in (await consumer.getmany(timeout_ms=200)).values():
                for record in found:
                    yield record
    finally:
        await consumer.stop()


async def dead_letters(kafka: str) -> list[str]:
    """Topics of dead letters that hold any."""
    consumer: Any = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)
    await consumer.start()
    try:
        names = [name for name in await consumer.topics() if name.endswith("-dlq")]
        places = [TopicPartition(name, 0) for name in names]
        ends = await consumer.end_offsets(places)
        return sorted({f"{place.topic}: {end}" for place, end in ends.items() if end})
    finally:
        await consumer.stop()
