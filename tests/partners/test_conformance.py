"""Every partner through the same situations over real sockets; the simulated partner's own ledger is the judge."""

import asyncio
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr
from tests.partners.cast import REHEARSALS
from tests.partners.rehearsals import Channel, Rehearsal, Sandbox
from tests.partners.stage import Came, Stage

from lendrail.contracts.terms import Status
from lendrail.partners.channels.auth import MemoryTokens
from lendrail.partners.channels.rest import PlainHttpRefused
from lendrail.partners.exchange import (
    Accepted,
    CredentialRefused,
    Duplicate,
    File,
    NoAnswer,
    NotSent,
    Present,
    Rejected,
    Request,
    RetryLater,
    Unknown,
)
from lendrail.partners.partner import Capability
from lendrail.submission.attempts.attempt import Attempt, State
from lendrail.submission.attempts.classify import Event, classify
from lendrail.submission.attempts.classify import NotSent as NotBegun
from lendrail.submission.sending.answers import looked_up

SEARCHED = (Capability.SEARCHABLE, Capability.ASYNCHRONOUS)


@pytest.fixture(params=REHEARSALS, ids=lambda rehearsal: rehearsal.name)
def stage(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[Stage]:
    yield Stage(request.param, sandbox)
    sandbox.undial(request.param.partner_name)


def only(condition: object, reason: str) -> None:
    if not condition:
        pytest.skip(reason)


def capability(stage: Stage) -> Capability:
    """Of the last call of a creation, the one that counts."""
    return stage.partner.operations[stage.requests()[-1].operation].capability


async def test_accepted_and_approved(stage: Stage) -> None:
    async with stage.rehearsal.channel(stage.sandbox.url) as channel:
        came = await stage.bring(channel, stage.requests())
        assert isinstance(came, Accepted)
        if stage.partner.read or came.report:
            told = await stage.report(channel, came)
            assert told.status == stage.rehearsal.best
            assert told.flags == ()
            assert told.offers or stage.partner.kind == "registry" or told.status != Status.APPROVED
            assert all(each.amount is not None for each in told.offers)
    assert stage.leads == 1


@pytest.mark.parametrize(
    ("amount", "status"),
    [
        ("decline", Status.DECLINED),
        ("missing", Status.INFO_REQUIRED),
        ("refer", Status.REFERRED),
        ("duplicate", Status.DUPLICATE),
    ],
)
async def test_other_decisions(stage: Stage, amount: str, status: Status) -> None:
    only(amount in stage.rehearsal.amounts, "the partner knows no such decision")
    async with stage.rehearsal.channel(stage.sandbox.url) as channel:
        told = await stage.report(channel, await stage.bring(channel, stage.requests(amount)))
    assert told.status == status
    assert all(each.mapped for each in told.decline_reasons) or not stage.rehearsal.published_reasons
    if status == Status.DECLINED:
        assert told.decline_reasons
    if status == Status.INFO_REQUIRED:
        assert told.missing_info is not None
    if status == Status.DUPLICATE:
        assert told.matches


async def test_word_nobody_knows_is_held(stage: Stage) -> None:
    only(stage.rehearsal.unknown_word, "its words cannot be turned")
    stage.dial("outcome", outcome="approve", stage="Contemplating")
    async with stage.rehearsal.channel(stage.sandbox.url) as channel:
        told = await stage.report(channel, await stage.bring(channel, stage.requests()))
    assert (told.status, told.words) == (None, "Contemplating")
    assert told.flags


async def test_documents_arrive_as_they_are(stage: Stage) -> None:
    only(stage.partner.document, "takes no documents by themselves")
    assert stage.partner.document
    content = bytes(range(256)) * 40
    async with stage.rehearsal.channel(stage.sandbox.url) as channel:
        came = await stage.bring(channel, stage.requests())
        assert isinstance(came, Accepted)
        file = File(name="bank statement.pdf", kind="bank-statement", content=content)
        document = stage.partner.document(came.partner_id or "", (file,), stage.rehearsal.options)
        assert isinstance(await stage.send(channel, document), Accepted)
        stray = stage.partner.document("no-such-lead", (file,), stage.rehearsal.options)
        assert isinstance(await stage.send(channel, stray), Rejected)
    (attachment,) = stage.sandbox.ledger(stage.partner.name, stage.filed)["attachments"]
    assert attachment["filename"] == file.name
    assert attachment["size"] == len(content)


async def test_validation_error_is_a_clean_refusal(stage: Stage) -> None:
    first, *rest = stage.requests()
    refusal = await stage.once((stage.rehearsal.spoil(first), *rest))
    assert isinstance(refusal, Rejected)
    assert {each.pointer for each in refusal.problems} == stage.rehearsal.spoilt_at
    assert stage.leads == 0


async def test_wrong_credentials_take_nothing(stage: Stage) -> None:
    auth = stage.rehearsal.wrong_auth(stage.sandbox.url)
    async with stage.rehearsal.channel(stage.sandbox.url, auth) as channel:
        refused = await stage.bring(channel, stage.requests())
    assert refused in (CredentialRefused(), NotSent("credential-refused"))
    assert stage.leads == 0


async def test_expired_token_is_renewed_once(stage: Stage) -> None:
    only(stage.rehearsal.short_lived, "has no tokens")
    assert stage.rehearsal.short_lived
    tokens = MemoryTokens()
    auth = stage.rehearsal.short_lived(stage.sandbox.url)
    async with stage.rehearsal.channel(stage.sandbox.url, auth, tokens=tokens) as channel:
        assert isinstance(await stage.bring(channel, stage.requests()), Accepted)
        kept = await tokens.get()
        assert kept is not None
        await asyncio.sleep(1.1)
        await tokens.set(kept[0], time.time() + 600)
        stage.renew()
        assert isinstance(await stage.bring(channel, stage.requests()), Accepted), "after the 401 it came through"
    assert stage.leads == 1


async def test_revoked_token_that_cannot_be_renewed_gives_up(stage: Stage) -> None:
    only(stage.rehearsal.short_lived, "has no tokens")
    tokens = MemoryTokens()
    await tokens.set(SecretStr("revoked"), time.time() + 600)
    auth = stage.rehearsal.wrong_auth(stage.sandbox.url)
    async with stage.rehearsal.channel(stage.sandbox.url, auth, tokens=tokens) as channel:
        assert await stage.bring(channel, stage.requests()) == NotSent("credential-refused")
    assert stage.leads == 0


async def test_too_many_requests(stage: Stage) -> None:
    first = stage.requests()[0].operation
    stage.dial("status", first, status=429, times=1)
    stage.dial("status", first, status=429, times=1, retryAfter=7)
    told = await stage.once(stage.requests())
    assert told == RetryLater(7.0) if stage.rehearsal.names_wait else isinstance(told, RetryLater)
    assert isinstance(await stage.once(stage.requests()), RetryLater)
    assert stage.leads == 0
    assert isinstance(await stage.once(stage.requests()), Accepted)
    assert stage.leads == 1


async def test_rate_limit_is_refused_cleanly(stage: Stage) -> None:
    only(stage.rehearsal.limited, "publishes no limit")
    assert stage.rehearsal.limited
    async with stage.rehearsal.channel(stage.sandbox.url, stage.rehearsal.limited(stage.sandbox.url)) as channel:
        assert isinstance(await stage.bring(channel, stage.requests()), Accepted)
        assert isinstance(await stage.bring(channel, stage.requests()), RetryLater)
    assert stage.counts() == {"leads": 1, "attachments": 0, "duplicates": 0}


FAULTS = [
    pytest.param("status", {"status": 500}, False, id="500 before recording"),
    pytest.param("status", {"status": 503, "recorded": True}, True, id="503 after recording"),
    pytest.param("html", {}, True, id="HTML in a 200, recorded"),
    pytest.param("html", {"recorded": False}, False, id="HTML in a 200, not recorded"),
    pytest.param("truncated", {}, True, id="half the reply"),
    pytest.param("empty_422", {}, False, id="empty 422"),
    pytest.param("empty_422", {"recorded": True}, True, id="empty 422 after recording"),
    pytest.param("redirect", {}, False, id="redirect"),
    pytest.param("redirect", {"recorded": True}, True, id="redirect after recording"),
    pytest.param("drop_reply", {}, True, id="reply cut after recording"),
    pytest.param("refuse", {}, False, id="closed before recording"),
    pytest.param("delay", {"ms": 1500, "when": "after"}, True, id="time-out after recording"),
    pytest.param("delay", {"ms": 1500, "when": "before"}, None, id="time-out before recording"),
]


@pytest.mark.parametrize(("kind", "more", "recorded"), FAULTS)
async def test_fault_is_unknown_and_settled_as_the_class_allows(
    stage: Stage, kind: str, more: dict[str, Any], recorded: bool | None
) -> None:
    """After any of them the partner may or may not have it. What is done then is what the lanes' own table says, and
    the ledger never holds two: A to D exactly one in the end, E what it held, and a person is asked.
    """
    only(kind in stage.rehearsal.faults, "cannot happen to its answers")
    requests = stage.requests()
    stage.dial(kind, requests[-1].operation, times=1, **more)
    async with stage.rehearsal.channel(stage.sandbox.url) as channel:
        came = await stage.bring(channel, requests, 0.7 if kind == "delay" else DEADLINE)
        assert isinstance(came, Unknown | NoAnswer)
        if kind == "delay":
            await asyncio.sleep(1.5)
        known = stage.leads
        assert recorded in (None, bool(known))
        settled = await _settled(stage, channel, requests, came)
        if capability(stage) == Capability.BLIND:
            assert (settled, stage.leads) == (State.PARKED, known)
        else:
            lost = capability(stage) == Capability.UNIQUE_REFERENCE and known
            assert settled == (State.SUBMITTED_ID_UNKNOWN if lost else State.ACKED)
            assert stage.leads == 1


DEADLINE = 10.0


async def _settled(stage: Stage, channel: Channel, requests: tuple[Request, ...], came: Came) -> State:
    """Carry out what the table says until it says that it is over; waits are left out."""
    operation, search = stage.partner.operations[requests[-1].operation], stage.partner.search
    attempt, event = Attempt(id=stage.reference, operation="create", state=State.SENDING, tries=1), _event(came)
    for _ in range(10):
        verdict = classify(operation, attempt, event, 5, search=search is not None)
        absences = attempt.absences if verdict.absences is None else verdict.absences
        unknowns = attempt.unknowns + verdict.unknowns
        attempt = replace(attempt, state=verdict.state, unknowns=unknowns, absences=absences)
        if verdict.state != State.UNKNOWN:
            break
        if verdict.plan == "look-up":
            assert search
            look = search(stage.reference, stage.rehearsal.options)
            event = looked_up(stage.partner, look, await channel.send(look, DEADLINE))
        else:
            again = tuple(Request.load(each.dump()) for each in requests)
            attempt, event = replace(attempt, state=State.RECONCILING), _event(await stage.bring(channel, again))
    return attempt.state


def _event(came: Came) -> Event:
    if isinstance(came, NotSent):
        return NotBegun(came.reason)
    return Unknown("no-answer") if isinstance(came, NoAnswer) else came


async def test_repeat(stage: Stage) -> None:
    """What a partner does with the same bytes after it took them: its class is what it shows."""
    requests, how = stage.requests(), capability(stage)
    first = await stage.once(requests)
    assert isinstance(first, Accepted)
    if how in SEARCHED:
        async with stage.rehearsal.channel(stage.sandbox.url) as channel:
            assert await stage.search(channel) == Present(first.partner_id or "")
        return
    second = await stage.once(requests)
    if how == Capability.KEYED:
        assert isinstance(second, Accepted)
        assert second.partner_id == first.partner_id
    if how == Capability.UNIQUE_REFERENCE:
        assert second == Duplicate()
    assert (stage.leads == 1) is (how != Capability.BLIND)


async def test_an_offer_is_accepted_once(stage: Stage) -> None:
    only(stage.partner.accept, "takes no acceptance from us")
    assert stage.partner.accept
    async with stage.rehearsal.channel(stage.sandbox.url) as channel:
        came = await stage.bring(channel, stage.requests())
        assert isinstance(came, Accepted)
        (offer,) = (await stage.report(channel, came)).offers
        partner_id, options = came.partner_id or "", stage.rehearsal.options
        none = stage.partner.accept(partner_id, "no-such-offer", None, options)
        assert isinstance(await stage.send(channel, none), Rejected)
        accept = stage.partner.accept(partner_id, offer.id, offer.variant, options)
        stage.dial("drop_reply", "accept", times=1)
        assert isinstance(await stage.send(channel, accept), Unknown | NoAnswer)
        again = await stage.send(channel, accept)
        assert isinstance(again, Accepted)
        assert again.report is not None
        assert again.report.status == Status.ACCEPTED
        stray = stage.partner.accept("no-such-lead", offer.id, offer.variant, options)
        assert isinstance(await stage.send(channel, stray), Rejected)


async def test_nobody_listens(stage: Stage) -> None:
    async with stage.rehearsal.channel("http://127.0.0.1:1", stage.rehearsal.auth(stage.sandbox.url)) as channel:
        assert await stage.bring(channel, stage.requests()) == NotSent("refused")


async def test_live_needs_tls_and_tls_is_verified(stage: Stage) -> None:
    url = stage.sandbox.tls_url
    with pytest.raises(PlainHttpRefused):
        async with stage.rehearsal.channel(stage.sandbox.url, mode="live"):
            pass
    async with stage.rehearsal.channel(url, mode="live") as channel:
        assert await stage.bring(channel, stage.requests()) in (NotSent("tls"), NotSent("token-unavailable"))
    trust = ssl.create_default_context(cafile=stage.sandbox.certificate)
    async with stage.rehearsal.channel(url, mode="live", verify=trust) as channel:
        assert isinstance(await stage.bring(channel, stage.requests()), Accepted)
    assert stage.leads == 1


async def test_plain_http_refused_by_the_partner_pauses_the_credential(stage: Stage) -> None:
    first = stage.requests()[0].operation
    stage.sandbox.dial(stage.partner.name, kind="require_tls", operation=stage.rehearsal.operations[first])
    assert await stage.once(stage.requests()) == CredentialRefused()
    assert stage.leads == 0


async def test_webhook_registration(stage: Stage) -> None:
    only(stage.partner.webhook and stage.partner.webhook.register, "has no call for it")
    assert stage.partner.webhook
    assert stage.partner.webhook.register
    secret = SecretStr(stage.rehearsal.webhook_secret)
    good = stage.partner.webhook.register("http://127.0.0.1:1/webhooks/x", secret)
    bad = stage.partner.webhook.register("ftp://127.0.0.1/", secret)
    assert isinstance(await stage.once((good,)), Accepted)
    assert isinstance(await stage.once((bad,)), Rejected)


def test_the_cast_plays_every_partner() -> None:
    from lendrail.partners import PARTNERS

    played: set[str] = {each.partner_name for each in REHEARSALS}
    assert played == set(PARTNERS)
    assert all(isinstance(each, Rehearsal) for each in REHEARSALS)
