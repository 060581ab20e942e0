"""Statuses from every direction, through a whole stack: a call while both servers are dead, and a lender's file with a
word that nobody knows.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import string
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
from tests.flow.stack import Stack, deal, opportunity, post, seen, until
from tests.support import eventually

CALLER, MAILER = "reference-partner", "email-lender"
DELAY_MS = 12_000


def at(partner: str, *statuses: str) -> Any:
    return lambda view: opportunity(view, partner).get("status") in statuses


async def truth(client: httpx.AsyncClient, view: dict[str, Any], partner: str) -> dict[str, Any]:
    reply = await client.get(f"/v1/opportunities/{opportunity(view, partner)['opportunityId']}")
    assert reply.status_code == 200, reply.text
    told: dict[str, Any] = reply.json()
    return told


async def test_calls_come_while_mongodb_and_kafka_are_both_dead(stack: Stack, client: httpx.AsyncClient) -> None:
    stack.dial(CALLER, kind="decision_delay", operation="create", ms=DELAY_MS)
    ids = await asyncio.gather(*(post(client, deal("30000", CALLER)) for _ in range(2)))
    for each in ids:
        await until(client, each, at(CALLER, "submitted"), 20)
    stack.kill("mongo")
    stack.kill("kafka")
    spool, deadline = stack.folder / "data" / "gateway" / "spool", time.monotonic() + 60

    def delivered() -> int:
        sent = stack.ledger(CALLER)["webhooks"]
        return sum(each["status"] == 200 for each in sent)

    before = delivered()
    while delivered() < before + len(ids):
        assert time.monotonic() < deadline, "the partner's calls were not taken"
        await asyncio.sleep(0.3)
    assert list(spool.glob("calls-*.spool")), "they wait on disk"
    stack.restart("mongo")
    stack.restart("kafka")
    while list(spool.glob("calls-*.spool")):
        assert time.monotonic() < deadline + 60, "the spool was not drained"
        await asyncio.sleep(0.3)
    for each in ids:
        told = await truth(client, await until(client, each, at(CALLER, "approved"), 60), CALLER)
        while "webhook" not in (ways := [one["source"] for one in told["observations"]]):
            assert time.monotonic() < deadline + 120, "the call was not heard"  # a look may have been quicker
            told = await truth(client, await seen(client, each), CALLER)
        assert ways.count("webhook") == 1


async def test_a_lenders_file_from_the_terminal(stack: Stack, client: httpx.AsyncClient, tmp_path: Path) -> None:
    application = await post(client, deal("30000", MAILER))
    first = await truth(client, await until(client, application, at(MAILER, "submitted"), 30), MAILER)
    told_at = (dt.datetime.now(dt.UTC) - dt.timedelta(hours=3)).isoformat(timespec="seconds")
    file = tmp_path / "deals.csv"
    file.write_text(f"opportunityId,approvedAt\n{first['id']},{dt.datetime.now(dt.UTC).isoformat()}\n")
    mine = ("import", str(file), "--partner", MAILER, "--credential", "demo-mail")

    assert "1 changed" in stack.lendrail(*mine, "--dry-run")
    assert opportunity(await seen(client, application), MAILER)["status"] == "submitted", "a dry run changes nothing"
    assert "1 changed" in stack.lendrail(*mine)
    told = await truth(client, await until(client, application, at(MAILER, "approved")), MAILER)
    assert (told["source"], told["cause"]["channel"]) == ("csv", "csv")
    assert "This file was here before" in stack.lendrail(*mine)
    assert (await truth(client, await seen(client, application), MAILER))["version"] == told["version"]
    then = await client.get(f"/v1/opportunities/{first['id']}", params={"asOf": told_at})
    assert then.status_code == 404, "three hours ago there was nothing"
    knew = await client.get(
        f"/v1/opportunities/{first['id']}", params={"knownAt": first["observations"][-1]["storedAt"]}
    )
    assert knew.json()["status"] == "submitted"

    word, now = "Pruefung " + "".join(random.choices(string.ascii_lowercase, k=8)), dt.datetime.now(dt.UTC)
    content = f"opportunityId,status,statusAt\n{first['id']},{word},{now.isoformat()}\n"
    sent = await client.post("/v1/imports", params={"partner": MAILER, "credential": "demo-mail"}, content=content)
    assert sent.status_code == 202, sent.text

    async def waits() -> bool:
        return any(each["word"] == word for each in (await client.get("/v1/desk/words")).json()["words"])

    await eventually(waits)
    meaning = {"partner": MAILER, "word": word, "status": "in-review", "reason": "their manual"}
    mapped = await client.post("/v1/desk/words", json=meaning, headers={"Idempotency-Key": str(uuid.uuid4())})
    assert mapped.status_code in (200, 202), mapped.text
    await until(client, application, at(MAILER, "in-review"))
    ages = (await client.get("/v1/staleness")).json()["credentials"]
    assert any(each["partner"] == MAILER and each["ageSeconds"]["max"] > 0 for each in ages)
