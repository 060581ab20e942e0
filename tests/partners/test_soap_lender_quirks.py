"""What a SOAP partner does besides answering well, over real sockets: its oddities, its clock, its mailbox."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from tests.partners.rehearsals import Channel, Sandbox, new_reference, us_application
from tests.partners.soap_lender import hostile
from tests.partners.soap_lender.rehearsal import REHEARSALS, auth

from lendrail.contracts.application import Application
from lendrail.contracts.terms import Mode, Status
from lendrail.partners import PARTNERS
from lendrail.partners.channels.rest import RestChannel, lane_client
from lendrail.partners.channels.soap import SoapBody
from lendrail.partners.channels.wsse import UsernameToken
from lendrail.partners.exchange import (
    Accepted,
    CredentialRefused,
    Duplicate,
    File,
    Outcome,
    Present,
    Rejected,
    Reply,
    Request,
    RetryLater,
    Unknown,
)
from lendrail.partners.partner import Order
from lendrail.partners.soap_lender import profile
from lendrail.partners.soap_lender.mapping import SERVICE

PARTNER = PARTNERS["soap-lender"]
TEST: Mode = "test"


def order(reference: str, amount: str = "50000", **more: Any) -> Order:
    app = Application.model_validate(us_application(amount, reference) | more)
    return Order(application=app, reference=reference, options={}, planned_at=dt.datetime(2030, 1, 2, tzinfo=dt.UTC))


def created(reference: str, amount: str = "50000") -> Request:
    (request,) = PARTNER.create(order(reference, amount))
    return request


@asynccontextmanager
async def channel(sandbox: Sandbox, user: str, version: str = "1.2", **more: str) -> AsyncIterator[Channel]:
    number = version.replace(".", "")
    rehearsal = replace(REHEARSALS[0], path=f"/soap-lender/soap{number}")
    async with rehearsal.channel(sandbox.url, auth(user, version, **more)) as opened:
        yield opened


async def outcome(opened: Channel, request: Request) -> Outcome:
    reply = await opened.send(request, 10)
    assert isinstance(reply, Reply)
    return PARTNER.outcome(request, reply)


async def bring(opened: Channel, reference: str, amount: str = "50000") -> str:
    came = await outcome(opened, created(reference, amount))
    assert isinstance(came, Accepted)
    assert came.partner_id
    return came.partner_id


async def status(opened: Channel, partner_id: str) -> Status | None:
    assert PARTNER.read
    assert PARTNER.report
    reply = await opened.send(PARTNER.read(partner_id), 10)
    assert isinstance(reply, Reply)
    return PARTNER.report(reply).status


async def decided(opened: Channel, partner_id: str) -> None:
    for _ in range(200):
        if await status(opened, partner_id) not in (Status.SUBMITTED, Status.IN_REVIEW):
            return
        await asyncio.sleep(0.02)
    pytest.fail("no decision fell")


def leads(sandbox: Sandbox, reference: str) -> int:
    return len(sandbox.ledger("soap-lender", reference)["leads"])


def spoilt(request: Request) -> Request:
    return replace(request, content=re.sub(rb"<ns0:LastName>.*?</ns0:LastName>", b"", request.content))


@pytest.mark.parametrize("version", ["1.1", "1.2"])
async def test_fault_in_a_200(sandbox: Sandbox, version: str) -> None:
    async with channel(sandbox, "soap-fault-200", version) as opened:
        reply = await opened.send(spoilt(created(new_reference())), 10)
        assert isinstance(reply, Reply)
        assert reply.status == 200
        refused = PARTNER.outcome(created("x"), reply)
        assert isinstance(refused, Rejected)
        assert [each.pointer for each in refused.problems] == ["/owners/0/lastName", "/owners/1/lastName"]


async def test_missing_and_extra_elements_are_taken_calmly(sandbox: Sandbox) -> None:
    async with channel(sandbox, "soap-sloppy") as opened:
        partner_id = await bring(opened, new_reference(), "50003")
        assert await status(opened, partner_id) in (Status.SUBMITTED, Status.IN_REVIEW)


async def test_namespace_with_a_slash_is_another_namespace(sandbox: Sandbox) -> None:
    """Taken, but the answer is not the WSDL's: unknown, and the same message again changes nothing."""
    reference = new_reference()
    async with channel(sandbox, "soap-slash") as opened:
        assert await outcome(opened, created(reference)) == Unknown("unreadable-reply")
        assert await outcome(opened, created(reference)) == Unknown("unreadable-reply")
    assert leads(sandbox, reference) == 1


