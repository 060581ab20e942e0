"""Every question of the lists is one index scan."""

from __future__ import annotations

import itertools
from dataclasses import fields
from typing import Any

import pytest
from tests.gateway.listing import CALLER, Room, at, room, seen
from tests.gateway.listing import lists as lists

from lendrail.contracts.terms import Status
from lendrail.gateway.lists.asked import Asked
from lendrail.gateway.lists.search import Question, entries_of_opportunities, entry_of_application
from lendrail.runtime.http import Problem

FIRST, SECOND = "first-lender", "second-lender"


async def test_without_indexes_nothing_is_looked_for(mongo: str, database_prefix: str) -> None:
    async with room(mongo, database_prefix) as made:
        fresh = Room(made.database.client, f"{database_prefix}x")
        with pytest.raises(Problem) as caught:
            await fresh.lists.applications(CALLER, Asked(Question()))
        assert caught.value.status == 503


FILTERS: dict[str, Any] = {
    "statuses": (Status.APPROVED, Status.DECLINED),
    "application": "7",
    "partner": FIRST,
    "credential": "demo-first",
    "partner_id": "lead-7",
    "reference": "D-7",
    "system": "crm",
}
TIMES: tuple[dict[str, Any], ...] = (
    {},
    {"received_from": at(10)},
    {"received_from": at(10), "received_to": at(200)},
    {"changed_from": at(10)},
    {"changed_to": at(200)},
)
SHAPES = [
    Question(**dict(chosen), **time)
    for count in range(len(FILTERS) + 1)
    for chosen in itertools.combinations(FILTERS.items(), count)
    for time in TIMES
]
ENOUGH = 8
"""Keys that a scan may look at beside those that it returns: where each status's range ends, and one more."""


async def test_every_question_is_one_index_scan_in_the_order_of_the_answer(lists: Room) -> None:
    """As the server itself recorded it: no sort, no collection scan, nothing read that is not shown."""
    assert {field.name for field in fields(Question)} == {*FILTERS, *(name for time in TIMES for name in time)}
    await fill(lists, 300)
    await lists.database.create_collection("system.profile", capped=True, size=64 << 20)
    await lists.database.command("profile", 2)
    every = list(itertools.product((lists.listed, lists.listed_opportunities), SHAPES, (False, True)))
    for index, question, after in every:
        if question.system and not (question.partner_id or question.reference or question.application):
            question = Question(**{**vars(question), "partner": None, "credential": None})
        place = None if not after else f"{17_724_474_001_00:014d}"
        await index.page("demo", "test", question, place, 20)
    await lists.database.command("profile", 0)
    looked = 0
    async for plan in lists.database["system.profile"].find({"op": "query", "command.find": {"$regex": "^listed_"}}):
        told = {
            name: plan.get(name) for name in ("planSummary", "keysExamined", "docsExamined", "nreturned", "command")
        }
        assert plan["planSummary"].startswith("IXSCAN"), told
        assert not plan.get("hasSortStage"), told
        narrow = any(
            name in str(plan["command"]["filter"]["keys"]) for name in ("partner_id", "reference", "application")
        )
        if not narrow:
            assert plan["docsExamined"] <= plan["nreturned"] + 1, told
        assert plan["keysExamined"] <= max(plan["nreturned"], plan["docsExamined"]) + ENOUGH, told
        looked += 1
    assert looked == len(every)


async def fill(made: Room, count: int) -> None:
    """Entries of which each question finds some, and leaves most."""
    for number in range(count):
        partner = (FIRST, SECOND)[number % 2]
        status = (Status.APPROVED, Status.DECLINED, Status.IN_REVIEW)[number % 3]
        view = seen(status, number, number + 5, [("crm", f"D-{number % 9}")], [(partner, f"lead-{number % 50}")])
        await made.listed.add(entry_of_application(view, "demo"))
        for entry in entries_of_opportunities(view, "demo"):
            await made.listed_opportunities.add(entry)
