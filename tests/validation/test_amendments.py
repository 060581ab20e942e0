"""Amendments on a real MongoDB: in order, once, whoever comes first; what is early waits and nothing is lost."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tests import make, support
from tests.validation.amended import LATER, accepted, added, amended, at, corrected, document, withdrawn
from tests.validation.sound import sound
from tests.validation.test_checks import Bench, australian, credentials
from tests.validation.test_handlers import other

from lendrail.contracts.application_amended import ApplicationAmended
from lendrail.contracts.application_received import ApplicationReceived
from lendrail.contracts.application_rejected import ApplicationRejected
from lendrail.contracts.application_validated import ApplicationValidated
from lendrail.contracts.event import Event, Record, decode, envelope_of, read_envelope
from lendrail.runtime.inbox import once
from lendrail.runtime.step import Delivery
from lendrail.runtime.vault import Key

Fact = ApplicationValidated | ApplicationRejected
E = TypeVar("E", bound=Event)


def delivery(event: E, keys: dict[str, Key]) -> Delivery[E]:
    return Delivery(event, envelope_of(event, "gateway", make.NOW), keys[event.key_id])


class Desk(Bench):
    """Hears received and amended applications. Without a credential at the register nothing waits for that."""

    async def says(self, *events: ApplicationReceived | ApplicationAmended) -> list[Record]:
        """One batch of each topic, amendments first; what the handlers give back to be published."""
        keys = await self.service.vault.create(list({event.key_id for event in events}))
        changes = [delivery(each, keys) for each in events if isinstance(each, ApplicationAmended)]
        news = [delivery(each, keys) for each in events if isinstance(each, ApplicationReceived)]
        told: list[Record] = []
        if changes:
            told += await self.parts.handlers.on_application_amended(changes)
        if news:
            told += await self.parts.handlers.on_application_received(news)
        self.heard.records += told
        return told

    async def facts(self, event: ApplicationReceived, count: int, seconds: float = 15) -> list[Fact]:
        """The application's facts in the order in which they were published, each event's once."""

        async def look() -> list[Record]:
            mine = [each for each in self.heard.records if each.key == str(event.application_id).encode()]
            once = list({read_envelope(each.headers).id: each for each in mine}.values())
            return once if len(once) >= count else []

        records = await support.eventually(look, seconds)
        assert len(records) == count
        key = await self.service.vault.get(event.key_id)
        kinds: dict[str, type[Fact]] = {each.topic: each for each in (ApplicationValidated, ApplicationRejected)}
        return [decode(kinds[each.topic], each.value, key) for each in records]

    async def waiting(self) -> int:
        return await self.database["amendments"].count_documents({})

    async def nothing_waits(self) -> bool:
        return await self.waiting() == 0


@pytest.fixture
async def make_desk(
    tmp_path: Path, mongo: str, database_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Any]:
    made: list[Desk] = []
    credentials(tmp_path, "http://127.0.0.1:1/")

    def desk(**more: str) -> Desk:
        made.append(Desk(tmp_path, mongo, database_prefix, monkeypatch, **({"abn_credential": ""} | more)))
        return made[-1]

    yield desk
    for each in made:
        await each.close()


def revisions(facts: Sequence[Fact]) -> list[int]:
    return [each.revision for each in facts]


async def test_in_order_it_is_judged_at_once(make_desk: Any) -> None:
    """Several revisions of one application in one batch, without any worker."""
    desk = make_desk()
    event = make.received(application=sound())
    await desk.says(event)
    records = await desk.says(
        amended(event, 2, corrected(sound(metadata={"note": "corrected"}))),
        amended(event, 3, document(at(event))),
        amended(event, 4, corrected(sound(consents=[]))),
        amended(event, 5, accepted(at(event))),
        amended(event, 6, withdrawn()),
    )
    facts = await desk.facts(event, 6)
    assert revisions(facts) == [1, 2, 3, 4, 5, 6]
    assert isinstance(facts[3], ApplicationRejected)
    for fact in (*facts[:3], *facts[4:]):
        assert isinstance(fact, ApplicationValidated)
        assert [(e.partner, e.opportunity_id) for e in fact.eligible] == [("forward-financing", at(event))]
        assert fact.received_at == make.NOW
    kinds = [fact.amendment and fact.amendment.kind for fact in facts if isinstance(fact, ApplicationValidated)]
    assert kinds == [None, "corrected", "document-added", "offer-accepted", "withdrawn"]
    assert await desk.nothing_waits()
    for n, record in enumerate(records, 2):
        envelope = read_envelope(record.headers)
        assert (envelope.causation_id, envelope.source) == (amended(event, n, withdrawn()).id, "validation")
        assert b"changed her mind" not in record.value


async def test_before_its_application(make_desk: Any) -> None:
    """The two topics are read apart. Sorted out by the worker once the application was reported."""
    desk = make_desk()
    event = make.received(application=sound())
    assert await desk.says(amended(event, 3, document()), amended(event, 2, withdrawn(at(event)))) == []
    assert await desk.waiting() == 2
    async with desk.running():
        await asyncio.sleep(0.3)
        assert desk.heard.records == []
        await desk.says(event)
        assert revisions(await desk.facts(event, 3)) == [1, 2, 3]
        await support.eventually(desk.nothing_waits)


async def test_released_while_nobody_told(make_desk: Any) -> None:
    """The report came from a replica that died before it could release what waits: the sweep finds it."""
    desk = make_desk()
    event = make.received(application=sound())
    async with desk.running():
        await desk.says(amended(event, 2, document()))
        await asyncio.sleep(0.5)
        there = delivery(event, await desk.service.vault.create([event.key_id]))
        await once(desk.parts.reports.collection, [there], desk.parts.handlers.judge.received)
        await support.eventually(desk.nothing_waits, 5)


async def test_twice_is_once(make_desk: Any, tmp_path: Path) -> None:
    """Judged, or still waiting: the same event again changes nothing, and what was stored is published again."""
    desk = make_desk()
    event = make.received(application=sound())
    two, four = amended(event, 2, document()), amended(event, 4, withdrawn())
    await desk.says(event)
    (record,) = await desk.says(two, four)
    assert await desk.says(four) == []
    support.tenants_file(tmp_path, [{"id": "other", "name": "Other", "mode": "test"}])
    assert await desk.says(two, two) == [record]
    assert (await desk.waiting(), await desk.database["reports"].count_documents({})) == (1, 2)


async def test_an_unknown_tenant(make_desk: Any, tmp_path: Path) -> None:
    desk = make_desk()
    event = make.received(application=sound())
    await desk.says(event)
    support.tenants_file(tmp_path, [{"id": "other", "name": "Other", "mode": "test"}])
    await desk.says(amended(event, 2, withdrawn()), amended(event, 3, corrected(sound())))
    facts = await desk.facts(event, 3)
    for fact in facts[1:]:
        assert isinstance(fact, ApplicationRejected)
        assert "tenant-unknown" in {each.code for each in fact.problems}


async def test_twins_and_the_revisions_of_one_application(make_desk: Any) -> None:
    """Its own revisions are no twins of each other; another application's wish is, also one that was corrected."""
    desk = make_desk()
    event, other_one = make.received(application=sound()), make.received(application=other(7))
    await desk.says(event, other_one)
    await desk.says(amended(event, 2, corrected(sound(metadata={"note": "corrected"}))))
    await desk.says(amended(event, 3, corrected(sound())), amended(event, 4, corrected(other(7))))
    facts = await desk.facts(event, 4)
    assert [type(each) for each in facts] == [ApplicationValidated] * 3 + [ApplicationRejected]
    assert isinstance(facts[3], ApplicationRejected)
    assert {each.code for each in facts[3].problems} == {"duplicate"}
    await desk.says(amended(event, 5, corrected(other(8))))
    late = make.received(application=other(8), received_at=LATER)
    await desk.says(late)
    (twin,) = await desk.facts(late, 1)
    assert isinstance(twin, ApplicationRejected)
    assert str(event.application_id) in twin.problems[0].message


