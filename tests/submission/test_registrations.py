"""Our webhook address is registered once for each credential and address."""

import asyncio
import datetime as dt
import hashlib
import json
from dataclasses import replace
from functools import partial

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs
from tests import support
from tests.submission.desk import Desk, credential

from lendrail.partners import PARTNERS
from lendrail.partners.exchange import Request
from lendrail.partners.partner import Webhook
from lendrail.partners.signatures import Signature
from lendrail.runtime.clock import utc_now

pytestmark = pytest.mark.asyncio
FORWARD = PARTNERS["forward-financing"]
PUBLIC = {"public_url": "http://127.0.0.1:9"}


async def state(desk: Desk) -> str:
    found = await desk.store.collection.database["registrations"].find_one({})
    return found["state"] if found else ""


async def test_once_and_not_again_after_a_restart(desk: Desk) -> None:
    before = desk.sandbox.summary()["counts"]["registrations"]
    for _ in range(2):
        async with desk.lanes(**PUBLIC):
            await support.eventually(lambda: _is(desk, "registered"))
            await asyncio.sleep(0.3)
    registered = desk.sandbox.ledger()["registrations"]
    assert len(registered) == before + 1
    assert registered[-1]["url"] == f"http://127.0.0.1:9/webhooks/forward-financing/{support.WEBHOOK_PATH}"


async def _is(desk: Desk, wanted: str) -> bool:
    return await state(desk) == wanted


async def test_refused_for_now_is_tried_again_and_unknown_ones_end_with_a_person(desk: Desk) -> None:
    desk.sandbox.dial(kind="status", operation="webhook", status=429, retry_after=0, times=2)
    desk.sandbox.dial(kind="drop_reply", operation="webhook")
    before = desk.sandbox.summary()["counts"]["registrations"]
    async with desk.lanes(**PUBLIC):
        await support.eventually(lambda: _is(desk, "parked"))
    assert desk.sandbox.summary()["counts"]["registrations"] == before + 2


async def test_a_credential_that_fits_nothing_costs_no_try_and_is_mended_without_a_restart(desk: Desk) -> None:
    desk.credentials(credential(desk.sandbox.api, auth={"scheme": "fake"}))
    before = desk.sandbox.summary()["counts"]["registrations"]
    async with desk.lanes(**PUBLIC):
        await asyncio.sleep(1)
        found = await desk.store.collection.database["registrations"].find_one({})
        assert found is not None
        assert (found["state"], found["tries"]) == ("wanted", 0)
        desk.credentials(credential(desk.sandbox.api))
        await support.eventually(lambda: _is(desk, "registered"), 4)
    assert desk.sandbox.summary()["counts"]["registrations"] == before + 1


async def test_no_address_is_told_across_modes(desk: Desk) -> None:
    desk.tenants(mode="live")
    before = desk.sandbox.summary()["counts"]["registrations"]
    async with desk.lanes(**PUBLIC):
        await asyncio.sleep(1)
    assert desk.sandbox.summary()["counts"]["registrations"] == before
    assert await state(desk) == "wanted"


async def test_a_replaced_path_is_told_within_seconds_and_once(desk: Desk) -> None:
    """The former one stays valid at the gateway meanwhile, and nobody is told of it any more."""
    before = desk.sandbox.summary()["counts"]["registrations"]
    until = (utc_now() + dt.timedelta(hours=1)).isoformat()
    async with desk.lanes(**PUBLIC):
        await support.eventually(partial(_registered, desk, before + 1))
        desk.tenants(webhookPath="n" * 40, formerWebhookPaths=[{"path": support.WEBHOOK_PATH, "until": until}])
        await support.eventually(partial(_registered, desk, before + 2), 15)
        await asyncio.sleep(3)
    told_urls = [each["url"].rpartition("/")[2] for each in desk.sandbox.ledger()["registrations"][before:]]
    assert told_urls == [support.WEBHOOK_PATH, "n" * 40]


SIGNED = Signature(header="X-Signature")


def told(address: str, secret: SecretStr | None) -> Request:
    """As Forward Financing's, and the hash of the secret in the address, where the simulated partner shows it."""
    assert FORWARD.webhook is not None
    assert FORWARD.webhook.register is not None
    shown = hashlib.sha256(secret.get_secret_value().encode()).hexdigest() if secret else "none"
    return FORWARD.webhook.register(f"{address}?secret={shown}", None)


async def test_a_partner_that_signs_is_told_the_newest_secret(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    webhook = Webhook(proof=SIGNED, hint=lambda body, path_id: None, register=told)
    monkeypatch.setitem(PARTNERS, FORWARD.name, replace(FORWARD, webhook=webhook))
    file = desk.folder / "webhook-secrets.json"
    with_file = PUBLIC | {"webhook_secrets_file": str(file), "register_webhooks_every": "0.1"}
    file.write_text('{"secrets": []}')
    before = desk.sandbox.summary()["counts"]["registrations"]
    with capture_logs() as logs:
        async with desk.lanes(**with_file):
            await asyncio.sleep(0.5)
            assert await state(desk) == "", "without a secret nobody is told where to call"
            for secrets in (["first"], ["second", "first"]):
                told_now = {"credential": support.CREDENTIAL, "secrets": [f"fake-{each}" for each in secrets]}
                file.write_text(json.dumps({"secrets": [told_now]}))
                await support.eventually(partial(_registered, desk, before + len(secrets)))
    shown = [each["url"].rpartition("=")[2] for each in desk.sandbox.ledger()["registrations"][before:]]
    assert shown == [hashlib.sha256(f"fake-{each}".encode()).hexdigest() for each in ("first", "second")]
    assert any(each["log_level"] == "error" and each["credential"] == support.CREDENTIAL for each in logs)
    assert "fake-first" not in repr(logs)


async def _registered(desk: Desk, count: int) -> bool:
    return bool(desk.sandbox.summary()["counts"]["registrations"] == count)
