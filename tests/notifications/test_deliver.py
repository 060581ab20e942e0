"""Repeats, refusals, hanging and lying endpoints; mail relays that refuse, vanish and come back."""

import asyncio
import email
import time
from typing import Any

import certifi
import pytest
from standardwebhooks import Webhook
from tests import make, support

from lendrail.notifications.settings import Settings

from .conftest import Listener, answer, token, updated

QUICK = "[0.05, 0.05, 0.05]"


async def _endpoint(running: Any, listener: Listener) -> Webhook:
    return Webhook((await running.register({"url": listener.url})).json()["secret"])


async def _webhooks(running: Any) -> list[dict[str, Any]]:
    return [n for q in await running.deliveries.find({"channel": "webhook"}).to_list() for n in q["notices"]]


async def _webhook_is(running: Any, state: str, seconds: float = 15) -> dict[str, Any]:
    async def look() -> Any:
        return next((n for n in await _webhooks(running) if n["state"] == state), None)

    found: dict[str, Any] = await support.eventually(look, seconds)
    return found


async def test_failures_are_repeated_under_one_id_until_it_works(start: Any, listen: Any) -> None:
    running = await start(retry_seconds=QUICK)
    listener = await listen(lambda call: answer(500) if call < 4 else answer(200))
    webhook = await _endpoint(running, listener)
    await running.work()
    await running.publish(updated())
    notice = await _webhook_is(running, "delivered")
    assert notice["tries"] == len(listener.calls) == 4
    assert len({headers["webhook-id"] for headers, _ in listener.calls}) == 1
    assert len({body for _, body in listener.calls}) == 1
    for headers, body in listener.calls:
        webhook.verify(body, headers)
    assert "body" not in notice


async def test_a_used_up_schedule_parks_the_notice_visibly(start: Any, listen: Any) -> None:
    running, listener = await start(retry_seconds=QUICK), await listen(lambda _: answer(503))
    await _endpoint(running, listener)
    await running.work()
    event = updated()
    await running.publish(event)
    notice = await _webhook_is(running, "parked")
    assert (notice["tries"], notice["outcome"]) == (4, "http-503")
    log = await running.http.get("/v1/deliveries", params={"application": event.subject}, headers=token())
    assert "parked" in {line["status"] for line in log.json()["items"]}


async def test_redirects_are_not_followed(start: Any, listen: Any) -> None:
    running, trap = await start(retry_seconds=QUICK), await listen(lambda _: answer(200))
    listener = await listen(lambda _: answer(307, f"location: {trap.url}"))
    await _endpoint(running, listener)
    await running.work()
    await running.publish(updated())
    assert (await _webhook_is(running, "parked"))["outcome"] == "http-307"
    assert not trap.calls


async def test_gone_disables_the_endpoint(start: Any, listen: Any) -> None:
    running, listener = await start(retry_seconds=QUICK), await listen(lambda _: answer(410))
    await _endpoint(running, listener)
    await running.work()
    await running.publish(updated())
    assert (await _webhook_is(running, "cancelled"))["outcome"] == "http-410"
    shown = (await running.http.get("/v1/endpoints", headers=token())).json()["items"]
    assert [endpoint["status"] for endpoint in shown] == ["disabled"]
    await running.publish(updated())
    assert len(await _webhooks(running)) == 1
    assert len(listener.calls) == 1


async def test_a_deleted_endpoint_hears_nothing_more(start: Any, listen: Any) -> None:
    running, listener = await start(retry_seconds=QUICK), await listen(lambda _: answer(200))
    made = await running.register({"url": listener.url})
    await running.publish(updated())
    gone = await running.http.delete(f"/v1/endpoints/{made.json()['id']}", headers=token())
    assert gone.status_code == 204
    await running.work()
    assert (await _webhook_is(running, "cancelled"))["outcome"] == "endpoint-gone"
    assert not listener.calls


async def test_a_hanging_endpoint_ends_at_the_deadline_and_holds_up_nobody(start: Any, listen: Any) -> None:
    running = await start(delivery_seconds="1.5", webhook_lanes="4")
    hanging, good = await listen(lambda _: None), await listen(lambda _: answer(200))
    for listener in (hanging, good):
        await _endpoint(running, listener)
    await running.work()
    began = time.monotonic()
    await running.publish(*(updated() for _ in range(12)))

    async def told() -> bool:
        return len(good.calls) == 12

    await support.eventually(told, 10)
    assert time.monotonic() - began < 1.4
    assert (await _webhook_is(running, "waiting"))["tries"] in (0, 1)

    async def timed_out() -> bool:
        return any(notice.get("outcome") == "timeout" for notice in await _webhooks(running))

    await support.eventually(timed_out, 5)
    assert len(hanging.calls) <= 6


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "broken-off"),
        (b"SSH-2.0-OpenSSH_9.0\r\n\r\n", "broken-off"),
        (answer(200, body=b"x" * 500_000), "http-200"),
    ],
)
async def test_odd_answers(start: Any, listen: Any, reply: bytes, outcome: str) -> None:
    running, listener = await start(retry_seconds="[0.01]"), await listen(lambda _: reply)
    await _endpoint(running, listener)
    await running.work()
    await running.publish(updated())
    wanted = "delivered" if outcome == "http-200" else "parked"
    assert (await _webhook_is(running, wanted))["outcome"] == outcome


