"""What tests of services share: environments with throw-away keys, topics on a real broker, waiting for a fact."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from lendrail.contracts.topics import dead_letters_of
from lendrail.runtime.audit_verify import verify

TENANT = "demo"
CREDENTIAL = "demo-ff"
MAX_RECORD_BYTES = 4 * 1024 * 1024
"""As `lendrail topics apply` sets it; dead letters are to fit where Kafka's own default holds."""
CLIENT_SECRET = "not-a-real-secret"
WEBHOOK_PATH = "fake-webhook-path-0123456789abcdef0123"


def key_file(folder: Path, name: str) -> Path:
    """A file with 32 random bytes, as every key file has them."""
    path = folder / name
    if not path.exists():
        path.write_text(base64.b64encode(os.urandom(32)).decode())
        path.chmod(0o600)
    return path


def tenants_file(folder: Path, tenants: list[dict[str, Any]] | None = None) -> Path:
    """One tenant with one Forward Financing account, or the given ones."""
    client = {
        "clientId": "demo-upstream",
        "secretSha256": hashlib.sha256(CLIENT_SECRET.encode()).hexdigest(),
        "scopes": [
            "applications:write",
            "applications:read",
            "applications:erase",
            "offers:accept",
            "endpoints:write",
            "operator",
        ],
    }
    account = {
        "partner": "forward-financing",
        "credential": CREDENTIAL,
        "mode": "test",
        "enabled": True,
        "options": {"revision": "classic", "attachments": "raw", "vocabulary": "current"},
        "webhookPath": WEBHOOK_PATH,
    }
    default = {
        "id": TENANT,
        "name": "Demo Broker",
        "mode": "test",
        "emails": ["broker@demo.example.test"],
        "clients": [client],
        "upstreams": ["demo-crm"],
        "partners": [account],
    }
    path = folder / "tenants.json"
    path.write_text(json.dumps({"tenants": tenants or [default]}))
    return path


def environment(
    folder: Path, *, kafka: str = "127.0.0.1:1", mongo: str = "", prefix: str = "", **more: str
) -> dict[str, str]:
    """Environment variables of a service whose files live in `folder`; `more` without the LENDRAIL_ prefix."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "MONGO_URL": mongo or "mongodb://127.0.0.1:1",
        "LENDRAIL_ENVIRONMENT": "development",
        "LENDRAIL_DATABASE_PREFIX": prefix,
        "LENDRAIL_MASTER_KEY_FILE": str(key_file(folder, "master.key")),
        "LENDRAIL_SERVICE_KEY_FILE": str(key_file(folder, "service.key")),
        "LENDRAIL_TENANTS_FILE": str(tenants_file(folder)),
        "LENDRAIL_ISSUER": "http://127.0.0.1/test-issuer",
        **{f"LENDRAIL_{name.upper()}": value for name, value in more.items()},
    }


def any_service(folder: Path, **more: str) -> dict[str, str]:
    """Environment variables with which every service can be built; nothing that they name is there."""
    credentials = folder / "credentials.json"
    credentials.write_text('{"credentials": []}')
    nowhere = "http://127.0.0.1:1"
    others = ("validation", "documents", "submission", "status", "notifications", "public")
    told = {f"{name}_url": nowhere for name in others} | {"jwks_url": f"{nowhere}/jwks", "spool": str(folder)}
    told |= {"smtp_host": "localhost", "smtp_sender": "lendrail@demo.example.test"}
    return environment(folder, credentials_file=str(credentials), **(told | more))


async def topics(bootstrap: str, *names: str, partitions: int = 2) -> None:
    """Create topics and their dead letters."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        long = {"max.message.bytes": str(MAX_RECORD_BYTES)}
        wanted = [NewTopic(name, partitions, 1, topic_configs=long) for name in names]
        wanted += [NewTopic(dead_letters_of(name), 1, 1) for name in names]
        await admin.create_topics(wanted)
    finally:
        await admin.close()


async def places(bootstrap: str, topic: str) -> list[TopicPartition]:
    """All of a topic's partitions, however many whoever made it first gave it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        [described] = await admin.describe_topics([topic])
    finally:
        await admin.close()
    return [TopicPartition(topic, each["partition"]) for each in described["partitions"]]


async def eventually(check: Callable[[], Awaitable[Any]], seconds: float = 20.0) -> Any:
    """The first truthy answer of `check`; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        answer = await check()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"{getattr(check, '__qualname__', check)} stayed {answer!r} for {seconds} s"
        await asyncio.sleep(0.05)


async def linked(service: str, database: Any) -> None:
    """Returns when every entry of this service's audit is in a whole chain. An entry is shown from when its link is
    there, and its owner knows of that a little later.
    """

    async def whole() -> bool:
        told = await verify(service, database)
        assert told.broken is None, told.broken
        return told.waiting == 0

    await eventually(whole)
