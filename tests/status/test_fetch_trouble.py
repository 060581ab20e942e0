"""A partner that is away, answers nonsense, refuses or does not know the deal: nothing is invented or lost."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests import support
from tests.sandbox.process import Sandbox
from tests.status.bench import Bench, Deal, credentials_file
from tests.status.conftest import MakeBench
from tests.status.looking import accepted, becomes, looks
from tests.status.looking import bench as bench
from tests.status.looking import running as running
from tests.status.looking import sandbox as sandbox

from lendrail.contracts.terms import Report, Status
from lendrail.partners import PARTNERS
from lendrail.partners.exchange import Reply
from lendrail.runtime.mongo import Document


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 429},
        {"kind": "status", "status": 503},
        {"kind": "html"},
        {"kind": "truncated"},
        {"kind": "drop_reply"},
        {"kind": "refuse"},
    ],
    ids=lambda fault: str(fault.get("status", fault["kind"])),
)
async def test_a_reply_that_cannot_be_read_invents_nothing(bench: Bench, sandbox: Sandbox, fault: Document) -> None:
    deal = await accepted(bench, sandbox, "decline")
    sandbox.dial(**fault, operation="deal_status", reference=str(deal.id), times=2)
    await bench.deliver(deal.webhook())
    await support.eventually(becomes(bench, deal, "declined"))
    assert await bench.statuses(deal.id) == ["submitting", "submitted", "declined"]
    fetch = (await bench.document(deal.id))["fetch"]
    assert "error" not in fetch
    assert ("kept" in fetch) is (fault["kind"] in ("html", "truncated") or fault.get("status") == 503), "not understood"
    if "kept" in fetch:
        key = await bench.service.vault.get(str(deal.application_id))
        assert len(key.open_bytes(fetch["kept"]["raw"])) == fetch["kept"]["bytes"]


async def test_a_fault_in_a_translation_loses_no_reply(
    bench: Bench, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    deal = await accepted(bench, sandbox, "approve")
    right = PARTNERS["forward-financing"]

    def wrong(reply: Reply) -> Report:
        raise KeyError("Testa Fakely")

    monkeypatch.setitem(PARTNERS, right.name, replace(right, report=wrong))
    await bench.deliver(deal.webhook())

    async def kept() -> Any:
        return (await bench.document(deal.id))["fetch"].get("kept")

    found = await support.eventually(kept)
    key = await bench.service.vault.get(str(deal.application_id))
    assert b"Approval Sent" in key.open_bytes(found["raw"])
    assert (await bench.document(deal.id))["fetch"]["error"] == "untranslatable-reply"
    monkeypatch.setitem(PARTNERS, right.name, right)
    await support.eventually(becomes(bench, deal, "approved"))


async def test_an_id_that_the_partner_does_not_know_is_flagged(bench: Bench) -> None:
    deal = Deal()
    await bench.deliver(deal.ack())
    await bench.deliver(deal.webhook())

    async def flagged() -> bool:
        return (await bench.told(deal.id))[-1].flags == ("unknown-at-partner",)

    await support.eventually(flagged)
    assert (await bench.told(deal.id))[-1].status is Status.SUBMITTED


async def test_a_refused_credential_rests_and_recovers(make_bench: MakeBench, sandbox: Sandbox, tmp_path: Path) -> None:
    bench = await make_bench(base_url=sandbox.api, retry_seconds="[0.1]", pause_seconds="1")
    deal = await accepted(bench, sandbox, "approve")
    file = tmp_path / "credentials.json"
    content = json.loads(file.read_text())
    content["credentials"][0]["auth"]["key"] = "wrong-test-key"
    file.write_text(json.dumps(content))
    bench.work()
    await bench.deliver(deal.webhook())

    async def paused() -> bool:
        return bool(
            await bench.service.shared("partners")["credentials"].find_one({"pause_reason": "credential-refused"})
        )

    await support.eventually(paused)
    credentials_file(tmp_path, sandbox.api)
    await support.eventually(becomes(bench, deal, "approved"))
    assert await bench.statuses(deal.id) == ["submitting", "submitted", "approved"]


async def test_a_silent_partner_is_tried_by_one_look_at_a_time_and_nothing_is_lost(
    make_bench: MakeBench, sandbox: Sandbox
) -> None:
    """Twelve deals are called about while the partner is away; the breaker spares it, and then all are told."""
    bench = await make_bench(base_url=sandbox.api, retry_seconds="[0.2]", breaker_failures="3")
    deals = [await accepted(bench, sandbox, "approve") for _ in range(12)]
    before = sum(looks(sandbox, deal) for deal in deals)
    sandbox.dial(kind="status", operation="deal_status", status=503)
    bench.work()
    await bench.deliver(*(deal.webhook() for deal in deals))

    async def all_wait() -> bool:
        return await bench.opportunities.count_documents({"fetch.error": "partner-away"}) == len(deals)

    await support.eventually(all_wait)
    asked = sum(looks(sandbox, deal) for deal in deals)
    assert asked - before <= len(deals) + 1  # those under way together when it opened, and one try
    await asyncio.sleep(1)
    assert sum(looks(sandbox, deal) for deal in deals) == asked
    sandbox.reset()
    for deal in deals:
        await support.eventually(becomes(bench, deal, "approved"))
    assert (await bench.service.shared("partners")["credentials"].find_one() or {})["breakers"] == {}


async def test_a_wait_that_trouble_names_holds_every_look(make_bench: MakeBench, sandbox: Sandbox) -> None:
    bench = await make_bench(base_url=sandbox.api, retry_seconds="[0.1]")
    one, other = await accepted(bench, sandbox, "approve"), await accepted(bench, sandbox, "approve")
    before = looks(sandbox, one) + looks(sandbox, other)
    sandbox.dial(kind="status", operation="deal_status", status=503, retry_after=2, times=1)
    bench.work()
    await bench.deliver(one.webhook())

    async def asked() -> bool:
        return looks(sandbox, one) + looks(sandbox, other) == before + 1

    await support.eventually(asked)
    await asyncio.sleep(0.3)
    await bench.deliver(other.webhook())
    await asyncio.sleep(1)
    assert looks(sandbox, one) + looks(sandbox, other) == before + 1
    await support.eventually(becomes(bench, one, "approved"))
    await support.eventually(becomes(bench, other, "approved"))