async def test_server_faults(sandbox: Sandbox) -> None:
    early, late = new_reference(), new_reference()
    async with channel(sandbox, "soap-failing") as opened:
        assert await outcome(opened, created(early)) == RetryLater(profile.RETRY_SECONDS)
    async with channel(sandbox, "soap-failing-late") as opened:
        assert await outcome(opened, created(late)) == Unknown("server-fault")
        assert await outcome(opened, created(late)) == Unknown("server-fault")
    assert (leads(sandbox, early), leads(sandbox, late)) == (0, 1)


@pytest.mark.parametrize("version", ["1.1", "1.2"])
async def test_configuration_that_cannot_work_pauses(sandbox: Sandbox, version: str) -> None:
    reference = new_reference()
    other = "1.2" if version == "1.1" else "1.1"
    for user, more in (
        ("soap-expired", {}),
        ("soap-production", {}),
        ("soap-11", {"environment": "Production"}),
        ("soap-11", {"password": "fake-wrong-password"}),
        ("nobody", {}),
    ):
        async with channel(sandbox, user, version, **more) as opened:
            assert await outcome(opened, created(reference)) == CredentialRefused()
    async with lane_client() as client:
        token = UsernameToken("soap-11", SecretStr("fake-password"), None, version)  # type: ignore[arg-type]
        wrong = RestChannel(client, f"{sandbox.url}/soap-lender/soap{other.replace('.', '')}", TEST, token)
        assert isinstance(await outcome(wrong, created(reference)), Unknown)
    assert leads(sandbox, reference) == 0


async def test_version_mismatch(sandbox: Sandbox) -> None:
    """SOAP 1.1 called 1.2: the envelope decides."""
    async with channel(sandbox, "soap-11", "1.1") as opened:
        request = created(new_reference())
        headers = (("content-type", "text/xml; charset=utf-8"), ("soapaction", '"x"'))
        disguised = replace(request, headers=headers)
        assert await outcome(opened, disguised) == CredentialRefused()


@pytest.mark.parametrize(("skew", "fits"), [(-900, False), (-200, True), (200, True), (900, False)])
async def test_clocks_that_differ(sandbox: Sandbox, skew: int, fits: bool) -> None:
    """A refused time is no refused credential: the message is signed anew when it goes out again."""
    header = (f"{{{profile.SERVICES}}}TargetEnvironment", "Discovery")
    now = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=skew)
    token = UsernameToken("soap-12", SecretStr("fake-password"), header, None, lambda: now)
    reference = new_reference()
    async with lane_client() as client:
        came = await outcome(RestChannel(client, f"{sandbox.url}/soap-lender/soap12", TEST, token), created(reference))
    assert isinstance(came, Accepted if fits else RetryLater)
    assert leads(sandbox, reference) == int(fits)


async def test_action_without_quotes(sandbox: Sandbox) -> None:
    reference = new_reference()
    async with channel(sandbox, "soap-11", "1.1") as opened:
        # the channel converts the version itself, so the quotes go last
        token = UsernameToken(
            "soap-11", SecretStr("fake-password"), (f"{{{profile.SERVICES}}}TargetEnvironment", "Discovery"), "1.1"
        )
        request = token.sign(created(reference))
        headers = {name: value.replace('"', "") for name, value in request.headers}
        url = f"{sandbox.url}/soap-lender/soap11"
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(url, headers=headers, content=request.content)
        assert answer.status_code == 200
        assert await outcome(opened, created(reference)) == Accepted((await found(opened, reference)).partner_id)
    assert leads(sandbox, reference) == 1


async def found(opened: Channel, reference: str) -> Present:
    assert PARTNER.search
    assert PARTNER.found
    request = PARTNER.search(reference, {})
    reply = await opened.send(request, 10)
    assert isinstance(reply, Reply)
    known = PARTNER.found(request, reply)
    assert isinstance(known, Present)
    return known


async def test_id_of_another_message(sandbox: Sandbox) -> None:
    reference = new_reference()
    async with channel(sandbox, "soap-12") as opened:
        await bring(opened, reference)
        assert await outcome(opened, created(reference, "60000")) == Duplicate()
    assert leads(sandbox, reference) == 1


async def test_partner_that_forgot_our_id_takes_it_twice(sandbox: Sandbox) -> None:
    """Which is why an id is worth nothing after its life."""
    reference = new_reference()
    async with channel(sandbox, "soap-forgetful") as opened:
        first, second = await bring(opened, reference), await bring(opened, reference)
        assert first != second
        assert (await found(opened, reference)).partner_id == first
    assert leads(sandbox, reference) == 2
    assert PARTNER.operations["create"].key_life == profile.KEY_LIFE_SECONDS


