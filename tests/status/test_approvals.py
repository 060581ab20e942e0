"""A live credential that nobody approved: no look goes there, and afterwards looks go by themselves."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import make, support
from tests.sandbox.process import Sandbox
from tests.status.bench import Deal, credentials_file
from tests.status.conftest import MakeBench

from lendrail.runtime.approvals import Approval, Approvals
from lendrail.runtime.directory import Credentials


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Behind TLS, with a certificate that this process trusts."""
    running = Sandbox(tmp_path, tls=True).start()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ledger" / "tls-cert.pem"))
    yield running
    running.stop()


async def test_looks_wait_for_the_approval_too(make_bench: MakeBench, sandbox: Sandbox, tmp_path: Path) -> None:
    url = f"https://127.0.0.1:{sandbox.tls_port}/forward-financing/v1"
    bench = await make_bench(base_url=url, retry_seconds="[0.1]", sweep_seconds="0.3")
    path = credentials_file(tmp_path, url)
    path.write_text(json.dumps({"credentials": [json.loads(path.read_text())["credentials"][0] | {"mode": "live"}]}))
    deal = Deal()
    deal._common["mode"] = "live"
    with sandbox.client() as client:
        deal.partner_id = sandbox.lead(client, str(deal.id))
        await asyncio.to_thread(sandbox.until_stage, client, deal.partner_id, "Approval Sent")
    before = sandbox.summary()["counts"]["calls"]
    bench.work()
    await bench.deliver(deal.validated(application=make.application(mode="live")))
    await bench.deliver(deal.ack())
    await bench.deliver(deal.webhook())
    await asyncio.sleep(1.5)
    assert sandbox.summary()["counts"]["calls"] == before
    assert (await bench.document(deal.id))["status"] == "submitted"

    (credential,) = Credentials.model_validate_json(path.read_bytes()).credentials
    said = Approval(action="a", at=make.NOW, approved=True, place=credential.place, by="demo-approver", reason="sealed")
    await Approvals(bench.service.shared("partners")["credentials"]).say(support.CREDENTIAL, said)

    async def told() -> bool:
        return (await bench.statuses(deal.id))[-1] == "approved"

    await support.eventually(told, 5)
