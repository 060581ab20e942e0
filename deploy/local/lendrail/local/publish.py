"""Send applications as an upstream system does: to its Kafka intake topic, or through the REST door."""

import asyncio
import datetime as dt
import json
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer
from joserfc.jwk import ECKey

from lendrail.contracts.intake import Intake, NewApplication, imported_application_id
from lendrail.contracts.topics import INTAKE
from lendrail.local.configure import TENANT, UPSTREAM
from lendrail.runtime.jose import seal_sensitive

SOURCE = f"urn:example:{UPSTREAM}"
TOGETHER = 32
"""REST calls or Kafka records under way at the same time."""


@dataclass(frozen=True)
class Sent:
    """What became of one application at the door."""

    application_id: str | None
    status: int | None = None
    problems: tuple[dict[str, Any], ...] = ()


def read_applications(file: Path) -> list[dict[str, Any]]:
    """One application or a list of them. Raises ValueError: the file holds something else."""
    content = json.loads(file.read_text())
    found = content if isinstance(content, list) else [content]
    if not all(isinstance(each, dict) for each in found):
        raise ValueError("the file holds neither an application nor a list of them")
    return found


def public_key(file: Path) -> dict[str, Any]:
    """The tenant's published intake key as a JWK: only its public part is taken from the stack's key file."""
    return dict(ECKey.import_key(json.loads(file.read_text())).as_dict(private=False))


async def to_kafka(bootstrap: str, key: dict[str, Any], applications: Iterable[dict[str, Any]]) -> list[Sent]:
    """Publish each as a CloudEvent in binary mode, personal values sealed; says the ids they will be stored under."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        gate = asyncio.Semaphore(TOGETHER)

        async def send(application: dict[str, Any]) -> Sent:
            async with gate:
                value, headers, event_id = record(application, key)
                await producer.send_and_wait(INTAKE.name(UPSTREAM), value, key=event_id.encode(), headers=headers)
                return Sent(str(imported_application_id(TENANT, SOURCE, event_id)))

        return await asyncio.gather(*(send(application) for application in applications))
    finally:
        await producer.stop()


def record(application: dict[str, Any], key: dict[str, Any]) -> tuple[bytes, list[tuple[str, bytes]], str]:
    """Body, headers and event id of one intake record."""
    open_part, token = seal_sensitive(application, key)
    intake = Intake(intent=NewApplication(application=open_part, sensitive=token))
    event_id = str(uuid.uuid4())
    now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    attributes = {
        "content-type": "application/json",
        "ce_specversion": "1.0",
        "ce_id": event_id,
        "ce_type": Intake.type,
        "ce_source": SOURCE,
        "ce_time": now,
    }
    body = intake.model_dump_json(by_alias=True, exclude_none=True).encode()
    return body, [(name, value.encode()) for name, value in attributes.items()], event_id


class Api:
    """The REST door, as the upstream's client sees it."""

    def __init__(self, endpoints: dict[str, Any]) -> None:
        self._endpoints = endpoints
        self._token, self._expires = "", 0.0
        self.client = httpx.AsyncClient(
            base_url=endpoints["gateway"], trust_env=False, timeout=20, limits=httpx.Limits(max_connections=TOGETHER)
        )

    async def headers(self) -> dict[str, str]:
        """A bearer token, renewed shortly before it expires."""
        if time.monotonic() > self._expires:
            oauth = self._endpoints["oauth"]
            answer = await self.client.post(
                oauth["token_url"],
                data={"grant_type": "client_credentials"},
                auth=(oauth["client_id"], oauth["client_secret"]),
            )
            answer.raise_for_status()
            said = answer.json()
            self._token, self._expires = said["access_token"], time.monotonic() + said.get("expires_in", 300) * 0.8
        return {"Authorization": f"Bearer {self._token}"}

    async def post(self, path: str, body: Any, key: str | None = None) -> httpx.Response:
        """POST JSON with a fresh Idempotency-Key, or the given one."""
        return await self.send(path, key or str(uuid.uuid4()), json=body)

    async def send(self, path: str, key: str, **what: Any) -> httpx.Response:
        """POST what httpx can: JSON or bytes, with what belongs into the query."""
        headers = await self.headers() | {"Idempotency-Key": key}
        return await self.client.post(path, headers=headers, **what)

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(path, headers=await self.headers())

    async def apply(self, application: dict[str, Any]) -> Sent:
        """Post one application; a 422 is an answer, with its problems."""
        answer = await self.post("/v1/applications", application)
        said = answer.json()
        identity = said.get("applicationId") or said.get("id")
        return Sent(identity, answer.status_code, tuple(said.get("errors", said.get("problems", ()))))


async def to_rest(endpoints: dict[str, Any], applications: Iterable[dict[str, Any]]) -> list[Sent]:
    """Post each, TOGETHER at a time."""
    api, gate = Api(endpoints), asyncio.Semaphore(TOGETHER)

    async def send(application: dict[str, Any]) -> Sent:
        async with gate:
            return await api.apply(application)

    async with api.client:
        await api.headers()  # one token for all
        return await asyncio.gather(*(send(application) for application in applications))
