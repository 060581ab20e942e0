"""The other ways of the partner: documents by link and in bulk, encoded bytes, an access token."""

import asyncio

import pytest
from tests import make
from tests.sandbox.process import listening
from tests.submission.desk import Desk, credential, document, submit

from lendrail.contracts.sensitive import Sensitive
from lendrail.contracts.submit import Send, Submit

pytestmark = pytest.mark.asyncio


async def by_link(desk: Desk, url: str, *names: str) -> Submit:
    refs = tuple(document(name.encode(), name, link=Sensitive(f"{url}/{name}")) for name in names)
    event = submit(intent=Send(application=make.application(), documents=refs))
    await desk.hear(event)
    return event


async def test_bulk_is_one_call_with_an_answer_for_each_file(desk: Desk) -> None:
    desk.tenants(options={"attachments": "bulk", "vocabulary": "current"})
    async with listening() as listener:
        listener.files = {"/a.pdf": b"%PDF-1.4 fake a", "/c.pdf": b"%PDF-1.4 fake c"}
        event = await by_link(desk, listener.url, "a.pdf", "gone.pdf", "c.pdf")
        async with desk.lanes():
            await desk.until(event, "acked", "acked", "rejected", "acked")
    ledger = await desk.ledger(event)
    assert [call["operation"] for call in ledger["calls"]] == ["lead", "attachment"]
    told = [(each.document, each.outcome) for each in (await desk.acks(event))[1:]]
    assert told == [("a.pdf", "accepted"), ("gone.pdf", "rejected"), ("c.pdf", "accepted")]


async def test_bulk_with_a_lost_reply_is_repeated_once(desk: Desk) -> None:
    desk.tenants(options={"attachments": "bulk", "vocabulary": "current"})
    desk.sandbox.dial(kind="drop_reply", operation="attachment", times=1)
    async with listening() as listener:
        listener.files = {"/a.pdf": b"%PDF-1.4 fake a", "/b.pdf": b"%PDF-1.4 fake b"}
        event = await by_link(desk, listener.url, "a.pdf", "b.pdf")
        async with desk.lanes():
            await desk.until(event, "acked", "acked", "acked")
    assert [each.tries for each in (await desk.opportunity(event)).attempts] == [1, 2, 2]


async def test_document_without_a_link_is_parked_and_the_others_go(desk: Desk) -> None:
    desk.tenants(options={"attachments": "url", "vocabulary": "current"})
    async with listening() as listener:
        listener.files = {"/b.pdf": b"%PDF-1.4 fake b"}
        refs = (document(b"a", "a.pdf"), document(b"b", "b.pdf", link=Sensitive(f"{listener.url}/b.pdf")))
        event = submit(intent=Send(application=make.application(), documents=refs))
        await desk.hear(event)
        async with desk.lanes():
            await desk.until(event, "acked", "parked", "acked")
    assert [each.reason for each in await desk.acks(event)][1] == "document-without-link"


async def test_encoded_bytes_arrive_as_they_were(desk: Desk) -> None:
    desk.tenants(options={"attachments": "base64", "vocabulary": "current"})
    event = await desk.submit(b"\x00\xff fake bytes")
    async with desk.lanes():
        opportunity = await desk.until(event, "acked", "acked")
    (attachment,) = (await desk.ledger(event))["attachments"]
    assert attachment["sha256"] == opportunity.attempts[1].subject


@pytest.mark.parametrize(("password", "states"), [("not-a-secret", ["acked"]), ("wrong", ["prepared"])])
async def test_access_token_is_fetched_and_a_refused_one_pauses(desk: Desk, password: str, states: list[str]) -> None:
    base = desk.sandbox.url + "/forward-financing"
    auth = {"scheme": "oauth-password", "tokenUrl": f"{base}/application/o/token/"}
    auth |= {"username": "iso@example.test", "password": password}
    desk.credentials(credential(f"{base}/v1", auth=auth))
    event = await desk.submit()
    partners = desk.client[desk.settings.database_prefix + "partners"]["credentials"]
    async with desk.lanes(credential_pause_seconds="30"):
        await desk.until(event, *states)
        if password == "wrong":
            for _ in range(200):
                if await partners.find_one({"pause_reason": "credential-refused"}):
                    break
                await asyncio.sleep(0.05)
            await desk.until(event, *states)
            assert await partners.find_one({"pause_reason": "credential-refused"})
            assert (await desk.create(event)).unknowns == 0
        else:
            stored = await partners.find_one({"token": {"$exists": True}})
            assert stored is not None
            assert stored["token"].startswith("enc1:")
