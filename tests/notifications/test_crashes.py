"""kill -9 in every window, on real Kafka and MongoDB: everything is told, under one id, mails at most twice."""

import asyncio
import email
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from pymongo import AsyncMongoClient
from tests import make, support

from lendrail.contracts.event import Record
from lendrail.contracts.status_updated import StatusUpdated
from lendrail.notifications.endpoints import Endpoint, Endpoints
from lendrail.notifications.signing import new_secret
from lendrail.runtime.audit import Actor
from lendrail.runtime.directory import Mounted, Tenants
from lendrail.runtime.settings import read_key
from lendrail.runtime.vault import LocalWrapper, Vault

from .conftest import Document, Mailbox, answer, updated

ACTOR = Actor("demo", "test", "demo-upstream", "r-1")
WINDOWS = (
    "store.notices.before",
    "store.notices.after",
    "step.status-updated.written",
    "step.status-updated.published",
    "store.deliveries.before",
    "store.deliveries.after",
    "step.notify.written",
    "step.notify.published",
    "store.deliveries.claim.before",
    "webhook.before",
    "webhook.after",
    "mail.before",
    "mail.after",
)


async def _process(environment: dict[str, str], **more: str) -> asyncio.subprocess.Process:
    command = (sys.executable, "-m", "lendrail.notifications")
    return await asyncio.create_subprocess_exec(
        *command, env=os.environ | environment | more, stdout=asyncio.subprocess.DEVNULL
    )


async def test_no_window_loses_a_notice_or_gives_it_two_ids(
    kafka: str, mongo: str, mailbox: Mailbox, listen: Any, tmp_path: Path, database_prefix: str
) -> None:
    await support.topics(kafka, "status-updated", "notify")
    listener = await listen(lambda _: answer(200))
    environment = support.environment(
        tmp_path,
        kafka=kafka,
        mongo=mongo,
        prefix=database_prefix,
        instance=f"n{database_prefix}",
        smtp_host="localhost",
        smtp_port=str(mailbox.port),
        smtp_ca_file=str(mailbox.ca),
        smtp_sender="lendrail@demo.example.test",
        delivery_seconds="3",
        mail_seconds="3",
        retry_seconds=str([0.5] * 30),
    )
    client: AsyncMongoClient[Document] = AsyncMongoClient(mongo, w="majority", tz_aware=True)
    vault = Vault(client[f"{database_prefix}keys"]["data_keys"], LocalWrapper(read_key(tmp_path / "master.key")))
    collections = client[f"{database_prefix}notifications"]
    tenants = Mounted(tmp_path / "tenants.json", Tenants)
    wish = Endpoint("", "demo", "webhook", listener.url, secret=new_secret())
    await Endpoints(collections["endpoints"], vault, tenants).register(("demo", "test"), "k", wish, ACTOR)

    events: list[StatusUpdated] = []
    for window in WINDOWS:
        events.append(updated())
        await _publish(kafka, await _record(vault, events[-1]))
        process = await _process(environment, LENDRAIL_FAULT_AT=window)
        assert await asyncio.wait_for(process.wait(), 30) == -9, window
    process = await _process(environment)
    try:

        async def all_told() -> bool:
            ours = {"application": {"$in": [event.subject for event in events]}}
            queues = await collections["deliveries"].find(ours).to_list()
            told = [q for q in queues for n in q["notices"] if _is_told(q["channel"], n)]
            return len(told) == 2 * len(events)

        await support.eventually(all_told, 60)
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 20)
    calls = Counter(headers["webhook-id"] for headers, _ in listener.calls)
    mails = Counter(email.message_from_bytes(mail)["Message-ID"] for mail in mailbox.mails)
    assert len(calls) == len(events)
    delivered = await collections["deliveries"].find({"channel": "email", "notices.state": "delivered"}).to_list()
    assert {q["notices"][0]["id"] for q in delivered} <= {name.strip("<>").partition("@")[0] for name in mails}
    assert len(delivered) >= len(events) - 2
    assert max(calls.values()) <= 2
    assert max(mails.values()) <= 2
    marked = {q["notices"][0]["id"] for q in await collections["deliveries"].find({"notices.repeated": True}).to_list()}
    assert {name.strip("<>").partition("@")[0] for name, count in mails.items() if count == 2} <= marked
    await client.close()


def _is_told(channel: str, notice: Document) -> bool:
    """Delivered; or a mail that was under way in two of the kills, which is never sent a third time."""
    twice_unknown = channel == "email" and notice["state"] == "parked" and notice["outcome"] == "unknown"
    return notice["state"] == "delivered" or (twice_unknown and notice["repeated"] is True)


async def _record(vault: Vault, event: StatusUpdated) -> Record:
    return make.record(event, (await vault.create([event.key_id]))[event.key_id], "status")


async def _publish(kafka: str, record: Record) -> None:
    producer: Any = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    await producer.send_and_wait(record.topic, record.value, key=record.key, headers=list(record.headers))
    await producer.stop()
