"""Whoever dies in the middle of a file, loses its lease or the store: the next goes on from the stored row."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import AutoReconnect
from tests.status.bench import Bench
from tests.status.conftest import MakeBench
from tests.status.importing import Files, client_of, csv, known, outcomes, row

from lendrail.runtime import due
from lendrail.status.imports import run as running


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
        mine = passed
        done = await real(*arguments, **more)
        if mine == count:
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
