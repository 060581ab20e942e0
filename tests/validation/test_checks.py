"""Checks at the business register on a real MongoDB: due work, the simulated register, and facts published once."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests import make, support
from tests.sandbox.register import GUID, Register
from tests.validation.sound import sound_json

from lendrail.contracts.application import Application
from lendrail.contracts.application_received import ApplicationReceived
from lendrail.contracts.event import Record, envelope_of, read_envelope
from lendrail.runtime.service import Service
from lendrail.runtime.step import Delivery
from lendrail.runtime.tasks import end
from lendrail.validation.app import assemble
from lendrail.validation.settings import Settings

CREDENTIAL = "register-test"
ACTIVE, CANCELLED = "89 000 000 019", "80 000 000 001"
DIGITS = ACTIVE.replace(" ", "")
NUMBER = "/business/registrations/0/number"


def credentials(folder: Path, url: str, *, guid: str = GUID, mode: str = "test", rate: Any = None) -> Path:
    entry = {"id": CREDENTIAL, "tenant": "lendrail", "partner": "abn-lookup", "mode": mode, "baseUrl": url}
    auth = {"scheme": "guid", "guid": guid}
    path = folder / "register.json"
    path.write_text(json.dumps({"credentials": [entry | {"auth": auth, "rate": rate}]}))
    return path


def australian(number: str = ACTIVE, name: str = "Fake Bakery Pty Ltd", amount: str = "50000", **changes: Any) -> Any:
    data = sound_json(**changes)
    data["business"] |= {"country": "AU", "legalName": name, "tradingName": None}
    data["business"]["registrations"] = [{"scheme": "abn", "country": "AU", "number": number}]
    data["requestedFinance"]["amount"] = {"amount": amount, "currency": "USD"}
    return Application.model_validate(data)


class Heard:
    """In place of Kafka: what was published."""

    ready = True

    def __init__(self) -> None:
        self.records: list[Record] = []

    async def publish(self, records: Sequence[Record]) -> None:
        self.records += records


class Bench:
    """Validation without Kafka, its worker and relay running."""

    def __init__(self, folder: Path, mongo: str, prefix: str, patch: pytest.MonkeyPatch, **more: str) -> None:
        told = {"credentials_file": str(folder / "register.json"), "abn_credential": CREDENTIAL} | more
        for name, value in support.environment(folder, mongo=mongo, prefix=prefix, **told).items():
            patch.setenv(name, value)
        self.settings, self.heard = Settings(), Heard()
        self.service = Service("validation", self.settings, publisher=self.heard)
        self.parts = assemble(self.service, self.settings)
        self.database = self.service.database

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        for part in (self.parts.reports, self.parts.relay, self.parts.checks, self.parts.early):
            await part.prepare()
        workers = (self.parts.checks.worker.run(), self.parts.order.worker.run(), self.parts.relay.run())
        tasks = [asyncio.create_task(each) for each in workers]
        yield
        await self.parts.order.worker.drain(15)
        await self.parts.checks.drain(15)
        await end(tasks)

    async def close(self) -> None:
        for name in ("validation", "keys", "partners"):
            await self.service.client.drop_database(self.settings.database_prefix + name)
        await self.service.http.aclose()
        await self.service.client.close()

    async def hear(self, *applications: Application) -> list[Delivery[ApplicationReceived]]:
        events = [make.received(application=each) for each in applications]
        keys = await self.service.vault.create([event.key_id for event in events])
        deliveries = [Delivery(each, envelope_of(each, "test", make.NOW), keys[each.key_id]) for each in events]
        self.heard.records += await self.parts.handlers.on_application_received(deliveries)
        return deliveries

    async def told(self, delivery: Delivery[ApplicationReceived], seconds: float = 15) -> dict[str, Any]:
        """The one fact of this application, by its topic: the checks, or the problems but partners' wishes."""

        async def look() -> list[Record]:
            return [each for each in self.heard.records if each.key == str(delivery.event.application_id).encode()]

        (record,) = await support.eventually(look, seconds)
        envelope = read_envelope(record.headers)
        assert (envelope.causation_id, envelope.source) == (delivery.id, "validation")
        assert envelope.correlation_id == delivery.envelope.correlation_id
        said = orjson.loads(record.value)
        if record.topic == "application-validated":
            return {"validated": [(each["result"], each["code"]) for each in said["checks"]]}
        own = [each for each in said["problems"] if each["phase"] != "partner"]
        return {"rejected": [(each["pointer"], each["code"]) for each in own]}

    async def empty(self) -> bool:
        return await self.database["checks"].count_documents({}) == 0


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Register]:
    running = Register(tmp_path_factory.mktemp("register"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
async def make_bench(
    tmp_path: Path, mongo: str, database_prefix: str, monkeypatch: pytest.MonkeyPatch, register: Register
) -> AsyncIterator[Any]:
    made: list[Bench] = []
    register.clear()
    credentials(tmp_path, register.asmx)

    def bench(**more: str) -> Bench:
        made.append(Bench(tmp_path, mongo, database_prefix, monkeypatch, **more))
        return made[-1]

    yield bench
    for each in made:
        await each.close()
    register.clear()


async def test_what_the_register_says_reaches_the_fact(make_bench: Any) -> None:
    """The amounts differ because one owner stands behind them all: twins are another matter."""
    bench = make_bench()
    cases = [
        (australian(amount="1000"), {"validated": [("passed", "matches")]}),
        (australian(name="Other Fakes", amount="2000"), {"validated": [("failed", "name-differs")]}),
        (australian(CANCELLED, amount="3000"), {"rejected": [(NUMBER, "abn-cancelled")]}),
        (australian("44 000 000 012", amount="4000"), {"rejected": [(NUMBER, "abn-not-found")]}),
        (australian("42 000 000 003", "Fake Moved", "5000"), {"validated": [("failed", "abn-replaced")]}),
        (australian("55 000 000 007", amount="6000"), {"validated": [("not-checked", "name-withheld")]}),
    ]
    async with bench.running():
        deliveries = await bench.hear(*(application for application, _ in cases))
        for delivery, (_, expected) in zip(deliveries, cases, strict=True):
            assert await bench.told(delivery) == expected
        await support.eventually(bench.empty)
    sound = {each["application"]: each["sound"] async for each in bench.database["reports"].find({})}
    assert sound == {
        str(d.event.application_id): "validated" in told for d, (_, told) in zip(deliveries, cases, strict=True)
    }


async def test_all_problems_at_once(make_bench: Any) -> None:
    """An unsound application is asked about too, so that one correction is enough."""
    bench = make_bench()
    async with bench.running():
        (delivery,) = await bench.hear(australian(CANCELLED, consents=[]))
        told = (await bench.told(delivery))["rejected"]
    assert {("/consents", "consent-missing"), (NUMBER, "abn-cancelled")} <= set(told)


async def test_others_do_not_wait(make_bench: Any, register: Register) -> None:
    """No number, a wrong one, or a business elsewhere: the handler itself reports them, and nobody is asked."""
    bench = make_bench()
    calls = len(register.lookups(DIGITS)["calls"])
    without = australian(amount="1000")
    without = without.model_copy(update={"business": without.business.model_copy(update={"registrations": ()})})
    foreign = Application.model_validate(sound_json())
    first, second, third = await bench.hear(foreign, without, australian("89 000 000 018", amount="2000"))
    assert [each.topic for each in bench.heard.records] == [*["application-validated"] * 2, "application-rejected"]
    assert [await bench.told(each) for each in (first, second)] == [{"validated": []}] * 2
    assert await bench.told(third) == {"rejected": [(NUMBER, "abn-invalid")]}
    assert await bench.empty()
    assert len(register.lookups(DIGITS)["calls"]) == calls


async def test_without_a_credential_the_fact_says_so_at_once(make_bench: Any, tmp_path: Path) -> None:
    """Switched off; or the only credential is for live."""
    bench = make_bench(abn_credential="")
    (delivery,) = await bench.hear(australian())
    assert await bench.told(delivery) == {"validated": [("not-checked", "not-configured")]}
    credentials(tmp_path, "https://register.example.test", mode="live")
    other = make_bench()
    (delivery,) = await other.hear(australian(amount="1000"))
    assert await other.told(delivery) == {"validated": [("not-checked", "not-configured")]}
    assert await other.empty()


@pytest.mark.parametrize(
    ("dial", "code"),
    [
        ({"kind": "status", "status": 503}, "unavailable"),
        ({"kind": "html"}, "unreadable"),
        ({"kind": "truncated"}, "unreadable"),
        ({"kind": "drop_reply"}, "unavailable"),
        ({"kind": "redirect"}, "unavailable"),
        ({"kind": "delay", "ms": 4000, "when": "before"}, "too-slow"),
    ],
)
async def test_trouble_at_the_register_stops_nothing(
    make_bench: Any, register: Register, dial: dict[str, Any], code: str
) -> None:
    register.set(**dial)
    bench = make_bench(abn_seconds="1.2", abn_retry_seconds="[0.1]")
    async with bench.running():
        began = time.monotonic()
        (delivery,) = await bench.hear(australian(CANCELLED))
        assert await bench.told(delivery) == {"validated": [("not-checked", code)]}
        assert time.monotonic() - began < 3
    assert await bench.database["abn_answers"].count_documents({}) == 0


async def test_a_register_that_is_not_there(make_bench: Any, tmp_path: Path) -> None:
    credentials(tmp_path, "http://127.0.0.1:1/")
    bench = make_bench(abn_retry_seconds="[0.1]")
    async with bench.running():
        (delivery,) = await bench.hear(australian())
        assert await bench.told(delivery, 5) == {"validated": [("not-checked", "unavailable")]}


async def test_many_wait_no_longer_than_one(make_bench: Any, register: Register) -> None:
    """A register that hangs, and more applications than lanes: all go on when the time of one is over."""
    register.set(kind="delay", ms=20_000, when="before")
    bench = make_bench(abn_seconds="1", abn_lanes="2")
    async with bench.running():
        began = time.monotonic()
        deliveries = await bench.hear(*(australian(amount=str(1000 + n)) for n in range(12)))
        for delivery in deliveries:
            ((result, code),) = (await bench.told(delivery))["validated"]
            assert (result, code in ("too-slow", "out-of-time", "unavailable")) == ("not-checked", True)
        assert time.monotonic() - began < 3


async def test_one_hiccup_is_tried_again(make_bench: Any, register: Register) -> None:
    register.set(kind="status", status=500, times=1)
    bench = make_bench(abn_retry_seconds="[0.1]")
    async with bench.running():
        (delivery,) = await bench.hear(australian())
        assert await bench.told(delivery) == {"validated": [("passed", "matches")]}


async def test_a_budget_that_is_used_up(make_bench: Any, tmp_path: Path, register: Register) -> None:
    credentials(tmp_path, register.asmx, rate={"requests": 1, "seconds": 60})
    bench = make_bench(abn_seconds="1")
    async with bench.running():
        one, other = await bench.hear(australian(amount="1000"), australian(CANCELLED, amount="2000"))
        told = [await bench.told(one), await bench.told(other)]
    assert {"validated": [("not-checked", "throttled")]} in told
    assert {"validated": [("passed", "matches")]} in told or {"rejected": [(NUMBER, "abn-cancelled")]} in told


async def test_a_credential_that_is_refused_rests(make_bench: Any, tmp_path: Path, register: Register) -> None:
    credentials(tmp_path, register.asmx, guid=GUID[:-1] + "1")
    bench = make_bench()
    calls = len(register.lookups(DIGITS)["calls"])
    async with bench.running():
        (first,) = await bench.hear(australian(amount="1000"))
        assert await bench.told(first) == {"validated": [("not-checked", "refused")]}
        (second,) = await bench.hear(australian(amount="2000"))
        assert await bench.told(second) == {"validated": [("not-checked", "paused")]}
    assert len(register.lookups(DIGITS)["calls"]) == calls, "refused calls have no reference"


async def test_one_business_is_looked_up_once(make_bench: Any, register: Register) -> None:
    """The same number and names again are answered from memory; other names are a question of their own, and what
    was said of the number alone holds for all names.
    """
    bench = make_bench()
    before = [len(register.lookups(each)["calls"]) for each in (DIGITS, "80000000001")]
    async with bench.running():
        for n, name in enumerate(("Fake Bakery Pty Ltd", "FAKE BAKERY PROPRIETARY LIMITED", "Fakes of Others")):
            (delivery,) = await bench.hear(australian(name=name, amount=str(1000 + n)))
            told = await bench.told(delivery)
            assert told == {"validated": [("failed", "name-differs") if n == 2 else ("passed", "matches")]}
        for n, name in enumerate(("Fake One", "Fake Two")):
            (delivery,) = await bench.hear(australian(CANCELLED, name, amount=str(2000 + n)))
            assert await bench.told(delivery) == {"rejected": [(NUMBER, "abn-cancelled")]}
    after = [len(register.lookups(each)["calls"]) for each in (DIGITS, "80000000001")]
    assert [b - a for a, b in zip(before, after, strict=True)] == [2, 1]


async def test_an_answer_holds_for_its_time(make_bench: Any, register: Register) -> None:
    bench = make_bench(abn_cache_seconds="0")
    before = len(register.lookups(DIGITS)["calls"])
    async with bench.running():
        for n in range(2):
            (delivery,) = await bench.hear(australian(amount=str(1000 + n)))
            assert await bench.told(delivery) == {"validated": [("passed", "matches")]}
    assert len(register.lookups(DIGITS)["calls"]) == before + 2


async def test_nothing_personal_and_no_secret_rests_in_plain(make_bench: Any) -> None:
    bench = make_bench()
    for part in (bench.parts.reports, bench.parts.relay, bench.parts.checks):
        await part.prepare()
    (delivery,) = await bench.hear(australian("61 000 000 002", "Testa Quill Fakely"))
    names = ("checks", "reports", "abn_answers")
    waits = repr([each for name in names async for each in bench.database[name].find({})])
    async with bench.running():
        assert await bench.told(delivery) == {"validated": [("passed", "matches")]}
    rests = repr([each for name in names async for each in bench.database[name].find({})])
    rests += repr([each async for each in bench.service.shared("partners")["credentials"].find({})])
    assert "enc1:" in waits
    assert "matches" in rests
    for secret in ("Testa", "Fakely", "61000000002", "61 000 000 002", GUID):
        assert secret not in waits
        assert secret not in rests


async def test_twins_of_what_waits_are_found(make_bench: Any) -> None:
    bench = make_bench()
    first, twin = await bench.hear(australian(), australian())
    (late,) = await bench.hear(australian())
    async with bench.running():
        assert await bench.told(first) == {"validated": [("passed", "matches")]}
        for each in (twin, late):
            assert ("", "duplicate") in (await bench.told(each))["rejected"]
        await support.eventually(bench.empty)
        (later,) = await bench.hear(australian())
        assert ("", "duplicate") in (await bench.told(later))["rejected"]


async def test_the_same_event_again_changes_nothing(make_bench: Any) -> None:
    """While it waits it waits on; afterwards the stored record is published again, byte for byte."""
    bench = make_bench()
    (delivery,) = await bench.hear(australian())
    assert list(await bench.parts.handlers.on_application_received([delivery])) == []
    async with bench.running():
        assert await bench.told(delivery) == {"validated": [("passed", "matches")]}
        await support.eventually(bench.empty)
    again = await bench.parts.handlers.on_application_received([delivery])
    assert list(again) == bench.heard.records
    assert await bench.empty()


async def test_an_erased_person_is_forgotten(make_bench: Any) -> None:
    bench = make_bench()
    (delivery,) = await bench.hear(australian())
    await bench.service.vault.erase(delivery.event.key_id)
    async with bench.running():
        await support.eventually(bench.empty)
    assert bench.heard.records == []
