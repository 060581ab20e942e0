"""The real documents service beside a gateway, and records of the Kafka intake that bring files."""

from __future__ import annotations

import base64
import os
import secrets
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer
from joserfc.jwk import ECKey
from tests import make, support
from tests.gateway.process import Gateway
from tests.gateway.test_intake import SOURCE, body, headers
from tests.gateway.test_intake_amendments import TOPIC, amendment, heads

from lendrail.contracts.intake import imported_application_id

QUOTA = 700_000
NAME = "Testa Fakely May.pdf"


def pdf(size: int = 2000) -> bytes:
    """Whole as far as its ends tell, and different each time."""
    begin, end = b"%PDF-1.7\n", b"\n%%EOF\n"
    return begin + secrets.token_bytes(size - len(begin) - len(end)) + end


def brings(
    key: ECKey, content: bytes | str, name: str | None = NAME, kind: str = "bank-statement", **more: Any
) -> bytes:
    """A record with a file, sealed; `content` as text is sent as it is."""
    text = content if isinstance(content, str) else base64.b64encode(content).decode()
    sealed = {"/document/content": text} | ({"/document/name": name} if name is not None else {})
    place = {"opportunityId": more.pop("opportunity")} if "opportunity" in more else {}
    return amendment({"kind": "document-added", "document": {"kind": kind}} | place, key, sealed, **more)


async def refusals(gateway: Gateway, application: str, count: int) -> list[tuple[str, str]]:
    """Code and pointer of the first problem of each."""

    async def told() -> Any:
        shown = (await caller.get(f"/v1/applications/{application}")).json()
        found = [each for each in shown.get("amendments", ()) if each["state"] == "refused"]
        return found if len(found) >= count else None

    async with gateway.caller() as caller:
        found = await support.eventually(told, 40)
    assert "Fakely" not in str(found)
    return [(each["problems"][0]["code"], each["problems"][0]["pointer"]) for each in found]


class Papers:
    """The documents service as its own process, where the gateway looks for it."""

    def __init__(self, gateway: Gateway, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{gateway.owner_port}"
        told = {"PUBLIC_URL": gateway.url, "PORT": str(gateway.owner_port), "INSTANCE": "documents-1"}
        told["APPLICATION_UPLOAD_BYTES"] = str(QUOTA)
        self._environment = gateway.environment | {f"LENDRAIL_{name}": value for name, value in told.items()}
        self.log = folder / "documents.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Papers:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "lendrail.documents"],
                env=os.environ | self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        began = time.monotonic()
        while time.monotonic() - began < 90:
            assert self._process.poll() is None, self.log.read_text()[-2000:]
            try:
                if httpx.get(f"{self.url}/ready", trust_env=False, timeout=5).status_code == 200:
                    return self
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
        raise AssertionError(self.log.read_text()[-2000:])

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(25)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class Upstream:
    """An upstream system that knows Kafka only."""

    def __init__(self, producer: AIOKafkaProducer, key: ECKey) -> None:
        self._producer, self.key = producer, key

    async def sends(self, value: bytes, event: str | None = None) -> str:
        """The record's event id."""
        event = event or str(uuid.uuid4())
        await self._producer.send_and_wait(TOPIC, value, key=b"k", headers=heads(event))
        return event

    async def applies(self, event: str | None = None) -> str:
        """The application's id."""
        event = event or str(uuid.uuid4())
        value = body(make.application_json(), self.key)
        await self._producer.send_and_wait(TOPIC, value, key=b"k", headers=headers(event))
        return str(imported_application_id("demo", SOURCE, event))

    async def brings(self, application: str, content: bytes | str, event: str | None = None, **more: Any) -> str:
        return await self.sends(brings(self.key, content, applicationId=application, **more), event)
