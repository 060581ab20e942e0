"""The bare loop: the hops, durable writes, spreadsheet and calls of Lendrail; no framework, no checks, no sealing.

Each role is a process of its own, as each service is. aiokafka in batches, PyMongo with majority and journalled writes,
one httpx client for each lane, openpyxl. It is what the work costs when nothing is promised.
"""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx
import openpyxl
import orjson
import uvicorn
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pymongo import AsyncMongoClient, InsertOne, UpdateOne

TOPICS = ("b-intake", "b-received", "b-validated", "b-submit", "b-ack", "b-webhook", "b-status", "b-notify")
PARTITIONS = 6
BATCH = 200
LANES = 16
QUIET: dict[str, Any] = {"log_level": "error", "http": "httptools", "access_log": False, "lifespan": "off"}
Batch = Sequence[Any]
WIDTH = {  # bytes of each record, as measured on Lendrail's own topics
    "b-received": 9000,
    "b-validated": 9300,
    "b-submit": 9500,
    "b-ack": 700,
    "b-webhook": 700,
    "b-status": 1100,
    "b-notify": 1500,
}


class Bare:
    """What every role has: a producer, a database, and loops over topics."""

    def __init__(self, role: str) -> None:
        self.kafka, self.partner = os.environ["BARE_KAFKA"], os.environ["BARE_PARTNER"]
        self.listener, self.key = os.environ["BARE_LISTENER"], os.environ["BARE_PARTNER_KEY"]
        client: Any = AsyncMongoClient(os.environ["BARE_MONGO"], w="majority", journal=True)
        self.db = client[f"bare_{role}"]
        self.role = role
        self.producer: Any = AIOKafkaProducer(bootstrap_servers=self.kafka, acks="all", enable_idempotence=True)
        self.lanes = [httpx.AsyncClient(trust_env=False, timeout=30) for _ in range(LANES)]

    async def consume(self, topic: str, work: Callable[[Batch], Awaitable[None]]) -> None:
        consumer: Any = AIOKafkaConsumer(
            topic,
            bootstrap_servers=self.kafka,
            group_id=f"{self.role}.{topic}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        await consumer.start()
        while True:
            polled = await consumer.getmany(timeout_ms=200, max_records=BATCH)
            if batch := [record for records in polled.values() for record in records]:
                await work(batch)
                await consumer.commit()

    async def publish(self, topic: str, keys: Sequence[bytes], bodies: Sequence[dict[str, Any]]) -> None:
        futures = []
        for key, body in zip(keys, bodies, strict=True):
            value = orjson.dumps(body)
            padded = orjson.dumps({**body, "pad": "x" * max(0, WIDTH[topic] - len(value))})
            futures.append(await self.producer.send(topic, padded, key=key))
        await asyncio.gather(*futures)

    async def insert(self, name: str, ids: Sequence[Any], width: int = 2000) -> None:
        documents = [InsertOne({"_id": each, "body": b"x" * width, "sent": 0}) for each in ids]
        await self.db[name].bulk_write(documents, ordered=False)

    async def mark(self, name: str, ids: Sequence[Any], width: int = 0) -> None:
        change = {"$set": {"sent": 1, **({"body": b"y" * width} if width else {})}}
        await self.db[name].bulk_write([UpdateOne({"_id": each}, change) for each in ids], ordered=False)

    async def in_lanes(
        self, items: Sequence[Any], work: Callable[[httpx.AsyncClient, Any], Awaitable[Any]]
    ) -> list[Any]:
        queue, results = list(enumerate(items)), [None] * len(items)

        async def lane(client: httpx.AsyncClient) -> None:
            while queue:
                index, item = queue.pop()
                results[index] = await work(client, item)

        await asyncio.gather(*(lane(client) for client in self.lanes))
        return results


async def gateway(bare: Bare) -> None:
    """Intake: data key, application and outbox, publish, mark. Webhooks: store, publish, mark. And the read model."""

    async def intake(batch: Batch) -> None:
        keys = [record.key for record in batch]
        await bare.insert("keys", keys, 60)
        await bare.insert("applications", keys, 18_000)
        bodies = [{"at": time.time(), "application": orjson.loads(record.value)} for record in batch]
        await bare.publish("b-received", keys, bodies)
        await bare.mark("applications", keys)

    async def webhook(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        lead = orjson.loads(body)["lead_id"]
        await bare.insert("webhooks", [lead], 800)
        await bare.publish("b-webhook", [lead.encode()], [{"lead": lead}])
        await bare.mark("webhooks", [lead])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def view(batch: Batch) -> None:
        ids = {record.key for record in batch}
        writes = [UpdateOne({"_id": each}, {"$push": {"timeline": b"x" * 300}}, upsert=True) for each in ids]
        await bare.db["views"].bulk_write(writes, ordered=False)

    port = int(os.environ["BARE_WEBHOOK_PORT"])
    server = uvicorn.Server(
        uvicorn.Config(webhook, port=port, log_level="error", http="httptools", access_log=False, lifespan="off")
    )
    await asyncio.gather(
        bare.consume("b-intake", intake),
        bare.consume("b-validated", view),
        bare.consume("b-status", view),
        server.serve(),
    )


async def validation(bare: Bare) -> None:
    async def validate(batch: Batch) -> None:
        keys = [record.key for record in batch]
        await bare.insert("reports", keys, 18_000)
        await bare.publish("b-validated", keys, [orjson.loads(record.value) for record in batch])

    await bare.consume("b-received", validate)


def spreadsheet(application: dict[str, Any]) -> bytes:
    """The application as label and value rows on one sheet."""
    book = openpyxl.Workbook()
    sheet: Any = book.active

    def rows(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for name, each in value.items():
                rows(f"{prefix} {name}", each)
        elif isinstance(value, list):
            for index, each in enumerate(value):
                rows(f"{prefix} {index + 1}", each)
        else:
            sheet.append([prefix, str(value)])

    rows("", application)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


async def documents(bare: Bare) -> None:
    async def package(batch: Batch) -> None:
        keys, bodies = [record.key for record in batch], [orjson.loads(record.value) for record in batch]
        files = [spreadsheet(body["application"]) for body in bodies]
        chunks = [InsertOne({"_id": key, "data": file}) for key, file in zip(keys, files, strict=True)]
        await bare.db["chunks"].bulk_write(chunks, ordered=False)
        await bare.insert("files", keys, 300)
        await bare.insert("effects", keys, 18_000)
        await bare.publish("b-submit", keys, [body | {"file": len(f)} for body, f in zip(bodies, files, strict=True)])
        bare.files.update(zip(keys, files, strict=True))  # type: ignore[attr-defined]

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        found = await bare.db["chunks"].find_one({"_id": scope["path"][1:].encode()})
        assert found is not None
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": found["data"]})

    bare.files = {}  # type: ignore[attr-defined]
    port = int(os.environ["BARE_DOCUMENTS_PORT"])
    server = uvicorn.Server(
        uvicorn.Config(serve, port=port, log_level="error", http="httptools", access_log=False, lifespan="off")
    )
    await asyncio.gather(bare.consume("b-validated", package), server.serve())


async def submission(bare: Bare) -> None:
    headers = {"api_key": bare.key, "content-type": "application/json"}
    documents_url = f"http://127.0.0.1:{os.environ['BARE_DOCUMENTS_PORT']}"

    async def submit(batch: Batch) -> None:
        keys = [record.key for record in batch]
        await bare.insert("attempts", keys, 6000)
        await bare.mark("attempts", keys)  # claimed
        await bare.mark("attempts", keys)  # SENDING

        async def lead(client: httpx.AsyncClient, record: Any) -> str:
            body = lead_of(orjson.loads(record.value)["application"], record.key.decode())
            reply = await client.post(f"{bare.partner}/lead", content=orjson.dumps(body), headers=headers)
            return str(reply.json()["id"])

        leads = await bare.in_lanes(batch, lead)
        await bare.mark("attempts", keys, 700)  # acked, document sending

        async def attach(client: httpx.AsyncClient, pair: Any) -> None:
            key, lead_id = pair
            file = (await client.get(f"{documents_url}/{key.decode()}")).content
            query = {"filename": "summary.xlsx", "lead_id": lead_id}
            await client.post(f"{bare.partner}/attachment", params=query, content=file, headers={"api_key": bare.key})

        pairs = list(zip(keys, leads, strict=True))
        await bare.in_lanes(pairs, attach)
        await bare.mark("attempts", keys, 700)
        for kind in ("create", "document"):
            await bare.publish("b-ack", keys, [{"lead": lead_id, "kind": kind} for _, lead_id in pairs])
        await bare.mark("attempts", keys)  # published

    await bare.consume("b-submit", submit)


def lead_of(application: dict[str, Any], reference: str) -> dict[str, Any]:
    """A lead as the partner wants it, filled without looking."""
    owner = {
        "first_name": "Testa",
        "last_name": "Fakely",
        "ssn": "900000001",
        "born_on": "1980-01-01",
        "current_address_attributes": {"street1": "1 Nowhere Rd", "city": "Faketown", "state": "MA", "zip": "00000"},
    }
    account = {
        "entity_type": "LLC",
        "name": "Fake Bakery",
        "started_on": "2015-01-01",
        "phone": "5550100001",
        "industry_name": "Restaurants & Bars",
    }
    wish = {
        "capital_needed": application["requestedFinance"]["amount"]["amount"],
        "loan_use": "Working Capital",
        "reference_id": reference,
        "applicant_is_owner": True,
        "has_current_loan": False,
    }
    return {"lead": {"contacts_attributes": [owner], "account_attributes": account, "application_attributes": wish}}


async def status(bare: Bare) -> None:
    owners: dict[str, bytes] = {}

    async def validated(batch: Batch) -> None:
        keys = [record.key for record in batch]
        await bare.db["truth"].bulk_write(
            [UpdateOne({"_id": key}, {"$set": {"body": b"x" * 600}}, upsert=True) for key in keys], ordered=False
        )

    async def acked(batch: Batch) -> None:
        bodies = [(record.key, orjson.loads(record.value)) for record in batch]
        keys = list({key for key, _ in bodies})
        owners.update({body["lead"]: key for key, body in bodies})
        await bare.mark("truth", keys, 1200)
        created = [key for key, body in bodies if body["kind"] == "create"]
        await bare.publish("b-status", created, [{"status": "submitted"} for _ in created])
        await bare.mark("truth", keys)

    async def hinted(batch: Batch) -> None:
        leads = [orjson.loads(record.value)["lead"] for record in batch]
        while not all(lead in owners for lead in leads):  # noqa: ASYNC110 - the ack is on its way
            await asyncio.sleep(0.01)
        keys = [owners[lead] for lead in leads]
        await bare.mark("truth", keys)  # fetch is due
        await bare.mark("truth", keys)  # claimed

        async def fetch(client: httpx.AsyncClient, lead: str) -> None:
            (await client.get(f"{bare.partner}/deal_status/{lead}", headers={"api_key": bare.key})).raise_for_status()

        await bare.in_lanes(leads, fetch)
        await bare.mark("truth", keys, 2400)
        await bare.publish("b-status", keys, [{"status": "approved", "at": time.time()} for _ in keys])
        await bare.mark("truth", keys)

    await asyncio.gather(
        bare.consume("b-validated", validated), bare.consume("b-ack", acked), bare.consume("b-webhook", hinted)
    )


async def notifications(bare: Bare) -> None:
    async def notify(batch: Batch) -> None:
        ids = [f"{record.partition}-{record.offset}" for record in batch]
        await bare.insert("notices", ids, 1500)
        await bare.publish("b-notify", [each.encode() for each in ids], [orjson.loads(r.value) for r in batch])

    async def deliver(batch: Batch) -> None:
        ids = [record.key.decode() for record in batch]
        await bare.insert("deliveries", ids, 1500)
        await bare.mark("deliveries", ids)  # claimed

        async def post(client: httpx.AsyncClient, record: Any) -> None:
            await client.post(bare.listener, content=record.value)

        await bare.in_lanes(batch, post)
        await bare.mark("deliveries", ids)

    await asyncio.gather(bare.consume("b-status", notify), bare.consume("b-notify", deliver))


ROLES = {
    "gateway": gateway,
    "validation": validation,
    "documents": documents,
    "submission": submission,
    "status": status,
    "notifications": notifications,
}


async def main(role: str) -> None:
    bare = Bare(role)
    await bare.producer.start()
    await ROLES[role](bare)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    uvloop.run(main(sys.argv[1]))
