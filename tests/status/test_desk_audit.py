"""Who does it and why stands in the very write in which it takes effect; the judge is MongoDB's own list of writes."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from tests import support
from tests.status.bench import PARTNER, Bench, Deal
from tests.status.deskwork import REASON, WORD, application, call, desk_of, unknown
from tests.status.deskwork import reports_by_itself as reports_by_itself
from tests.status.reading import bearer

from lendrail.runtime.mongo import Collection, Document
from lendrail.status.desk import correcting

pytestmark = pytest.mark.usefixtures("reports_by_itself")


class Person:
    """An operator, whose acts are followed into the store."""

    def __init__(self, bench: Bench, client: httpx.AsyncClient) -> None:
        self._bench, self._client, self._number = bench, client, 0

    async def act(self, path: str, entry: str, collection: Collection, **body: Any) -> None:
        """The first write of the act bears its entry, with who and a sealed reason."""
        self._number += 1
        key = {"Idempotency-Key": f"key-{self._number}"}
        async with await collection.watch() as writes:
            answer = await self._client.post(path, json={"reason": REASON} | body, headers=key)
            assert answer.status_code in (200, 202), answer.text
            first = await support.eventually(writes.try_next)
        told = entries(first)
        assert told, f"{entry}: it took effect without an entry"
        assert (told[-1]["what"], told[-1]["who"]) == (entry, "test")
        sealed = told[-1]["key"]
        assert (await self._bench.service.vault.find([sealed]))[sealed].open(told[-1]["why"]) == REASON

    async def listed(self, what: str) -> list[Document]:
        found: list[Document] = (await self._client.get(f"/v1/desk/{what}")).json()[what]
        return found


def entries(write: Document) -> list[Document]:
    """Those that this write stored."""
    if "fullDocument" in write:
        return list(write["fullDocument"].get("audit", ()))
    changed = write["updateDescription"]["updatedFields"]
    return list(changed.get("audit", [each for name, each in changed.items() if name.startswith("audit.")]))


@pytest.fixture
async def person(bench: Bench) -> AsyncIterator[Person]:
    app = application(bench)
    app.include_router(correcting.routes(bench.parts.correcting))
    transport, who = httpx.ASGITransport(app), bearer("operator")
    async with httpx.AsyncClient(transport=transport, base_url="http://status.test", headers=who) as client:
        yield Person(bench, client)


async def test_a_correction_a_pin_and_its_end(bench: Bench, person: Person) -> None:
    deal = Deal()
    await bench.deliver(deal.ack())
    path = f"/v1/opportunities/{deal.id}"
    await person.act(f"{path}/correct", "status-corrected", bench.opportunities, status="declined")
    await person.act(f"{path}/pin", "status-pinned", bench.opportunities)
    await person.act(f"{path}/unpin", "status-unpinned", bench.opportunities)


async def test_what_a_word_means_and_its_end(bench: Bench, person: Person) -> None:
    await bench.deliver(unknown(Deal()))
    words = desk_of(bench).vocabulary.collection
    await person.act("/v1/desk/words", "word-mapped", words, partner=PARTNER, word=WORD, status="declined")
    mapping = await words.find_one({"status": "declined"})
    assert mapping is not None
    await person.act(f"/v1/desk/words/{mapping['_id']}/take-back", "word-taken-back", words)


async def test_a_call_that_is_merged_and_one_that_is_nobodys(bench: Bench, person: Person) -> None:
    deal = Deal()
    await bench.deliver(deal.ack("accepted-id-unknown"))
    await bench.deliver(call(deal, "approved", "FAKE.a"), call(deal, "approved", "FAKE.b"))
    first, second = (f"/v1/desk/orphans/{each['id']}" for each in await person.listed("orphans"))
    await person.act(f"{first}/merge", "orphan-merged", bench.opportunities, opportunityId=str(deal.id))
    await person.act(f"{second}/dismiss", "orphan-dismissed", bench.parts.orphans)


async def test_many_calls_that_are_nobodys(bench: Bench, person: Person) -> None:
    await bench.deliver(*(Deal().webhook() for _ in range(3)))
    acts = desk_of(bench).dismissing.collection
    await person.act("/v1/desk/orphans/dismiss", "orphans-dismissed", acts)
    assert await person.listed("orphans") == []
