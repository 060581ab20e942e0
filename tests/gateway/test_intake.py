"""The Kafka door on real Kafka and MongoDB: sealed, poisoned, invalid, repeated, contradicting."""

import datetime as dt
import json
import uuid
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from joserfc.jwk import ECKey
from tests import make, support
from tests.gateway.process import Gateway, tenants

from lendrail.contracts.application import Application
from lendrail.contracts.event import Malformed
from lendrail.contracts.intake import Intake, imported_application_id
from lendrail.contracts.problems import sensitive_fields
from lendrail.gateway.intake import PATTERN, IntakeKeys, read_record
from lendrail.runtime.directory import Tenants
from lendrail.runtime.jose import MAX_JWE, BadSeal, open_sensitive, seal_sensitive

SOURCE = "urn:example:demo-crm"


def headers(event: str | None = None, **changes: str) -> list[tuple[str, bytes]]:
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": event or str(uuid.uuid4()),
        "ce_type": Intake.type,
        "ce_source": SOURCE,
        "ce_time": "2026-03-02T10:30:00Z",
        "content-type": "application/json",
    }
    return [(name, value.encode()) for name, value in (attributes | changes).items()]


def body(application: dict[str, Any], key: ECKey | None = None) -> bytes:
    intent: dict[str, Any] = {"kind": "application", "application": application}
    if key is not None:
        clear, sealed = seal_sensitive(application, dict(key.as_dict(private=False)))
        intent |= {"application": clear, "sensitive": sealed}
    return json.dumps({"intent": intent}).encode()


@pytest.fixture
async def producer(kafka: str, topics: None) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    yield producer
    await producer.stop()


