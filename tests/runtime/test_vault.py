"""Data keys on a real MongoDB: made once, wrapped, gone when erased."""

import datetime as dt
import os
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo import AsyncMongoClient

from lendrail.contracts.sensitive import Erased, SealBroken
from lendrail.runtime.mongo import Collection
from lendrail.runtime.vault import Key, LocalWrapper, Vault

MASTER = os.urandom(32)


@pytest.fixture
async def keys(mongo: str, database_prefix: str) -> AsyncIterator[Collection]:
    client: AsyncMongoClient[dict[str, object]] = AsyncMongoClient(mongo, w="majority", journal=True, tz_aware=True)
    yield client[f"{database_prefix}keys"]["data_keys"]
    await client.drop_database(f"{database_prefix}keys")
    await client.close()


@given(st.text())
def test_what_is_sealed_opens_under_its_key_only(plain: str) -> None:
    key, other, altered = Key("a", b"1" * 32), Key("a", b"2" * 32), Key("b", b"1" * 32)
    token = key.seal(plain)
    assert key.open(token) == plain
    assert len(plain) < 4 or plain not in token
    for stranger in (other, altered):
        with pytest.raises(SealBroken):
            stranger.open(token)


@given(st.binary(), st.binary())
def test_sealed_content_is_the_same_for_the_same_content_only(one: bytes, two: bytes) -> None:
    key = Key("a", b"1" * 32)
    assert key.open_bytes(key.seal_content(one)) == one
    assert (key.seal_content(one) == key.seal_content(two)) == (one == two)
    assert key.seal_content(one)[:12] != Key("a", b"2" * 32).seal_content(one)[:12]


async def test_a_key_is_made_once_and_found_by_every_process(keys: Collection) -> None:
    first, second = Vault(keys, LocalWrapper(MASTER)), Vault(keys, LocalWrapper(MASTER))
    made = await first.create(["a", "b"])
    again = await second.create(["b", "c"])
    assert again["b"].open(made["b"].seal("hidden")) == "hidden"
    assert set(await second.find(["a", "b", "c", "d"])) == {"a", "b", "c"}


async def test_an_erased_key_is_gone_for_good(keys: Collection) -> None:
    vault = Vault(keys, LocalWrapper(MASTER))
    await vault.create(["person"])
    await vault.erase("person")
    fresh = Vault(keys, LocalWrapper(MASTER))
    with pytest.raises(Erased):
        await fresh.get("person")
    assert await fresh.create(["person"]) == {}
    with pytest.raises(SealBroken):
        await fresh.get("nobody")


async def test_another_master_key_opens_nothing(keys: Collection) -> None:
    await Vault(keys, LocalWrapper(MASTER)).create(["a"])
    with pytest.raises(SealBroken):
        await Vault(keys, LocalWrapper(os.urandom(32))).find(["a"])


async def test_intake_keys_belong_to_a_day_and_expire(keys: Collection) -> None:
    vault = Vault(keys, LocalWrapper(MASTER))
    await vault.prepare()
    day = dt.datetime(2026, 3, 1, 23, 59, tzinfo=dt.UTC)
    one, two = await vault.intake(day), await vault.intake(day + dt.timedelta(minutes=2))
    assert (one.id, two.id) == ("intake-2026-03-01", "intake-2026-03-02")
    stored = await keys.find_one({"_id": one.id})
    assert stored is not None
    assert stored["expires"] > day + dt.timedelta(days=30)
