"""Finpace's decisions that come later: signed, proven, and enough by themselves. And keys that it forgets."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import hmac
from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from tests.partners.finpace.rehearsal import REHEARSALS, _oauth
from tests.partners.receiver import Receiver, receiving
from tests.partners.rehearsals import Sandbox
from tests.partners.stage import Stage

from lendrail.contracts.terms import Status
from lendrail.partners import PARTNERS
from lendrail.partners.exchange import Accepted
from lendrail.partners.signatures import Signature, verify

FINPACE = PARTNERS["finpace"]
assert FINPACE.webhook
WEBHOOK = FINPACE.webhook
SECRET = SecretStr("fake-webhook-secret")


@pytest.fixture
def stage(sandbox: Sandbox) -> Iterator[Stage]:
    yield Stage(REHEARSALS[0], sandbox)
    sandbox.undial("finpace")


@pytest.fixture
def ours() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.mark.parametrize(
    ("amount", "status"), [("approve", Status.APPROVED), ("decline", Status.DECLINED), ("refer", Status.REFERRED)]
)
async def test_decision_by_webhook(stage: Stage, ours: Receiver, amount: str, status: Status) -> None:
    assert WEBHOOK.register
    assert WEBHOOK.report
    async with stage.rehearsal.channel(stage.sandbox.url, _oauth(stage.sandbox.url, "later-client")) as channel:
        assert await stage.send(channel, WEBHOOK.register(ours.url, SECRET)) == Accepted()
        came = await stage.bring(channel, stage.requests(amount))
    assert isinstance(came, Accepted)
    assert came.report
    assert came.report.status == Status.IN_REVIEW
    (call,) = await asyncio.to_thread(ours.wait, 1)

    assert isinstance(WEBHOOK.proof, Signature)
    expected = hmac.new(SECRET.get_secret_value().encode(), call.body, hashlib.sha256).hexdigest()
    assert dict(call.headers)[WEBHOOK.proof.header.encode()] == expected.encode()
    now = dt.datetime.now(dt.UTC)
    assert verify(WEBHOOK.proof, [SECRET], call.headers, call.body, now)
    assert not verify(WEBHOOK.proof, [SECRET], call.headers, call.body + b" ", now)

    hint, told = WEBHOOK.hint(call.body, None), WEBHOOK.report(call.body)
    assert hint is not None
    assert hint.partner_id == came.partner_id
    assert told is not None
    assert (told.status, told.flags) == (status, ())


async def test_never_decided_without_a_word(stage: Stage, ours: Receiver) -> None:
    assert WEBHOOK.register
    stage.dial("outcome", outcome="working")
    async with stage.rehearsal.channel(stage.sandbox.url, _oauth(stage.sandbox.url, "later-client")) as channel:
        await stage.send(channel, WEBHOOK.register(ours.url, SECRET))
        await stage.bring(channel, stage.requests())
        await asyncio.sleep(0.3)
    assert ours.calls == []


async def test_beyond_the_life_of_its_key_a_repeat_is_a_second_application(stage: Stage) -> None:
    """Why `key_life` makes the operation a blind one after its end: the partner's own ledger then holds two."""
    auth = _oauth(stage.sandbox.url, "forgetful-client")
    async with stage.rehearsal.channel(stage.sandbox.url, auth) as channel:
        assert isinstance(await stage.bring(channel, stage.requests()), Accepted)
        assert isinstance(await stage.bring(channel, stage.requests()), Accepted)
        assert stage.leads == 1
        await asyncio.sleep(0.7)
        assert isinstance(await stage.bring(channel, stage.requests()), Accepted)
    assert stage.leads == 2
