"""Documents on a real MongoDB: files in GridFS, links, the same records after a crash, and what partners fetch."""

import asyncio
import datetime as dt
import hashlib
import io
import os
import secrets
from typing import Any

import pytest
from gridfs import AsyncGridFSBucket
from openpyxl import load_workbook
from pymongo.errors import AutoReconnect
from tests import make
from tests.documents.bench import FF, PUBLIC, Bench, Validated, submit

from lendrail.contracts.terms import DocumentRef
from lendrail.documents.files import CHUNK_BYTES, StoredFile, file_id
from lendrail.documents.package import UNMADE
from lendrail.documents.renderer import Renderer
from lendrail.documents.sheet import Facts, Sheet
from lendrail.documents.workbook import render
from lendrail.runtime.clock import utc_now
from lendrail.runtime.settings import read_key
from lendrail.runtime.tokens import ServiceTokens


async def test_one_submit_for_each_eligible_partner_with_the_same_document(bench: Bench) -> None:
    [delivery] = await bench.deliveries(partners=(FF, "other-partner"))
    records = await bench.hear([delivery])
    assert [record.topic for record in records] == ["submit", "submit"]
    (first, send), (second, other) = (submit(record, delivery) for record in records)
    assert (first.partner, second.partner) == (FF, "other-partner")
    assert send.application == delivery.event.application
    assert send.documents == other.documents
    assert (send.unmade, send.documents[0].link) == ((), None)
    assert bench.renderer.drawn == 1

    [ref] = send.documents
    file = await bench.files.get(ref.id)
    assert file is not None
    assert file.ref == ref
    content = delivery.key.open_bytes(file.sealed)
    assert (hashlib.sha256(content).hexdigest(), len(content)) == (ref.sha256, ref.size)
    page = load_workbook(io.BytesIO(content)).active
    assert page is not None
    assert page["A1"].value == "Application summary"
    assert ref.id == file_id(str(delivery.event.application_id), ref.sha256)


async def test_nobody_eligible_means_nothing_to_do(bench: Bench) -> None:
    deliveries = await bench.deliveries(partners=())
    assert await bench.hear(deliveries) == []
    assert bench.renderer.drawn == 0
    assert await bench.database["packages"].count_documents({}) == 1


async def test_a_document_that_cannot_be_made_is_named_and_spoils_no_other(bench: Bench) -> None:
    deliveries = await bench.deliveries(3)
    bench.renderer.spoilt = {1}
    sends = [submit(r, d)[1] for r, d in zip(await bench.hear(deliveries), deliveries, strict=True)]
    assert [send.unmade for send in sends] == [(), (UNMADE,), ()]
    assert [len(send.documents) for send in sends] == [1, 0, 1]


@pytest.mark.parametrize("size", [1, CHUNK_BYTES - 28, CHUNK_BYTES - 27, 3 * CHUNK_BYTES + 5])
async def test_pymongos_own_gridfs_reads_what_we_wrote(bench: Bench, size: int) -> None:
    [delivery] = await bench.deliveries()
    content = secrets.token_bytes(size)
    file = stored(delivery, content)
    await bench.files.put([file])
    bucket = AsyncGridFSBucket(bench.database)
    stream = await bucket.open_download_stream(file.ref.id)
    assert delivery.key.open_bytes(await stream.read()) == content
    assert (stream.length, stream.filename, stream.chunk_size) == (size + 28, "some.bin", CHUNK_BYTES)
    assert stream.metadata is not None
    assert stream.metadata["keyId"] == delivery.key.id
    again = await bench.files.get(file.ref.id)
    assert again is not None
    assert again.sealed == file.sealed


def stored(delivery: Validated, content: bytes) -> StoredFile:
    sha256 = hashlib.sha256(content).hexdigest()
    ref = DocumentRef(
        id=file_id(delivery.key.id, sha256),
        kind="other",
        name="some.bin",
        content_type="application/octet-stream",
        sha256=sha256,
        size=len(content),
    )
    return StoredFile(ref, delivery.key.id, delivery.key.seal_content(content))


async def test_a_half_written_file_is_finished_by_the_next(bench: Bench) -> None:
    [delivery] = await bench.deliveries()
    content = secrets.token_bytes(3 * CHUNK_BYTES)
    await bench.files.put([stored(delivery, content)])
    await bench.database["fs.files"].delete_many({})
    await bench.database["fs.chunks"].delete_many({"n": 1})
    file = stored(delivery, content)
    assert await bench.files.get(file.ref.id) is None
    await bench.files.put([file])
    found = await bench.files.get(file.ref.id)
    assert found is not None
    assert delivery.key.open_bytes(found.sealed) == content


async def test_a_rerun_publishes_identical_records(bench: Bench) -> None:
    bench.attachments("url")
    deliveries = await bench.deliveries(3)
    first = await bench.hear(deliveries)
    bench.attachments("raw")
    assert await bench.hear(deliveries) == first
    assert bench.renderer.drawn == 3
    assert await bench.database["links"].count_documents({}) == 3