async def test_what_waits_for_a_dead_endpoint_is_held_back(start: Any, listen: Any) -> None:
    running, listener = await start(retry_seconds="[600, 600]"), await listen(lambda _: answer(500))
    await _endpoint(running, listener)
    await running.publish(*(updated() for _ in range(40)))
    await running.work()

    async def failing() -> bool:
        return len(listener.calls) >= 3

    await support.eventually(failing)
    await asyncio.sleep(1.5)
    assert len(listener.calls) < 10
    notices = await _webhooks(running)
    assert sum(1 for notice in notices if notice["tries"] == 0) > 30
    later = {"channel": "webhook", "$expr": {"$gt": ["$due", "$$NOW"]}}
    assert await running.deliveries.count_documents(later) == 40


async def test_a_newer_version_overtakes_one_that_failed(start: Any, listen: Any) -> None:
    running = await start(retry_seconds="[600, 600]")
    listener = await listen(lambda call: answer(500) if call == 1 else answer(200))
    await _endpoint(running, listener)
    await running.work()
    ids: dict[str, Any] = {"application_id": make.new_id(), "opportunity_id": make.new_id()}
    await running.publish(updated(1, **ids))
    await support.eventually(lambda: _tried(running))
    await running.publish(updated(2, **ids))
    assert (await _webhook_is(running, "delivered"))["version"] == 2
    assert (await _webhook_is(running, "superseded"))["version"] == 1


async def _tried(running: Any) -> bool:
    return any(notice["tries"] == 1 for notice in await _webhooks(running))


async def test_the_schedule_lasts_four_days_on_average() -> None:
    assert sum(Settings.model_fields["retry_seconds"].default) / 2 >= 96 * 3600


async def test_a_relay_that_is_busy_gets_the_mail_later(start: Any, mailbox: Any) -> None:
    running = await start(retry_seconds=QUICK)
    mailbox.rcpt_replies, mailbox.data_replies = ["451 later"], ["452 full"]
    await running.work()
    event = updated()
    await running.publish(event)
    notice = await running.state(event, "delivered")
    assert (notice["tries"], notice["repeated"], len(mailbox.mails)) == (3, False, 1)


@pytest.mark.parametrize("command", ["rcpt", "data"])
async def test_a_refused_mail_is_parked(start: Any, mailbox: Any, command: str) -> None:
    running = await start(retry_seconds=QUICK)
    setattr(mailbox, f"{command}_replies", ["550 no such user"])
    await running.work()
    event, fine = updated(), updated()
    await running.publish(event)
    assert (await running.state(event, "parked"))["outcome"].endswith("550")
    await running.publish(fine)
    await running.state(fine, "delivered")
    assert mailbox.connections == 1


async def test_a_mail_that_may_have_left_is_repeated_once_under_its_id_and_marked(start: Any, mailbox: Any) -> None:
    running = await start(retry_seconds=QUICK)
    mailbox.cut = 1
    await running.work()
    event = updated()
    await running.publish(event)
    notice = await running.state(event, "delivered")
    assert notice["repeated"] is True
    assert len(mailbox.mails) == 2
    ids = {email.message_from_bytes(mail)["Message-ID"] for mail in mailbox.mails}
    assert ids == {f"<{notice['id']}@demo.example.test>"}
    assert mailbox.mails[0] == mailbox.mails[1]


async def test_a_mail_whose_outcome_stays_unknown_is_parked_after_two(start: Any, mailbox: Any) -> None:
    running = await start(retry_seconds=QUICK)
    mailbox.cut = 99
    await running.work()
    event = updated()
    await running.publish(event)
    assert (await running.state(event, "parked"))["outcome"] == "unknown"
    await asyncio.sleep(0.5)
    assert len(mailbox.mails) == 2


async def test_one_connection_serves_many_mails_and_a_lost_one_is_opened_again(start: Any, mailbox: Any) -> None:
    running = await start(mail_lanes="1")
    await running.work()
    events = [updated() for _ in range(5)]
    await running.publish(*events)
    for event in events:
        await running.state(event, "delivered")
    assert mailbox.connections == 1
    mailbox.close_connections()
    last = updated()
    await running.publish(last)
    notice = await running.state(last, "delivered")
    assert (notice["tries"], mailbox.connections, len(mailbox.mails)) == (1, 2, 6)


async def test_a_relay_that_is_down_or_not_trusted_is_tried_again(start: Any, mailbox: Any) -> None:
    running = await start(retry_seconds=QUICK, smtp_ca_file=certifi.where())
    await running.work()
    event = updated()
    await running.publish(event)
    notice = await running.state(event, "parked")
    assert notice["outcome"].startswith("connect-")
    assert notice["tries"] == 4
    assert not mailbox.mails
