"""An account may say how often its file comes: one that does not come is told."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from tests import support
from tests.status.bench import Bench
from tests.status.importing import Files, account_options, csv, known, row

from lendrail.runtime import due
from lendrail.status.imports import expected as expecting


async def test_a_file_that_does_not_come_is_told(files: Files, bench: Bench, tmp_path: Path) -> None:
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
    found = await expected.collection.find_one({})
    assert found is not None
    waits = found["due"] - dt.datetime.now(dt.UTC)
    assert abs(waits.total_seconds() - expecting.PATIENCE["weekly"]) < 60
    account_options(tmp_path, {})
    await expected.provide()
    assert (await files.listed())["expected"] == []