@pytest.fixture
async def events(kafka: str, topics: None) -> AsyncIterator[Any]:
    """Reads on from here: `await events(topic, count)`."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)
    await consumer.start()

    async def read(wanted: Any, count: int = 1) -> list[Any]:
        found: list[Any] = []

        async def enough() -> bool:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found.extend(record for record in records if wanted(record))
            return len(found) >= count

        await support.eventually(enough, 30)
        return found

    consumer.subscribe(["application-received", "intake-demo-crm-dlq", "intake-nobody-dlq"])
    await support.eventually(lambda: _assigned(consumer))
    yield read
    await consumer.stop()


async def _assigned(consumer: AIOKafkaConsumer) -> bool:
    await consumer.getmany(timeout_ms=100)
    for partition in consumer.assignment():
        await consumer.position(partition)
    return len(consumer.assignment()) >= 3


def of(application: uuid.UUID) -> Any:
    return lambda record: record.key == str(application).encode()


async def test_a_sealed_application_is_imported_once(
    gateway: Gateway, producer: AIOKafkaProducer, events: Any, stored: Any
) -> None:
    event = str(uuid.uuid4())
    application = imported_application_id("demo", SOURCE, event)
    value = body(make.application_json(), gateway.intake_key)
    assert b"Fakely" not in value
    sent = headers(event, ce_correlationid="theirs")
    await producer.send_and_wait("intake-demo-crm", value, headers=sent)
    (first,) = await events(of(application))
    await producer.send_and_wait("intake-demo-crm", value, headers=sent)
    (second,) = await events(of(application))
    assert first.value == second.value
    assert dict(first.headers)["ce_correlationid"] == b"theirs"
    said = json.loads(first.value)
    assert (said["door"], said["upstream"], "problems" in said and said["problems"]) == ("kafka", "demo-crm", [])
    assert said["application"]["owners"][0]["firstName"].startswith("enc1:")
    assert await stored["applications"].count_documents({"_id": str(application)}) == 1
    async with gateway.caller() as caller:
        shown = (await caller.get(f"/v1/applications/{application}")).json()
        assert (shown["door"], shown["status"]) == ("kafka", "received")
        published = (await caller.get("/v1/keys/intake")).json()
        assert "d" not in published
        assert published["x"] == gateway.intake_key.as_dict(private=False)["x"]
    async with gateway.caller("other-upstream") as other:
        assert (await other.get(f"/v1/applications/{application}")).status_code == 404
        assert (await other.get("/v1/keys/intake")).json()["code"] == "no-intake-key"


async def test_faults_travel_with_the_import(gateway: Gateway, producer: AIOKafkaProducer, events: Any) -> None:
    event, other = str(uuid.uuid4()), str(uuid.uuid4())
    reference = {"system": "crm", "kind": "lead", "value": f"K-{event}"}
    bad = make.application_json(surprise=1, externalReferences=[reference, {"system": 3}])
    bad["requestedFinance"]["amount"]["amount"] = 12.5
    await producer.send_and_wait("intake-demo-crm", body(bad, gateway.intake_key), headers=headers(event))
    odd = make.application_json(surprise=1)
    await producer.send_and_wait("intake-demo-crm", body(odd, gateway.intake_key), headers=headers(other))
    (record,) = await events(of(imported_application_id("demo", SOURCE, event)))
    said = json.loads(record.value)
    assert "application" not in said
    assert {problem["pointer"] for problem in said["problems"]} >= {"/surprise", "/requestedFinance/amount/amount"}
    async with gateway.caller() as caller:
        page = (await caller.get("/v1/applications", params={"reference": reference["value"]})).json()
        assert len(page["items"]) == 1


async def test_poison_is_put_aside_and_the_next_record_imported(
    gateway: Gateway, producer: AIOKafkaProducer, events: Any
) -> None:
    good = str(uuid.uuid4())
    poison: list[tuple[bytes | None, list[tuple[str, bytes]]]] = [
        (b"{", headers()),
        (b'{"intent": {"kind": "other"}}', headers()),
        (None, headers()),
        (body(make.application_json()), headers(ce_type="io.lendrail.other.v1")),
        (body(make.application_json()), [("ce_id", b"\xff")]),
        (b'{"intent": {"kind": "application", "application": {"x": NaN}}}', headers()),
    ]
    for value, head in poison:
        await producer.send_and_wait("intake-demo-crm", value, key=b"k", headers=head)
    await producer.send_and_wait("intake-nobody", b"{}", key=b"k", headers=headers())
    await producer.send_and_wait(
        "intake-demo-crm", body(make.application_json(), gateway.intake_key), headers=headers(good)
    )
    await events(of(imported_application_id("demo", SOURCE, good)))


async def test_dead_letters_say_why(gateway: Gateway, producer: AIOKafkaProducer, events: Any) -> None:
    await producer.send_and_wait("intake-demo-crm", b"{", headers=headers())
    await producer.send_and_wait("intake-nobody", b"{}", key=b"k", headers=headers())
    expected = {"intake-demo-crm-dlq": "cannot be read", "intake-nobody-dlq": "no tenant has this upstream"}

    def first_of_its_topic(record: Any) -> bool:
        reason = expected.get(record.topic)
        return reason is not None and reason in json.loads(record.value)["reason"] and bool(expected.pop(record.topic))

    assert len(await events(first_of_its_topic, 2)) == 2


async def test_the_same_import_with_other_content_is_parked(
    gateway: Gateway, producer: AIOKafkaProducer, events: Any, stored: Any
) -> None:
    event = str(uuid.uuid4())
    application = str(imported_application_id("demo", SOURCE, event))
    await producer.send_and_wait(
        "intake-demo-crm", body(make.application_json(notes="first"), gateway.intake_key), headers=headers(event)
    )
    await support.eventually(lambda: stored["applications"].count_documents({"_id": application}))
    before = await stored["applications"].find_one({"_id": application})
    await producer.send_and_wait(
        "intake-demo-crm", body(make.application_json(notes="second"), gateway.intake_key), headers=headers(event)
    )
    await support.eventually(lambda: stored["conflicts"].count_documents({"application": application}))
    after = await stored["applications"].find_one({"_id": application})
    assert after["outbox"] == before["outbox"]
    conflict = await stored["conflicts"].find_one({"application": application})
    assert b"second" not in conflict["value"]


def _record(value: bytes, topic: str = "intake-demo-crm") -> Any:
    return SimpleNamespace(topic=topic, partition=0, offset=0, key=b"", value=value, headers=headers())


@pytest.fixture
def directory(tmp_path: Any) -> Tenants:
    return Tenants.model_validate({"tenants": tenants(tmp_path)})


@pytest.mark.parametrize("clear_allowed", [True, False])
def test_personal_values_in_clear_are_refused_in_production(directory: Tenants, clear_allowed: bool) -> None:
    read = read_record(_record(body(make.application_json())), directory, IntakeKeys(), clear_allowed)
    codes = {problem.code for problem in read.event.problems}
    assert codes == (set() if clear_allowed else {"sensitive-in-clear"})
    assert (read.event.application is None) is not clear_allowed


def test_a_seal_for_another_key_is_a_fault_of_the_import(directory: Tenants) -> None:
    other = ECKey.generate_key("P-256")
    read = read_record(_record(body(make.application_json(), other)), directory, IntakeKeys(), False)
    assert [problem.code for problem in read.event.problems] == ["sensitive-unreadable"]


def test_a_seal_that_we_cannot_open_for_want_of_a_key_is_a_dead_letter(directory: Tenants) -> None:
    sealed = body(make.application_json(), ECKey.generate_key("P-256"))
    with pytest.raises(Malformed):
        read_record(_record(sealed, "intake-other-crm"), directory, IntakeKeys(), False)


def test_the_receive_time_is_ours(directory: Tenants) -> None:
    read = read_record(_record(body(make.application_json())), directory, IntakeKeys(), True)
    assert abs(read.event.received_at - dt.datetime.now(dt.UTC)) < dt.timedelta(seconds=5)


def test_sealing_takes_every_personal_value_and_opening_puts_it_back() -> None:
    key, application = ECKey.generate_key("P-256", auto_kid=True), make.application_json()
    clear, sealed = seal_sensitive(application, dict(key.as_dict(private=False)))
    assert sensitive_fields(Application, clear) == []
    assert sealed is not None
    assert open_sensitive(clear, sealed, key) == application
    assert seal_sensitive({"mode": "test"}, dict(key.as_dict(private=False))) == ({"mode": "test"}, None)


def test_a_seal_may_hold_as_much_as_is_said() -> None:
    key, long = ECKey.generate_key("P-256", auto_kid=True), make.application_json(notes="x" * (MAX_JWE * 3 // 4 - 4000))
    clear, sealed = seal_sensitive(long, dict(key.as_dict(private=False)))
    assert sealed is not None
    assert MAX_JWE - 2500 < len(sealed) <= MAX_JWE
    assert open_sensitive(clear, sealed, key) == long
    with pytest.raises(BadSeal) as refused:
        open_sensitive(clear, sealed, key, len(sealed) - 1)
    assert refused.value.code == "sensitive-too-large"


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"/business/legalName": {"a": 1}}, "sensitive-not-simple"),
        ({"/nowhere/legalName": "x"}, "sensitive-misplaced"),
        ({"/owners/7/ssn": "x"}, "sensitive-misplaced"),
        ({"/mode": "x"}, "sensitive-misplaced"),
        ({"mode": "x"}, "sensitive-misplaced"),
        (["x"], "sensitive-unreadable"),
    ],
)
def test_sealed_values_must_fit(values: Any, code: str) -> None:
    from joserfc import jwe

    key = ECKey.generate_key("P-256")
    token = jwe.encrypt_compact({"alg": "ECDH-ES+A256KW", "enc": "A256GCM"}, json.dumps(values).encode(), key)
    with pytest.raises(BadSeal) as refused:
        open_sensitive({"mode": "test", "owners": [{}], "business": {}}, token, key)
    assert refused.value.code == code


def test_compressed_and_weaker_seals_are_not_opened() -> None:
    from joserfc import jwe

    key = ECKey.generate_key("P-256")
    for header in (
        {"alg": "ECDH-ES+A256KW", "enc": "A256GCM", "zip": "DEF"},
        {"alg": "ECDH-ES", "enc": "A128CBC-HS256"},
    ):
        everything = ["ECDH-ES+A256KW", "ECDH-ES", "A256GCM", "A128CBC-HS256", "DEF"]
        token = jwe.encrypt_compact(header, b"{}", key, algorithms=everything)
        with pytest.raises(BadSeal):
            open_sensitive({}, token, key)


def test_the_pattern_takes_intake_topics_and_not_their_dead_letters() -> None:
    import re

    matched = [name for name in ("intake-a", "intake-a-dlq", "intake-", "x-intake-a") if re.match(PATTERN, name)]
    assert matched == ["intake-a"]
