"""A document that comes after an application by mail: through the lanes to a real mail server, whose books count it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests import support
from tests.partners.email_lender.rehearsal import INBOX, SENDER
from tests.sandbox.process import Sandbox, listening
from tests.submission.amended import intended
from tests.submission.desk import TENANT, Desk, document, submit
from tests.submission.others import dial, ledger
from tests.submission.test_people import bind

from lendrail.contracts.sensitive import Sensitive
from lendrail.contracts.submit import AddDocument, Submit
from lendrail.contracts.terms import opportunity_id
from lendrail.local.servers.ports import free_port

pytestmark = pytest.mark.asyncio
PARTNER, POST = "email-lender", "demo-post"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """With a mail server."""
    sandbox = Sandbox(tmp_path_factory.mktemp("lender"))
    user = {"username": "demo-broker", "password": "not-a-real-password", "inbox": INBOX}
    users = [{"partner": PARTNER, "user": "demo", "settings": user}]
    (sandbox.folder / "config.json").write_text(json.dumps({"users": users}))
    sandbox.environment["LENDRAIL_SANDBOX_SMTP_PORT"] = str(free_port())
    sandbox.start()
    yield sandbox
    sandbox.stop()


@pytest.fixture(autouse=True)
def account(desk: Desk, tmp_path: Path) -> Iterator[None]:
    """The tenant's account at the lender; its mail server's certificate is trusted."""
    page = httpx.get(f"{desk.sandbox.url}/{PARTNER}/", trust_env=False).json()
    (tmp_path / "lender.pem").write_text(page["certificate"])
    login = {"scheme": "smtp", "username": "demo-broker", "password": "not-a-real-password"}
    login["caFile"] = str(tmp_path / "lender.pem")
    known = {"id": POST, "tenant": TENANT, "partner": PARTNER, "mode": "test", "auth": login}
    desk.credentials(known | {"baseUrl": page["smtp"].replace("127.0.0.1", "localhost")})
    options(desk)
    yield
    httpx.delete(f"{desk.sandbox.url}/_dials/{PARTNER}", trust_env=False).raise_for_status()


def options(desk: Desk, **more: str) -> None:
    given = {"to": INBOX, "from": SENDER} | more
    desk.tenants(partner=PARTNER, credential=POST, options=given)


def first_mail() -> Submit:
    event = submit(partner=PARTNER, credential=POST)
    return event.model_copy(update={"opportunity_id": opportunity_id(event.application_id, PARTNER, POST)})


async def late(desk: Desk, first: Submit, content: bytes, revision: int = 2, **changes: Any) -> Submit:
    ref = document(content, "statement.pdf", kind="bank-statement", **changes)
    desk.shelf.sealed[ref.id] = (await desk.key(first)).seal_bytes(content)
    return intended(first, AddDocument(document=ref), revision)


async def books(desk: Desk, first: Submit) -> dict[str, Any]:
    """What the lender has of this application."""
    create = (await desk.create(first)).known_as or (await desk.create(first)).id
    found = {name: each for name, each in ledger(desk, PARTNER).items() if isinstance(each, list)}
    return {name: [each for each in rows if each.get("reference") == create] for name, rows in found.items()}


async def test_attached_once_in_the_thread_of_the_application(desk: Desk) -> None:
    options(desk, lateDocuments="attached")
    first = first_mail()
    await desk.hear(first)
    async with desk.lanes():
        await desk.until(first, "acked")
        event = await late(desk, first, b"%PDF-fake")
        await desk.hear(event, event.model_copy(update={"revision": 3}))
        await desk.until(first, "acked", "acked")
    page = await books(desk, first)
    (lead,), (follow_up,), (attachment,) = page["leads"], page["followUps"], page["attachments"]
    assert (follow_up["inReplyTo"], follow_up["subject"]) == (lead["messageId"], f"Re: {lead['subject']}")
    assert (attachment["how"], attachment["sha256"]) == ("attached", hashlib.sha256(b"%PDF-fake").hexdigest())
    assert [(each.operation, each.outcome) for each in await desk.acks(first)] == [
        ("create", "accepted"), ("document", "accepted"),
    ]  # fmt: skip


async def test_two_that_came_before_the_first_mail_left_follow_it_as_links(desk: Desk) -> None:
    first = first_mail()
    async with listening() as files:
        files.files |= {"/one": b"%PDF-1", "/two": b"%PDF-2"}
        events = [
            await late(desk, first, content, link=Sensitive(f"{files.url}/{name}"), revision=place)
            for place, (name, content) in enumerate({"one": b"%PDF-1", "two": b"%PDF-2"}.items(), 2)
        ]
        await desk.hear(events[0], first, events[1])
        async with desk.lanes():
            await desk.until(first, "acked", "acked", "acked")

            async def fetched() -> bool:
                return len((await books(desk, first))["attachments"]) == 2

            await support.eventually(fetched, 10)
    page = await books(desk, first)
    assert (len(page["leads"]), len(page["followUps"])) == (1, 2), "one mail each"
    assert {each["how"] for each in page["attachments"]} == {"link"}
    assert {each["sha256"] for each in page["attachments"]} == {
        hashlib.sha256(each).hexdigest() for each in (b"%PDF-1", b"%PDF-2")
    }


async def test_a_lost_answer_is_asked_about_and_never_followed_by_a_second_mail(
    desk: Desk, http: httpx.AsyncClient
) -> None:
    options(desk, lateDocuments="attached")
    first = first_mail()
    await desk.hear(first)
    async with desk.lanes():
        await desk.until(first, "acked")
        dial(desk, PARTNER, kind="drop_reply", operation="message", times=1)
        await desk.hear(await late(desk, first, b"%PDF-lost"))
        await desk.until(first, "acked", "parked")
        await desk.hear(await late(desk, first, b"%PDF-lost", 3))
        assert len((await books(desk, first))["followUps"]) == 1
        parked = (await desk.opportunity(first)).attempts[1]
        assert (parked.reason, parked.plan, parked.tries) == ("outcome-unknown", "person", 1)
        told = bind(parked.id, outcome="not-sent")
        del told["json"]["partnerId"]
        assert (await http.post(**told)).status_code == 200
        again = await desk.opportunity(first)
        await desk.store.save(again.put(replace(again.attempts[-1], due=None)), due="now")
        await desk.until(first, "acked", "cancelled", "acked")
    one, two = (await books(desk, first))["followUps"]
    assert one["messageId"] == two["messageId"]
    assert (one["possibleDuplicate"], two["possibleDuplicate"]) == (False, True)


@pytest.mark.parametrize(
    ("label", "state", "mails"),
    [("partner.before#1", "acked", 1), ("partner.sending#1", "parked", 0), ("mail.after#1", "parked", 1)],
)
async def test_killed_around_it_there_are_never_two(desk: Desk, label: str, state: str, mails: int) -> None:
    options(desk, lateDocuments="attached")
    first = first_mail()
    await desk.hear(first)
    async with desk.lanes():
        await desk.until(first, "acked")
    await desk.hear(await late(desk, first, b"%PDF-killed"))
    process = desk.process(fault_at=label, port=str(free_port()))
    assert await asyncio.to_thread(process.wait, 60) == -signal.SIGKILL
    async with desk.lanes():
        await desk.until(first, "acked", state)
    assert len((await books(desk, first)).get("followUps", [])) == mails
