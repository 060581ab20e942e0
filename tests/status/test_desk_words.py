"""Unmapped words at the desk, on a real MongoDB: shown, mapped once, folded again, taken back."""

import asyncio
from typing import Any

import pytest
from tests import support
from tests.status.bench import PARTNER, Bench, Deal
from tests.status.conftest import MakeBench
from tests.status.deskwork import REASON, WORD, Operator, desk_of, unknown
from tests.status.deskwork import operator as operator

from lendrail.contracts.terms import Report, Status
from lendrail.partners import PARTNERS
from lendrail.runtime.tasks import end

pytestmark = pytest.mark.asyncio


async def folded(bench: Bench, operator: Operator, mapping: str) -> dict[str, Any]:
    """The mapping, once all that holds its word was folded again."""
    working = asyncio.create_task(desk_of(bench).refolding.worker.run())

    async def done() -> Any:
        found = await operator.get(f"/words/{mapping}")
        return found["folding"] == "done" and found

    found: dict[str, Any] = await support.eventually(done)
    await end([working])
    return found


async def test_words_are_listed_with_how_many_hold_them(bench: Bench, operator: Operator) -> None:
    first, second, known = Deal(), Deal(), Deal()
    await bench.deliver(unknown(first), known.ack(report=Report(status=Status.APPROVED, words="Yes")))
    await bench.deliver(unknown(second), unknown(Deal(), "Other word"))
    told = await operator.get("/words")
    assert [(each["partner"], each["word"], each["opportunities"]) for each in told["words"]] == [
        (PARTNER, WORD, 2),
        (PARTNER, "Other word", 1),
    ]
    assert told["words"][0]["opportunityId"] in {str(first.id), str(second.id)}
    assert (told["mapped"], told["more"]) == ([], False)
    overview = await operator.get()
    assert overview["words"]["count"] == 2
    assert overview["words"]["ageSeconds"] >= 0


async def test_a_mapping_folds_again_what_is_held_and_can_be_taken_back(bench: Bench, operator: Operator) -> None:
    deals = [Deal() for _ in range(5)]
    await bench.deliver(*(unknown(each) for each in deals))
    overtaken = Deal()
    await bench.deliver(unknown(overtaken))
    later = overtaken.ack(report=Report(status=Status.FUNDED, words="Paid"), attempt_version=2)
    await bench.deliver(later)
    dry = (await operator.map(dryRun=True, reason=None)).json()
    assert (dry["dryRun"], dry["opportunities"]) == (True, 6)
    assert {(each["before"], each["after"]) for each in dry["changes"]} == {("in-review", "declined")}
    assert {each["opportunityId"] for each in dry["changes"]} == {str(each.id) for each in deals}
    assert await bench.statuses(deals[0].id) == ["in-review"], "nothing was changed"

    answer = await operator.map()
    assert answer.status_code == 202
    mapping = answer.json()["id"]
    done = await folded(bench, operator, mapping)
    assert (done["word"], done["status"], done["by"], done["looked"]) == (WORD, "declined", "test", 6)
    changed = {(each["opportunityId"], each["before"], each["after"]) for each in done["changes"]}
    expected = {(str(each.id), "in-review", "declined") for each in deals}
    assert {each for each in changed if each[0] != str(overtaken.id)} == expected
    for deal in deals:
        last = (await bench.told(deal.id))[-1]
        assert (last.status, last.partner_words, last.flags) == (Status.DECLINED, WORD, ("word-mapped",))
    listed = await operator.get("/words")
    assert (listed["words"], [each["word"] for each in listed["mapped"]]) == ([], [WORD])
    assert (await operator.get())["words"] == {"count": 0}

    back = await operator.post(f"/words/{mapping}/take-back", {"reason": REASON})
    assert back.status_code == 202
    done = await folded(bench, operator, mapping)
    assert "status" not in done
    assert {(each["before"], each["after"]) for each in done["changes"]} == {("declined", "in-review")}
    assert (await bench.told(deals[0].id))[-1].flags == ("unmapped-words",)
    assert len((await operator.get("/words"))["words"]) == 1
    assert (await operator.map(status="approved")).status_code == 202, "it may be said anew"