async def test_the_register_is_asked_where_the_content_changed(make_desk: Any) -> None:
    """And what follows waits for its word. Here the register is away, so that the word is `not-checked`."""
    desk = make_desk(abn_credential="register-test", abn_retry_seconds="[0.1]")
    event = make.received(application=australian())
    await desk.says(event)
    await desk.says(amended(event, 2, document()), amended(event, 3, corrected(australian(name="Fake Other Pty Ltd"))))
    assert (await desk.waiting(), desk.heard.records) == (2, [])
    async with desk.running():
        facts = await desk.facts(event, 3)
        await support.eventually(desk.nothing_waits)
        await support.eventually(desk.empty)
    assert revisions(facts) == [1, 2, 3]
    checks = [len(each.checks) for each in facts if isinstance(each, ApplicationValidated)]
    assert checks == [1, 0, 1]
    stored = {each["revision"]: each["sound"] async for each in desk.database["reports"].find({})}
    assert stored == {1: True, 2: True, 3: True}


async def test_an_erased_person_is_forgotten(make_desk: Any) -> None:
    desk = make_desk()
    event = make.received(application=sound())
    await desk.says(amended(event, 2, withdrawn()))
    await desk.service.vault.erase(event.key_id)
    async with desk.running():
        await support.eventually(desk.nothing_waits)
    assert desk.heard.records == []


