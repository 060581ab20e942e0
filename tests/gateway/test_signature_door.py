"""Mutants of signed calls at the real HTTP door: taken or refused as they must be, and never a fault of ours.

Written byte by byte to the socket, since no client library would send most of them.
"""

import asyncio
import base64
import datetime as dt
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from standardwebhooks import Webhook as Signer
from tests import support
from tests.gateway.process import Gateway, tenants
from tests.partners import signature_mutations as mutations
from tests.partners.signature_calls import VECTORS, Call, Mac
from tests.partners.signature_reference import listed, right

PARTNER, CREDENTIAL = "reference-partner", "demo-reference"
SECRET = base64.b64encode(b"fake-secret-of-24-bytes-").decode()
WEBHOOK_PATH = "fake-webhook-path-of-a-signer-0123456789"
BODY = b'{"event":"fake-1"}'
MUTANTS, ALL = 300, {"200", "400", "401"}
"""400 is of the HTTP server, for what is no header."""


@pytest.fixture(scope="module")
def signed_for(tmp_path_factory: pytest.TempPathFactory, kafka: str, mongo: str, topics: None) -> Iterator[Gateway]:
    """A gateway with a partner that signs."""
    folder: Path = tmp_path_factory.mktemp("signed")
    secrets = folder / "webhook-secrets.json"
    secrets.write_text(json.dumps({"secrets": [{"credential": CREDENTIAL, "secrets": [SECRET]}]}))
    prefix = f"s{folder.stat().st_ino}_"
    running = Gateway(folder, kafka=kafka, mongo=mongo, prefix=prefix, webhook_secrets_file=str(secrets))
    told = tenants(folder)
    account = told[0]["partners"][0] | {"partner": PARTNER, "credential": CREDENTIAL, "webhookPath": WEBHOOK_PATH}
    told[0]["partners"] = [account]
    support.tenants_file(folder, told)
    running.start().wait_ready()
    yield running
    running.stop()


class Door:
    """One connection, opened again when the server closed it."""

    def __init__(self, port: int) -> None:
        self._port, self._streams = port, None

    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None

    async def says(self, call: Call) -> str:
        """The status of the answer."""
        fields = [(b"host", b"gateway.test"), (b"content-length", b"%d" % len(call.body)), *call.headers]
        head = b"".join(name + b": " + value + b"\r\n" for name, value in fields)
        request = b"POST /webhooks/%s/%s HTTP/1.1\r\n" % (PARTNER.encode(), WEBHOOK_PATH.encode())
        reader, writer = self._streams or await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(request + head + b"\r\n" + call.body)
        async with asyncio.timeout(20):
            answer = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: ([0-9]+)", answer)
            await reader.readexactly(int(length[1]) if length else 0)
        status = answer[9:12].decode()
        self._streams = reader, writer
        if status == "400" or b"connection: close" in answer.lower():
            self.close()
        return status

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


def fresh() -> tuple[Call, Mac]:
    """A right call of now, signed by the library of Standard Webhooks."""
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    stamp, value = b"%d" % now.timestamp(), Signer(SECRET).sign("msg_fake1", now, BODY.decode()).encode()
    headers = ((b"webhook-signature", value), (b"webhook-id", b"msg_fake1"), (b"webhook-timestamp", stamp))
    mac = base64.b64decode(value.removeprefix(b"v1,"))
    return (
        Call("standard", headers, BODY, (SECRET,), now),
        Mac("sha256", base64.b64decode(SECRET), b"msg_fake1." + stamp + b"." + BODY, mac),
    )


def as_sent(call: Call) -> Call:
    """What HTTP leaves of it: white space around a value is none of it."""
    return replace(call, headers=tuple((name, value.strip(b" \t")) for name, value in call.headers))


async def test_no_mutant_gets_through_and_none_breaks_the_door(signed_for: Gateway) -> None:
    door, said = Door(signed_for.port), Counter[str]()
    first, mac = fresh()
    sample = random.Random(7).sample(list(mutations.each_byte(first)), MUTANTS // 2)
    mixed = list(mutations.mixed([first], MUTANTS // 2, 7))
    for mutant in [first, *sample, *mixed]:
        if any(b"\n" in part or b"\r" in part for pair in mutant.headers for part in pair):
            continue  # would be another request
        call = as_sent(replace(mutant, secrets=first.secrets, now=dt.datetime.now(dt.UTC)))
        status = await door.says(call)
        said[status] += 1
        assert status in ALL, call
        assert status == "400" or (status == "200") is right(call, listed([mac])), call
    door.close()
    assert said["401"] > MUTANTS // 2
    assert said["200"] > 5


async def test_what_breaks_public_verifiers_breaks_nothing_here(signed_for: Gateway) -> None:
    """The headers of each refused call of this scheme, at their time; none is right for this secret."""
    door, said = Door(signed_for.port), Counter[str]()
    for vector in VECTORS:
        headers = vector.call.headers
        if vector.call.scheme == "standard" and not any(b"\n" in value for _, value in headers):
            said[await door.says(replace(vector.call, headers=headers))] += 1
    door.close()
    assert said.keys() <= {"400", "401"}
    assert said["401"] > 80
    assert "Traceback" not in signed_for.log.read_text()
