"""Partners that call by Kafka: kept as webhooks are, proven as their profile says, poison put aside."""

import asyncio
import datetime as dt
import json
import re
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from faststream.kafka import TestKafkaBroker
from pymongo.errors import AutoReconnect
from standardwebhooks import Webhook as Signer
from tests import support
from tests.gateway.process import Gateway, ec_key, tenants

from lendrail.contracts.event import Malformed, Record
from lendrail.contracts.topics import PUSH
from lendrail.gateway.app import build
from lendrail.gateway.settings import Settings
from lendrail.gateway.webhooks.push import PATTERN, PushDoor, Refused, headers_of, read_call, received_at
from lendrail.local.topics import Wanted, wanted
from lendrail.runtime.broker import make_broker
from lendrail.runtime.directory import Mounted, Secrets, Tenants
from lendrail.runtime.failures import DefectMeter, TooManyDefects
from lendrail.runtime.publisher import BrokerPublisher

NOW = dt.datetime(2026, 3, 2, 10, 30, tzinfo=dt.UTC)
SILENT, CALLS, SIGNS = "demo-silent", support.CREDENTIAL, "demo-signs"
SECRET = "ZmFrZS1zaWduaW5nLWtleS1vZi0yNC1i"
CANARY = "Canarywitz900000018"
HTTP_PATH = f"/webhooks/forward-financing/{support.WEBHOOK_PATH}"


def told(lead: str) -> bytes:
    return json.dumps({"lead_id": lead, "event_type": "Approved", "note": CANARY}).encode()


