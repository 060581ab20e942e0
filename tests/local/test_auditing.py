"""`lendrail audit verify` on a real MongoDB: what it says, and its exit code."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pymongo import AsyncMongoClient
from typer.testing import CliRunner

from lendrail.local.cli import app
from lendrail.runtime import audit
from lendrail.runtime.audit_chain import Chain
from lendrail.runtime.mongo import Document

ACTOR = audit.Actor("demo", "test", "demo-upstream", "r-1")


async def test_whole_then_broken(mongo: str, database_prefix: str, tmp_path: Path) -> None:
    client: AsyncMongoClient[Document] = AsyncMongoClient(mongo, w="majority", journal=True, tz_aware=True)
    database = client[f"{database_prefix}gateway"]
    chain = Chain("gateway", database, [database["applications"]])
    await chain.prepare()
    for n in range(3):
        entry = audit.entry(ACTOR, "application-received", f"applications/{n}")
        await database["applications"].insert_one({"_id": n} | audit.held(entry))
    await chain.round()

    async def looked(noted: str = "") -> tuple[int, str]:
        return await asyncio.to_thread(verified, mongo, database_prefix, tmp_path, noted)

    code, text = await looked()
    assert (code, text.startswith("gateway: whole, 3 links; note gateway:3:")) == (0, True)
    noted = text.split("note ")[1].strip()
    await database["audit"].delete_one({"_id": 3})
    await database["applications"].delete_one({"_id": 2})
    assert (await looked())[0] == 0, "a chain that was cut looks whole"
    code, text = await looked(noted)
    assert (code, "BROKEN: link 3 is missing" in text) == (1, True)
    await database["audit"].update_one({"_id": 2}, {"$set": {"entry.who": "somebody-else"}})
    code, text = await looked()
    assert (code, "BROKEN: link 2 was changed" in text, "sound up to gateway:1:" in text) == (1, True, True)
    await client.drop_database(f"{database_prefix}gateway")
    await client.close()


def test_nothing_to_verify(mongo: str, database_prefix: str, tmp_path: Path) -> None:
    code, text = verified(mongo, database_prefix, tmp_path)
    assert (code, "No service has an audit there." in text) == (1, True)
    code, text = verified(mongo, database_prefix, tmp_path, "gateway:x:y")
    assert (code, "SERVICE:NUMBER:HASH" in text) == (1, True)


def verified(mongo: str, prefix: str, folder: Path, noted: str = "") -> tuple[int, str]:
    command = ["audit", "verify", "--mongo", mongo, "--prefix", prefix, "--state", str(folder)]
    done = CliRunner().invoke(app, command + (["--noted", noted] if noted else []))
    return done.exit_code, done.output
