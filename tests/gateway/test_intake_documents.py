"""Files from Kafka, with the real documents service: taken once, whatever dies in between, or refused in sight."""

import asyncio
import datetime as dt
import hashlib
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from tests import support
from tests.gateway.papers import NAME, Papers, Upstream, brings, pdf, refusals
from tests.gateway.process import Gateway
from tests.gateway.test_amending import LINK, at_a_lender, upload
from tests.gateway.test_intake import SOURCE
from tests.gateway.test_intake_amendments import REASON, amended, amendment, changes, heads
from tests.gateway.test_reads import Others
from tests.notifications.outcomes import blocks

from lendrail.contracts.application_amended import DocumentAdded, OfferAccepted
from lendrail.contracts.intake import MAX_DOCUMENT, imported_application_id
from lendrail.contracts.sensitive import Sensitive
from lendrail.contracts.terms import Offer, Status
from lendrail.gateway.amending.wishes import INTAKE_BODIES


@pytest.fixture(scope="module")
def papers(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Papers]:
    running = Papers(gateway, tmp_path_factory.mktemp("papers")).start()
    yield running
    running.stop()


@pytest.fixture
async def upstream(gateway: Gateway, kafka: str, topics: None) -> AsyncIterator[Upstream]:
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        yield Upstream(producer, gateway.intake_key)


@pytest.fixture
async def others(gateway: Gateway, kafka: str) -> AsyncIterator[Others]:
    others = Others(gateway, kafka)
    yield others
    await others.client.close()


def shelf(others: Others, gateway: Gateway) -> Any:
    return others.client[f"{gateway.environment['LENDRAIL_DATABASE_PREFIX']}documents"]


async def files(others: Others, gateway: Gateway, application: str) -> int:
    quota = await shelf(others, gateway)["quotas"].find_one({"_id": application})
    return len(quota["files"]) if quota else 0


async def test_a_sealed_file_is_stored_once_and_named_by_an_amendment(
    gateway: Gateway, papers: Papers, upstream: Upstream, others: Others, stored: Any
) -> None:
    application, content = await upstream.applies(), pdf(300_000)
    event = await upstream.brings(application, content, name=NAME)
    await upstream.brings(application, content, event, name=NAME)  # as any record may come again
    document = await amended(stored, application, 1)
    (made,) = await changes(others, document)
    assert isinstance(made.amendment, DocumentAdded)
    ref = made.amendment.document
    assert (ref.kind, ref.sha256, ref.size) == ("bank-statement", hashlib.sha256(content).hexdigest(), len(content))
    assert made.stands is not None
    assert made.stands.uploads[-1].id == ref.id
    async with gateway.caller() as caller:
        shown = (await caller.get(f"/v1/applications/{application}")).json()
    assert [(each["kind"], each["document"]) for each in shown["amendments"]] == [("document-added", ref.id)]
    file = await shelf(others, gateway)["fs.files"].find_one({"_id": ref.id})
    assert NAME not in str(file)

    await upstream.brings(application, content, name=NAME)  # the same bytes, asked for anew
    document = await amended(stored, application, 2)
    assert [each.amendment for each in await changes(others, document)] == [made.amendment] * 2
    assert await files(others, gateway, application) == 1
    assert (await stored["applications"].find_one({"_id": application}))["revision"] == 3
    kept = stored["changes"].find({"application": application})
    assert [(each["result"], "value" in each) async for each in kept] == [("stored", False)] * 2
    for log in (gateway.log, papers.log):
        assert "Fakely" not in log.read_text()


async def test_a_file_waits_for_its_application_and_keeps_its_place(
    papers: Papers, upstream: Upstream, others: Others, stored: Any
) -> None:
    event = str(uuid.uuid4())
    application = str(imported_application_id("demo", SOURCE, event))
    await upstream.sends(brings(upstream.key, pdf(), intakeEvent=event, revision=1))
    await upstream.sends(amendment({"kind": "withdrawn"}, upstream.key, REASON, intakeEvent=event))
    await support.eventually(lambda: stored["changes"].count_documents({"application": application}))
    waiting = await stored["changes"].find_one({"application": application})
    assert not any(word in bytes(waiting["value"]) for word in (b"Fakely", b"JVBERi0"))
    await asyncio.sleep(1)
    await upstream.applies(event)
    document = await amended(stored, application, 2)
    kinds = [each.amendment.kind for each in await changes(others, document)]
    assert kinds == ["document-added", "withdrawn"]