def signed(body: bytes, now: dt.datetime, id_: str = "msg_fake1") -> list[tuple[str, bytes]]:
    signature = Signer(SECRET).sign(id_, now, body.decode())
    pairs = {"webhook-id": id_, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    return [(name, value.encode()) for name, value in pairs.items()]


def files(folder: Path, push: str = "hint") -> dict[str, str]:
    """A tenants file with an account that calls by Kafka, one that signs what it says there, and one without a topic;
    and the secrets file, as a setting.
    """
    account = tenants(folder)[0]["partners"][0]
    accounts = [
        account | {"push": push},
        account | {"credential": SIGNS, "partner": "reference-partner", "push": "proven", "webhookPath": "s" * 40},
        account | {"credential": SILENT, "webhookPath": "t" * 40},
    ]
    support.tenants_file(folder, [tenants(folder)[0] | {"partners": accounts}])
    secrets = folder / "webhook-secrets.json"
    secrets.write_text(json.dumps({"secrets": [{"credential": SIGNS, "secrets": [SECRET]}]}))
    return {"webhook_secrets_file": str(secrets)}


def record(value: bytes | None, credential: str = CALLS, headers: Sequence[Any] = (), **more: Any) -> Any:
    place = {"topic": PUSH.name(credential), "partition": 0, "offset": 7, "key": None, "value": value}
    return SimpleNamespace(**place | {"headers": headers, "timestamp": None, "timestamp_type": 0} | more)


def read(folder: Path, what: Any, push: str = "hint") -> Any:
    secrets = Secrets(Path(files(folder, push)["webhook_secrets_file"]))
    directory = Mounted(folder / "tenants.json", Tenants).current
    return read_call(what, directory.by_push[what.topic.removeprefix(PUSH.prefix)], secrets, NOW)


def test_a_record_is_a_call_of_its_topics_account(tmp_path: Path) -> None:
    call = read(tmp_path, record(told("1"), headers=[("Content-Type", b"application/json")]))
    assert (call.tenant, call.mode, call.partner, call.credential) == ("demo", "test", "forward-financing", CALLS)
    assert (call.raw, call.content_type, call.path_id, call.received) == (told("1"), "application/json", None, NOW)
    assert call.verification == "hint"
    assert read(tmp_path, record(None)).raw == b""


def test_the_account_says_whether_the_right_to_write_is_a_proof(tmp_path: Path) -> None:
    assert read(tmp_path, record(told("1")), "proven").verification == "verified"


def test_where_the_partner_signs_the_headers_must_hold_the_proof(tmp_path: Path) -> None:
    body = told("1")
    right = signed(body, NOW)
    call = read(tmp_path, record(body, SIGNS, right))
    assert call.verification == "verified"
    wrong: list[list[tuple[str, bytes | None]]] = [
        [],
        [*right, right[0]],
        [(name, None) for name, _ in right],
        [(name, value + b"\xff") for name, value in right],
        [*right[:2], ("webhook-signature", b"v1")],
        [*signed(b"other", NOW)],
    ]
    for headers in wrong:
        with pytest.raises(Refused) as refused:
            read(tmp_path, record(body, SIGNS, headers))
        assert refused.value.reason == "unproven"
        assert CANARY not in str(refused.value)


@pytest.mark.parametrize(("seconds", "by_broker", "taken"), [
    (0, False, True), (301, False, False), (301, True, True), (86_400, True, True),
])  # fmt: skip
def test_a_record_may_wait_for_us_where_the_broker_says_when_it_came(
    tmp_path: Path, seconds: int, by_broker: bool, taken: bool
) -> None:
    then, body = NOW - dt.timedelta(seconds=seconds), told("1")
    what = record(body, SIGNS, signed(body, then), timestamp=then.timestamp() * 1000, timestamp_type=int(by_broker))
    if taken:
        assert read(tmp_path, what).received == (then if by_broker else NOW)
    else:
        with pytest.raises(Refused):
            read(tmp_path, what)


def test_nobody_chooses_when_it_came() -> None:
    for stamp in (0, 10**15, -1, None):
        assert received_at(record(b"", timestamp=stamp), NOW) == NOW, "the writer's word"
    ahead = record(b"", timestamp=(NOW.timestamp() + 60) * 1000, timestamp_type=1)
    assert received_at(ahead, NOW) == NOW, "a clock of the broker that is ahead"


def test_headers_are_bytes_whatever_they_are() -> None:
    odd = "x\udcff"
    assert headers_of(record(b"", headers=[("A", None), (odd, b"\xff")])) == [(b"A", b""), (b"x\xff", b"\xff")]


def test_a_body_that_is_too_large_for_a_webhook_is_so_here(tmp_path: Path) -> None:
    assert len(read(tmp_path, record(b" " * 65_536)).raw) == 65_536
    with pytest.raises(Refused) as refused:
        read(tmp_path, record(b" " * 65_537))
    assert refused.value.reason == "too-large"


def test_the_pattern_takes_topics_of_partners_and_no_dead_letters() -> None:
    names = ("push-a", "push-a-dlq", "push-", "x-push-a", "intake-a", "push-a.b_c-d")
    assert [name for name in names if re.match(PATTERN, name)] == ["push-a", "push-a.b_c-d"]


def test_no_topic_is_two_accounts(tmp_path: Path) -> None:
    """What one tenant's partner says must not be another tenant's."""
    files(tmp_path)
    told = json.loads((tmp_path / "tenants.json").read_text())
    first = told["tenants"][0]
    theirs = first["partners"][0] | {"webhookPath": "u" * 40}
    other = first | {"id": "other", "clients": [], "upstreams": []}
    told["tenants"].append(other | {"partners": [theirs | {"push": None}]})
    assert Tenants.model_validate(told).by_push[CALLS][0].id == first["id"]
    told["tenants"][1]["partners"] = [theirs]
    with pytest.raises(ValueError, match="one account's"):
        Tenants.model_validate(told)


class Keeper:
    """Keeps nothing: fails as it is told."""

    def __init__(self, fault: Exception | None) -> None:
        self.fault, self.kept = fault, 0

    async def keep(self, call: Any) -> None:
        if self.fault is not None:
            raise self.fault
        self.kept += 1


class Letters:
    ready = True

    def __init__(self) -> None:
        self.published: list[Record] = []

    async def publish(self, records: Sequence[Record]) -> None:
        self.published += records


class Parts:
    """A gateway with an in-memory broker, on a real MongoDB."""

    def __init__(self, folder: Path, mongo: str, prefix: str, patch: pytest.MonkeyPatch) -> None:
        owners = ("validation", "documents", "submission", "status", "notifications")
        nowhere = {f"{owner}_url": "http://127.0.0.1:1" for owner in owners}
        environment = support.environment(
            folder, mongo=mongo, prefix=prefix, issuer_key_file=str(ec_key(folder, "issuer.jwk")), **nowhere
        )
        more = files(folder)
        for name, value in (environment | {f"LENDRAIL_{k.upper()}": v for k, v in more.items()}).items():
            patch.setenv(name, value)
        self.settings = Settings()
        self.broker = make_broker(self.settings, "gateway")
        self.service, app = build(self.settings, broker=self.broker, publisher=BrokerPublisher(self.broker))
        self.webhooks = self.service.database["webhooks"]
        self.rejected: list[tuple[str, str]] = []
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway.test")

    def door(self, keeper: Any, letters: Any, defects: DefectMeter | None = None) -> PushDoor:
        assert self.settings.webhook_secrets_file
        known = Mounted(self.settings.tenants_file, Tenants), Secrets(self.settings.webhook_secrets_file)
        rejected = SimpleNamespace(note=lambda reason, _, found: self.rejected.append((reason, found[1].credential)))
        meter = defects or DefectMeter()
        return PushDoor(keeper, *known, rejected, self.service.vault, letters, meter)  # type: ignore[arg-type]


@pytest.fixture
async def parts(
    mongo: str, database_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Parts]:
    made = Parts(tmp_path, mongo, database_prefix, monkeypatch)
    yield made
    for name in ("gateway", "keys"):
        await made.service.client.drop_database(database_prefix + name)
    await made.service.client.close()
    await made.http.aclose()


async def test_a_call_by_kafka_ends_as_one_by_http(parts: Parts) -> None:
    dead: list[str] = []

    @parts.broker.subscriber(f"{PUSH.name(CALLS)}-dlq")
    async def on_dead_letter(body: Any) -> None:
        dead.append(str(body["reason"]))

    lead = str(uuid.uuid4())
    async with TestKafkaBroker(parts.broker):
        for _ in range(2):
            await parts.broker.publish(told(lead), topic=PUSH.name(CALLS))
        answer = await parts.http.post(HTTP_PATH, content=told(lead))
        await parts.broker.publish(b" " * 65_537, topic=PUSH.name(CALLS))
    assert answer.status_code == 200
    kept = await parts.webhooks.find().to_list()
    assert len(kept) in (1, 2), "said three times is said once; two when the five minutes ended in between"
    said = json.loads(kept[0]["outbox"][0]["value"])
    assert (said["foreignId"], said["verification"], said["credential"]) == (lead, "hint", CALLS)
    assert CANARY not in repr(kept)
    assert dead == ["the body has more than 65536 bytes"]


async def test_what_cannot_be_taken_is_a_dead_letter_and_the_rest_is_kept(parts: Parts) -> None:
    keeper = Keeper(None)
    batch = [record(b"1"), record(b"1", SIGNS), record(b"1", SILENT), record(b"1", "nobody"), record(b"2")]
    letters = await parts.door(keeper, Letters()).take(batch)
    assert keeper.kept == 2
    reasons = {letter.topic: json.loads(letter.value)["reason"] for letter in letters}
    assert reasons == {
        "push-demo-signs-dlq": "the record does not prove who sent it",
        "push-demo-silent-dlq": "no account has this credential and calls by Kafka",
        "push-nobody-dlq": "no account has this credential and calls by Kafka",
    }
    assert parts.rejected == [("unproven", SIGNS)], "counted among the rejected calls of its account"


async def test_an_outage_hands_the_batch_out_again_and_a_defect_is_put_aside(parts: Parts) -> None:
    letters = Letters()
    with pytest.raises(AutoReconnect):
        await parts.door(Keeper(AutoReconnect("fake")), letters).consume([record(b"1"), record(b"1", "nobody")])
    assert letters.published == []
    await parts.door(Keeper(ValueError("fake")), letters).consume([record(b"1")])
    assert [json.loads(each.value)["reason"] for each in letters.published] == ["defect: ValueError"]
    stopped = parts.door(Keeper(ValueError("fake")), letters, DefectMeter(limit=1))
    with pytest.raises(TooManyDefects):
        await stopped.take([record(b"1"), record(b"2")])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await stopped.consume([record(b"3")])
    assert len(letters.published) == 1


def test_what_is_refused_is_malformed() -> None:
    assert issubclass(Refused, Malformed)


@pytest.fixture
async def pushed(kafka: str, topics: None) -> None:
    """The topics as `lendrail topics apply` makes them, and no others."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        ours = [each for each in wanted([], [], [CALLS, SIGNS]) if each.name.startswith(PUSH.prefix)]
        await admin.create_topics([_new(each) for each in ours])
    finally:
        await admin.close()


def _new(topic: Wanted) -> NewTopic:
    return NewTopic(topic.name, topic.partitions, 1, topic_configs=topic.configs)


async def test_on_a_real_kafka(tmp_path: Path, kafka: str, mongo: str, database_prefix: str, pushed: None) -> None:
    """Signed and unsigned calls reach `partner-webhook`, a forged one the dead letters, and a repeat nothing more."""
    gateway = Gateway(tmp_path, kafka=kafka, mongo=mongo, prefix=database_prefix, **files(tmp_path))
    files(tmp_path)
    # a member of its own: one that comes back under an old name is not told of new topics before it looks for them
    gateway.environment["LENDRAIL_INSTANCE"] = f"gateway-{uuid.uuid4().hex[:6]}"
    gateway.start().wait_ready()
    first, second, forged = (told(str(uuid.uuid4())) for _ in range(3))
    try:
        async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
            now = dt.datetime.now(dt.UTC)
            long_ago = int(now.timestamp() * 1000) - 86_400_000
            for _ in range(2):
                await producer.send_and_wait(PUSH.name(CALLS), first, timestamp_ms=long_ago)
            await producer.send_and_wait(PUSH.name(SIGNS), forged, headers=signed(second, now))
            await producer.send_and_wait(PUSH.name(SIGNS), second, headers=signed(second, now))
        events = await heard(kafka, "partner-webhook", lambda record: about(record, first, second), 2)
        letters = await heard(kafka, f"{PUSH.name(SIGNS)}-dlq", lambda record: True, 1)
        async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as partner:
            assert (await partner.post(HTTP_PATH, content=first)).status_code == 200
        await asyncio.sleep(0.5)
        again = await heard(kafka, "partner-webhook", lambda record: about(record, first, second), 2)
    finally:
        gateway.stop()
    said = {each["credential"]: each for each in map(json.loads, (record.value for record in events))}
    assert {name: each["verification"] for name, each in said.items()} == {CALLS: "hint", SIGNS: "verified"}
    received = dt.datetime.fromisoformat(said[CALLS]["receivedAt"])
    assert abs(received - now) < dt.timedelta(seconds=60), "the writer's time counts for nothing"
    assert json.loads(letters[0].value)["reason"] == "the record does not prove who sent it"
    assert len({record.key for record in again}) in (2, 3), "by HTTP it is the same call; unless five minutes ended"
    assert CANARY not in gateway.log.read_text()


def about(record: Any, *bodies: bytes) -> bool:
    """Whether it is of one of these deals, or of the account that signs, whose body is not about any."""
    return (
        any(json.loads(body)["lead_id"].encode() in record.value for body in bodies) or SIGNS.encode() in record.value
    )


async def heard(kafka: str, topic: str, wanted: Any, count: int) -> list[Any]:
    """All records of a topic that are wanted, as soon as there are so many."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)
    await consumer.start()
    try:
        places: list[TopicPartition] = await support.places(kafka, topic)
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        found: list[Any] = []

        async def enough() -> bool:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found.extend(record for record in records if wanted(record))
            return len(found) >= count

        await support.eventually(enough, 90)
        return found
    finally:
        await consumer.stop()
