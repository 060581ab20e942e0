"""An erased person on a real MongoDB: no byte of their documents is left, and no address opens anything."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from joserfc.jwk import KeySet
from tests import make, support
from tests.documents.bench import PUBLIC, Bench, Validated, pdf, submit
from tests.documents.test_program import program
from tests.documents.test_shelf import ISSUER, KEY, OPERATOR, TITLE, get, revoke
from tests.forgotten import traces

from lendrail.contracts.terms import DocumentRef
from lendrail.documents.files import CHUNK_BYTES
from lendrail.documents.forget import Forgetter
from lendrail.local.servers.ports import free_port
from lendrail.runtime import audit_chain, audit_verify
from lendrail.runtime.forgetting import Forgetting
from lendrail.runtime.mongo import Document
from lendrail.runtime.tokens import Verifier

NUMBER = "Zq8-CRM-1"


@pytest.fixture(autouse=True)
async def issuer(bench: Bench) -> None:
    async def keys() -> KeySet:
        return KeySet([KEY])

    bench.app.state.verifier = Verifier(ISSUER, keys)


def forgetting(bench: Bench) -> Forgetting:
    """As the service itself does it, with what it registered."""
    assert bench.service._forget
    places = bench.database["forgotten"]
    return Forgetting(bench.service.vault, places, bench.service._forget, again_seconds=0)


async def given(bench: Bench, number: str = NUMBER) -> tuple[Validated, DocumentRef, str]:
    """An application with everything: a summary with a link that was used, and an upload with a name. Gives the
    summary as its partner was told of it, and the upload's id.
    """
    bench.attachments("url")
    reference = {"system": "demo-crm", "kind": "deal", "value": number}
    application = make.application(uploads=[], externalReferences=[reference])
    [delivery] = await bench.deliveries(application=application)
    [record] = await bench.hear([delivery])
    [ref] = submit(record, delivery)[1].documents
    assert ref.link is not None
    assert (await bench.fetch(ref.link.reveal())).status_code == 200
    upload = (await bench.upload(delivery.key.id, pdf(CHUNK_BYTES + 5), name=TITLE)).json()["id"]
    return delivery, ref, upload


async def left(bench: Bench, delivery: Validated, *more: str) -> list[str]:
    return await traces(bench.database, delivery.key, (NUMBER, "Testa", *more))


async def everything(bench: Bench, id: str) -> list[list[Document]]:
    wanted = {
        "packages": {"application": id},
        "fs.files": {"metadata.keyId": id},
        "fs.chunks": {"files_id": {"$regex": f"^{id}"}},
        "links": {"keyId": id},
        "quotas": {"_id": id},
    }
    return [await bench.database[name].find(where).to_list() for name, where in wanted.items()]


async def test_nothing_is_left_but_that_they_were_made(bench: Bench) -> None:
    (delivery, ref, upload), (other, _, _) = await given(bench), await given(bench, "Other-1")
    assert (await revoke(bench, ref.id, {"reason": "sent to Testa by mistake"})).json() == {"revoked": 1}
    hashes = (ref.sha256, upload.partition(".")[2])
    wanted = {"packages.outbox[].value", "fs.files.metadata.title", "fs.files._id", "fs.chunks.data", "fs.chunks._id"}
    wanted |= {"links.document", "quotas.files[]", "packages.files[]"}
    assert set(await left(bench, delivery, *hashes)) >= wanted, "there is something to forget"
    kept, links = await everything(bench, other.key.id), await bench.database["links"].find({}).to_list()
    await bench.service.vault.erase(delivery.key.id)
    for _ in range(2):
        await forgetting(bench).turn()
        assert await left(bench, delivery, *hashes) == []
        assert await everything(bench, other.key.id) == kept
    [package], files, chunks, mine, quotas = await everything(bench, delivery.key.id)
    assert (package["revision"], package["outbox"], package["files"]) == (1, [], [])
    assert (files, chunks, quotas) == ([], [], [])
    assert [(each["_id"], each["partner"], each["expires"]) for each in mine] == [
        (each["_id"], each["partner"], each["expires"]) for each in links if each["keyId"] == delivery.key.id
    ]
    assert all("document" not in each and "accesses" not in each for each in mine)


async def test_who_took_a_link_back_stays_known(bench: Bench) -> None:
    delivery, ref, _ = await given(bench)
    store = audit_chain.Store(bench.database, (bench.database["links"],))
    await store.prepare()
    await revoke(bench, ref.id, {"reason": "sent to Testa by mistake"})
    await bench.service.vault.erase(delivery.key.id)
    await forgetting(bench).turn()
    assert await audit_chain.chain("documents", store) > 0, "what waits is chained afterwards too"
    assert (await audit_verify.verify("documents", bench.database)).broken is None
    entry = (await get(bench, "/v1/audit", OPERATOR)).json()["items"][0]
    assert (entry["what"], entry["who"], "why" in entry) == ("link-revoked", "test-desk", False)


async def test_all_routes_say_that_it_is_gone(bench: Bench) -> None:
    delivery, ref, upload = await given(bench)
    id = delivery.key.id
    await bench.service.vault.erase(id)
    await forgetting(bench).turn()
    assert ref.link is not None
    answers = {
        "link": await bench.fetch(ref.link.reveal()),
        "list": await get(bench, f"/v1/documents?application={id}"),
        "one": await get(bench, f"/v1/documents/{upload}"),
        "revoke": await revoke(bench, ref.id, {"reason": "no"}),
        "bytes": await bench.http.get(f"/internal/documents/{ref.id}", headers=bench.token()),
        "upload": await bench.upload(id, pdf()),
    }
    codes = dict.fromkeys(answers, "erased") | {"link": "gone"}
    assert {name: (each.status_code, each.json()["code"]) for name, each in answers.items()} == {
        name: (410, code) for name, code in codes.items()
    }


async def test_what_is_written_at_the_same_moment_goes_the_second_time(bench: Bench) -> None:
    """A rendering of somebody who had read the key before, and a repeated event of what is forgotten already."""
    delivery, _, _ = await given(bench)
    [late] = await bench.deliveries(application=delivery.event.application)
    for each in (delivery, late):
        await bench.service.vault.erase(each.key.id)
    await forgetting(bench).turn()
    assert await bench.hear([delivery]) == [], "what was asked of partners is not asked again"
    assert await bench.hear([late]), "it cannot know"
    assert await left(bench, late)
    await _forgetter(bench).forget([delivery.key.id, late.key.id])
    assert await left(bench, delivery) + await left(bench, late) == []


def _forgetter(bench: Bench) -> Forgetter:
    return Forgetter(bench.database["packages"], bench.files, bench.links, bench.database["quotas"])


async def test_an_upload_that_is_on_its_way_is_not_taken(bench: Bench) -> None:
    key, content = await bench.key(), pdf(100_000)

    async def parts() -> AsyncIterator[bytes]:
        yield content[:50_000]
        await bench.service.vault.erase(key.id)
        yield content[50_000:]

    reply = await bench.upload(key.id, parts())
    assert (reply.status_code, reply.json()["code"]) == (410, "erased")
    assert await bench.counts() == (0, 0)
    assert await bench.database["quotas"].count_documents({}) == 0


async def test_bytes_without_an_entry_go_too(bench: Bench) -> None:
    """What somebody left who died while an upload was being stored."""
    mine, neighbour = await bench.key(), await bench.key()
    for key in (mine, neighbour):
        assert (await bench.upload(key.id, pdf(2 * CHUNK_BYTES))).status_code == 201
    await bench.database["fs.files"].delete_many({})
    await bench.service.vault.erase(mine.id)
    await forgetting(bench).turn()
    left = await bench.database["fs.chunks"].distinct("files_id")
    assert [each.partition(".")[0] for each in left] == [neighbour.id]


async def test_killed_in_the_middle_it_goes_on(bench: Bench, tmp_path: Path, mongo: str, database_prefix: str) -> None:
    """After each of the writes; without Kafka, which erasures do not need."""
    (delivery, _, _), (second, _, _) = await given(bench), await given(bench)
    environment = support.environment(tmp_path, mongo=mongo, prefix=database_prefix, public_url=PUBLIC)
    for each in (delivery, second):
        await bench.service.vault.erase(each.key.id)
    for label in ("store.fs.files.after", "store.fs.chunks.after#2", "store.forgotten.before"):
        with program("documents", environment | {"LENDRAIL_FAULT_AT": label}, free_port()) as killed:
            assert await asyncio.to_thread(killed.wait, 30) == -signal.SIGKILL, label
        assert await bench.database["forgotten"].count_documents({}) == 0, "so it begins again"

    async def done() -> bool:
        return await bench.database["forgotten"].count_documents({}) == 1

    with program("documents", environment, free_port()):
        await support.eventually(done, 30)
    assert await left(bench, delivery) + await left(bench, second) == []
    assert await bench.counts() == (0, 0)