@pytest.mark.parametrize("lost", ["fs.files", "links", "packages"])
async def test_a_crash_between_two_writes(bench: Bench, lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies before its write to `lost`: the next delivery makes everything good, and once."""
    bench.attachments("url")
    deliveries = await bench.deliveries(2)

    class Died(AutoReconnect):
        pass

    def die(label: str, *_: object) -> None:
        if label == f"store.{lost}.before":
            raise Died

    with monkeypatch.context() as patch:
        patch.setattr("lendrail.runtime.mongo.point", die)
        with pytest.raises(Died):
            await bench.hear(deliveries)
    records = await bench.hear(deliveries)
    assert await bench.hear(deliveries) == records
    assert await bench.database["fs.files"].count_documents({}) == 2
    assert await bench.database["fs.chunks"].count_documents({}) == 2
    for record, delivery in zip(records, deliveries, strict=True):
        link = submit(record, delivery)[1].documents[0].link
        assert link is not None
        assert (await bench.fetch(link.reveal())).status_code == 200


@pytest.mark.parametrize("way", ["url", "bulk"])
async def test_a_link_gives_the_document_again_and_again(bench: Bench, way: str) -> None:
    bench.attachments(way)
    [delivery] = await bench.deliveries()
    [record] = await bench.hear([delivery])
    [ref] = submit(record, delivery)[1].documents
    assert ref.link is not None
    address = ref.link.reveal()
    assert address.startswith(f"{PUBLIC}/d/")
    token = address.removeprefix(f"{PUBLIC}/d/")
    head = await bench.fetch(address, "HEAD")
    for _ in range(3):
        reply = await bench.fetch(address)
        assert reply.status_code == head.status_code == 200
        assert hashlib.sha256(reply.content).hexdigest() == ref.sha256
        assert reply.headers["content-disposition"] == 'attachment; filename="application-summary.xlsx"'
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert head.headers["content-length"] == reply.headers["content-length"]
    kept = [document async for document in bench.database["links"].find({})]
    assert [entry["method"] for entry in kept[0]["accesses"]] == ["HEAD", "GET", "GET", "GET"]
    assert (kept[0]["partner"], kept[0]["document"]) == (FF, ref.id)
    assert token not in repr(kept) + repr([d async for d in bench.database["packages"].find({})])
    assert token.encode() not in record.value


async def test_links_that_open_nothing(bench: Bench) -> None:
    bench.attachments("url")
    deliveries = await bench.deliveries(4)
    records = await bench.hear(deliveries)
    links = [submit(r, d)[1].documents[0].link for r, d in zip(records, deliveries, strict=True)]
    good, revoked, expired, erased = (link.reveal() for link in links if link)
    collection = bench.database["links"]

    def of(address: str) -> dict[str, str]:
        return {"_id": hashlib.sha256(address.rpartition("/")[2].encode()).hexdigest()}

    await collection.update_one(of(revoked), {"$set": {"revoked": True}})
    await collection.update_one(of(expired), {"$set": {"expires": utc_now() - dt.timedelta(seconds=1)}})
    await bench.service.vault.erase(deliveries[3].key.id)
    answers = {}
    for name, address in {"good": good, "revoked": revoked, "expired": expired, "erased": erased}.items():
        answers[name] = await bench.fetch(address)
    unknown = [await bench.fetch(f"{PUBLIC}/d/{token}") for token in ("x", "A" * 43, "é" * 43, "%00" * 43)]
    assert {name: reply.status_code for name, reply in answers.items()} == {
        "good": 200,
        "revoked": 404,
        "expired": 410,
        "erased": 410,
    }
    bodies = [reply.json() | {"requestId": ""} for reply in (answers["revoked"], *unknown)]
    assert all(body == bodies[0] for body in bodies)
    assert {reply.status_code for reply in unknown} == {404}
    assert all(reply.headers["cache-control"] == "no-store" for reply in (*answers.values(), *unknown))


async def test_submission_gets_sealed_bytes_and_nobody_else_does(bench: Bench) -> None:
    [delivery] = await bench.deliveries()
    [record] = await bench.hear([delivery])
    [ref] = submit(record, delivery)[1].documents
    path = f"/internal/documents/{ref.id}"
    tokens = ServiceTokens(read_key(bench.settings.service_key_file), "submission")
    reply = await bench.http.get(path, headers=tokens.header())
    assert reply.status_code == 200
    assert (reply.headers["x-document-sha256"], reply.headers["x-key-id"]) == (ref.sha256, delivery.key.id)
    assert hashlib.sha256(delivery.key.open_bytes(reply.content)).hexdigest() == ref.sha256
    assert b"PK" not in reply.content[:40]
    assert (await bench.http.get("/internal/documents/nothing", headers=tokens.header())).status_code == 404
    stranger = ServiceTokens(b"0" * 32, "submission")
    for headers in ({}, stranger.header(), {"Authorization": "Bearer x"}):
        assert (await bench.http.get(path, headers=headers)).status_code == 401


def sheet(title: Any) -> Sheet:
    return Sheet(title, "s", make.NOW.replace(tzinfo=None), (Facts("h", (("l", "v"),)),))


class Killer(str):
    """Ends the process that unpacks it, as a crash in a native library would."""

    def __reduce__(self) -> Any:
        return os._exit, (9,)


async def test_processes_render_in_order_and_survive_what_kills_them() -> None:
    renderer = Renderer(1)
    task = asyncio.create_task(renderer.run())
    try:
        sheets = [sheet(f"t{n}") for n in range(45)]
        assert await renderer.render(sheets) == [render(each) for each in sheets]
        assert await renderer.render([sheet(None)]) == ["TypeError"]
        spoilt = [sheet("a"), sheet(Killer("b")), sheet("c")]
        assert await renderer.render(spoilt) == [render(sheet("a")), "BrokenProcessPool", render(sheet("c"))]
        assert await renderer.render(sheets[:1]) == [render(sheets[0])]
    finally:
        task.cancel()
        await renderer.close()
