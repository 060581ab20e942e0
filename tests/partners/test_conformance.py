"""Every partner through the same situations over real sockets; the simulated partner's own ledger is the judge."""

import asyncio
import copy
import json
import ssl
import time
import uuid
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from pydantic import SecretStr
from tests.partners.rehearsals import REHEARSALS, Rehearsal, Sandbox, oauth

from lendrail.contracts.application import Application
from lendrail.contracts.terms import Report, Status
from lendrail.partners.channels.auth import ApiKey, OAuthPassword
from lendrail.partners.channels.rest import NoAnswer, NotSent, PlainHttpRefused, RestChannel
from lendrail.partners.exchange import (
    Accepted,
    CredentialRefused,
    Duplicate,
    File,
    Outcome,
    Rejected,
    Reply,
    Request,
    RetryLater,
    Unknown,
)

FULL: dict[str, Any] = json.loads((files("lendrail.contracts") / "examples/application.json").read_text())
DEADLINE = 10.0


class Stage:
    """One rehearsal with a fresh reference: what is sent, what it meant, what the ledger says."""

    def __init__(self, rehearsal: Rehearsal, sandbox: Sandbox) -> None:
        self.rehearsal, self.sandbox = rehearsal, sandbox
        self.partner = rehearsal.partner
        self.reference = f"TEST-{uuid.uuid4()}"

    def request(self, amount: str = "50000") -> Request:
        data = copy.deepcopy(FULL)
        data["requestedFinance"]["amount"]["amount"] = amount
        application = Application.model_validate(data)
        assert self.partner.check(application, self.rehearsal.options) == []
        return self.partner.create(application, self.reference, self.rehearsal.options)

    def dial(self, kind: str, operation: str = "create", **more: Any) -> None:
        name = self.rehearsal.operations[operation]
        self.sandbox.dial(self.partner.name, kind=kind, operation=name, reference=self.reference, **more)

    async def send(
        self, channel: RestChannel, request: Request, deadline: float = DEADLINE
    ) -> Outcome | NotSent | NoAnswer:
        reply = await channel.send(request, deadline)
        return self.partner.outcome(request.operation, reply) if isinstance(reply, Reply) else reply

    async def once(self, request: Request, deadline: float = DEADLINE) -> Outcome | NotSent | NoAnswer:
        async with self.rehearsal.channel(self.sandbox.url) as channel:
            return await self.send(channel, request, deadline)

    async def report(self, channel: RestChannel, partner_id: str) -> Report:
        assert self.partner.read
        assert self.partner.report
        for _ in range(100):
            reply = await channel.send(self.partner.read(partner_id), DEADLINE)
            assert isinstance(reply, Reply)
            assert self.partner.outcome("read", reply) == Accepted()
            told = self.partner.report(reply)
            if told.status != Status.IN_REVIEW:
                return told
            await asyncio.sleep(0.02)
        return told

    def counts(self) -> dict[str, int]:
        page = self.sandbox.ledger(self.partner.name, self.reference)
        return {name: len(page[name]) for name in ("leads", "attachments", "duplicates")}

    @property
    def leads(self) -> int:
        return self.counts()["leads"]


