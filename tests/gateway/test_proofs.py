"""Calls of a partner that signs: only proven ones are taken, all others get one answer and leave nothing."""

import base64
import datetime as dt
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook as Signer
from structlog.testing import capture_logs
from tests import support
from tests.gateway.process import ec_key

from lendrail.gateway.app import build
from lendrail.gateway.settings import Settings
from lendrail.gateway.webhooks.door import LINES_A_MINUTE
from lendrail.partners import PARTNERS
from lendrail.partners.exchange import Hint
from lendrail.partners.partner import Webhook
from lendrail.partners.signatures import STANDARD_WEBHOOKS
from lendrail.runtime.directory import Secrets

PARTNER = "fake-signer"
OLD, NEW = (base64.b64encode(text.encode()).decode() for text in ("old-fake-secret-0000000", "new-fake-secret-0000000"))
CANARY = "Canarywitz900000018"
BODY = json.dumps({"note": CANARY}).encode()
PATH = f"/webhooks/{PARTNER}/{support.WEBHOOK_PATH}"


def hint(body: bytes, path_id: str | None) -> Hint | None:
    return Hint(path_id or "", "changed", reference="FAKE-ours")


@pytest.fixture(autouse=True)
def _partner(monkeypatch: pytest.MonkeyPatch) -> None:
    webhook = Webhook(proof=STANDARD_WEBHOOKS, hint=hint)
    monkeypatch.setitem(PARTNERS, PARTNER, replace(PARTNERS["forward-financing"], name=PARTNER, webhook=webhook))


def secrets_file(folder: Path, *secrets: str) -> Path:
    path = folder / "webhook-secrets.json"
    path.write_text(json.dumps({"secrets": [{"credential": support.CREDENTIAL, "secrets": list(secrets)}]}))
    return path


@pytest.fixture
async def parts(
    mongo: str, database_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[httpx.AsyncClient, Any]]:
    """A gateway without Kafka: an HTTP client for it and its database."""
    owners = ("validation", "documents", "submission", "status", "notifications")
    told = support.environment(
        tmp_path,
        mongo=mongo,
        prefix=database_prefix,
        issuer_key_file=str(ec_key(tmp_path, "issuer.jwk")),
        webhook_secrets_file=str(secrets_file(tmp_path, OLD)),
        **{f"{owner}_url": "http://127.0.0.1:1" for owner in owners},
    )
    tenants = json.loads((tmp_path / "tenants.json").read_text())["tenants"]
    tenants[0]["partners"][0]["partner"] = PARTNER
    support.tenants_file(tmp_path, tenants)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    service, app = build(Settings())
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
        yield client, service.database["webhooks"]
    for name in ("gateway", "keys"):
        await service.client.drop_database(database_prefix + name)
    await service.client.close()


def signed(secret: str = OLD, body: bytes = BODY, when: dt.datetime | None = None) -> dict[str, str]:
    now = when or dt.datetime.now(dt.UTC)
    signature = Signer(secret).sign("msg_1", now, body.decode())
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }


async def test_a_proven_call_is_stored_as_verified(parts: tuple[httpx.AsyncClient, Any]) -> None:
    client, webhooks = parts
    for method in ("POST", "PUT", "POST"):
        answer = await client.request(method, f"{PATH}/FAKE.1", content=BODY, headers=signed())
        assert (answer.status_code, answer.json()) == (200, {"status": "stored"})
    kept = await webhooks.find().to_list()
    assert len(kept) in (1, 2), "repeats are one call; two when the five minutes ended in between"
    said = json.loads(kept[0]["outbox"][0]["value"])
    assert (said["verification"], said["foreignId"], said["pathId"]) == ("verified", "FAKE.1", "FAKE.1")
    assert said["reference"] == "FAKE-ours"
    assert CANARY not in repr(kept)
    assert (await client.post(PATH, content=BODY, headers=signed())).status_code == 200
    said = [json.loads(each["outbox"][0]["value"]) for each in await webhooks.find().to_list()]
    assert any("foreignId" not in each for each in said), "our reference alone is a hint too"


async def test_whatever_proves_nothing_gets_one_answer_and_leaves_nothing(
    parts: tuple[httpx.AsyncClient, Any],
) -> None:
    client, webhooks = parts
    right = signed()
    late = signed(when=dt.datetime.now(dt.UTC) - dt.timedelta(hours=1))
    wrong: list[dict[str, Any]] = [
        {},
        signed(NEW),
        signed(body=b"{}"),
        late,
        right | {"webhook-id": "msg_2"},
        right | {"webhook-timestamp": "1_7"},
        {name: value.encode() + b"\xff\xe9" for name, value in right.items()},
        {name: value for name, value in right.items() if name != "webhook-timestamp"},
    ]
    shapes = set()
    with capture_logs() as logs:
        for headers in wrong:
            answer = await client.post(PATH, content=BODY, headers=headers)
            assert answer.status_code == 401
            shapes.add(json.dumps(answer.json() | {"requestId": ""}))
    assert len(shapes) == 1
    assert await webhooks.count_documents({}) == 0
    refused = [each for each in logs if each["log_level"] == "warning"]
    assert len(refused) == len(wrong)
    assert support.WEBHOOK_PATH not in repr(logs)
    assert CANARY not in repr(logs)


async def test_a_flood_of_forged_calls_does_not_fill_the_log(parts: tuple[httpx.AsyncClient, Any]) -> None:
    client, _ = parts
    with capture_logs() as logs:
        for _ in range(50):
            assert (await client.post(PATH, content=BODY)).status_code == 401
    assert LINES_A_MINUTE <= len([each for each in logs if each["log_level"] == "warning"]) <= 2 * LINES_A_MINUTE


async def test_secrets_rotate_without_a_restart(parts: tuple[httpx.AsyncClient, Any], tmp_path: Path) -> None:
    client, _ = parts

    async def answers() -> list[int]:
        calls = [await client.post(PATH, content=BODY, headers=signed(secret)) for secret in (OLD, NEW)]
        return [each.status_code for each in calls]

    assert await answers() == [200, 401]
    secrets_file(tmp_path, NEW, OLD)
    assert await answers() == [200, 200]
    secrets_file(tmp_path, NEW)
    assert await answers() == [401, 200]
    (tmp_path / "webhook-secrets.json").write_text("{")
    assert await answers() == [401, 200], "a file that cannot be read changes nothing"


async def test_a_former_secret_is_good_until_its_time(parts: tuple[httpx.AsyncClient, Any], tmp_path: Path) -> None:
    client, _ = parts
    now = dt.datetime.now(dt.UTC)
    for minutes, status in ((5, 200), (-5, 401)):
        former = [{"secret": OLD, "until": (now + dt.timedelta(minutes=minutes)).isoformat()}]
        told = {"credential": support.CREDENTIAL, "secrets": [NEW], "former": former}
        (tmp_path / "webhook-secrets.json").write_text(json.dumps({"secrets": [told]}))
        assert (await client.post(PATH, content=BODY, headers=signed(NEW))).status_code == 200
        assert (await client.post(PATH, content=BODY, headers=signed(OLD))).status_code == status


def test_without_a_file_nobody_has_secrets(tmp_path: Path) -> None:
    assert Secrets(None).of(support.CREDENTIAL) == ()
    assert Secrets(secrets_file(tmp_path, NEW, OLD)).of(support.CREDENTIAL) == (SecretStr(NEW), SecretStr(OLD))
    assert Secrets(secrets_file(tmp_path, NEW)).of("another") == ()