async def test_the_same_record_with_another_file_is_parked(
    gateway: Gateway, papers: Papers, upstream: Upstream, others: Others, stored: Any
) -> None:
    application = await upstream.applies()
    event = await upstream.brings(application, pdf())
    await upstream.brings(application, pdf(), event)
    await support.eventually(lambda: stored["conflicts"].count_documents({"application": application}))
    await amended(stored, application, 1)
    await asyncio.sleep(1)
    assert (await stored["applications"].find_one({"_id": application}))["revision"] == 2
    assert await files(others, gateway, application) == 1


async def test_what_is_no_file_is_refused_in_sight_with_the_codes_of_rest(
    gateway: Gateway, papers: Papers, upstream: Upstream, stored: Any
) -> None:
    application = await upstream.applies()
    await support.eventually(lambda: stored["applications"].count_documents({"_id": application}))
    bad = (b"", b"MZ\x90\0" + bytes(300), b"\0\1\2\3" * 99, b"%PDF-1.7\n")
    async with gateway.caller() as caller:
        by_rest = [(await upload(caller, application, content)).json()["code"] for content in bad]
    for content in bad:
        await upstream.brings(application, content)
    found = await refusals(gateway, application, len(bad))
    assert found == [(code, "") for code in by_rest]
    assert by_rest == ["upload-empty", "upload-program", "upload-type", "upload-damaged"]
    document = await stored["applications"].find_one({"_id": application})
    assert (document["revision"], len(document["outbox"])) == (1, 1)


async def test_what_does_not_fit_is_told_by_pointer(gateway: Gateway, papers: Papers, upstream: Upstream) -> None:
    application = await upstream.applies()
    where: dict[str, Any] = {"applicationId": application}
    empty: dict[str, Any] = {"kind": "document-added", "document": {}}
    sealed = {"/document/content": "JVBERi0="}
    for value in (
        brings(upstream.key, "not base64 Fakely", **where),
        brings(upstream.key, pdf(), kind="passport", **where),
        brings(upstream.key, pdf(), name="a\x00Fakely", **where),
        brings(upstream.key, pdf(), opportunity="Fakely", **where),
        amendment(empty | {"document": {"kind": "other"}}, **where),
        amendment({"kind": "document-added"}, upstream.key, sealed, **where),
        amendment(empty | {"document": {"kind": "other", "surprise": 1}}, upstream.key, sealed, **where),
        brings(upstream.key, bytes(MAX_DOCUMENT + 1), **where),
    ):
        await upstream.sends(value)
    assert await refusals(gateway, application, 8) == [
        ("base64", "/document/content"),
        ("enum", "/document/kind"),
        ("control_character", "/document/name"),
        ("uuid_parsing", "/opportunityId"),
        ("missing", "/document/content"),
        ("sensitive-misplaced", ""),
        ("unknown_field", "/document/surprise"),
        ("too-large", "/document/content"),
    ]


async def test_a_refusal_waits_for_its_application_too(gateway: Gateway, papers: Papers, upstream: Upstream) -> None:
    event = str(uuid.uuid4())
    await upstream.sends(brings(upstream.key, "no base64", intakeEvent=event))
    await asyncio.sleep(1.5)
    assert await refusals(gateway, await upstream.applies(event), 1) == [("base64", "/document/content")]


async def test_the_largest_file_fits_a_record_and_too_many_are_over_the_quota(
    gateway: Gateway, papers: Papers, upstream: Upstream, others: Others, stored: Any
) -> None:
    application = await upstream.applies()
    largest = brings(upstream.key, pdf(MAX_DOCUMENT), name="\U0001f600" * 255, applicationId=application)
    assert 900_000 < len(largest) < 1024 * 1024 - 64 * 1024
    await upstream.sends(largest)
    await upstream.brings(application, pdf(MAX_DOCUMENT))
    await amended(stored, application, 2)
    assert await refusals(gateway, application, 1) == [("over-quota", "")]
    assert await files(others, gateway, application) == 1


async def test_a_file_for_one_opportunity_goes_there_only(
    gateway: Gateway, papers: Papers, upstream: Upstream, others: Others, stored: Any
) -> None:
    async with gateway.caller() as caller:
        application, place = await at_a_lender(others, caller, Status.INFO_REQUIRED)
    await upstream.brings(application, pdf(), opportunity=place)
    (made,) = await changes(others, await amended(stored, application, 1))
    assert isinstance(made.amendment, DocumentAdded)
    assert str(made.amendment.opportunity_id) == place
    async with gateway.caller() as caller:
        ended, place = await at_a_lender(others, caller, Status.DECLINED)
    before = await files(others, gateway, ended)
    await upstream.brings(ended, pdf(), opportunity=place)
    assert await refusals(gateway, ended, 1) == [("already-ended", "")]
    assert await files(others, gateway, ended) == before  # it was asked before the bytes went


