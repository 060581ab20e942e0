"""From an update to a signed webhook and a mail: in-memory broker, real MongoDB, real sockets."""

import asyncio
import email
import email.policy
import json
from typing import Any

import pytest
from standardwebhooks import Webhook
from tests import make, support

from .conftest import Listener, answer, token, updated

SECRETS = ("Zelda", "Fakename")


async def _webhook(running: Any, listener: Listener) -> Webhook:
    made = await running.register({"url": listener.url})
    assert made.status_code == 201, made.text
    return Webhook(made.json()["secret"])


async def test_an_update_is_told_by_signed_webhook_and_by_mail(start: Any, listen: Any, mailbox: Any) -> None:
    running, listener = await start(), await listen(lambda _: answer(204))
    webhook = await _webhook(running, listener)
    await running.work()
    event = updated()
    await running.publish(event)
    await support.eventually(lambda: _count(running, "delivered", 2))
    (headers, body) = listener.calls[0]
    told = webhook.verify(body, headers)
    assert told["type"] == "status-updated"
    assert told["data"]["applicationId"] == str(event.application_id)
    assert told["data"]["status"] == "approved"
    assert told["data"]["version"] == 1
    assert told["data"]["offers"][0]["linkPath"] == f"/v1/opportunities/{event.opportunity_id}/offers/offer-1/link"
    assert b"x.test/a" not in body
    assert told["data"]["references"][0]["value"] == "DEAL-1"
    assert len(listener.calls) == len(mailbox.mails) == 1
    mail = email.message_from_bytes(mailbox.mails[0], policy=email.policy.default)
    assert mail["Subject"] == "approved at forward-financing: DEAL-1"
    assert mail["To"] == "broker@demo.example.test"
    text = "".join(part.get_content() for part in mail.walk() if not part.is_multipart())
    assert "25,000.00 USD" in text
    assert f"/v1/applications/{event.application_id}" in text
    assert not any(word in text for word in (*SECRETS, "x.test/a"))


async def _count(running: Any, state: str, wanted: int) -> bool:
    queues = await running.deliveries.find().to_list()
    return sum(1 for queue in queues for n in queue["notices"] if n["state"] == state) >= wanted


async def test_what_comes_again_is_told_once(start: Any, listen: Any) -> None:
    running, listener = await start(), await listen(lambda _: answer(200))
    await _webhook(running, listener)
    await running.work()
    event = updated()
    await running.publish(event, event)
    await running.state(event, "delivered")
    await running.publish(event)
    await asyncio.sleep(0.8)
    assert len(listener.calls) == 1
    stored = await running.service.database["notices"].find().to_list()
    assert len(stored) == 1
    assert len({r["headers"]["ce_id"] for r in stored[0]["outbox"]}) == 2


async def test_versions_arrive_in_order_and_none_shares_an_id(start: Any, listen: Any) -> None:
    running, listener = await start(), await listen(lambda _: answer(200))
    await _webhook(running, listener)
    await running.work()
    ids: dict[str, Any] = {"application_id": make.new_id(), "opportunity_id": make.new_id()}
    await running.publish(*(updated(version, **ids) for version in range(1, 9)))
    await running.state(updated(8, **ids), "delivered")
    await support.eventually(lambda: _count(running, "delivered", 16))
    versions = [json.loads(body)["data"]["version"] for _, body in listener.calls]
    assert versions == list(range(1, 9))
    assert len({headers["webhook-id"] for headers, _ in listener.calls}) == 8


async def test_nothing_personal_rests_in_plain(start: Any, listen: Any) -> None:
    running = await start()
    await running.register({"url": "http://127.0.0.1:9/secret-path-of-a-tenant"})
    await running.register({"email": "zelda@fakename.example.test"})
    await running.publish(updated())
    names = await running.service.database.list_collection_names()
    stored = str([await running.service.database[name].find().to_list() for name in names])
    assert "enc1:" in stored
    for word in (*SECRETS, "x.test/a", "secret-path", "zelda@", "whsec_"):
        assert word not in stored


async def test_an_erased_person_is_not_told_about(start: Any, listen: Any) -> None:
    running, listener = await start(), await listen(lambda _: answer(200))
    await _webhook(running, listener)
    event = updated()
    await running.publish(event)
    await running.service.vault.erase(event.key_id)
    await running.work()
    assert (await running.state(event, "cancelled"))["outcome"] == "erased"
    assert not listener.calls


async def test_other_tenants_and_modes_hear_nothing(start: Any, listen: Any) -> None:
    running, listener = await start(), await listen(lambda _: answer(200))
    await running.register({"url": listener.url}, tenant="other")
    await running.publish(updated())
    assert await running.deliveries.count_documents({"channel": "webhook"}) == 0
    assert await running.deliveries.count_documents({"channel": "email"}) == 1


async def test_an_address_in_both_lists_is_told_once(start: Any) -> None:
    running = await start()
    await running.register({"email": "Broker@demo.example.test"})
    await running.publish(updated())
    assert await running.deliveries.count_documents({"channel": "email"}) == 1


async def test_the_delivery_log(start: Any, listen: Any) -> None:
    running, listener = await start(), await listen(lambda _: answer(200))
    await _webhook(running, listener)
    await running.work()
    ids: dict[str, Any] = {"application_id": make.new_id(), "opportunity_id": make.new_id()}
    await running.publish(*(updated(version, **ids) for version in (1, 2, 3)))
    await support.eventually(lambda: _count(running, "delivered", 6))
    found, page = [], {"application": str(ids["application_id"]), "pageSize": "4"}
    while True:
        reply = await running.http.get("/v1/deliveries", params=page, headers=token())
        found += reply.json()["items"]
        if "nextPageToken" not in reply.json():
            break
        page["pageToken"] = reply.json()["nextPageToken"]
    assert len({line["id"] for line in found}) == len(found) == 6
    assert {line["status"] for line in found} == {"delivered"}
    assert {line["tries"] for line in found} == {1}
    assert not any(word in str(found) for word in ("enc1:", listener.url, "body", "@"))
    other = await running.http.get("/v1/deliveries", params=page, headers=token(tenant="other"))
    assert other.json()["items"] == []
    bad = await running.http.get("/v1/deliveries", params=page | {"pageToken": "bm9wZQ=="}, headers=token())
    assert bad.status_code == 400


@pytest.mark.parametrize("reverse", [False, True])
async def test_a_late_older_version_is_superseded(start: Any, listen: Any, reverse: bool) -> None:
    running, listener = await start(), await listen(lambda _: answer(200))
    await _webhook(running, listener)
    await running.work()
    ids: dict[str, Any] = {"application_id": make.new_id(), "opportunity_id": make.new_id()}
    newer, older = updated(2, **ids), updated(1, **ids)
    for event in (newer, older) if reverse else (older, newer):
        await running.publish(event)
        await asyncio.sleep(0.3)
    await support.eventually(lambda: _count(running, "superseded" if reverse else "delivered", 2))
    assert len(listener.calls) == (1 if reverse else 2)
