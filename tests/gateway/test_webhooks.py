"""Partner webhooks: durable before the answer, collapsed when repeated at once, silent to whoever guesses."""

import asyncio
import datetime as dt
import json
import os
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo import AsyncMongoClient
from tests import support
from tests.gateway.process import Gateway

from lendrail.gateway.webhooks.calls import WINDOW_SECONDS, hint_of, webhook_id

CANARY = "Canarywitz900000018"
PATH = f"/webhooks/forward-financing/{support.WEBHOOK_PATH}"


def told(lead: str) -> bytes:
    return json.dumps({"lead_id": lead, "event_type": "Approved", "note": CANARY}).encode()


async def call(gateway: Gateway, path: str, content: Any, method: str = "POST") -> httpx.Response:
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as partner:
        return await partner.request(method, path, content=content)


async def test_a_webhook_is_durable_before_the_answer_and_then_told(gateway: Gateway, stored: Any) -> None:
    lead = str(uuid.uuid4())
    for method in ("POST", "PUT", "POST"):
        assert (await call(gateway, PATH, told(lead), method)).status_code == 200
    kept = [d async for d in stored["webhooks"].find() if lead in d["outbox"][0]["headers"]["ce_subject"].decode()]
    assert len(kept) in (1, 2)  # two when the five minutes ended in between
    assert CANARY.encode() not in kept[0]["raw"]
    assert CANARY.encode() not in kept[0]["outbox"][0]["value"]
    said = json.loads(kept[0]["outbox"][0]["value"])
    assert (said["foreignId"], said["words"], said["verification"]) == (lead, "Approved", "hint")
    assert (said["tenantId"], said["credential"]) == ("demo", support.CREDENTIAL)

    async def sent() -> bool:
        return bool((await stored["webhooks"].find_one({"_id": kept[0]["_id"]}))["sent"])

    await support.eventually(sent)


async def test_when_a_call_came_is_told_by_the_stores_clock(
    tmp_path: Path, kafka: str, mongo: str, topics: None, project: Path
) -> None:
    """A report counts from when we had it at the latest; by a clock that is behind it would be older than our own
    submission, and what the partner decided would be overruled by what it said before.
    """
    shim = os.pathsep.join([str(project / "proofs" / "chaos" / "skew"), os.environ.get("PYTHONPATH", "")])
    behind = Gateway(tmp_path, kafka=kafka, mongo=mongo, prefix=f"c{uuid.uuid4().hex[:8]}_")
    behind.environment |= {"PYTHONPATH": shim, "PROOFS_SKEW_SECONDS": "-120"}
    behind.start()
    try:
        behind.wait_ready()
        assert (await call(behind, PATH, told(str(uuid.uuid4())))).status_code == 200
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongo, tz_aware=True)
        async with client:
            kept = await client[f"{behind.environment['LENDRAIL_DATABASE_PREFIX']}gateway"]["webhooks"].find_one({})
    finally:
        behind.stop()
    assert kept is not None
    assert abs(kept["received"] - dt.datetime.now(dt.UTC)) < dt.timedelta(seconds=60)


@pytest.mark.parametrize(
    "content", [b"", b"not json " + CANARY.encode(), b"\xff\xfe\x00", b"[1,2]", b'{"lead_id": {}}']
)
async def test_what_nobody_understands_is_kept_too(gateway: Gateway, stored: Any, content: bytes) -> None:
    before = await stored["webhooks"].count_documents({})
    answer = await call(gateway, PATH, content)
    assert answer.status_code == 200
    assert CANARY not in answer.text
    assert await stored["webhooks"].count_documents({}) == before + 1


async def test_guesses_all_get_the_same_answer(gateway: Gateway) -> None:
    guesses = [PATH[:-1], PATH + "x", PATH.replace("forward", "backward"), "/webhooks/forward-financing/x"]
    answers = [await call(gateway, guess, told("1")) for guess in guesses]
    shapes = {json.dumps(answer.json() | {"requestId": ""}) for answer in answers}
    assert {answer.status_code for answer in answers} == {404}
    assert len(shapes) == 1


async def test_what_stands_behind_the_address_goes_with_the_call(gateway: Gateway, stored: Any) -> None:
    lead = str(uuid.uuid4())
    for about in ("FAKE.1", "FAKE.2", "FAKE.2"):
        assert (await call(gateway, f"{PATH}/{about}", told(lead), "PUT")).status_code == 200
    kept = [json.loads(d["outbox"][0]["value"]) async for d in stored["webhooks"].find() if _about(d, lead)]
    assert {each["pathId"] for each in kept} == {"FAKE.1", "FAKE.2"}
    assert {each["foreignId"] for each in kept} == {lead}
    odd = [f"{PATH}/{'x' * 513}", f"{PATH}/a%0Ab", f"{PATH}/a/b", f"{PATH[:-1]}/FAKE.1"]
    assert {(await call(gateway, path, told(lead))).status_code for path in odd} == {404}


def _about(document: dict[str, Any], lead: str) -> bool:
    return lead in str(document["outbox"][0]["headers"]["ce_subject"].decode())


async def test_long_bodies_are_refused_with_and_without_a_stated_length(gateway: Gateway) -> None:
    async def chunks() -> Any:
        for _ in range(70):
            yield b" " * 1024

    assert (await call(gateway, PATH, b" " * 70_000)).status_code == 413
    assert (await call(gateway, PATH, chunks())).status_code == 413


async def test_the_secret_path_is_in_no_log(gateway: Gateway) -> None:
    await asyncio.sleep(0.1)
    log = gateway.log.read_text()
    assert support.WEBHOOK_PATH not in log
    assert CANARY not in log


@given(st.binary(max_size=200), st.integers(0, 4_000_000_000), st.integers(0, 4_000_000_000))
def test_repeats_collapse_within_a_window_and_only_there(raw: bytes, first: int, second: int) -> None:
    def at(seconds: int) -> uuid.UUID:
        return webhook_id("p", "c", raw, dt.datetime.fromtimestamp(seconds, dt.UTC))

    assert (at(first) == at(second)) is (first // WINDOW_SECONDS == second // WINDOW_SECONDS)
    then = dt.datetime.fromtimestamp(first, dt.UTC)
    ids = {webhook_id("p", credential, raw, then, about) for credential in "co" for about in (None, "1", "2")}
    assert len(ids) == 6, "another credential, or another id behind the address, is another call"


@given(st.binary(max_size=300))
def test_no_body_can_break_the_translation(raw: bytes) -> None:
    hint = hint_of("forward-financing", raw)
    assert hint is None or hint.partner_id
    assert hint_of("nobody", raw) is None


@given(st.binary(max_size=200), st.integers(0, 4_000_000_000), st.integers(0, 4_000_000_000))
def test_the_partners_event_id_knows_a_repeat_whenever_it_comes(raw: bytes, first: int, second: int) -> None:
    def at(seconds: int, event: str, words: bytes = raw) -> uuid.UUID:
        return webhook_id("p", "c", words, dt.datetime.fromtimestamp(seconds, dt.UTC), None, event)

    assert at(first, "evt_1") == at(second, "evt_1")
    assert len({at(first, "evt_1"), at(first, "evt_2"), at(first, "evt_1", raw + b"x")}) == 3, "no word is dropped"