async def test_documents_updates_and_withdrawals_happen_once(sandbox: Sandbox) -> None:
    assert PARTNER.document
    assert PARTNER.update
    assert PARTNER.withdraw
    reference = new_reference()
    async with channel(sandbox, "soap-12") as opened:
        partner_id = await bring(opened, reference, "50003")
        file = File(name="statement.pdf", kind="bank-statement", content=b"fake statement")
        for request in (
            PARTNER.document(partner_id, (file,), {}),
            PARTNER.update(partner_id, order(reference, "50003")),
            PARTNER.withdraw(partner_id, "withdrawn", {}),
        ):
            assert await outcome(opened, request) == Accepted()
            assert await outcome(opened, request) == Accepted()
        assert await status(opened, partner_id) == Status.WITHDRAWN
        later = PARTNER.update(partner_id, order(reference, "70000"))
        assert isinstance(await outcome(opened, later), Rejected)
        too_large = File(name="large.pdf", kind="bank-statement", content=bytes(5_000_001))
        assert isinstance(await outcome(opened, PARTNER.document(partner_id, (too_large,), {})), Rejected)
    page = sandbox.ledger("soap-lender", reference)
    assert [len(page[name]) for name in ("attachments", "updates", "withdrawals", "repeats")] == [1, 1, 1, 3]


async def test_mailbox_is_read_on_and_emptied(sandbox: Sandbox) -> None:
    feed = PARTNER.feed
    assert feed
    assert feed.acknowledge
    now = dt.datetime.now(dt.UTC)
    async with channel(sandbox, "soap-mail") as opened:
        brought = [await bring(opened, new_reference(), amount) for amount in ("50000", "50001")]
        for each in brought:
            await decided(opened, each)
        reply = await opened.send(feed.request(None, now), 10)
        assert isinstance(reply, Reply)
        page = feed.page(reply)
        assert page
        assert {(each.partner_id, each.word) for each in page.hints} == {
            (brought[0], "Approved"),
            (brought[1], "Declined"),
        }
        assert await outcome(opened, feed.acknowledge(page.entries[:1])) == Accepted()
        rest = await opened.send(feed.request(None, now), 10)
        after = await opened.send(feed.request(page.cursor, now), 10)
        assert isinstance(rest, Reply)
        assert isinstance(after, Reply)
        left, none = feed.page(rest), feed.page(after)
        assert left
        assert left.entries == page.entries[1:]
        assert none
        assert (none.hints, none.cursor) == ((), None)


async def test_index_goes_on_where_it_ended(sandbox: Sandbox) -> None:
    assert PARTNER.index
    async with channel(sandbox, "soap-index") as opened:
        first = await bring(opened, new_reference())
        await bring(opened, new_reference())
        whole = await opened.send(PARTNER.index(None), 10)
        rest = await opened.send(PARTNER.index(first), 10)
        assert isinstance(whole, Reply)
        assert isinstance(rest, Reply)
        assert first.encode() in whole.content
        assert first.encode() not in rest.content
        assert rest.content.count(b"<ApplicationSummary>") == 1


async def test_text_that_is_too_long_leads_back(sandbox: Sandbox) -> None:
    async with channel(sandbox, "soap-12") as opened:
        request = created(new_reference())
        long = replace(request, content=request.content.replace(b"Fake Bakery LLC", b"x" * 201))
        refused = await outcome(opened, long)
        assert isinstance(refused, Rejected)
        assert [(each.pointer, each.code) for each in refused.problems] == [("/business/legalName", "too-long")]


async def test_simulator_refuses_hostile_messages(sandbox: Sandbox) -> None:
    """Whoever calls it: no entity is opened, nothing is taken, and it goes on."""
    async with httpx.AsyncClient(trust_env=False) as client:
        for each in hostile.documents("/etc/hostname", 1):
            if len(each.content) > 500_000:
                continue
            headers = {
                "content-type": "text/xml",
                "soapaction": f'"{profile.SERVICES}/LoanSubmission/SubmitApplication"',
            }
            answer = await client.post(f"{sandbox.url}/soap-lender/soap11", headers=headers, content=each.content)
            assert answer.status_code in (500, 413)
            assert b"ApplicationId" not in answer.content
    async with channel(sandbox, "soap-12") as opened:
        await bring(opened, new_reference())


async def test_ping(sandbox: Sandbox) -> None:
    request = SERVICE.request("Ping", {"CustomersRequestMessageId": "ping"}, name="ping", version="1.2")
    async with channel(sandbox, "soap-11", "1.1") as opened:
        reply = await opened.send(request, 10)
    assert isinstance(reply, Reply)
    said = SERVICE.read("Ping", reply)
    assert isinstance(said, SoapBody)
    assert said.value["ProcessedByEnvironment"] == "Discovery"