@pytest.fixture(params=REHEARSALS, ids=lambda rehearsal: rehearsal.name)
def stage(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[Stage]:
    yield Stage(request.param, sandbox)
    sandbox.undial(request.param.partner_name)


async def test_accepted_and_approved(stage: Stage) -> None:
    async with stage.rehearsal.channel(stage.sandbox.url) as channel:
        accepted = await stage.send(channel, stage.request())
        assert isinstance(accepted, Accepted)
        assert accepted.partner_id
        told = await stage.report(channel, accepted.partner_id)
    assert told.status == Status.APPROVED
    assert told.flags == ()
    assert told.offers[0].amount is not None
    assert told.offers[0].term is not None
    assert stage.leads == 1


async def test_declined_and_missing_information(stage: Stage) -> None:
    async with stage.rehearsal.channel(stage.sandbox.url) as channel:
        declined = await stage.send(channel, stage.request("50001"))
        assert isinstance(declined, Accepted)
        told = await stage.report(channel, declined.partner_id or "")
        assert told.status == Status.DECLINED
        assert told.decline_reasons
        assert all(each.mapped for each in told.decline_reasons)
        stage.reference += "-2"
        missing = await stage.send(channel, stage.request("50002"))
        assert isinstance(missing, Accepted)
        told = await stage.report(channel, missing.partner_id or "")
    assert told.status == Status.INFO_REQUIRED
    assert told.missing_info is not None


async def test_stage_nobody_knows_is_held(stage: Stage) -> None:
    stage.dial("outcome", outcome="approve", stage="Contemplating")
    async with stage.rehearsal.channel(stage.sandbox.url) as channel:
        accepted = await stage.send(channel, stage.request())
        assert isinstance(accepted, Accepted)
        told = await stage.report(channel, accepted.partner_id or "")
    assert (told.status, told.words) == (None, "Contemplating")
    assert "unknown-stage" in told.flags


async def test_documents_arrive_as_they_are(stage: Stage) -> None:
    assert stage.partner.document
    content = bytes(range(256)) * 40
    async with stage.rehearsal.channel(stage.sandbox.url) as channel:
        accepted = await stage.send(channel, stage.request())
        assert isinstance(accepted, Accepted)
        file = File(name="bank statement.pdf", kind="bank-statement", content=content)
        document = stage.partner.document(accepted.partner_id or "", (file,), stage.rehearsal.options)
        assert await stage.send(channel, document) == Accepted()
        stray = stage.partner.document("no-such-lead", (file,), stage.rehearsal.options)
        assert isinstance(await stage.send(channel, stray), Rejected)
    (attachment,) = stage.sandbox.ledger(stage.partner.name, stage.reference)["attachments"]
    assert attachment["filename"] == file.name
    assert attachment["size"] == len(content)


async def test_validation_error_is_a_clean_refusal(stage: Stage) -> None:
    request = stage.request()
    broken = json.loads(request.content)
    del broken["lead"]["contacts_attributes"][0]["current_address_attributes"]
    changed = Request(
        operation="create",
        method="POST",
        path=request.path,
        headers=request.headers,
        content=json.dumps(broken).encode(),
    )
    refusal = await stage.once(changed)
    assert isinstance(refusal, Rejected)
    assert {each.pointer for each in refusal.problems} == {"/owners"}
    assert stage.leads == 0


async def test_wrong_credentials_take_nothing(stage: Stage) -> None:
    auth = stage.rehearsal.wrong_auth(stage.sandbox.url)
    async with stage.rehearsal.channel(stage.sandbox.url, auth) as channel:
        refused = await stage.send(channel, stage.request())
    assert refused == (CredentialRefused() if isinstance(auth, ApiKey) else NotSent("credential-refused"))
    assert stage.leads == 0


async def test_expired_token_is_renewed_once(sandbox: Sandbox) -> None:
    stage = Stage(REHEARSALS[1], sandbox)
    auth = oauth(sandbox.url, "short@example.test")
    async with stage.rehearsal.channel(sandbox.url, auth) as channel:
        assert isinstance(await stage.send(channel, stage.request()), Accepted)
        kept = await auth.store.get()
        assert kept is not None
        await asyncio.sleep(1.1)
        await auth.store.set(kept[0], time.time() + 600)
        assert await stage.send(channel, stage.request()) == Duplicate(), "the repeat after the 401 came through"
    assert stage.counts() == {"leads": 1, "attachments": 0, "duplicates": 1}


async def test_revoked_token_that_cannot_be_renewed_gives_up(sandbox: Sandbox) -> None:
    stage = Stage(REHEARSALS[1], sandbox)
    auth: OAuthPassword = oauth(sandbox.url, password="fake-wrong-password")
    await auth.store.set(SecretStr("revoked"), time.time() + 600)
    async with stage.rehearsal.channel(sandbox.url, auth) as channel:
        assert await stage.send(channel, stage.request()) == NotSent("credential-refused")
    assert stage.leads == 0


async def test_too_many_requests(stage: Stage) -> None:
    stage.dial("status", status=429, times=1)
    stage.dial("status", status=429, times=1, retryAfter=7)
    assert await stage.once(stage.request()) == RetryLater(7.0)
    assert await stage.once(stage.request()) == RetryLater(2.0)
    assert stage.leads == 0
    assert isinstance(await stage.once(stage.request()), Accepted)


async def test_published_rate_limit_is_refused_cleanly(sandbox: Sandbox) -> None:
    stage = Stage(REHEARSALS[0], sandbox)
    slow = ApiKey("api_key", SecretStr("fake-slow-key"))
    async with stage.rehearsal.channel(sandbox.url, slow) as channel:
        assert isinstance(await stage.send(channel, stage.request()), Accepted)
        assert await stage.send(channel, stage.request()) == RetryLater(2.0)
    assert stage.counts() == {"leads": 1, "attachments": 0, "duplicates": 0}


FAULTS = [
    pytest.param("status", {"status": 500}, Unknown("status-500"), False, id="500 before recording"),
    pytest.param("status", {"status": 503, "recorded": True}, Unknown("status-503"), True, id="503 after recording"),
    pytest.param("html", {}, Unknown("unreadable-reply"), True, id="HTML in a 200, recorded"),
    pytest.param("html", {"recorded": False}, Unknown("unreadable-reply"), False, id="HTML in a 200, not recorded"),
    pytest.param("truncated", {}, None, True, id="half the JSON"),
    pytest.param("empty_422", {}, Unknown("status-422"), False, id="empty 422"),
    pytest.param("empty_422", {"recorded": True}, Unknown("status-422"), True, id="empty 422 after recording"),
    pytest.param("drop_reply", {}, NoAnswer("cut"), True, id="reply cut after recording"),
    pytest.param("refuse", {}, NoAnswer("cut"), False, id="closed before recording"),
    pytest.param("delay", {"ms": 1500, "when": "after"}, NoAnswer("deadline"), True, id="time-out after recording"),
    pytest.param("delay", {"ms": 1500, "when": "before"}, NoAnswer("deadline"), None, id="time-out before recording"),
]


@pytest.mark.parametrize(("kind", "more", "expected", "recorded"), FAULTS)
async def test_fault_is_unknown_and_the_same_bytes_settle_it(
    stage: Stage, kind: str, more: dict[str, Any], expected: Outcome | NoAnswer | None, recorded: bool | None
) -> None:
    """After any of them the partner may or may not have it. The repeat finds out; the ledger never holds two."""
    stage.dial(kind, times=1, **more)
    request = stage.request()
    async with stage.rehearsal.channel(stage.sandbox.url) as channel:
        first = await stage.send(channel, request, 0.7 if kind == "delay" else DEADLINE)
        assert isinstance(first, Unknown | NoAnswer)
        assert expected is None or first == expected
        if kind == "delay":
            await asyncio.sleep(1.5)
        known = stage.leads
        assert recorded in (None, bool(known))
        second = await stage.send(channel, Request.load(request.dump()))
    assert isinstance(second, Duplicate if known else Accepted)
    assert stage.counts() == {"leads": 1, "attachments": 0, "duplicates": known}


async def test_duplicate(stage: Stage) -> None:
    assert isinstance(await stage.once(stage.request()), Accepted)
    assert await stage.once(stage.request()) == Duplicate()
    assert stage.leads == 1


async def test_nobody_listens(stage: Stage) -> None:
    async with stage.rehearsal.channel("http://127.0.0.1:1", stage.rehearsal.auth(stage.sandbox.url)) as channel:
        assert await stage.send(channel, stage.request()) == NotSent("refused")


async def test_live_needs_tls_and_tls_is_verified(stage: Stage) -> None:
    url = stage.sandbox.tls_url
    with pytest.raises(PlainHttpRefused):
        async with stage.rehearsal.channel(stage.sandbox.url, mode="live"):
            pass
    async with stage.rehearsal.channel(url, mode="live") as channel:
        assert await stage.send(channel, stage.request()) in (NotSent("tls"), NotSent("token-unavailable"))
    trust = ssl.create_default_context(cafile=stage.sandbox.certificate)
    async with stage.rehearsal.channel(url, mode="live", verify=trust) as channel:
        assert isinstance(await stage.send(channel, stage.request()), Accepted)
    assert stage.leads == 1


async def test_plain_http_refused_by_the_partner_pauses_the_credential(stage: Stage) -> None:
    stage.sandbox.dial(stage.partner.name, kind="require_tls", operation=stage.rehearsal.operations["create"])
    assert await stage.once(stage.request()) == CredentialRefused()
    assert stage.leads == 0


async def test_webhook_registration(stage: Stage) -> None:
    assert stage.partner.webhook
    assert stage.partner.webhook.register
    good = stage.partner.webhook.register("http://127.0.0.1:1/webhooks/x")
    bad = stage.partner.webhook.register("ftp://127.0.0.1/")
    assert await stage.once(good) == Accepted()
    assert isinstance(await stage.once(bad), Rejected)
