"""Files of statuses on a real MongoDB: each row becomes what a call or a look would, once, and is told of."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook
from pymongo.errors import AutoReconnect
from tests import make, support
from tests.status.bench import Bench, Deal
from tests.status.conftest import MakeBench
from tests.status.importing import (
    HEADER,
    LIMIT,
    OPERATOR,
    Files,
    account_options,
    all_text,
    client_of,
    csv,
    known,
    outcomes,
    pairs,
    row,
)
from tests.status.reading import bearer

from lendrail.contracts.terms import Reference, Status
from lendrail.runtime import due
from lendrail.status.imports import expected as expecting
from lendrail.status.imports import run as running
from lendrail.status.imports.says import OUTCOMES

CANARY = "Testa Fakely 900-12-3456"


@pytest.fixture
async def bench(make_bench: MakeBench) -> Bench:
    return await make_bench()


@pytest.fixture
async def files(bench: Bench) -> AsyncIterator[Files]:
    async with client_of(bench) as client:
        yield Files(bench, client)


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


async def test_it_matches_by_any_id(files: Files, bench: Bench) -> None:
    deals = [Deal() for _ in range(5)]
    reference = Reference(system="demo-crm", kind="deal", value="CRM 7")
    application = make.application(externalReferences=[reference.model_dump()])
    await bench.deliver(
        *(
            deal.validated(application=application if deal is deals[4] else make.application(externalReferences=[]))
            for deal in deals
        )
    )
    await bench.deliver(*(deal.ack() for deal in deals))
    names = [
        ("opportunityId", str(deals[0].id)),
        ("applicationId", str(deals[1].application_id).upper()),
        ("ourReference", str(deals[2].attempt)),
        ("partnerId", deals[3].partner_id),
        ("externalReference", "CRM 7"),
    ]
    header = ",".join([*(name for name, _ in names), "approvedAt"])
    rows = [",".join(["" if other != name else value for other, _ in names] + ["2026-03-01"]) for name, value in names]
    told = await files.bring(csv(*rows, header=header))
    assert [each.get("opportunityId") for each in told["rows"]] == [str(deal.id) for deal in deals]
    together = ",".join([str(deals[0].id), "", "", deals[3].partner_id, "", "2026-03-02"])
    agreed = ",".join([str(deals[0].id), "", "", deals[0].partner_id, "", "2026-03-02"])
    told = await files.bring(csv(together, agreed, header=header))
    assert [each["outcome"] for each in told["rows"]] == ["fault", "heard"]
    assert told["rows"][0]["problems"][0]["code"] == "ids-disagree"


async def test_a_reference_of_several_deals_needs_another_id(files: Files, bench: Bench) -> None:
    deals = [Deal(), Deal()]
    application = make.application(externalReferences=[{"system": "demo-crm", "kind": "deal", "value": "CRM-9"}])
    await bench.deliver(*(deal.validated(application=application) for deal in deals))
    await bench.deliver(*(deal.ack() for deal in deals))
    header = "externalReference,partnerId,approvedAt"
    told = await files.bring(csv("CRM-9,,2026-03-01", f"CRM-9,{deals[1].partner_id},2026-03-01", header=header))
    assert [each.get("opportunityId") for each in told["rows"]] == [None, str(deals[1].id)]
    assert told["rows"][0]["problems"][0]["code"] == "ambiguous"


async def test_nobody_elses_opportunity_is_matched(files: Files, bench: Bench) -> None:
    (deal,) = await known(bench, 1)
    for field, other in (("tenant", "other"), ("mode", "live"), ("credential", "other"), ("partner", "finpace")):
        before = (await bench.document(deal.id))[field]
        await bench.opportunities.update_one({"_id": str(deal.id)}, {"$set": {field: other}})
        told = await files.bring(csv(row(deal)), again=True)
        assert outcomes(told) == ["unknown-id"], field
        await bench.opportunities.update_one({"_id": str(deal.id)}, {"$set": {field: before}})


async def test_the_same_file_is_the_same_import(files: Files, bench: Bench) -> None:
    (deal,) = await known(bench, 1)
    first = await files.bring(csv(row(deal)))
    repeated = await files.send(csv(row(deal)), 200)
    assert (repeated["id"], repeated["repeated"], repeated["state"]) == (first["id"], True, "done")
    assert await files.work() == 0
    assert await files.parts.pieces._pieces.count_documents({}) == 0
    again = await files.bring(csv(row(deal)), again=True)
    assert again["id"] != first["id"]
    assert outcomes(again) == ["known"]


async def test_again_needs_a_key_and_is_one_import_for_it(files: Files, bench: Bench) -> None:
    query = {"partner": "forward-financing", "again": "true"}
    answer = await files.client.post("/v1/imports", params=query, content=csv("A1,,,"), headers=OPERATOR)
    assert answer.status_code == 400
    headers = OPERATOR | {"Idempotency-Key": "mine-1"}
    ids = {
        (await files.client.post("/v1/imports", params=query, content=csv("A1,,,"), headers=headers)).json()["id"]
        for _ in range(2)
    }
    assert len(ids) == 1


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


async def test_an_unknown_id_is_heard_when_its_deal_is_known(files: Files, bench: Bench) -> None:
    deal, other = Deal(), Deal()
    content = csv(f"{deal.partner_id},,2026-03-01,2026-03-02,{CANARY}", f",{other.id},,2026-03-02,",
                  header="partnerId,opportunityId,approvedAt,fundedAt,notes")  # fmt: skip
    told = await files.bring(content)
    assert outcomes(told) == ["unknown-id", "unknown-id"]
    kept = await bench.parts.orphans.find({"source": "csv"}).to_list()
    assert {each["words"] for each in kept} == {"fundedAt"}
    assert CANARY not in all_text(kept)
    await bench.deliver(deal.ack())
    assert (await bench.statuses(deal.id))[-1] == "funded"
    assert len((await bench.document(deal.id))["observations"]) == 3
    await bench.deliver(other.validated())
    assert await files.parts.orphaned.turn() is False
    assert (await bench.statuses(other.id))[-1] == "funded"
    assert await bench.parts.orphans.count_documents({}) == 0
    assert outcomes(await files.bring(content, again=True)) == ["known", "known"]


async def test_a_person_gives_an_unknown_row_to_its_deal(files: Files, bench: Bench) -> None:
    (deal,) = await known(bench, 1)
    await files.bring(csv(row(Deal(), "approved")))
    (call,) = await bench.parts.orphans.find().to_list()
    assert await bench.parts.hints._reports.speaks(call)
    await bench.parts.hints.follow([(call, await bench.document(deal.id))])
    document = await bench.document(deal.id)
    assert (document["status"], document["observations"][-1]["source"]) == ("approved", "csv")
    assert "hints" not in document, "its word counts by itself; nobody has to be asked"


async def test_the_same_unknown_row_is_kept_once(files: Files, bench: Bench) -> None:
    deal = Deal()
    for more in ("", "\n"):
        await files.bring(csv(row(deal), more))
    assert await bench.parts.orphans.count_documents({}) == 1


async def test_a_person_who_was_erased_stays_forgotten(files: Files, bench: Bench) -> None:
    from lendrail.status.forget import Forgetter

    deal, late = (await known(bench, 1))[0], Deal()
    await files.bring(csv(row(late)))
    await bench.deliver(late.ack())
    for each in (deal, late):
        await bench.service.vault.erase(str(each.application_id))
    assert outcomes(await files.bring(csv(row(deal, "accepted")))) == ["erased"], "also before anything was dropped"
    await Forgetter(bench.opportunities).forget([str(deal.application_id), str(late.application_id)])
    told = await files.bring(csv(row(deal), row(late, "funded")))
    assert outcomes(told) == ["erased", "erased"]
    for each in (deal, late):
        assert (await bench.document(each.id))["observations"] == []
    assert await bench.parts.orphans.count_documents({}) == 0


async def test_many_old_rows_ask_the_partner_nothing(files: Files, bench: Bench) -> None:
    (deal,) = await known(bench, 1)
    seen = dt.datetime(2026, 3, 9, tzinfo=dt.UTC)
    await bench.opportunities.update_one({"_id": str(deal.id)}, {"$set": {"fetch.seen_at": seen}, "$unset": {"due": 1}})
    await files.bring(csv(row(deal, "submitted", "2026-03-01")))
    assert "due" not in await bench.document(deal.id)


async def test_faults_are_told_and_no_cell_is(files: Files, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    (deal,) = await known(bench, 1)
    content = csv(
        row(deal, notes=CANARY),
        f"{CANARY},approved,2026-03-01,",
        f'A1,"{CANARY},2026-03-01,',
        f"A1,{CANARY},,{CANARY}",
        f"A1,approved,{CANARY},",
        f"A1,approved,2026-03-01,,{CANARY}",
        f"=HYPERLINK({CANARY}),approved,2026-03-01,",
    )
    told = await files.bring(content)
    codes = [[each["code"] for each in line.get("problems", ())] for line in told["rows"]]
    assert codes == [
        [],
        ["id-unreadable"],
        ["unbalanced-quote"],
        ["time-missing"],
        ["time"],
        ["too-many-columns"],
        ["formula"],
    ]
    assert all(each["message"] for line in told["rows"] for each in line.get("problems", ()))
    places = (files.parts.imports.collection, files.parts.imports.reports, bench.parts.orphans, bench.opportunities)
    everything = [await place.find().to_list() for place in places]
    assert CANARY not in all_text(everything) + repr(told) + caplog.text
    only = await files.told(told["id"], only="problems")
    assert len(only["rows"]) == 6


async def test_a_report_comes_in_pages(files: Files, bench: Bench) -> None:
    deals = await known(bench, 3)
    content = csv(
        *(row(deals[n % 3], at=f"2026-03-{1 + n % 28:02}T{n % 24:02}:00:00Z") if n % 7 else "x" for n in range(450))
    )
    sent = await files.bring(content)
    for only, count in (("all", 450), ("problems", 65)):
        found: list[dict[str, Any]] = []
        token: dict[str, str] = {}
        while True:
            page = await files.told(sent["id"], only=only, pageSize=64, **token)
            found += page["rows"]
            if "nextPageToken" not in page:
                break
            token = {"pageToken": page["nextPageToken"]}
        assert len(found) == count
        assert [each["row"] for each in found] == sorted({each["row"] for each in found})
    assert sum(sent["counts"].values()) == 450
    bad = await files.client.get(f"/v1/imports/{sent['id']}?pageToken=%21", headers=OPERATOR)
    assert bad.status_code == 400


async def test_imports_are_listed_newest_first(files: Files, bench: Bench) -> None:
    ids = [(await files.send(csv(f"A{n},approved,2026-03-01,")))["id"] for n in range(3)]
    page = await files.listed(pageSize=2)
    rest = await files.listed(pageSize=2, pageToken=page["nextPageToken"])
    assert [each["id"] for each in (*page["imports"], *rest["imports"])] == ids[::-1]
    assert "nextPageToken" not in rest
    assert page["imports"][0]["state"] == "waiting"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"name;amount\r\nTesta;1\r\n", "columns-missing"),
        (b"%PDF-1.7", "program"),
        (b"PK\x03\x04" + bytes(200), "workbook-damaged"),
        (HEADER.encode() + b"\n", "empty"),
        (b"x" * 3_000_000, "header-unreadable"),
    ],
    ids=["columns", "program", "workbook", "empty", "line"],
)
async def test_a_refused_file_says_what_to_change(files: Files, content: bytes, code: str) -> None:
    told = await files.bring(content)
    assert (told["state"], told["problem"]["code"], told["rows"]) == ("refused", code, [])
    assert told["problem"]["message"].endswith(".")
    assert await files.parts.pieces._pieces.count_documents({}) == 0


async def test_a_corrected_option_makes_it_another_import(files: Files, bench: Bench, tmp_path: Path) -> None:
    (deal,) = await known(bench, 1)
    content = csv(f"{deal.partner_id};01.03.2026", header="Nummer;Genehmigt")
    first = await files.bring(content)
    assert first["problem"]["code"] == "columns-missing"
    account_options(tmp_path, {"import.key.partnerId": "Nummer", "import.event.approved": "Genehmigt",
                               "import.dates": "%d.%m.%Y"})  # fmt: skip
    second = await files.bring(content)
    assert (second["id"] != first["id"], outcomes(second)) == (True, ["changed"])
    account_options(tmp_path, {"import.dates": "tomorrow"})
    refused = await files.send(content, 422)
    assert refused["code"] == "import-options"


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"partner": "nobody"}, 404, "no-account"),
        ({"partner": "finpace"}, 404, "no-account"),
        ({"credential": "other"}, 404, "no-account"),
        ({"asOf": "2026-03-01T00:00:00"}, 422, "invalid-request"),
        ({"asOf": "2126-03-01T00:00:00Z"}, 422, "as-of-in-future"),
    ],
)
async def test_whose_file_it_is(files: Files, query: dict[str, str], status: int, code: str) -> None:
    assert (await files.send(csv("A1,,,"), status, **query))["code"] == code
    assert await files.parts.pieces._pieces.count_documents({}) == 0


async def test_who_may_send_and_see_it(files: Files) -> None:
    sent = await files.send(csv("A1,approved,2026-03-01,"))
    reader = bearer("applications:read")
    assert (
        await files.client.post("/v1/imports?partner=forward-financing", content=b"x", headers=reader)
    ).status_code == 403
    assert (await files.client.get("/v1/imports", headers=reader)).status_code == 403
    other = bearer("operator", tenant="other")
    assert (await files.client.get(f"/v1/imports/{sent['id']}", headers=other)).status_code == 404
    assert (await files.client.get("/v1/imports", headers=other)).json()["imports"] == []
    entry = (await files.stored(sent["id"]))["audit"][0]
    assert (entry["who"], entry["what"], entry["after"]) == ("test", "file-imported", sent["sha256"])


async def test_bytes_rest_sealed_and_a_broken_upload_leaves_none(files: Files, bench: Bench) -> None:
    pieces = files.parts.pieces._pieces
    await files.send(csv(f"A1,approved,2026-03-01,{CANARY}"))
    assert CANARY.encode() not in b"".join([bytes(each["data"]) async for each in pieces.find()])
    before = await pieces.count_documents({})

    async def cut() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b"x" * 300_000
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        await files.parts.pieces.keep(cut())
    assert await pieces.count_documents({}) == before
    answer = await files.client.post(
        "/v1/imports?partner=forward-financing", content=b"x" * (LIMIT + 1), headers=OPERATOR
    )
    assert answer.status_code == 413
    assert await pieces.count_documents({}) == before


# deaths and leases


class Dead(BaseException):
    """The process ended here."""


@pytest.mark.parametrize("place", ["hear", "report", "move"])
@pytest.mark.parametrize("count", [1, 2, 3])
async def test_whoever_dies_the_next_goes_on_from_the_stored_row(
    files: Files, bench: Bench, monkeypatch: pytest.MonkeyPatch, place: str, count: int
) -> None:
    monkeypatch.setattr(running, "BATCH", 200)
    deals = await known(bench, 10)
    rows = [row(deals[n % 10], "in-review", f"2026-03-01T10:{n // 60:02}:{n % 60:02}Z") for n in range(500)]
    rows[450] = row(deals[0], "approved", "2026-03-03")
    sent = await files.send(csv(*rows))
    target: Any = {"hear": bench.parts.opportunities, "report": files.parts.imports, "move": files.parts.imports}[place]
    passed, real = 0, getattr(target, place)

    async def dying(*arguments: Any, **more: Any) -> Any:
        nonlocal passed
        passed += 1
        done = await real(*arguments, **more)
        if passed == count:
            raise Dead
        return done

    monkeypatch.setattr(target, place, dying)
    ((document, lease),) = await due.claim(files.parts.imports.collection, {}, 1, 60)
    with pytest.raises(Dead):
        await files.parts.runner.turn(document, lease, 0)
    monkeypatch.setattr(target, place, real)
    died = await files.stored(sent["id"])
    assert died["row"] in (0, 201, 401)
    await files.parts.imports.collection.update_one({"_id": sent["id"]}, {"$unset": {"lease": 1}})
    assert await files.work() == 1
    told = await files.told(sent["id"], pageSize=1000)
    assert (told["state"], [each["row"] for each in told["rows"]]) == ("done", list(range(2, 502)))
    assert told["done"] == 500
    observations = [each for deal in deals for each in (await bench.document(deal.id))["observations"]]
    assert len(observations) == len({each["id"] for each in observations}) == 510
    assert (await bench.document(deals[0].id))["status"] == "approved"


async def test_a_drain_stops_between_batches_and_another_goes_on(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "BATCH", 200)
    bench, second = await make_bench(), await make_bench()
    async with client_of(bench) as client, client_of(second) as other:
        files, theirs = Files(bench, client), Files(second, other)
        many = 30_000  # more than fits into the pipes between the processes
        sent = await files.send(csv(*(f"A{n},approved,2026-03-01," for n in range(many))), dryRun=True)
        files.parts.runner._stopping = True
        await asyncio.wait_for(_one_turn(files), 60)
        left = await files.stored(sent["id"])
        assert (left["row"], left["state"], "lease" in left) == (201, "running", False)
        assert await files.parts.runner._where() is None
        await theirs.work()
        assert (await files.stored(sent["id"]))["counts"] == {"unknown-id": many}


async def _one_turn(files: Files) -> None:
    ((document, lease),) = await due.claim(files.parts.imports.collection, {}, 1, 60)
    await files.parts.runner.turn(document, lease, 0)


async def test_a_lost_lease_changes_nothing_more(files: Files, bench: Bench) -> None:
    sent = await files.send(csv("A1,approved,2026-03-01,"))
    ((document, lease),) = await due.claim(files.parts.imports.collection, {}, 1, 60)
    await files.parts.imports.collection.update_one({"_id": sent["id"]}, {"$set": {"lease.token": "another"}})
    await files.parts.runner.turn(document, lease, 0)
    assert (await files.stored(sent["id"]))["state"] == "waiting"


async def test_a_store_that_is_away_costs_nothing(files: Files, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    (deal,) = await known(bench, 1)
    sent = await files.send(csv(row(deal)))
    real = bench.parts.opportunities.hear

    async def away(*_: Any) -> Any:
        raise AutoReconnect("the store is away")

    monkeypatch.setattr(bench.parts.opportunities, "hear", away)
    with pytest.raises(AutoReconnect):
        await _one_turn(files)
    monkeypatch.setattr(bench.parts.opportunities, "hear", real)
    await files.parts.imports.collection.update_one({"_id": sent["id"]}, {"$unset": {"lease": 1}})
    await files.work()
    assert outcomes(await files.told(sent["id"])) == ["changed"]


async def test_what_fails_again_and_again_ends_in_sight(
    files: Files, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = await files.send(csv("A1,approved,2026-03-01,"))

    async def failing(*_: Any) -> Any:
        raise RuntimeError("a defect of ours")

    monkeypatch.setattr(files.parts.runner._batch, "hear", failing)
    for _ in range(5):
        with pytest.raises(RuntimeError):
            await _one_turn(files)
        await files.parts.imports.collection.update_one({"_id": sent["id"]}, {"$unset": {"lease": 1}})
    await files.work()
    told = await files.told(sent["id"])
    assert (told["state"], told["problem"]["code"]) == ("failed", "our-fault")


async def test_a_reader_that_dies_is_tried_again_and_then_told(
    files: Files, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "nowhere"))
    monkeypatch.setattr("sys.executable", "/bin/false")
    sent = await files.send(csv("A1,approved,2026-03-01,"))
    for _ in range(5):
        await files.parts.imports.collection.update_one({"_id": sent["id"]}, [{"$set": {"due": "$$NOW"}}])
        await _one_turn(files)
    told = await files.told(sent["id"])
    assert (told["state"], told["problem"]["code"]) == ("failed", "reader-died")


async def test_a_file_whose_bytes_are_gone_is_told(files: Files, bench: Bench) -> None:
    sent = await files.send(csv("A1,approved,2026-03-01,"))
    await files.parts.pieces._pieces.delete_many({})
    await files.work()
    assert (await files.told(sent["id"]))["problem"]["code"] == "file-gone"


# files that are expected


async def test_a_file_that_does_not_come_is_told(
    files: Files, bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = files.parts.expected
    await expected.provide()
    assert (await files.listed())["expected"] == []
    account_options(tmp_path, {"import.every": "weekly"})
    await expected.provide()
    (told,) = (await files.listed())["expected"]
    assert (told["credential"], told["every"], told["late"]) == (support.CREDENTIAL, "weekly", False)
    assert await due.claim(expected.collection, {}, 1, 30) == []
    await expected.collection.update_many({}, [{"$set": {"due": "$$NOW"}}])
    ((document, lease),) = await due.claim(expected.collection, {}, 1, 30)
    await expected.turn(document, lease, 0)
    (told,) = (await files.listed())["expected"]
    assert told["late"]
    await expected.provide()
    assert (await files.listed())["expected"][0]["late"], "following the file takes no alarm back"
    (deal,) = await known(bench, 1)
    await files.bring(csv(row(deal)), dryRun=True)
    assert (await files.listed())["expected"][0]["late"], "a dry run is no file"
    sent = await files.bring(csv(row(deal)))
    (told,) = (await files.listed())["expected"]
    assert (told["late"], told["lastImport"]) == (False, sent["id"])
    waits = (await expected.collection.find_one({}))["due"] - dt.datetime.now(dt.UTC)  # type: ignore[index]
    assert abs(waits.total_seconds() - expecting.PATIENCE["weekly"]) < 60
    account_options(tmp_path, {})
    await expected.provide()
    assert (await files.listed())["expected"] == []


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
