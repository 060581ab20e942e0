"""Entries of the lists follow the facts, in any order and however often they come."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import make
from tests.gateway.listing import CALLER, Room, at, room, seen, updated, validated
from tests.gateway.listing import lists as lists

from lendrail.contracts.terms import Reference, Status
from lendrail.gateway.lists.asked import Asked
from lendrail.gateway.lists.search import FORM, Question, entries_of_opportunities, entry_of_application
from lendrail.gateway.reads import Reader
from lendrail.runtime.http import Problem
from lendrail.runtime.mongo import Document
from lendrail.runtime.tokens import Caller

FIRST, SECOND = "first-lender", "second-lender"


async def found(made: Room, **asked: Any) -> list[tuple[str, str]]:
    """Ids and statuses of applications."""
    page = await made.lists.applications(CALLER, Asked(Question(**asked), 200))
    return [(str(item.application_id), item.status.value) for item in page.items]


async def opportunities(made: Room, **asked: Any) -> list[tuple[str | None, str]]:
    """Partners and statuses of opportunities."""
    page = await made.lists.opportunities(CALLER, Asked(Question(**asked), 200))
    return sorted((item.partner, item.status.value) for item in page.items)


def stable(entries: dict[str, Document]) -> dict[str, Document]:
    return {id: {n: v for n, v in each.items() if n not in ("rev", "stamp")} for id, each in entries.items()}


async def test_an_application_is_listed_from_receipt_on_and_follows_what_is_said(lists: Room) -> None:
    application = await lists.receive(references=(Reference(system="crm", kind="deal", value="D-1"),))
    assert await found(lists, statuses=(Status.RECEIVED,)) == [(application, "received")]
    await lists.hear(validated(application, FIRST, SECOND))
    assert await found(lists, statuses=(Status.RECEIVED,)) == []
    assert await opportunities(lists) == [(FIRST, "submitting"), (SECOND, "submitting")]
    await lists.hear(
        updated(application, FIRST, 1, Status.DECLINED, partner_id="lead-7"),
        updated(application, SECOND, 1, Status.APPROVED, partner_id="lead-7"),
    )
    approved = [(application, "approved")]
    for question in (
        {"statuses": (Status.APPROVED, Status.FUNDED)},
        {"partner": FIRST},
        {"credential": "demo-second", "statuses": (Status.APPROVED,)},
        {"partner_id": "lead-7"},
        {"reference": "D-1"},
        {"reference": "D-1", "system": "crm", "partner": SECOND},
        {"system": "crm"},
        {"changed_from": at(1000)},
        {"received_from": make.NOW},
    ):
        assert await found(lists, **question) == approved, question
    for nothing in (
        {"statuses": (Status.DECLINED,)},
        {"partner": FIRST, "credential": "demo-second"},
        {"partner_id": "lead-8"},
        {"reference": "D-1", "system": "other"},
        {"reference": "D-1", "statuses": (Status.DECLINED,)},
        {"changed_to": at(1000)},
        {"received_to": make.NOW},
    ):
        assert await found(lists, **nothing) == [], nothing
    assert await opportunities(lists, statuses=(Status.DECLINED,)) == [(FIRST, "declined")]
    assert await opportunities(lists, application=application, partner=SECOND) == [(SECOND, "approved")]
    assert await opportunities(lists, partner_id="lead-7", partner=SECOND) == [(SECOND, "approved")]
    assert await opportunities(lists, reference="D-1") == [(FIRST, "declined"), (SECOND, "approved")]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_order_and_repetition_of_facts_do_not_matter(mongo: str, data: st.DataObject) -> None:
    """Also while several replicas take facts of one application at the same time."""

    async def scenario() -> None:
        async with room(mongo, f"i{uuid.uuid4().hex[:10]}_") as made:
            application = await made.receive()
            facts = [
                validated(application, FIRST, SECOND),
                updated(application, FIRST, 1, Status.SUBMITTED),
                updated(application, FIRST, 2, Status.APPROVED, partner_id="lead-7"),
                updated(application, SECOND, 1, Status.DECLINED),
            ]
            more = data.draw(st.lists(st.sampled_from(facts), max_size=4))
            order = data.draw(st.permutations(facts + more))
            await asyncio.gather(*(made.hear(fact) for fact in order))
            (view,) = await made.reader.views(await made.applications.heads([application]))
            assert view.status == Status.APPROVED
            expected = {each["_id"]: each for each in entries_of_opportunities(view, "demo")}
            assert stable(await made.listed.of([application])) == {application: entry_of_application(view, "demo")}
            assert stable(await made.listed_opportunities.of([application])) == expected

    asyncio.run(scenario())


ORIGIN = ("source", "partner_time", "status_received_at", "observed_at", "age_seconds", "next_check_at")


async def test_a_listed_status_says_of_its_origin_what_the_application_says(lists: Room) -> None:
    application = await lists.receive()
    lost = {"partner_time": at(400), "status_received_at": at(700), "next_check_at": at(90_000), "source": "webhook"}
    await lists.hear(
        validated(application, FIRST, SECOND), updated(application, FIRST, 2, Status.OUTCOME_UNKNOWN, **lost)
    )
    listed = (await lists.lists.opportunities(CALLER, Asked(Question()))).items
    (document,) = await lists.applications.heads([application])
    reader = Reader(lists.applications, lists.facts, lists.vault, lambda: at(60_000))
    seen = (await reader.view(document)).opportunities
    told = {each.partner: [getattr(each, name) for name in ORIGIN] for each in listed}
    assert told == {each.partner: [getattr(each, name) for name in ORIGIN] for each in seen}
    assert told[FIRST] == ["webhook", at(400), at(700), at(2000), 58, at(90_000)]
    assert told[SECOND] == ["validation", None, None, make.NOW, 60, None]


async def test_an_entry_of_an_older_release_says_less_until_it_is_made_anew(lists: Room) -> None:
    application = await lists.receive()
    await lists.hear(validated(application, FIRST), updated(application, FIRST, 2, Status.APPROVED))

    async def shown() -> tuple[str | None, int]:
        (entry,) = (await lists.lists.opportunities(CALLER, Asked(Question()))).items
        return entry.source, entry.age_seconds

    assert await shown() == ("fetch", 58)
    older = {"$set": {"form": FORM - 1, "origin.source": "ack"}}  # it leaves alone what it does not know
    await lists.listed_opportunities.collection.update_many({}, older)
    assert await shown() == (None, 58)
    await lists.listed_opportunities.collection.update_many({}, {"$unset": {"origin": ""}})
    assert await shown() == (None, 58)
    await lists.sweep.all()
    assert await shown() == ("fetch", 58)


async def test_a_writer_that_saw_less_does_not_win(lists: Room) -> None:
    view = seen(Status.SUBMITTED)
    await lists.listed.add(entry_of_application(view, "demo"))
    before = (await lists.listed.of([str(view.application_id)]))[str(view.application_id)]
    later = entry_of_application(view.model_copy(update={"status": Status.APPROVED}), "demo")
    assert await lists.listed.put(later, before)
    assert not await lists.listed.put(
        entry_of_application(seen(Status.DECLINED, application=view.application_id), "demo"), before
    )
    assert not await lists.listed.put(entry_of_application(view, "demo"), None)
    await lists.listed.add(entry_of_application(view, "demo"))
    assert await found(lists) == [(str(view.application_id), "approved")]


async def test_a_repeated_fact_writes_nothing(lists: Room) -> None:
    application = await lists.receive()
    await lists.hear(validated(application, FIRST))
    before = await lists.listed.of([application]), await lists.listed_opportunities.of([application])
    await lists.hear(validated(application, FIRST))
    assert (await lists.listed.of([application]), await lists.listed_opportunities.of([application])) == before


async def test_the_sweep_lists_what_was_there_before_the_lists(lists: Room) -> None:
    applications = [await lists.receive() for _ in range(3)]
    for application in applications:
        await lists.hear(validated(application, FIRST), updated(application, FIRST, 1, Status.APPROVED))
    complete = stable(await lists.listed.of(applications)), stable(await lists.listed_opportunities.of(applications))
    await lists.listed.remove(applications)
    await lists.listed_opportunities.remove(list(complete[1]))
    assert await found(lists) == []
    await lists.sweep.all()
    made = stable(await lists.listed.of(applications)), stable(await lists.listed_opportunities.of(applications))
    assert made == complete
    await lists.listed.remove(applications[:1])
    await lists.sweep.all()  # done once for this form of the entries
    assert len(await found(lists)) == 2


async def test_the_sweep_goes_on_where_it_was_stopped(lists: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lendrail.gateway.lists.indexer.BATCH", 2)
    applications = sorted([await lists.receive() for _ in range(5)])
    await lists.listed.remove(applications)
    refresh, done = lists.indexer.refresh, list[str]()

    async def cut(ids: Any) -> None:
        done.extend(ids)
        if len(done) == 4:
            raise RuntimeError("killed")
        await refresh(ids)

    monkeypatch.setattr(lists.indexer, "refresh", cut)
    with pytest.raises(RuntimeError):
        await lists.sweep.all()
    assert len(await found(lists)) == 2
    await lists.sweep.all()
    assert done == [*applications[:4], *applications[2:]]
    assert len(await found(lists)) == 5


async def test_the_sweep_finds_an_application_whose_process_died_before_it_was_listed(lists: Room) -> None:
    await lists.sweep.all()
    old = await lists.receive(received_at=make.NOW.replace(hour=1))
    fresh = await lists.receive()
    await lists.listed.remove([old, fresh])
    await lists.sweep.recent()
    assert await found(lists) == [(fresh, "received")]


async def test_an_outage_of_the_lists_does_not_touch_what_was_stored(
    lists: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pymongo.errors import NetworkTimeout

    async def away(_: Document) -> None:
        raise NetworkTimeout

    with monkeypatch.context() as patched:
        patched.setattr(lists.listed, "add", away)
        application = await lists.receive()
    assert await lists.applications.one("demo", "test", application) is not None
    await lists.sweep.recent()
    assert await found(lists) == [(application, "received")]


async def test_others_see_nothing(lists: Room) -> None:
    application = await lists.receive()
    await lists.hear(validated(application, FIRST))
    strangers = (
        Caller("other", "x", "test", CALLER.scopes),
        Caller("demo", "x", "live", CALLER.scopes),
    )
    for stranger, question in itertools.product(strangers, (Question(), Question(partner=FIRST))):
        assert (await lists.lists.applications(stranger, Asked(question))).items == ()
        assert (await lists.lists.opportunities(stranger, Asked(question))).items == ()
    await lists.receive()
    token = (await lists.lists.applications(CALLER, Asked(Question(), 1))).next_page_token
    for stranger in strangers:
        with pytest.raises(Problem) as caught:
            await lists.lists.applications(stranger, Asked(Question(), 1, token))
        assert caught.value.code == "page-token-invalid"


async def test_of_an_erased_application_only_its_existence_is_listed(lists: Room) -> None:
    references = (Reference(system="crm", kind="deal", value="D-1"),)
    application = await lists.receive(references=references)
    await lists.hear(validated(application, FIRST), updated(application, FIRST, 1, Status.APPROVED))
    await lists.vault.erase(application)
    assert await found(lists, statuses=(Status.APPROVED,)) == []
    page = await lists.lists.applications(CALLER, Asked(Question()))
    assert [(str(i.application_id), i.status, i.references) for i in page.items] == [(application, Status.ERASED, ())]
    assert await opportunities(lists) == []
    assert await found(lists, reference="D-1") == []
    assert await found(lists, statuses=(Status.ERASED,)) == [(application, "erased")]
    kept = [await lists.listed.of([application]), await lists.listed_opportunities.of([application])]
    assert "D-1" not in str(kept)


async def test_an_erased_one_is_shown_as_such_the_moment_it_is_seen(lists: Room) -> None:
    application = await lists.receive(references=(Reference(system="crm", kind="deal", value="D-1"),))
    await lists.vault.erase(application)
    page = await lists.lists.applications(CALLER, Asked(Question()))
    assert [(i.status, i.references) for i in page.items] == [(Status.ERASED, ())]
