"""Pages hold still: on a real MongoDB, with entries that come and change while somebody reads on."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
import uuid
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import make
from tests.gateway.listing import CALLER, Room, at, room, seen

from lendrail.contracts.terms import Status
from lendrail.gateway.lists.asked import Asked
from lendrail.gateway.lists.paging import Place, place_of, token_of
from lendrail.gateway.lists.search import Question, entry_of_application
from lendrail.runtime.http import Problem

STATUSES = st.sampled_from([Status.APPROVED, Status.DECLINED])
TIMES = st.integers(0, 6)
ENTRIES = st.lists(st.tuples(TIMES, STATUSES), min_size=1, max_size=12)
MEANWHILE = st.lists(
    st.lists(st.tuples(st.booleans(), st.integers(0, 30), TIMES, STATUSES), max_size=4), min_size=1, max_size=6
)
QUICK = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Told:
    """Entries as the test wrote them: their status and their times."""

    def __init__(self, room: Room) -> None:
        self.room, self.ids = room, list[uuid.UUID]()
        self.received: dict[uuid.UUID, int] = {}

    async def new(self, received: int, status: Status) -> uuid.UUID:
        id = uuid.uuid4()
        self.ids.append(id)
        self.received[id] = received
        await self.room.listed.add(entry_of_application(seen(status, received, application=id), "demo"))
        return id

    async def change(self, id: uuid.UUID, time: int, status: Status) -> None:
        before = (await self.room.listed.of([str(id)]))[str(id)]
        later = seen(status, self.received[id], 100 + time, application=id)
        assert await self.room.listed.put(entry_of_application(later, "demo"), before)


async def walk(
    told: Told, question: Question, size: int, meanwhile: list[list[tuple[bool, int, int, Status]]]
) -> tuple[list[uuid.UUID], set[uuid.UUID]]:
    """The ids that were shown, and those that were changed on the way."""
    shown: list[uuid.UUID] = []
    touched: set[uuid.UUID] = set()
    token, steps = None, iter(meanwhile)
    while True:
        page = await told.room.lists.applications(CALLER, Asked(question, size, token))
        assert len(page.items) <= size
        shown += [item.application_id for item in page.items]
        assert len(shown) <= len(told.ids), "a walk that does not end"
        token = page.next_page_token
        if token is None:
            return shown, touched
        for fresh, which, time, status in next(steps, []):
            if fresh:
                await told.new(time, status)
            else:
                id = told.ids[which % len(told.ids)]
                touched.add(id)
                await told.change(id, time, status)


@QUICK
@given(ENTRIES, MEANWHILE, st.integers(1, 4), st.booleans())
def test_none_twice_and_none_left_out(
    mongo: str, entries: list[tuple[int, Status]], meanwhile: Any, size: int, only_approved: bool
) -> None:
    async def scenario() -> None:
        async with room(mongo, f"p{uuid.uuid4().hex[:10]}_") as made:
            told = Told(made)
            first = [(await told.new(received, status), status) for received, status in entries]
            statuses = (Status.APPROVED,) if only_approved else ()
            shown, touched = await walk(told, Question(statuses=statuses), size, meanwhile)
            assert len(shown) == len(set(shown))
            stayed = {id for id, status in first if not statuses or (status in statuses and id not in touched)}
            assert stayed <= set(shown)
            places = [(-told.received[id], -id.int) for id in shown]
            assert places == sorted(places)

    asyncio.run(scenario())


@QUICK
@given(ENTRIES, MEANWHILE, st.integers(1, 4))
def test_a_walk_along_changes_ends_where_the_next_begins(
    mongo: str, entries: list[tuple[int, Status]], meanwhile: Any, size: int
) -> None:
    """Changes on the way happen after the first page, and so does everything that comes new."""

    async def scenario() -> None:
        async with room(mongo, f"p{uuid.uuid4().hex[:10]}_", now=at(50)) as made:
            told = Told(made)
            first = [await told.new(received, status) for received, status in entries]
            late = [[(fresh, which, time + 60, status) for fresh, which, time, status in step] for step in meanwhile]
            shown, touched = await walk(told, Question(changed_from=at(0)), size, late)
            assert len(shown) == len(set(shown))
            assert set(first) - touched <= set(shown) <= set(first)
            page = await made.lists.applications(CALLER, Asked(Question(changed_from=at(0)), 200))
            assert page.changed_to == at(50)
            rest = await made.listed.page("demo", "test", Question(changed_from=page.changed_to), None, 200)
            assert {uuid.UUID(entry["_id"]) for entry in rest} == set(told.ids) - (set(first) - touched)

    asyncio.run(scenario())


async def test_an_end_in_the_past_stays_the_end(mongo: str, database_prefix: str) -> None:
    async with room(mongo, database_prefix, now=at(50)) as made:
        told = Told(made)
        for received in (0, 1, 2, 3):
            await told.new(received, Status.APPROVED)
        asked = Question(changed_from=at(1), changed_to=at(3))
        page = await made.lists.applications(CALLER, Asked(asked, 1))
        again = await made.lists.applications(CALLER, Asked(asked, 1, page.next_page_token))
        assert [told.received[p.items[0].application_id] for p in (page, again)] == [1, 2]
        assert (again.next_page_token, again.changed_to) == (None, at(3))


async def test_a_range_of_receipt_holds_its_ends_on_every_page(mongo: str, database_prefix: str) -> None:
    async with room(mongo, database_prefix) as made:
        told = Told(made)
        for received in range(8):
            await told.new(received, Status.APPROVED)
        shown, _ = await walk(told, Question(received_from=at(2), received_to=at(6)), 3, [])
        assert [told.received[id] for id in shown] == [5, 4, 3, 2]


TOKEN = token_of(Place("00000000000007x", make.NOW), "question")


def test_a_token_says_where_to_go_on() -> None:
    assert place_of(TOKEN, "question") == Place("00000000000007x", make.NOW)
    assert place_of(token_of(Place("x"), "question"), "question") == Place("x")


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda b: b.hex()) | st.sampled_from([TOKEN, TOKEN + "=", ""]))
def test_a_token_of_another_question_is_refused(text: str) -> None:
    with pytest.raises(Problem) as caught:
        place_of(text, "another")
    assert (caught.value.status, caught.value.code) == (400, "page-token-invalid")


@given(st.recursive(st.none() | st.integers() | st.text(max_size=9), lambda inner: st.lists(inner, max_size=4)))
def test_a_token_that_somebody_made_up_is_read_or_refused(said: Any) -> None:
    made_up = base64.urlsafe_b64encode(json.dumps([said, said, "question"]).encode()).decode().rstrip("=")
    with suppress(Problem):
        place = place_of(made_up, "question")
        assert place.until is None or isinstance(place.until, dt.datetime)