async def test_nothing_personal_rests_in_plain(make_desk: Any) -> None:
    desk = make_desk()
    event = make.received(application=sound())
    await desk.says(amended(event, 2, withdrawn()), amended(event, 3, corrected(sound())), event)
    await desk.says(amended(event, 2, withdrawn()))
    stored = repr([each for name in ("amendments", "reports") async for each in desk.database[name].find({})])
    assert "enc1:" in stored
    for secret in ("Fakely", "changed her mind", "900000001", "900-00-0001", "Nowhere", "testa@", "1980-01-01"):
        assert secret not in stored


@pytest.mark.parametrize("seed", range(4))
async def test_any_order_on_two_replicas(make_desk: Any, seed: int) -> None:
    """Five applications' events, shuffled, in small batches, some twice, to either of two replicas at a time."""
    draw = random.Random(seed)
    desks = [make_desk(instance="one"), make_desk(instance="two")]
    lives: list[list[Any]] = []
    for n in range(5):
        event = make.received(application=other(n))
        changes = [corrected(other(n)), document(), added("nobody"), accepted(at(event)), withdrawn(at(event))]
        draw.shuffle(changes)
        lives.append([event, *(amended(event, at_, each) for at_, each in enumerate(changes, 2))])
    arriving = [each for life in lives for each in life]
    arriving += draw.sample(arriving, 8)
    draw.shuffle(arriving)
    async with desks[0].running(), desks[1].running():
        for start in range(0, len(arriving), 3):
            batch = arriving[start : start + 3]
            await asyncio.gather(*(desk.says(*batch) for desk in draw.sample(desks, draw.randint(1, 2))))
        for life in lives:
            await support.eventually(partial(_reported, desks[0], life[0], 6), 15)
        for desk in desks:
            await support.eventually(desk.nothing_waits)
        await asyncio.sleep(0.2)
    records = [record for desk in desks for record in desk.heard.records]
    for life in lives:
        mine = {read_envelope(r.headers).id: r.value for r in records if r.key == str(life[0].application_id).encode()}
        assert len(mine) == 6
        reports = await desks[0].database["reports"].find({"application": str(life[0].application_id)}).to_list()
        assert sorted(each["revision"] for each in reports) == [1, 2, 3, 4, 5, 6]
        assert not any("pending" in each for each in reports)


async def _reported(desk: Desk, event: ApplicationReceived, count: int) -> bool:
    found = await desk.database["reports"].count_documents({"application": str(event.application_id)})
    assert found <= count
    return found == count