async def test_who_comes_later_is_folded_with_the_mapping_at_once(bench: Bench, operator: Operator) -> None:
    await bench.deliver(unknown(Deal()))
    assert (await operator.map()).status_code == 202
    later = Deal()
    await bench.deliver(unknown(later))
    assert await bench.statuses(later.id) == ["declined"]


async def test_a_word_that_is_mapped_while_it_is_written(
    bench: Bench, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer read the words before, and the run looked before the write: the writer looks once more."""
    await bench.deliver(unknown(Deal()))
    vocabulary, deal = desk_of(bench).vocabulary, Deal()
    meant, asked = vocabulary.of, 0

    async def of(*about: Any) -> Any:
        nonlocal asked
        asked += 1
        found = await meant(*about)
        if asked == 1:
            assert (await operator.map()).status_code == 202
        return found

    monkeypatch.setattr(vocabulary, "of", of)
    await bench.deliver(unknown(deal))
    assert await bench.statuses(deal.id) == ["in-review", "declined"]


async def test_the_word_rests_sealed_and_so_does_the_reason(bench: Bench, operator: Operator) -> None:
    await bench.deliver(unknown(Deal()))
    mapping = (await operator.map()).json()["id"]
    document = await desk_of(bench).vocabulary.collection.find_one({"_id": mapping})
    assert document is not None
    assert WORD not in repr(document)
    assert WORD.encode() not in bytes(document["word"])
    assert "Fakename" not in repr(document)
    (entry,) = document["audit"]
    assert (entry["what"], entry["who"], entry["about"]) == (
        "word-mapped",
        "test",
        {"partner": PARTNER, "status": "declined"},
    )


async def test_the_same_request_is_carried_out_once(bench: Bench, operator: Operator) -> None:
    await bench.deliver(unknown(Deal()), unknown(Deal(), "Other word"))
    body = {"partner": PARTNER, "word": WORD, "status": "declined", "reason": REASON}
    first, again = await operator.post("/words", body, "k-1"), await operator.post("/words", body, "k-1")
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    other = await operator.post("/words", body | {"word": "Other word"}, "k-1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    another = await operator.post("/words", body, "k-2")
    assert (another.status_code, another.json()["code"]) == (409, "word-mapped")
    at_once = await asyncio.gather(*(operator.map("Other word", "approved") for _ in range(4)))
    assert sorted(each.status_code for each in at_once) == [202, 409, 409, 409]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"partner": "nobody"}, "unknown-partner"),
        ({"status": "erased"}, "no-meaning-of-a-word"),
        ({"word": "never said"}, "word-not-held"),
        ({"word": "call testa@example.test"}, "word-not-general"),
        ({"reason": None}, "reason-missing"),
        ({"allTenants": True}, "forbidden"),
        ({"surplus": 1}, "invalid-request"),
    ],
)
async def test_what_is_refused(bench: Bench, operator: Operator, changes: dict[str, Any], code: str) -> None:
    await bench.deliver(unknown(Deal()))
    answer = await operator.map(**changes)
    assert answer.json()["code"] == code
    assert answer.status_code in (403, 409, 422)
    assert "never said" not in answer.text
    assert "testa" not in answer.text
    assert (await operator.get("/words"))["mapped"] == []


async def test_a_word_of_the_partners_own_table_is_not_mapped(bench: Bench, operator: Operator) -> None:
    answer = await operator.map(next(iter(PARTNERS[PARTNER].facts.statuses)))
    assert (answer.status_code, answer.json()["code"]) == (409, "word-known")


async def test_tenants_have_their_own_words_and_the_platform_those_of_all(bench: Bench, operator: Operator) -> None:
    mine, theirs = Deal(), Deal()
    await bench.deliver(unknown(mine), unknown(theirs, tenant_id="other"))
    other = Operator(bench, "other")
    assert [each["opportunities"] for each in (await other.get("/words"))["words"]] == [1]
    mapping = (await operator.map()).json()["id"]
    await folded(bench, operator, mapping)
    assert await bench.statuses(theirs.id) == ["in-review"]
    assert (await other.client.get(f"/v1/desk/words/{mapping}")).status_code == 404
    assert (await other.post(f"/words/{mapping}/take-back", {"reason": REASON})).status_code == 404

    platform = Operator(bench, "platform-people", "operator platform")
    assert [each["word"] for each in (await platform.get("/words", allTenants=True))["words"]] == [WORD]
    dry = (await platform.map(status="approved", allTenants=True, dryRun=True)).json()
    assert (dry["changes"], dry["changesElsewhere"]) == ([], 1), "the tenant's own word counts more"
    everybodys = (await platform.map(status="approved", allTenants=True)).json()["id"]
    await folded(bench, platform, everybodys)
    assert await bench.statuses(theirs.id) == ["in-review", "approved"]
    assert (await bench.statuses(mine.id))[-1] == "declined"
    assert (await other.get(f"/words/{everybodys}"))["changes"][0]["opportunityId"] == str(theirs.id)
    assert (await operator.get(f"/words/{everybodys}"))["changes"] == []
    refused = await other.post(f"/words/{everybodys}/take-back", {"reason": REASON})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    for each in (other, platform):
        await each.client.aclose()


async def test_an_erased_person_is_left_out(bench: Bench, operator: Operator) -> None:
    deal, other = Deal(), Deal()
    await bench.deliver(unknown(deal), unknown(other))
    await bench.service.vault.erase(str(deal.application_id))
    assert len((await operator.map(dryRun=True, reason=None)).json()["changes"]) == 1
    mapping = (await operator.map()).json()["id"]
    done = await folded(bench, operator, mapping)
    assert [each["opportunityId"] for each in done["changes"]] == [str(other.id)]


async def test_two_replicas_fold_each_opportunity_once(make_bench: MakeBench) -> None:
    one, two = await make_bench(), await make_bench()
    deals = [Deal() for _ in range(12)]
    await one.deliver(*(unknown(each) for each in deals))
    operator = Operator(one)
    for bench in (one, two):
        desk_of(bench).refolding._batch = 2
    mapping = (await operator.map()).json()["id"]
    working = asyncio.create_task(desk_of(two).refolding.worker.run())
    done = await folded(one, operator, mapping)
    await end([working])
    assert len(done["changes"]) == 12
    for deal in deals:
        assert (await one.document(deal.id))["version"] == 2
    await operator.client.aclose()


@pytest.mark.parametrize("word", ['"\\ud800"', '"a\\u0000b"', '"$word"', '"a.b"', '{"$gt": ""}', "[]", '" "'])
async def test_odd_words_are_refused_and_never_an_error_of_ours(bench: Bench, operator: Operator, word: str) -> None:
    await bench.deliver(unknown(Deal()))
    body = f'{{"partner": "{PARTNER}", "word": {word}, "status": "declined", "reason": "x"}}'
    headers = {"Content-Type": "application/json", "Idempotency-Key": "k"}
    answer = await operator.client.post("/v1/desk/words", content=body.encode(), headers=headers)
    assert answer.status_code in (400, 409, 422)


async def test_a_word_that_looks_like_a_path_is_a_word(bench: Bench, operator: Operator) -> None:
    await bench.deliver(unknown(Deal(), "$status"))
    mapping = (await operator.map("$status")).json()["id"]
    assert (await folded(bench, operator, mapping))["word"] == "$status"
    assert (await operator.get("/words"))["words"] == []
