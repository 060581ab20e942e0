"""Breakers and pauses on a real MongoDB, several ports racing as processes would."""

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from pymongo import AsyncMongoClient
from pymongo.monitoring import CommandListener, CommandStartedEvent

from lendrail.runtime.breaker import Rules
from lendrail.runtime.directory import Credentials, Mounted
from lendrail.runtime.mongo import Collection, Document
from lendrail.runtime.partner_port import Open, PartnerPort, Paused
from lendrail.runtime.vault import LocalWrapper, Vault

pytestmark = pytest.mark.asyncio
QUICK = Rules(failures=3, waits=(0.4, 0.8), jitter=0.0, probe=1.0)


class Counted(CommandListener):
    """Names of the commands that went to MongoDB."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name not in ("hello", "ping", "endSessions"):
            self.names.append(event.command_name)

    def succeeded(self, event: object) -> None: ...

    def failed(self, event: object) -> None: ...


@dataclass
class Bench:
    """One database; each port stands for a process."""

    state: Collection
    port: Callable[[], PartnerPort]
    commands: Counted


@pytest.fixture
async def bench(mongo: str, database_prefix: str, tmp_path: Path) -> AsyncIterator[Bench]:
    commands = Counted()
    client: AsyncMongoClient[Document] = AsyncMongoClient(
        mongo, w="majority", journal=True, tz_aware=True, event_listeners=[commands]
    )
    state = client[f"{database_prefix}partners"]["credentials"]
    entries: list[dict[str, Any]] = [
        {"id": name, "tenant": "demo", "partner": "fake", "mode": "test", "baseUrl": "http://127.0.0.1:1", "auth": {}}
        for name in ("one", "two")
    ]
    file = tmp_path / "credentials.json"
    file.write_text(json.dumps({"credentials": entries}))
    vault = Vault(client[f"{database_prefix}keys"]["data_keys"], LocalWrapper(bytes(32)))

    def port() -> PartnerPort:
        return PartnerPort(state, Mounted(file, Credentials), vault, QUICK)

    yield Bench(state, port, commands)
    for name in ("partners", "keys"):
        await client.drop_database(database_prefix + name)
    await client.close()


async def call(port: PartnerPort, outcome: str, operation: str = "create", credential: str = "one") -> str:
    """One call that ends as told: ok, failed, or nothing told; or what kept it from going."""
    try:
        async with port.call(credential, "submission", operation):
            if outcome == "ok":
                await port.answered(credential, operation)
            elif outcome == "failed":
                await port.failed(credential, operation)
            return outcome
    except (Open, Paused) as kept:
        return type(kept).__name__


async def opened(bench: Bench) -> PartnerPort:
    port = bench.port()
    for _ in range(QUICK.failures):
        assert await call(port, "failed") == "failed"
    return port


async def test_opens_after_failures_in_a_row_for_all_processes(bench: Bench) -> None:
    port, other = bench.port(), bench.port()
    assert await call(other, "ok") == "ok"
    for _ in range(QUICK.failures):
        assert await call(port, "failed") == "failed"
    assert await call(port, "ok") == "Open"
    await asyncio.sleep(0.21)
    assert await call(other, "ok") == "Open"
    assert await call(bench.port(), "ok") == "Open"


async def test_other_operations_and_credentials_go_on(bench: Bench) -> None:
    port = await opened(bench)
    assert await call(port, "ok", "document") == "ok"
    assert await call(port, "ok", "create", "two") == "ok"


async def test_open_tells_the_servers_time_until_which_waiting_is_worth_it(bench: Bench) -> None:
    port = await opened(bench)
    cursor = await bench.state.aggregate([{"$project": {"now": "$$NOW", "until": "$breakers.create.until"}}])
    (stored,) = [document async for document in cursor]
    with pytest.raises(Open) as kept:
        async with port.call("one", "submission", "create"):
            pass
    assert kept.value.until == stored["until"]
    assert dt.timedelta() < stored["until"] - stored["now"] <= dt.timedelta(seconds=QUICK.waits[0])


async def test_a_success_in_between_begins_the_count_again(bench: Bench) -> None:
    port = bench.port()
    for _ in range(4):
        assert [await call(port, each) for each in ("failed", "failed", "ok")] == ["failed", "failed", "ok"]
    assert "create" not in (await bench.state.find_one({"_id": "one"}) or {})["breakers"]


async def test_one_try_at_a_time_whatever_the_number_of_processes(bench: Bench) -> None:
    """Twelve processes of four lanes each race; whoever is let through stays a while."""
    await opened(bench)
    ports = [bench.port() for _ in range(12)]
    under_way, most, tries = 0, 0, 0

    async def lane(port: PartnerPort) -> None:
        nonlocal under_way, most, tries
        end = asyncio.get_running_loop().time() + 2.5
        while asyncio.get_running_loop().time() < end:
            try:
                async with port.call("one", "submission", "create"):
                    under_way, tries = under_way + 1, tries + 1
                    most = max(most, under_way)
                    await asyncio.sleep(0.3)
                    under_way -= 1
                    await port.failed("one", "create")
            except Open:
                await asyncio.sleep(0.02)

    await asyncio.gather(*(lane(port) for port in ports for _ in range(4)))
    assert most == 1
    assert 2 <= tries <= 3  # after 0.4 s, then after 0.8 s each


async def test_a_successful_try_lets_everybody_go(bench: Bench) -> None:
    port = await opened(bench)
    others = [bench.port() for _ in range(3)]
    await asyncio.sleep(0.45)
    assert await call(port, "ok") == "ok"
    await asyncio.sleep(0.25)
    assert [await call(each, "ok") for each in others] == ["ok"] * 3


async def test_a_failed_try_waits_longer(bench: Bench) -> None:
    port = await opened(bench)
    await asyncio.sleep(0.45)
    assert await call(port, "failed") == "failed"
    await asyncio.sleep(0.45)
    assert await call(port, "ok") == "Open"
    await asyncio.sleep(0.45)
    assert await call(port, "ok") == "ok"


async def test_a_try_that_came_to_nothing_is_given_back_at_once(bench: Bench) -> None:
    port = await opened(bench)
    await asyncio.sleep(0.45)
    assert await call(port, "nothing") == "nothing"
    with pytest.raises(RuntimeError):
        async with port.call("one", "submission", "create"):
            raise RuntimeError
    assert await call(bench.port(), "ok") == "ok"


async def test_whoever_tries_may_wait_for_one_more_start(bench: Bench) -> None:
    port = await opened(bench)
    await asyncio.sleep(0.45)
    async with port.call("one", "submission", "create"):
        async with port.call("one", "submission", "create"):
            assert await call(bench.port(), "ok") == "Open"
        assert await call(bench.port(), "ok") == "Open"
        await port.answered("one", "create")
    assert await call(bench.port(), "ok") == "ok"


async def test_the_try_of_a_dead_process_runs_out(bench: Bench) -> None:
    port = await opened(bench)
    await asyncio.sleep(0.45)
    dead = port.call("one", "submission", "create")
    await dead.__aenter__()
    other = bench.port()
    assert await call(other, "ok") == "Open"
    await asyncio.sleep(QUICK.probe + 0.1)
    assert await call(other, "ok") == "ok"
    await port.failed("one", "create")  # it was alive after all: one failure of a closed breaker
    assert await call(other, "ok") == "ok"
    await dead.__aexit__(None, None, None)


async def test_late_failures_of_earlier_calls_do_not_end_a_try(bench: Bench) -> None:
    port = bench.port()
    release = asyncio.Event()

    async def slow() -> None:
        async with port.call("one", "submission", "create"):
            await release.wait()
            await port.failed("one", "create")

    late = asyncio.create_task(slow())
    await asyncio.sleep(0.05)
    for _ in range(QUICK.failures):
        await call(port, "failed")
    await asyncio.sleep(0.45)
    async with port.call("one", "submission", "create"):
        release.set()
        await late
        assert await call(bench.port(), "ok") == "Open"
        await port.answered("one", "create")
    assert await call(port, "ok") == "ok"


async def test_many_failures_at_once_are_all_counted(bench: Bench) -> None:
    ports = [bench.port() for _ in range(6)]
    rules = QUICK.failures

    async def fail(port: PartnerPort) -> None:
        await port.failed("one", "create")

    await asyncio.gather(*(fail(each) for each in ports[: rules - 1]))
    assert await call(bench.port(), "ok") == "ok"
    await asyncio.gather(*(fail(each) for each in ports))
    assert await call(bench.port(), "ok") == "Open"


async def test_what_goes_well_costs_nothing_but_the_look(bench: Bench) -> None:
    """Two hundred calls of eight lanes: as many commands as there were looks, each a fifth of a second apart."""
    port = bench.port()
    await call(port, "ok")
    bench.commands.names.clear()
    loop = asyncio.get_running_loop()
    begun = loop.time()

    async def lane() -> None:
        for _ in range(25):
            assert await call(port, "ok") == "ok"
            await asyncio.sleep(0.02)

    await asyncio.gather(*(lane() for _ in range(8)))
    looks = (loop.time() - begun) / 0.2 + 1
    assert set(bench.commands.names) <= {"aggregate"}
    assert len(bench.commands.names) <= looks


async def test_pauses_hold_all_operations_and_the_longer_one_stays(bench: Bench) -> None:
    port = bench.port()
    await port.pause("one", "credential-refused", 0.6)
    await port.pause("one", "retry-later", 0.1)
    await asyncio.sleep(0.25)
    assert await port.paused() == {"one": "credential-refused"}
    assert [await call(port, "ok"), await call(port, "ok", "", "one")] == ["Paused", "Paused"]
    assert await call(port, "ok", "create", "two") == "ok"
    await asyncio.sleep(0.6)
    assert await call(port, "ok") == "ok"


async def test_a_wait_that_a_failing_partner_names_is_kept_by_all_operations(bench: Bench) -> None:
    port = bench.port()
    async with port.call("one", "submission", "create"):
        await port.failed("one", "create", wait=0.5)
    assert await call(bench.port(), "ok", "read") == "Paused"
    await asyncio.sleep(0.75)
    assert await call(port, "ok", "read") == "ok"


async def test_whoever_waits_for_the_budget_sees_a_pause_that_came_meanwhile(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "credentials.json"
    content: dict[str, Any] = json.loads(file.read_text())
    content["credentials"][0]["rate"] = {"requests": 1, "seconds": 1}
    file.write_text(json.dumps(content))
    port, other = bench.port(), bench.port()
    assert await call(port, "ok") == "ok"
    waiting = asyncio.create_task(call(port, "ok"))
    await asyncio.sleep(0.3)
    await other.pause("one", "retry-later", 30)
    assert await waiting == "Paused"


async def test_a_token_is_shared_by_processes_and_belongs_to_the_secrets_it_was_given_for(
    bench: Bench, tmp_path: Path
) -> None:
    port, file = bench.port(), tmp_path / "credentials.json"
    assert await port.tokens("one").get() is None
    await port.tokens("one").set(SecretStr("fake-token"), 2_000_000_000.0)
    assert await bench.port().tokens("one").get() == (SecretStr("fake-token"), 2_000_000_000.0)
    assert await port.tokens("two").get() is None
    content: dict[str, Any] = json.loads(file.read_text())
    content["credentials"][0]["auth"] = {"password": "rotated"}
    file.write_text(json.dumps(content))
    assert await port.tokens("one").get() is None
    await port.tokens("one").set(SecretStr("next-token"), 2_000_000_000.0)
    assert await bench.port().tokens("one").get() == (SecretStr("next-token"), 2_000_000_000.0)
    stored = repr(await bench.state.find_one({"_id": "one"}))
    assert not any(each in stored for each in ("fake-token", "next-token", "rotated"))
