"""What the run writes onto the topics of partners that push is by its construction what it says: a call, or none."""

import datetime as dt
import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from proofs.poison import pushes, taken
from proofs.poison.mutations import MARK, TAKEN, Raw
from proofs.poison.pushes import SIGNS, SILENT, Pushes
from pymongo import AsyncMongoClient
from standardwebhooks import Webhook as Signer
from tests import support
from tests.gateway.process import tenants

from lendrail.contracts.topics import PUSH
from lendrail.gateway.webhooks.push import Refused, read_call
from lendrail.runtime.directory import Mounted, Secrets, Tenants
from lendrail.runtime.vault import LocalWrapper, Vault

SECRET, SEEDS = "whsec_" + "ZmFrZS1zaWduaW5nLWtleS1vZi0yNC1i", "67"
HEARD, UNHEARD = b'{"id":"FAKE.heard"}', b'{"id":"FAKE.unheard"}'
PARTNER_OF = {SIGNS: "reference-partner", SILENT: "optimum-finance"}


def drawn(credential: str, seed: str, count: int = 3000) -> list[Raw]:
    signs = Signer(SECRET) if credential == SIGNS else None
    return list(islice(Pushes(credential, signs, seed), count))


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """As the gateway does; which kind of refusal, or none."""
    first = tenants(tmp_path)[0]
    accounts = [
        first["partners"][0] | {"partner": partner, "credential": each, "push": pushes.ACCOUNTS[each], "webhookPath": p}
        for (each, partner), p in zip(PARTNER_OF.items(), ("s" * 40, "t" * 40), strict=True)
    ]
    support.tenants_file(tmp_path, [first | {"partners": accounts}])
    file = tmp_path / "webhook-secrets.json"
    file.write_text(json.dumps({"secrets": [{"credential": SIGNS, "secrets": [SECRET]}]}))
    known, secrets = Mounted(tmp_path / "tenants.json", Tenants).current, Secrets(file)

    def refused(raw: Raw) -> str | None:
        record = SimpleNamespace(value=raw.value, headers=raw.headers, timestamp=None, timestamp_type=0)
        try:
            read_call(record, known.by_push[raw.topic.removeprefix(PUSH.prefix)], secrets, dt.datetime.now(dt.UTC))
        except Refused as fault:
            return fault.reason
        return None

    return refused


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("credential", [SIGNS, SILENT])
def test_each_is_what_it_says(read: Any, credential: str, seed: str) -> None:
    kinds = Counter[str]()
    for raw in drawn(credential, seed):
        assert (raw.topic, raw.key, raw.value) != (PUSH.name(credential), None, None), "no client sends neither"
        assert (read(raw) is None) is (raw.kind == TAKEN), (raw.kind, raw.headers, (raw.value or b"")[:300])
        kinds[raw.kind] += 1
    assert len(kinds) == (13 if credential == SIGNS else 3), kinds
    assert kinds[TAKEN] > 50


def test_a_seed_repeats_what_is_not_signed() -> None:
    assert drawn(SILENT, "6") == drawn(SILENT, "6") != drawn(SILENT, "7")


@pytest.fixture
async def client(mongo: str) -> AsyncIterator[AsyncMongoClient[Any]]:
    client: AsyncMongoClient[Any] = AsyncMongoClient(mongo, tz_aware=True)
    yield client
    await client.close()


class Store:
    """What a run leaves behind, with a name of its own for each database."""

    def __init__(self, client: AsyncMongoClient[Any], prefix: str) -> None:
        self._client, self._prefix = client, prefix

    def __getitem__(self, name: str) -> Any:
        return self._client[self._prefix + name]

    async def keep(self, vault: Vault, raw: bytes, deal: str | None = None) -> None:
        key = await vault.intake(dt.datetime.now(dt.UTC))
        sealed = {"credential": SILENT, "key": key.id, "raw": key.seal_bytes(raw)}
        await self["gateway"]["webhooks"].insert_one(sealed)
        await self["status"]["orphans"].insert_one({"credential": SILENT, "partner_id": deal})


async def test_what_is_lost_doubled_or_foreign_is_named(client: AsyncMongoClient[Any], database_prefix: str) -> None:
    store: Any = Store(client, database_prefix)
    vault = Vault(store["keys"]["data_keys"], LocalWrapper(b"m" * 32))
    calls = taken.Calls()
    for value in (b"kept", b"lost", b"doubled", HEARD, UNHEARD, b"repeated", b"repeated"):
        calls.note(Raw(PUSH.name(SILENT), None, value, (), TAKEN))
    calls.note(Raw(PUSH.name(SILENT), None, b"forged", (), "signed by another"))
    for kept in (b"kept", b"doubled", b"doubled", b"forged", b"another's", UNHEARD, b"repeated", b"repeated"):
        await store.keep(vault, kept)
    await store.keep(vault, HEARD, "FAKE.heard")
    await store["gateway"]["rejected_calls"].insert_one({"_id": "line", "networks": [f"{MARK}1"]})
    found = await taken.look(store, vault, calls, pushes.ACCOUNTS)

    def named(value: bytes) -> str:
        return f"{SILENT} {hashlib.sha256(value).hexdigest()[: taken.SHORT]}"

    assert found.lost == [f"not kept: {named(b'lost')}", f"not heard: FAKE.unheard {named(UNHEARD)}"]
    assert found.foreign == [f"kept and not to be taken: {named(b'forged')}"]
    assert found.doubled == [f"kept 2 times: {named(b'doubled')}"]
    assert found.leaked == ["count of rejected calls line"]
    for name in ("gateway", "status", "keys"):
        await client.drop_database(database_prefix + name)
