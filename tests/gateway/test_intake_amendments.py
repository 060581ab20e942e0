"""Amendments from Kafka: made once and in order, also when they arrive before their application; refused in sight."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from joserfc import jwe
from joserfc.jwk import ECKey
from tests import make, support
from tests.gateway.process import Gateway, tenants
from tests.gateway.test_intake import SOURCE, body, headers
from tests.gateway.test_reads import Others

from lendrail.contracts.application_amended import ApplicationAmended, Corrected, PartnerAdded, Withdrawn
from lendrail.contracts.event import Malformed, Record, decode
from lendrail.contracts.intake import IntakeAmendment, imported_application_id
from lendrail.gateway.amending.intake_amendments import amends, read_change, read_wish
from lendrail.runtime.directory import Tenants
from lendrail.runtime.jose import ALGORITHMS

TOPIC = "intake-demo-crm"
REASON = {"/reason": "changed plans"}


def amendment(
    data: dict[str, Any], key: ECKey | None = None, sealed: dict[str, Any] | None = None, **more: Any
) -> bytes:
    intent: dict[str, Any] = {"kind": "amendment", "amendment": data} | more
    if key is not None:
        head = {"alg": ALGORITHMS[0], "enc": ALGORITHMS[1]}
        intent["sensitive"] = jwe.encrypt_compact(head, json.dumps(sealed).encode(), key, algorithms=ALGORITHMS)
    return json.dumps({"intent": intent}).encode()


def heads(event: str | None = None) -> list[tuple[str, bytes]]:
    return headers(event, ce_type=IntakeAmendment.type)


@pytest.fixture
async def producer(kafka: str, topics: None) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    yield producer
    await producer.stop()


@pytest.fixture
async def others(gateway: Gateway, kafka: str) -> AsyncIterator[Others]:
    others = Others(gateway, kafka)
    yield others
    await others.client.close()


async def amended(stored: Any, application: str, count: int) -> dict[str, Any]:
    async def there() -> Any:
        document = await stored["applications"].find_one({"_id": application})
        return document if document and len(document.get("amendments", ())) >= count else None

    found: dict[str, Any] = await support.eventually(there, 30)
    return found


async def changes(others: Others, document: dict[str, Any]) -> list[ApplicationAmended]:
    key = await others.vault.get(document["_id"])
    return [decode(ApplicationAmended, Record.restored(each).value, key) for each in document["outbox"][1:]]


async def test_amendments_wait_for_their_application_and_keep_their_order(
    gateway: Gateway, producer: AIOKafkaProducer, others: Others, stored: Any
) -> None:
    event = str(uuid.uuid4())
    application = str(imported_application_id("demo", SOURCE, event))
    corrected = {"kind": "corrected", "application": make.application_json(notes="from Kafka")}
    first = amendment(corrected, intakeEvent=event, revision=1)
    second = amendment({"kind": "withdrawn"}, gateway.intake_key, REASON, applicationId=application)
    sent = [(first, heads()), (second, heads())]
    for value, head in sent:
        await producer.send_and_wait(TOPIC, value, key=b"k", headers=head)
    await support.eventually(
        lambda: stored["changes"].count_documents({"application": application, "due": {"$exists": 1}})
    )
    waiting = await stored["changes"].find_one({"application": application})
    assert b"Fakely" not in waiting["value"]
    await producer.send_and_wait(
        TOPIC, body(make.application_json(), gateway.intake_key), key=b"k", headers=headers(event)
    )
    for value, head in sent:  # and again, as any record may come
        await producer.send_and_wait(TOPIC, value, key=b"k", headers=head)
    document = await amended(stored, application, 2)
    made = await changes(others, document)
    assert [(each.revision, each.amendment.kind, each.amended_by) for each in made] == [
        (2, "corrected", "demo-crm"),
        (3, "withdrawn", "demo-crm"),
    ]
    assert isinstance(made[0].amendment, Corrected)
    assert isinstance(made[1].amendment, Withdrawn)
    assert made[1].amendment.reason.reveal() == "changed plans"
    assert made[1].stands == made[0].stands
    await asyncio.sleep(1)
    assert (await stored["applications"].find_one({"_id": application}))["revision"] == 3
    assert await stored["changes"].count_documents({"application": application, "value": {"$exists": True}}) == 0


async def test_what_cannot_be_done_is_shown_with_the_application(
    gateway: Gateway, producer: AIOKafkaProducer, stored: Any
) -> None:
    event = str(uuid.uuid4())
    application = str(imported_application_id("demo", SOURCE, event))
    await producer.send_and_wait(
        TOPIC, body(make.application_json(), gateway.intake_key), key=b"k", headers=headers(event)
    )
    bad = make.application_json(surprise=1)
    for data, revision in (
        ({"kind": "corrected", "application": bad}, None),
        ({"kind": "partner-added", "partners": ["nobody"]}, None),
        ({"kind": "offer-accepted", "offerId": "x"}, None),
        ({"kind": "corrected", "application": make.application_json()}, 7),
    ):
        value = amendment(data, applicationId=application, revision=revision)
        await producer.send_and_wait(TOPIC, value, key=b"k", headers=heads())
    document = await amended(stored, application, 4)
    assert (document["revision"], len(document["outbox"])) == (1, 1)
    async with gateway.caller() as caller:
        shown = (await caller.get(f"/v1/applications/{application}")).json()
    assert [(each["state"], each["problems"][0]["code"]) for each in shown["amendments"]] == [
        ("refused", "unknown_field"),
        ("refused", "unknown-partner"),
        ("refused", "uuid_parsing"),
        ("refused", "revision-stale"),
    ]
    assert all("revision" not in each for each in shown["amendments"])


async def test_the_same_record_with_other_content_is_parked(
    gateway: Gateway, producer: AIOKafkaProducer, stored: Any
) -> None:
    event, again = str(uuid.uuid4()), str(uuid.uuid4())
    application = str(imported_application_id("demo", SOURCE, event))
    await producer.send_and_wait(
        TOPIC, body(make.application_json(), gateway.intake_key), key=b"k", headers=headers(event)
    )
    for notes in ("first", "second"):
        corrected = {"kind": "corrected", "application": make.application_json(notes=notes)}
        await producer.send_and_wait(TOPIC, amendment(corrected, intakeEvent=event), key=b"k", headers=heads(again))
    await support.eventually(lambda: stored["conflicts"].count_documents({"application": application}))
    await amended(stored, application, 1)
    await asyncio.sleep(1)
    assert (await stored["applications"].find_one({"_id": application}))["revision"] == 2


async def test_an_amendment_of_another_tenants_application_changes_nothing(
    gateway: Gateway, producer: AIOKafkaProducer, stored: Any
) -> None:
    event = str(uuid.uuid4())
    application = str(imported_application_id("demo", SOURCE, event))
    await producer.send_and_wait(
        TOPIC, body(make.application_json(), gateway.intake_key), key=b"k", headers=headers(event)
    )
    foreign = amendment({"kind": "withdrawn", "reason": "x"}, applicationId=application)
    await producer.send_and_wait("intake-other-crm", foreign, key=b"k", headers=heads())
    await support.eventually(lambda: stored["changes"].count_documents({"application": application, "tenant": "other"}))
    await asyncio.sleep(1.5)
    document = await stored["applications"].find_one({"_id": application})
    assert (document["revision"], document.get("amendments", [])) == (1, [])


@pytest.fixture
def directory(tmp_path: Path) -> Tenants:
    return Tenants.model_validate({"tenants": tenants(tmp_path)})


def record(value: bytes) -> Any:
    return SimpleNamespace(topic=TOPIC, partition=0, offset=0, key=b"", value=value, headers=heads())


@pytest.mark.parametrize(
    "value",
    [
        b"{",
        amendment({"kind": "document-removed"}, applicationId=str(uuid.uuid4())),
        amendment({"kind": "withdrawn"}),
        amendment({"kind": "withdrawn"}, applicationId=str(uuid.uuid4()), intakeEvent="both"),
        amendment({"kind": "withdrawn"}, ECKey.generate_key("P-256"), REASON, intakeEvent="x"),
    ],
)
def test_what_cannot_be_read_is_a_dead_letter(directory: Tenants, value: bytes) -> None:
    with pytest.raises(Malformed):
        read_change(record(value), directory.by_id["demo"], None, True)


def test_personal_values_in_clear_are_refused_in_production(directory: Tenants) -> None:
    tenant = directory.by_id["demo"]
    for data, pointers in (
        ({"kind": "withdrawn", "reason": "x"}, {"/reason"}),
        ({"kind": "corrected", "application": {"notes": "x"}}, {"/application/notes"}),
        ({"kind": "partner-added", "partners": ["x"]}, set()),
    ):
        value = amendment(data, intakeEvent="x")
        read = read_change(record(value), tenant, None, False)
        assert {each.pointer for each in read.problems} == pointers
        assert read_change(record(value), tenant, None, True).problems == ()


def test_a_seal_for_another_key_is_a_fault_of_the_amendment(directory: Tenants) -> None:
    value = amendment({"kind": "withdrawn"}, ECKey.generate_key("P-256"), REASON, intakeEvent="x")
    read = read_change(record(value), directory.by_id["demo"], ECKey.generate_key("P-256"), False)
    assert [each.code for each in read.problems] == ["sensitive-unreadable"]


def test_both_doors_read_the_same(directory: Tenants) -> None:
    tenant, place = directory.by_id["demo"], uuid.uuid4()
    added = read_wish({"kind": "partner-added", "partners": ["a", "b", "a"]}, tenant)
    assert added.amendment == PartnerAdded(partners=("a", "b"))
    one = read_wish({"kind": "withdrawn", "reason": "x", "opportunityId": str(place)}, tenant)
    assert isinstance(one.amendment, Withdrawn)
    assert one.amendment.opportunity_id == place
    odd = read_wish({"kind": "withdrawn", "reason": "x", "opportunityId": "y"}, tenant)
    assert [each.pointer for each in odd.problems] == ["/opportunityId"]


def test_only_the_type_tells_an_amendment() -> None:
    assert amends(SimpleNamespace(headers=heads()))
    assert not amends(SimpleNamespace(headers=headers()))
    assert not amends(SimpleNamespace(headers=[("ce_type", None)]))
