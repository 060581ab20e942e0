"""A partner's feed: read once, followed once, and read again harmlessly by whoever comes after a death."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tests import support
from tests.status.bench import PARTNER, Bench, Deal
from tests.status.conftest import MakeBench
from tests.status.feeder import PAGE, Feeder, answer

from lendrail.partners import PARTNERS
from lendrail.runtime import due
from lendrail.runtime.mongo import Document
from lendrail.runtime.tasks import end
from lendrail.status.polling import feeds as module
from lendrail.status.polling.feeds import PAGES_A_TURN

Use = Callable[..., None]


@pytest.fixture
async def feeder() -> AsyncIterator[Feeder]:
    async with Feeder().open() as feeder:
        yield feeder


@pytest.fixture(autouse=True)
def use(feeder: Feeder, monkeypatch: pytest.MonkeyPatch) -> Use:
    """Make the partner that of the feeder, with these changes."""
    plain = PARTNERS[PARTNER]

    def use(**changes: Any) -> None:
        monkeypatch.setitem(PARTNERS, PARTNER, plain)
        monkeypatch.setitem(PARTNERS, PARTNER, feeder.partner(**changes))

    use()
    return use


@pytest.fixture
async def bench(make_bench: MakeBench, feeder: Feeder) -> Bench:
    return await make_bench(base_url=feeder.url, retry_seconds="[0.1]", pause_seconds="1")


async def turn(bench: Bench) -> bool:
    """One turn, if one is due now or soon; as the worker would do it."""
    await bench.parts.feeds.provide()
    soon = [{"$set": {"due": {"$dateSubtract": {"startDate": "$due", "unit": "second", "amount": 2}}}}]
    await bench.parts.feeds.collection.update_many({"due": {"$type": "date"}}, soon)
    claimed = await due.claim(bench.parts.feeds.collection, {}, 1, 300)
    for document, lease in claimed:
        await bench.parts.feeds.turn(document, lease, 0)
    return bool(claimed)


async def again(bench: Bench) -> None:
    """One more turn, however long it is until the next one."""
    await bench.parts.feeds.collection.update_many({}, [{"$set": {"due": "$$NOW"}}, {"$unset": "lease"}])
    assert await turn(bench)


async def stored(bench: Bench) -> Document:
    (document,) = await bench.parts.feeds.collection.find().to_list()
    return document


async def hints(bench: Bench, deal: Deal) -> list[str]:
    return [each["words"] for each in (await bench.document(deal.id)).get("hints", ())]


async def deals(bench: Bench, count: int) -> list[Deal]:
    known = [Deal() for _ in range(count)]
    await bench.deliver(*(deal.ack() for deal in known))
    return known


async def test_every_entry_is_followed_once_and_strangers_wait(bench: Bench, feeder: Feeder) -> None:
    known, stranger = await deals(bench, 5), Deal()
    for deal in [*known, stranger]:
        feeder.tell(deal, f"word {deal.partner_id[-4:]}")
    assert await turn(bench)
    for deal in known:
        document = await bench.document(deal.id)
        assert (document["fetch"]["reason"], len(document["hints"])) == ("hint", 1)
    (orphan,) = await bench.parts.orphans.find().to_list()
    assert (orphan["partner_id"], orphan["credential"]) == (stranger.partner_id, support.CREDENTIAL)
    assert (await stored(bench))["cursor"] == "6"
    assert not await turn(bench), "the next turn is an hour away"
    await bench.deliver(stranger.ack())
    assert await hints(bench, stranger) == [f"word {stranger.partner_id[-4:]}"]
    assert await bench.parts.orphans.count_documents({}) == 0


async def test_the_overlap_is_known_by_its_content(bench: Bench, feeder: Feeder) -> None:
    feeder.overlap = 2
    first, second = await deals(bench, 2)
    for number, deal in enumerate((first, second, first)):
        feeder.tell(deal, f"word {number}")
    await turn(bench)
    await bench.opportunities.update_many({}, {"$unset": {"hints": 1, "due": 1}})
    for _ in range(3):
        await again(bench)
    assert [await hints(bench, each) for each in (first, second)] == [[], []]
    feeder.tell(second, "word 3")
    await again(bench)
    assert [await hints(bench, each) for each in (first, second)] == [[], ["word 3"]]
    assert feeder.asked[-1] == "GET /feed?after=1", "the page began before the cursor"


async def test_an_entry_may_name_our_reference(bench: Bench, feeder: Feeder) -> None:
    (deal,) = await deals(bench, 1)
    feeder.tell(deal, "by reference", reference=str(deal.attempt))
    await turn(bench)
    assert await hints(bench, deal) == ["by reference"]


class Dead(BaseException):
    """The process ended here."""


@pytest.mark.parametrize("acknowledged", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("label", ["feeds.stored", "feeds.moved", "feeds.acknowledged"])
async def test_whoever_dies_on_the_way_repeats_harmlessly(
    bench: Bench, feeder: Feeder, use: Use, monkeypatch: pytest.MonkeyPatch, label: str, count: int, acknowledged: bool
) -> None:
    use(acknowledged=acknowledged)
    known, passed = await deals(bench, 7), 0
    for deal in known:
        feeder.tell(deal, "changed")

    def point(name: str) -> None:
        nonlocal passed
        passed += name == label
        if name == label and passed == count:
            raise Dead

    monkeypatch.setattr(module, "point", point)
    if acknowledged or label != "feeds.acknowledged":
        with pytest.raises(Dead):
            await turn(bench)
    for _ in range(2):
        await again(bench)
    for deal in known:
        assert await hints(bench, deal) == ["changed"], "each once"
    assert (await stored(bench))["cursor"] == "7"
    assert feeder.gone == (set(range(1, 8)) if acknowledged else set())


async def test_what_comes_again_after_it_was_acknowledged_is_news(bench: Bench, feeder: Feeder, use: Use) -> None:
    use(acknowledged=True)
    (deal,) = await deals(bench, 1)
    for number in range(2):
        feeder.tell(deal, "missing papers")
        await again(bench) if number else await turn(bench)
        await bench.opportunities.update_many({}, [{"$unset": ["due"]}])
    assert await hints(bench, deal) == ["missing papers"] * 2


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (answer(200, "<html>Testa Fakely</html>"), "unreadable-reply"),
        (answer(200, '{"Testa Fakely": [}'), "unreadable-reply"),
        (answer(500, "Testa Fakely"), "status-500"),
    ],
    ids=["html", "crash", "trouble"],
)
async def test_what_cannot_be_read_is_kept_and_shown(bench: Bench, feeder: Feeder, reply: bytes, error: str) -> None:
    (deal,) = await deals(bench, 1)
    feeder.tell(deal, "changed")
    feeder.answers.append(reply)
    await turn(bench)
    document = await stored(bench)
    assert (document["fetch"]["error"], document["fetch"]["failures"]) == (error, 1)
    assert "cursor" not in document
    assert "Fakely" not in repr(document)
    kept = document["fetch"]["kept"]
    key = await bench.service.vault.get(kept["key"])
    assert b"Testa Fakely" in key.open_bytes(kept["raw"])
    await again(bench)
    assert await hints(bench, deal) == ["changed"]
    document = await stored(bench)
    assert (document["fetch"]["failures"], "error" in document["fetch"]) == (0, False)
    assert "kept" in document["fetch"], "until the next of its kind"


async def test_refusals_make_it_wait(bench: Bench, feeder: Feeder) -> None:
    feeder.answers += [answer(429, "{}", "retry-after: 7"), answer(401, "{}")]
    await turn(bench)
    assert (await stored(bench))["fetch"]["error"] == "retry-later"
    state = bench.service.shared("partners")["credentials"]
    assert (await state.find_one({"_id": support.CREDENTIAL}))["pause_reason"] == "retry-later"  # type: ignore[index]
    await state.delete_many({})
    bench.parts.feeds._asking.port._standing.forget()
    await again(bench)
    assert (await state.find_one({"_id": support.CREDENTIAL}))["pause_reason"] == "credential-refused"  # type: ignore[index]


async def test_what_was_not_acknowledged_comes_again(bench: Bench, feeder: Feeder, use: Use) -> None:
    use(acknowledged=True)
    (deal,) = await deals(bench, 1)
    feeder.tell(deal, "changed")
    feeder.answers += [feeder.page(0), answer(503, "")]
    await turn(bench)
    assert (await stored(bench))["fetch"]["error"] == "not-acknowledged"
    await again(bench)
    assert feeder.gone == {1}


async def test_a_feed_that_does_not_go_on_is_not_read_for_ever(bench: Bench, feeder: Feeder) -> None:
    (deal,) = await deals(bench, 1)
    feeder.tell(deal, "changed")
    feeder.stuck = True
    await turn(bench)
    assert not await turn(bench), "it rests like any other"


async def test_a_long_feed_is_read_in_turns(bench: Bench, feeder: Feeder) -> None:
    stranger = Deal()
    feeder.overlap = 0
    for number in range(PAGES_A_TURN * PAGE + 1):
        feeder.tell(stranger, f"word {number}")
    await turn(bench)
    assert len(feeder.asked) == PAGES_A_TURN
    assert await turn(bench), "the rest is due at once"
    assert await bench.parts.orphans.count_documents({}) == len(feeder.entries)


async def test_nobody_reads_what_nobody_could_follow(bench: Bench, feeder: Feeder, use: Use) -> None:
    use(read=None)
    assert not await turn(bench)
    assert await bench.parts.feeds.collection.count_documents({}) == 0


async def test_two_replicas_read_it_as_one(make_bench: MakeBench, feeder: Feeder) -> None:
    benches = [await make_bench(base_url=feeder.url, longest_wait_seconds="0.1") for _ in range(2)]
    known = await deals(benches[0], 4)
    for deal in known:
        feeder.tell(deal, "changed")
    tasks = [asyncio.create_task(run()) for b in benches for run in (b.parts.feeds.run, b.parts.feeds.worker.run)]

    async def read() -> bool:
        return len(feeder.asked) >= 6

    await support.eventually(read)
    await end(tasks)
    for each in benches:
        await each.parts.feeds.worker.drain(5)
    for deal in known:
        assert await hints(benches[0], deal) == ["changed"]
