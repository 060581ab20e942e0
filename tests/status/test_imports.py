"""Files of statuses on a real MongoDB: each row becomes what a call or a look would, once, and is told of."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
from typing import Any

from openpyxl import Workbook
from tests.status.bench import Bench, Deal
from tests.status.importing import Files, csv, known, outcomes, pairs, row

from lendrail.contracts.terms import Status
from lendrail.status.imports.says import OUTCOMES


async def test_a_row_becomes_an_observation_like_any_other(files: Files, bench: Bench) -> None:
    (deal,) = await known(bench, 1)
    told = await files.bring(csv(row(deal, "Approved", notes="call us")))
    assert (told["state"], told["counts"], told["done"]) == ("done", {"changed": 1}, 1)
    (line,) = told["rows"]
    assert line == {
        "row": 2,
        "outcome": "changed",
        "message": OUTCOMES["changed"],
        "opportunityId": str(deal.id),
        "status": "approved",
    }
    event = (await bench.told(deal.id))[-1]
    assert (event.status.value, event.source, event.partner_words) == ("approved", "csv", "Approved")
    assert event.notes is not None
    assert event.notes.reveal() == "call us"
    document = await bench.document(deal.id)
    assert document["observations"][-1]["source"] == "csv"
    assert await files.parts.pieces._pieces.count_documents({}) == 0, "the file is gone once it was read"


async def test_one_row_states_several_times(files: Files, bench: Bench) -> None:
    (deal,) = await known(bench, 1)
    at = "2026-03-02"
    content = csv(f"{deal.partner_id},{at},{at},{at}", header="partnerId,fundedAt,approvedAt,submittedAt")
    told = await files.bring(content)
    assert outcomes(told) == ["changed"]
    document = await bench.document(deal.id)
    assert [each["said"]["report"]["status"] for each in document["observations"][1:]] == [
        "submitted",
        "approved",
        "funded",
    ]
    assert (await bench.statuses(deal.id))[-1] == "funded", "what happened in one day happened in the order of life"


async def test_a_workbook_is_read_like_any_other_file(files: Files, bench: Bench) -> None:
    one, two = await known(bench, 2)
    book, content = Workbook(), io.BytesIO()
    assert book.active is not None
    for cells in (
        ["partnerId", "approvedAt", "fundedAt"],
        [one.partner_id, dt.datetime(2026, 3, 1, 9, 30), None],
        [two.partner_id, dt.date(2026, 3, 1), "=TODAY()"],
        [two.partner_id, dt.date(2026, 3, 1), dt.date(2026, 3, 2)],
    ):
        book.active.append(cells)
    book.save(content)
    told = await files.bring(content.getvalue())
    assert pairs(told["rows"]) == [(2, "changed"), (3, "changed"), (4, "changed")]
    assert told["rows"][1]["problems"][0]["code"] == "formula", "the rest of that row is heard"
    assert [(await bench.document(deal.id))["status"] for deal in (one, two)] == ["approved", "funded"]
    assert told["tally"] == {"lines": 4, "blank": 0, "rows": 3}


async def test_the_same_row_in_another_file_changes_nothing(files: Files, bench: Bench) -> None:
    one, two = await known(bench, 2)
    await files.bring(csv(row(one), row(two)))
    before = [await bench.document(deal.id) for deal in (one, two)]
    told = await files.bring(csv(row(two), "", row(one), row(one)))
    assert pairs(told["rows"]) == [(2, "known"), (4, "known"), (5, "known")]
    assert [await bench.document(deal.id) for deal in (one, two)] == before


async def test_an_old_row_changes_no_newer_truth(files: Files, bench: Bench) -> None:
    (deal,) = await known(bench, 1)
    await files.bring(csv(row(deal, "accepted", "2026-03-05")))
    told = await files.bring(csv(row(deal, "approved", "2026-03-01")))
    assert outcomes(told) == ["heard"]
    assert (await bench.document(deal.id))["status"] == "accepted"


async def test_of_two_rows_of_one_moment_the_later_heard_counts(files: Files, bench: Bench) -> None:
    (deal,) = await known(bench, 1)
    for notes in ("first", "second", "third"):
        await files.bring(csv(row(deal, notes=notes)))
    event = (await bench.told(deal.id))[-1]
    assert event.notes is not None
    assert event.notes.reveal() == "third"


async def test_a_dry_run_writes_nothing_but_its_report(files: Files, bench: Bench) -> None:
    one, two = await known(bench, 2)
    before = [await bench.document(deal.id) for deal in (one, two)]
    content = csv(row(one), row(two, "pondering"), row(Deal()), "x")
    told = await files.bring(content, dryRun=True)
    assert (told["dryRun"], outcomes(told)) == (True, ["changed", "unmapped", "unknown-id", "fault"])
    assert told["rows"][0]["status"] == "approved", "what it would be"
    assert [await bench.document(deal.id) for deal in (one, two)] == before
    assert await bench.parts.orphans.count_documents({}) == 0
    real = await files.bring(content)
    assert outcomes(real) == outcomes(told)


async def test_an_unknown_word_is_held_and_shown(files: Files, bench: Bench) -> None:
    (deal,) = await known(bench, 1)
    told = await files.bring(csv(row(deal, "pondering deeply")))
    assert outcomes(told) == ["unmapped"]
    event = (await bench.told(deal.id))[-1]
    assert (event.partner_words, "unmapped-words" in event.flags) == ("pondering deeply", True)
    assert "partner:unmapped-word" in event.flags


async def test_a_word_that_people_have_mapped_is_unknown_no_longer(files: Files, bench: Bench) -> None:
    one, two = await known(bench, 2)

    async def of(*_: Any) -> dict[str, Status]:
        return {"paid at last": Status.FUNDED}

    bench.parts.opportunities._vocabulary.of = of  # type: ignore[method-assign, assignment]
    for more in ({"dryRun": True}, {}):
        told = await files.bring(csv(row(one, "paid at last"), row(two, "paid maybe")), **more)
        assert [(each["outcome"], each["status"]) for each in told["rows"]] == [
            ("changed", "funded"),
            ("unmapped", "in-review"),
        ]


async def test_many_old_rows_ask_the_partner_nothing(files: Files, bench: Bench) -> None:
    (deal,) = await known(bench, 1)
    seen = dt.datetime(2026, 3, 9, tzinfo=dt.UTC)
    await bench.opportunities.update_one({"_id": str(deal.id)}, {"$set": {"fetch.seen_at": seen}, "$unset": {"due": 1}})
    await files.bring(csv(row(deal, "submitted", "2026-03-01")))
    assert "due" not in await bench.document(deal.id)


async def test_a_million_rows_would_take_no_more_memory(files: Files, bench: Bench) -> None:
    """Twice as many rows, the same peak, of this process and of the reader."""
    import resource

    peaks = []
    for count in (20_000, 60_000):
        content = csv(*(f"A{n},approved,2026-03-01," for n in range(count)))
        sent = await files.send(content, dryRun=True)
        await asyncio.wait_for(files.work(), 120)
        assert (await files.stored(sent["id"]))["counts"] == {"unknown-id": count}
        peaks.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    assert peaks[1] < peaks[0] * 1.1
