"""The mail that goes beside an application by API: on real sockets, to a mail server that follows a script."""

from __future__ import annotations

import json
from dataclasses import replace
from email import message_from_bytes

import httpx
import pytest
from tests import support
from tests.submission.desk import Desk, credential
from tests.submission.test_again import ADDRESSES
from tests.submission.test_mail_channel import CLOSE, HANG, Server
from tests.submission.test_mail_channel import server as server
from tests.submission.test_people import bind

pytestmark = pytest.mark.asyncio
POST = "demo-post"


@pytest.fixture
async def post(desk: Desk, server: Server) -> Server:
    """The Forward Financing account wants a mail beside each application."""
    path = desk.settings.tenants_file
    tenants = json.loads(path.read_text())
    (account,) = tenants["tenants"][0]["partners"]
    mail = {"partner": "email-lender", "credential": POST, "mode": "test", "options": ADDRESSES}
    tenants["tenants"][0]["partners"] = [account | {"supplement": POST}, mail | {"webhookPath": "y" * 32}]
    path.write_text(json.dumps(tenants))
    login = {"scheme": "smtp", "username": "demo-broker", "password": "not-a-real-password", "starttls": "false"}
    box = {"id": POST, "partner": "email-lender", "auth": login}
    desk.credentials(credential(desk.sandbox.api), credential(server.url, **box))
    return server


async def test_it_follows_the_application_once(desk: Desk, post: Server) -> None:
    event = await desk.submit()
    async with desk.lanes():
        found = await desk.until(event, "acked", "acked")
    (text,) = post.texts
    mail = message_from_bytes(text)
    assert mail["Subject"].startswith("[TEST] For your records")
    assert mail["X-Lendrail-Reference"] == found.attempts[1].id
    assert len((await desk.ledger(event))["leads"]) == 1


async def test_a_mail_server_that_refuses_the_login_holds_up_mails_only(desk: Desk, post: Server) -> None:
    post.script = {"AUTH": "535 no"}
    first = await desk.submit()
    async with desk.lanes(credential_pause_seconds="60"):
        await desk.until(first, "acked", "prepared")
        second = await desk.submit()
        await desk.until(second, "acked", "prepared")
        assert (await desk.opportunity(first)).attempts[1].tries <= 2, "the mail account is held"
    assert post.texts == []


async def test_a_lost_answer_is_never_followed_by_a_second_mail_but_for_a_person_who_says_so(
    desk: Desk, post: Server, http: httpx.AsyncClient
) -> None:
    post.script = {"text": CLOSE}
    event = await desk.submit()
    async with desk.lanes():
        found = await desk.until(event, "acked", "parked")
        post.script = {}
        told = bind(found.attempts[1].id, outcome="not-sent")
        del told["json"]["partnerId"]
        assert (await http.post(**told)).status_code == 200
        again = await desk.opportunity(event)
        await desk.store.save(again.put(replace(again.attempts[-1], due=None)), due="now")
        await desk.until(event, "acked", "cancelled", "acked")
    first, second = (message_from_bytes(each) for each in post.texts)
    assert first["Message-ID"] == second["Message-ID"]
    assert (first["X-Lendrail-Possible-Duplicate"], second["X-Lendrail-Possible-Duplicate"]) == (None, "yes")
    assert len((await desk.ledger(event))["leads"]) == 1


async def test_mails_that_hang_keep_no_application_from_its_partner(desk: Desk, post: Server) -> None:
    post.script = {"text": HANG}
    events = [await desk.submit() for _ in range(3 * int(desk.settings.lanes))]

    async def all_there() -> bool:
        return all([(await desk.states(each))[0] == "acked" for each in events])

    async def a_mail() -> bool:
        return bool(post.texts)

    async with desk.lanes(partner_deadline_seconds="25", lease_seconds="60"):
        try:
            await support.eventually(all_there, 15)
            await support.eventually(a_mail, 5)
            waiting = [(await desk.states(each))[1] for each in events]
            assert set(waiting) <= {"prepared", "sending"}, "and each still has its mail to come"
        finally:
            for writer in post.writers:
                writer.close()
