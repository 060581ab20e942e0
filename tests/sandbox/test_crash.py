"""kill -9 at any moment: what was acknowledged is there, nothing is there in halves, nothing is there twice."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from tests.sandbox.process import KEY, Sandbox, lead, listening, wait_for

from lendrail.sandbox.journal import Journal, LedgerDamaged, LedgerInUse, frame


async def post_until_killed(own: Sandbox, lane: int, acknowledged: dict[str, str]) -> None:
    async with httpx.AsyncClient(base_url=own.api, headers=KEY, trust_env=False) as client:
        for number in range(10_000):
            reference = f"{lane}-{number}"
            try:
                reply = await client.post("/lead", json=lead(reference))
            except httpx.TransportError:
                return
            assert reply.status_code == 201
            acknowledged[reference] = reply.json()["id"]


async def test_every_acknowledged_lead_outlives_a_kill(own: Sandbox) -> None:
    acknowledged: dict[str, str] = {}
    for round_ in range(3):
        lanes = [asyncio.create_task(post_until_killed(own, round_ * 100 + lane, acknowledged)) for lane in range(12)]
        before = len(acknowledged)
        await asyncio.to_thread(wait_for, lambda at_least=before + 150: len(acknowledged) >= at_least)
        own.kill()
        await asyncio.gather(*lanes)
        await asyncio.to_thread(own.start)
    kept = own.ledger(bodies="false")["leads"]
    ids = {item["reference"]: item["leadId"] for item in kept}
    assert len(ids) == len(kept), "no reference twice"
    assert {reference: ids.get(reference) for reference in acknowledged} == acknowledged
    assert len(kept) <= len(acknowledged) + 3 * 12, "at most what was under way was kept unheard"
    assert own.summary()["counts"]["leads"] == len(kept)
    with own.client() as client:
        some = next(iter(acknowledged))
        assert client.post("/lead", json=lead(some)).json() == {"message": "Reference ID is not unique."}
        assert own.until_stage(client, acknowledged[some], "Approval Sent")


async def test_decisions_and_webhooks_go_on_after_a_kill(own: Sandbox) -> None:
    async with listening() as receiver:
        own.dial(kind="decision_delay", ms=1500, reference="decided later")
        own.dial(kind="webhook_late", ms=1500, reference="told later")
        with own.client() as client:
            client.post("/webhook", json={"webhook_url": receiver.url})
            ids = {own.lead(client, "decided later"), own.lead(client, "told later")}
            told = client.post("/lead", json=lead("told later"))
            assert told.status_code == 422
        await asyncio.to_thread(wait_for, lambda: own.ledger("told later")["decisions"])
        own.kill()
        assert receiver.received == []
        await asyncio.to_thread(own.start)
        await receiver.until(2)
        await asyncio.sleep(0.1)
    assert sorted(body["lead_id"] for _, body in receiver.received) == sorted(ids)


async def test_a_webhook_is_tried_again_when_nobody_listens(own: Sandbox) -> None:
    async with listening() as first:
        url = first.url
    with own.client() as client:
        client.post("/webhook", json={"webhook_url": url})
        lead_id = own.lead(client, "unreachable at first")
    await asyncio.sleep(0.4)
    async with listening(int(url.rsplit(":", 1)[1])) as second:
        await second.until(1)
    assert second.received[0][1] == {"lead_id": lead_id, "event_type": "Approved"}
    await asyncio.sleep(0.1)
    [sent] = own.ledger("unreachable at first")["webhooks"]
    assert (sent["result"], sent["status"]) == ("answered", 200)
    assert sent["attempts"] > 1


def test_a_ledger_has_one_owner(own: Sandbox) -> None:
    with pytest.raises(LedgerInUse):
        Journal(own.folder / "ledger" / "forward-financing.jsonl")


def test_the_pace_is_kept_over_a_restart(own: Sandbox) -> None:
    headers = {"api_key": "patient-test-key"}
    url = f"{own.api}/deal_status/x"
    assert httpx.get(url, headers=headers, trust_env=False).status_code == 404
    own.kill()
    own.start()
    assert httpx.get(url, headers=headers, trust_env=False).status_code == 429
    assert own.ledger()["rateViolations"] == own.summary()["rateViolations"] == 1


@pytest.mark.parametrize("torn", [b"0", b"00000000 {}\n", frame({"type": "x"})[:-1], b"\xff" * 40])
async def test_half_a_record_at_the_end_is_cut_off(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(frame({"n": 1}) + frame({"n": 2}) + torn)
    journal = Journal(path)
    assert [record["n"] for _, record in journal.replay()] == [1, 2]
    _, written = journal.append({"n": 3})
    await written
    await journal.close()
    again = Journal(path)
    assert [record["n"] for _, record in again.replay()] == [1, 2, 3]
    await again.close()


async def test_damage_in_the_middle_is_no_crash_and_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(frame({"n": 1}) + frame({"n": 2}).replace(b"2", b"7") + frame({"n": 3}))
    journal = Journal(path)
    with pytest.raises(LedgerDamaged):
        list(journal.replay())
    await journal.close()


async def test_a_reply_waits_for_the_disk(tmp_path: Path) -> None:
    """Group commit: many records, few writes, and each future is done only once its bytes are in the file."""
    journal = Journal(tmp_path / "ledger.jsonl")
    list(journal.replay())
    appended = [journal.append({"n": number}) for number in range(500)]
    assert not any(written.done() for _, written in appended)
    for number, (offset, written) in enumerate(appended):
        await written
        assert json.loads((tmp_path / "ledger.jsonl").read_bytes()[offset:].split(b"\n")[0][9:]) == {"n": number}
    await journal.close()