async def test_a_file_is_brought_when_the_documents_service_is_back(
    gateway: Gateway, papers: Papers, upstream: Upstream, others: Others, stored: Any
) -> None:
    application, late = await upstream.applies(), await upstream.applies()
    papers.stop()
    try:
        event = await upstream.brings(application, pdf())
        given_up = await upstream.brings(late, pdf())
        due = {"application": application, "due": {"$exists": True}}
        await support.eventually(lambda: stored["changes"].count_documents(due))
        await asyncio.sleep(2)
        assert await stored["changes"].count_documents({**due, "event": event}) == 1
        assert "amendments" not in await stored["applications"].find_one({"_id": application})
        yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(hours=24)
        await stored["changes"].update_one({"event": given_up}, {"$set": {"arrived": yesterday}})
        assert await refusals(gateway, late, 1) == [("unavailable", "")]
    finally:
        papers.start()
    (made,) = await changes(others, await amended(stored, application, 1))
    assert made.amendment.kind == "document-added"


async def test_nobody_else_waits_while_the_documents_service_is_stuck(
    papers: Papers, upstream: Upstream, others: Others, stored: Any
) -> None:
    stuck, other = await upstream.applies(), await upstream.applies()
    await support.eventually(lambda: _all(stored, stuck, other))
    papers.signal(signal.SIGSTOP)
    try:
        await upstream.brings(stuck, pdf())
        await asyncio.sleep(1)
        await upstream.sends(amendment({"kind": "withdrawn"}, upstream.key, REASON, applicationId=stuck))
        await upstream.sends(amendment({"kind": "withdrawn"}, upstream.key, REASON, applicationId=other))
        await amended(stored, other, 1)
        assert "amendments" not in await stored["applications"].find_one({"_id": stuck})
    finally:
        papers.signal(signal.SIGCONT)
    kinds = [each.amendment.kind for each in await changes(others, await amended(stored, stuck, 2))]
    assert kinds == ["document-added", "withdrawn"]


async def _all(stored: Any, *applications: str) -> bool:
    found = await stored["applications"].count_documents({"_id": {"$in": list(applications)}})
    return bool(found == len(applications))


async def test_what_another_tenant_asks_holds_nothing_back(upstream: Upstream, kafka: str, stored: Any) -> None:
    application = await upstream.applies()
    await support.eventually(lambda: _all(stored, application))
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        foreign = amendment({"kind": "withdrawn", "reason": "x"}, applicationId=application)
        await producer.send_and_wait("intake-other-crm", foreign, key=b"k", headers=heads())
    theirs = {"application": application, "tenant": "other"}
    await support.eventually(lambda: stored["changes"].count_documents(theirs))
    await upstream.sends(amendment({"kind": "withdrawn"}, upstream.key, REASON, applicationId=application))
    document = await amended(stored, application, 1)
    assert (document["revision"], document["amendments"][0]["by"]) == (2, "demo-crm")


async def test_an_acceptance_may_be_reported(gateway: Gateway, upstream: Upstream, others: Others, stored: Any) -> None:
    offer = Offer(id="o-1", action_link=Sensitive(LINK))
    async with gateway.caller() as caller:
        application, place = await at_a_lender(others, caller, Status.APPROVED, offers=(offer,))
    accepted = {"kind": "offer-accepted", "opportunityId": place, "offerId": "o-1"}
    await upstream.sends(amendment(accepted, applicationId=application))
    assert await refusals(gateway, application, 1) == [("accept-by-link", "")]
    await upstream.sends(amendment(accepted | {"reported": True}, applicationId=application))
    (made,) = await changes(others, await amended(stored, application, 2))
    assert isinstance(made.amendment, OfferAccepted)
    assert made.amendment.reported


async def test_the_program_of_the_page_brings_a_file(
    gateway: Gateway, papers: Papers, upstream: Upstream, others: Others, stored: Any, kafka: str, project: Path
) -> None:
    page = project / "docs" / "intake.md"
    (program,) = blocks(page, "python")
    assert f"{MAX_DOCUMENT:,} bytes".replace(",", " ") in page.read_text()
    assert all(f"`{kind}`" in page.read_text() for kind in INTAKE_BODIES)
    application, file = await upstream.applies(), papers.log.with_name(NAME)
    file.write_bytes(pdf())
    async with gateway.caller() as caller:
        key = (await caller.get("/v1/keys/intake")).text
    told = [sys.executable, "-c", program, kafka, "intake-demo-crm", key, application, str(file)]
    running = await asyncio.create_subprocess_exec(*told)
    assert await running.wait() == 0
    (made,) = await changes(others, await amended(stored, application, 1))
    assert isinstance(made.amendment, DocumentAdded)
    assert made.amendment.document.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
