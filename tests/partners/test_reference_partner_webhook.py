"""The reference partner's webhooks over real sockets: signed as Standard Webhooks asks, tried until they are taken."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook
from tests.partners.receiver import Heard, Receiver, receiving
from tests.partners.reference_partner.rehearsal import REHEARSALS, WEBHOOK_SECRET, _oauth
from tests.partners.rehearsals import Sandbox
from tests.partners.stage import Stage

from lendrail.contracts.terms import Status
from lendrail.partners import PARTNERS
from lendrail.partners.exchange import Accepted, File
from lendrail.partners.signatures import verify

PARTNER = PARTNERS["reference-partner"]
assert PARTNER.webhook
WEBHOOK = PARTNER.webhook
SECRET = SecretStr(WEBHOOK_SECRET)


@pytest.fixture
def stage(sandbox: Sandbox) -> Iterator[Stage]:
    yield Stage(REHEARSALS[0], sandbox)
    sandbox.undial("reference-partner")


@pytest.fixture
def ours() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def header(call: Heard, name: str) -> str:
    (value,) = [value.decode() for each, value in call.headers if each.lower() == name.encode()]
    return value


async def brought(stage: Stage, ours: Receiver, outcome: str, user: str = "main-client") -> str:
    """An application of a user whose webhooks come to us; its id."""
    assert WEBHOOK.register
    async with stage.rehearsal.channel(stage.sandbox.url, _oauth(stage.sandbox.url, user)) as channel:
        assert await stage.send(channel, WEBHOOK.register(ours.url, SECRET)) == Accepted()
        came = await stage.bring(channel, stage.requests(outcome))
    assert isinstance(came, Accepted)
    assert came.partner_id
    return came.partner_id


def proof(call: Heard) -> bool:
    assert WEBHOOK.proof
    return verify(WEBHOOK.proof, [SECRET], call.headers, call.body, dt.datetime.now(dt.UTC))


async def test_a_proven_webhook_is_enough(stage: Stage, ours: Receiver) -> None:
    assert WEBHOOK.report
    partner_id = await brought(stage, ours, "approve")
    (call,) = await asyncio.to_thread(ours.wait, 1)
    assert proof(call)
    assert not proof(Heard(call.headers, call.body.replace(b"approved", b"declined")))
    plain = {name.decode().lower(): value.decode() for name, value in call.headers}
    assert Webhook(WEBHOOK_SECRET).verify(call.body, plain) == json.loads(call.body), "as the public library reads it"
    hint, told = WEBHOOK.hint(call.body, None), WEBHOOK.report(call.body)
    assert hint is not None
    assert (hint.partner_id, hint.reference) == (partner_id, stage.reference)
    assert told is not None
    assert told.status == Status.APPROVED
    assert told.offers
    async with stage.rehearsal.channel(stage.sandbox.url) as channel:
        assert await stage.report(channel, Accepted(partner_id)) == told, "the same as when it is asked"


async def test_webhooks_are_tried_until_they_are_taken(stage: Stage, ours: Receiver) -> None:
    ours.answers += [500, 404, 302]
    await brought(stage, ours, "decline", "insisting-client")
    calls = await asyncio.to_thread(ours.wait, 4)
    assert len({header(each, "webhook-id") for each in calls}) == 1
    assert len({each.body for each in calls}) == 1
    assert all(proof(each) for each in calls)
    times = [int(header(each, "webhook-timestamp")) for each in calls]
    assert times[3] > times[0], "each attempt has a time and a signature of its own"
    for _ in range(200):
        told = stage.sandbox.ledger("reference-partner", stage.reference)["webhooks"]
        if told:
            break
        await asyncio.sleep(0.02)
    assert [(each["attempts"], each["status"]) for each in told] == [(4, 204)]


async def test_a_document_that_was_wanted_leads_on(stage: Stage, ours: Receiver) -> None:
    assert PARTNER.document
    assert WEBHOOK.report
    partner_id = await brought(stage, ours, "missing")
    await asyncio.to_thread(ours.wait, 1)
    async with stage.rehearsal.channel(stage.sandbox.url) as channel:
        file = File(name="statement.pdf", kind="bank-statement", content=b"fake")
        document = PARTNER.document(partner_id, (file,), {})
        assert await stage.send(channel, document) == Accepted()
        assert await stage.send(channel, document) == Accepted(), "a repeat is known"
    calls = await asyncio.to_thread(ours.wait, 2)
    told = [WEBHOOK.report(each.body) for each in calls]
    assert [each and each.status for each in told] == [Status.INFO_REQUIRED, Status.APPROVED]
    assert stage.counts() == {"leads": 1, "attachments": 1, "duplicates": 1}


async def test_a_correction_is_looked_at_anew(stage: Stage, ours: Receiver) -> None:
    assert PARTNER.update
    assert WEBHOOK.report
    partner_id = await brought(stage, ours, "refer")
    await asyncio.to_thread(ours.wait, 1)
    data = stage.rehearsal.application("60000", stage.reference)
    update = PARTNER.update(partner_id, stage.rehearsal.order(stage.reference, data))
    async with stage.rehearsal.channel(stage.sandbox.url) as channel:
        came = await stage.send(channel, update)
        assert isinstance(came, Accepted)
        assert came.report
        assert came.report.status == Status.IN_REVIEW
        again = await stage.send(channel, update)
        assert isinstance(again, Accepted)
    calls = await asyncio.to_thread(ours.wait, 2)
    told = WEBHOOK.report(calls[1].body)
    assert told is not None
    assert told.status == Status.APPROVED
    assert [len(stage.sandbox.ledger("reference-partner", stage.reference)[name]) for name in ("leads", "updates")] == [
        1,
        1,
    ]
