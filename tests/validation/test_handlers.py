"""Handlers and HTTP on a real MongoDB: stored once, the same again after a crash, and pre-flight leaves no trace."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from faststream.kafka import TestKafkaBroker
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from tests import make, support
from tests.validation.sound import sound, sound_json

from lendrail.contracts.application_received import ApplicationReceived
from lendrail.contracts.event import Record, decode, envelope_of, read_envelope
from lendrail.contracts.terms import FieldProblem, opportunity_id
from lendrail.contracts.topics import APPLICATION_REJECTED, APPLICATION_VALIDATED
from lendrail.runtime.broker import make_broker
from lendrail.runtime.clock import utc_now
from lendrail.runtime.publisher import BrokerPublisher
from lendrail.runtime.step import Delivery
from lendrail.runtime.tokens import AUDIENCE, Verifier
from lendrail.runtime.vault import Key
from lendrail.validation.app import assemble, build
from lendrail.validation.settings import Settings

ISSUER_KEY = ECKey.generate_key("P-256", auto_kid=True)
ISSUER = "http://127.0.0.1/test-issuer"


async def published_keys() -> KeySet:
    return KeySet([ECKey.import_key(ISSUER_KEY.as_dict(private=False))])


def token(*scopes: str, tenant: str = "demo") -> dict[str, str]:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "tenant": tenant, "client_id": "c", "mode": "test", "exp": 2**33}
    signed = jwt.encode({"alg": "ES256", "kid": ISSUER_KEY.kid}, claims | {"scope": " ".join(scopes)}, ISSUER_KEY)
    return {"Authorization": f"Bearer {signed}"}


class Bench:
    """Validation on a real MongoDB with an in-memory broker."""

    def __init__(self, folder: Path, mongo: str, prefix: str, patch: pytest.MonkeyPatch) -> None:
        for name, value in support.environment(folder, mongo=mongo, prefix=prefix).items():
            patch.setenv(name, value)
        self.broker = make_broker(Settings(), "validation")
        self.service, self.app = build(
            Settings(),
            broker=self.broker,
            publisher=BrokerPublisher(self.broker),
            verifier=Verifier(ISSUER, published_keys),
        )
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://test")
        self.reports = self.service.database["reports"]

    async def deliver(self, *events: ApplicationReceived) -> list[Delivery[ApplicationReceived]]:
        keys = await self.service.vault.create([event.key_id for event in events])
        return [Delivery(e, envelope_of(e, "test", make.NOW), keys[e.key_id]) for e in events]

    async def hear(self, *deliveries: Delivery[ApplicationReceived]) -> Sequence[Record]:
        records: Sequence[Record] = await self.handle(list(deliveries))
        return records

    @property
    def handle(self) -> Any:
        return assemble(self.service, Settings()).handlers.on_application_received

    async def preflight(self, body: Any, **headers: str) -> httpx.Response:
        head = {"content-type": "application/json"} | token("applications:write") | headers
        return await self.http.post("/v1/applications/preflight", content=orjson.dumps(body), headers=head)


@pytest.fixture
async def bench(
    tmp_path: Path, mongo: str, database_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Bench]:
    made = Bench(tmp_path, mongo, database_prefix, monkeypatch)
    yield made
    for name in ("validation", "keys"):
        await made.service.client.drop_database(database_prefix + name)
    await made.http.aclose()
    await made.service.client.close()


def other(n: int) -> Any:
    """A sound application of somebody else."""
    data = sound_json()
    data["business"]["registrations"] = [{"scheme": "ein", "country": "US", "number": f"99-{n:07}"}]
    for at, owner in enumerate(data["owners"]):
        owner["ssn"] = f"900{n:04}{at:02}"
    return type(sound()).model_validate(data)


async def test_sound_and_unsound_in_one_batch(bench: Bench) -> None:
    good = make.received(application=sound(targetPartners=["forward-financing", "nobody"]))
    problem = FieldProblem(pointer="/mode", code="missing", message="is required")
    bad = make.received(application=None, problems=(problem,), door="kafka")
    deliveries = await bench.deliver(good, bad)
    first, second = await bench.hear(*deliveries)

    assert (first.topic, first.key) == ("application-validated", str(good.application_id).encode())
    assert b"Fakely" not in first.value
    validated = decode(APPLICATION_VALIDATED.event, first.value, deliveries[0].key)
    assert validated.application == good.application
    assert [(e.partner, e.credential) for e in validated.eligible] == [("forward-financing", "demo-ff")]
    assert validated.eligible[0].opportunity_id == opportunity_id(good.application_id, "forward-financing", "demo-ff")
    assert [(e.partner, e.credential) for e in validated.ineligible] == [("nobody", None)]
    assert validated.ineligible[0].opportunity_id == opportunity_id(good.application_id, "nobody", "-")
    envelope = read_envelope(first.headers, "io.lendrail.application-validated.v1")
    assert (envelope.id, envelope.causation_id, envelope.source) == (validated.id, good.id, "validation")

    rejected = decode(APPLICATION_REJECTED.event, second.value, deliveries[1].key)
    assert rejected.problems == (problem,)


async def test_the_same_events_again_publish_what_was_stored(bench: Bench, tmp_path: Path) -> None:
    """The rules' facts changed in between: nothing is computed again."""
    deliveries = await bench.deliver(*(make.received(application=other(n)) for n in range(3)))
    first = await bench.hear(*deliveries)
    support.tenants_file(tmp_path, [])
    assert await bench.hear(*reversed(deliveries)) == list(reversed(first))
    assert await bench.reports.count_documents({}) == 3


