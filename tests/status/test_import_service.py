"""The door of imports: who may send which file, what of it is kept, and what is told of it, in pages."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.status.bench import Bench
from tests.status.importing import HEADER, LIMIT, OPERATOR, Files, account_options, all_text, csv, known, outcomes, row
from tests.status.reading import bearer
from tests.status.tables import CANARY


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
        ({"dryrun": "true"}, 422, "invalid-request"),
        ({"dryRun": "perhaps"}, 422, "invalid-request"),
    ],
)
async def test_a_file_that_is_not_taken_leaves_nothing(
    files: Files, query: dict[str, str], status: int, code: str
) -> None:
    """A misspelt `dryrun` above all: taken for nothing it would be a real import."""
    refused = await files.send(csv("A1,,,"), status, **query)
    assert refused["code"] == code
    assert all(" " in each["message"] for each in refused.get("errors", ())), "words, and no code of a library"
    assert await files.parts.pieces._pieces.count_documents({}) == 0


async def test_of_several_accounts_one_is_named(files: Files, tmp_path: Path) -> None:
    path = tmp_path / "tenants.json"
    told = json.loads(path.read_text())
    (account,) = told["tenants"][0]["partners"]
    another = account | {"credential": "demo-second", "webhookPath": "another-path-of-43-characters-for-this-test"}
    told["tenants"][0]["partners"].append(another)
    path.write_text(json.dumps(told))
    refused = await files.send(csv("A1,,,"), 422)
    assert refused["code"] == "credential-needed"
    assert f"one of {account['credential']}, demo-second:" in refused["detail"]
    await files.send(csv("A1,,,"), 202, credential="demo-second")


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