async def test_duplicates_in_a_batch_and_later(bench: Bench) -> None:
    one, twin, late = (make.received(application=sound()) for _ in range(3))
    unsound = make.received(application=sound(consents=[]))
    stranger = make.received(application=sound(), tenant_id="gone")
    records = await bench.hear(*await bench.deliver(unsound, one, twin))
    records = [*records, *await bench.hear(*await bench.deliver(late, stranger))]
    assert [record.topic for record in records] == [
        "application-rejected",  # and does not count against the corrected one
        "application-validated",
        "application-rejected",
        "application-rejected",
        "application-rejected",
    ]
    for record in (records[2], records[3]):
        problems = orjson.loads(record.value)["problems"]
        assert [each["code"] for each in problems] == ["duplicate"]
        assert str(one.application_id) in problems[0]["message"]
    assert [each["code"] for each in orjson.loads(records[4].value)["problems"]] == ["tenant-unknown"]


async def test_reports_hold_nothing_personal_in_plain(bench: Bench) -> None:
    await bench.hear(*await bench.deliver(make.received(application=sound())))
    stored = repr([document async for document in bench.reports.find({})])
    for secret in ("Fakely", "900000001", "900-00-0001", "Nowhere", "testa@", "1980-01-01", "990000001"):
        assert secret not in stored


async def test_through_the_broker(bench: Bench) -> None:
    """The whole step with FastStream's in-memory broker: one record in, one out, one poison to the dead letters."""
    heard: list[str] = []

    @bench.broker.subscriber("application-validated")
    async def on_validated(body: Any) -> None:
        heard.append("application-validated")

    @bench.broker.subscriber("application-received-dlq")
    async def on_dead_letter(body: Any) -> None:
        heard.append("application-received-dlq")

    event = make.received(application=sound())
    key: Key = (await bench.service.vault.create([event.key_id]))[event.key_id]
    async with TestKafkaBroker(bench.broker):
        publisher = BrokerPublisher(bench.broker)
        record = make.record(event, key)
        await publisher.publish([record])
        await publisher.publish([Record(record.topic, record.key, b"{", record.headers)])
    assert heard == ["application-validated", "application-received-dlq"]


async def test_preflight_tells_everything_and_stores_nothing(bench: Bench) -> None:
    before = set(await bench.service.client.list_database_names())
    good = await bench.preflight(sound_json())
    assert good.json() == {
        "valid": True,
        "problems": [],
        "partners": [{"partner": "forward-financing", "credential": "demo-ff", "eligible": True, "reasons": []}],
    }
    data = sound_json(shoeSize=44, consents=[])
    data["owners"][0].pop("ssn")
    answer = (await bench.preflight(data)).json()
    assert answer["valid"] is False
    assert {(each["pointer"], each["phase"]) for each in answer["problems"]} == {
        ("/shoeSize", "frontend"),
        ("/consents", "backend"),
    }
    assert answer["partners"][0]["eligible"] is False
    assert {each["code"] for each in answer["partners"][0]["reasons"]} == {"consent-missing", "missing"}
    unfit = (await bench.preflight({"mode": "test"})).json()
    assert (unfit["valid"], unfit["partners"]) == (False, [])
    assert set(await bench.service.client.list_database_names()) == before


async def test_preflight_knows_what_was_asked_before(bench: Bench) -> None:
    earlier = make.received(application=sound(), received_at=utc_now())
    await bench.hear(*await bench.deliver(earlier))
    problems = (await bench.preflight(sound_json())).json()["problems"]
    assert [each["code"] for each in problems] == ["duplicate"]
    assert str(earlier.application_id) in problems[0]["message"]


async def test_preflight_refuses_what_it_cannot_read(bench: Bench) -> None:
    url, head = "/v1/applications/preflight", token("applications:write")
    json = head | {"content-type": "application/json"}
    assert (await bench.http.post(url, content=b'{"a":NaN}', headers=json)).status_code == 400
    assert (await bench.http.post(url, content=b'{"a":1,"a":2}', headers=json)).status_code == 400
    assert (await bench.http.post(url, content=b"{}", headers=head)).status_code == 415
    assert (await bench.http.post(url, content=b"{}", headers=json | token("applications:read"))).status_code == 403
    assert (await bench.http.post(url, content=b"{}")).status_code == 401
    for body in (b"[]", b"null", b'"x"'):
        answer = await bench.http.post(url, content=body, headers=json)
        assert answer.json()["problems"][0]["code"] == "model_type"


async def test_schemas_are_served_with_an_etag(bench: Bench) -> None:
    head = token("applications:read")
    for name in ("application", "forward-financing"):
        answer = await bench.http.get(f"/v1/schemas/{name}", headers=head)
        assert answer.status_code == 200
        assert answer.json()["$schema"].endswith("2020-12/schema")
        again = {"If-None-Match": answer.headers["etag"]} | head
        repeated = await bench.http.get(f"/v1/schemas/{name}", headers=again)
        assert (repeated.status_code, repeated.content) == (304, b"")
    assert (await bench.http.get("/v1/schemas/nobody", headers=head)).status_code == 404
    assert (await bench.http.get("/v1/schemas/application")).status_code == 401
