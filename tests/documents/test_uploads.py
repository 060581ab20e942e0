"""Uploads: a file is stored whole, sealed and once, or not at all."""

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import AsyncIterator

import pytest
import uvicorn
from pymongo.errors import AutoReconnect
from tests import make, support
from tests.documents.bench import Bench, pdf

from lendrail.contracts.application import Upload
from lendrail.contracts.terms import DocumentRef
from lendrail.documents.files import CHUNK_BYTES, upload_id
from lendrail.documents.uploads import MOST_FILES
from lendrail.runtime.tokens import ServiceTokens

TITLE = "Testa Fakely driver's licence.pdf"


async def test_an_upload_rests_sealed_and_names_nobody(bench: Bench) -> None:
    key, content = await bench.key(), pdf(3 * CHUNK_BYTES + 5)
    reply = await bench.upload(key.id, content, "drivers-license", TITLE)
    assert reply.status_code == 201
    ref = DocumentRef.model_validate(reply.json())
    sha256 = hashlib.sha256(content).hexdigest()
    assert (ref.id, ref.sha256, ref.size) == (upload_id(key.id, sha256), sha256, len(content))
    assert (ref.kind, ref.content_type) == ("drivers-license", "application/pdf")
    assert ref.name == f"drivers-license-{sha256[:8]}.pdf"
    assert Upload.model_validate({"id": ref.id, "kind": ref.kind, "sha256": ref.sha256}).id == ref.id

    file = await bench.files.get(ref.id)
    assert file is not None
    assert file.ref == ref
    assert key.open_bytes(file.sealed) == content
    assert file.title is not None
    assert key.open(file.title) == TITLE
    everything = repr([entry async for entry in bench.database["fs.files"].find({})]) + reply.text
    assert "Testa" not in everything
    assert "%PDF" not in repr([chunk async for chunk in bench.database["fs.chunks"].find({})])


async def test_submission_is_given_the_sealed_bytes(bench: Bench) -> None:
    key, content = await bench.key(), pdf()
    ref = (await bench.upload(key.id, content)).json()
    reply = await bench.http.get(f"/internal/documents/{ref['id']}", headers=bench.token())
    assert key.open_bytes(reply.content) == content


async def test_the_same_bytes_are_the_same_document_as_it_was_last_called(bench: Bench) -> None:
    key, content = await bench.key(), pdf()
    first = (await bench.upload(key.id, content, "other")).json()
    again = await bench.upload(key.id, content, "other")
    assert (again.status_code, again.json()) == (201, first)
    last = (await bench.upload(key.id, content, "bank-statement", "May.pdf")).json()
    assert (last["id"], last["kind"]) == (first["id"], "bank-statement")
    file = await bench.files.get(first["id"])
    assert file is not None
    assert file.ref == DocumentRef.model_validate(last)
    assert await bench.counts() == (1, 1)
    [quota] = await bench.database["quotas"].find({}).to_list()
    assert quota == {"_id": key.id, "bytes": len(content), "files": [first["id"]]}
    other = await bench.key()
    assert (await bench.upload(other.id, content)).json()["id"] != first["id"]


async def test_a_file_whose_size_is_not_stated(bench: Bench) -> None:
    key, content = await bench.key(), pdf(100_000)

    async def parts() -> AsyncIterator[bytes]:
        for at in range(0, len(content), 777):
            yield content[at : at + 777]

    reply = await bench.upload(key.id, parts())
    assert (reply.status_code, reply.json()["sha256"]) == (201, hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 422, "upload-empty"),
        (b"MZ\x90\0" + bytes(300), 415, "upload-program"),
        (secrets.token_bytes(5000), 415, "upload-type"),
        (b"%PDF-1.7\n", 422, "upload-damaged"),
    ],
)
async def test_files_that_are_refused(bench: Bench, content: bytes, status: int, code: str) -> None:
    reply = await bench.upload((await bench.key()).id, content)
    assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert await bench.counts() == (0, 0)
    assert await bench.database["quotas"].count_documents({}) == 0


async def test_requests_that_are_refused(bench: Bench) -> None:
    key, erased = await bench.key(), await bench.key()
    await bench.service.vault.erase(erased.id)
    bench.service.vault._remember(erased)  # as a process does that used it a moment ago
    stranger = ServiceTokens(b"0" * 32, "gateway").header()
    path = f"/internal/applications/{key.id}/documents?kind=other"
    answers = {
        "unknown": await bench.upload(make.new_id(), pdf()),
        "erased": await bench.upload(erased.id, pdf()),
        "no id": await bench.upload("x", pdf()),
        "kind": await bench.upload(key.id, pdf(), "passport"),
        "name": await bench.upload(key.id, pdf(), name="a\0b"),
        "stranger": await bench.http.put(path, content=pdf(), headers=stranger),
        "nobody": await bench.http.put(path, content=pdf()),
    }
    told = {name: (reply.status_code, reply.json()["code"]) for name, reply in answers.items()}
    assert told == {
        "unknown": (404, "not-found"),
        "erased": (410, "erased"),
        "no id": (422, "invalid-request"),
        "kind": (422, "invalid-request"),
        "name": (422, "upload-name"),
        "stranger": (401, "unauthorised"),
        "nobody": (401, "unauthorised"),
    }
    assert await bench.counts() == (0, 0)


@pytest.mark.parametrize("bench", [{"max_body_bytes": "50000"}], indirect=True)
async def test_a_file_that_is_too_large(bench: Bench) -> None:
    key, content = await bench.key(), pdf(50_001)

    async def unstated() -> AsyncIterator[bytes]:
        yield content[:30_000]
        yield content[30_000:]

    for body in (content, unstated()):
        reply = await bench.upload(key.id, body)
        assert (reply.status_code, reply.json()["code"]) == (413, "too-large")
    assert await bench.counts() == (0, 0)
    assert (await bench.upload(key.id, pdf(50_000))).status_code == 201


@pytest.mark.parametrize("bench", [{"application_upload_bytes": "10000"}], indirect=True)
async def test_all_files_of_an_application_together(bench: Bench) -> None:
    key, first = await bench.key(), pdf(3000)
    replies = await asyncio.gather(*(bench.upload(key.id, each) for each in (first, *(pdf(3000) for _ in range(7)))))
    codes = sorted(reply.status_code for reply in replies)
    assert codes == [201] * 3 + [413] * 5
    assert {reply.json()["code"] for reply in replies if reply.status_code == 413} == {"over-quota"}
    assert (await bench.counts())[0] == 3
    taken = next(r.json()["id"] for r in replies if r.status_code == 201)
    stored = await bench.files.get(taken)
    assert stored is not None
    assert (await bench.upload(key.id, key.open_bytes(stored.sealed))).status_code == 201, "it was counted before"
    assert (await bench.upload((await bench.key()).id, first)).status_code == 201, "another application's own"
    assert (await bench.upload(key.id, pdf(1000))).status_code == 201, "what is left"


async def test_a_number_of_files(bench: Bench) -> None:
    key = await bench.key()
    full = {"_id": key.id, "bytes": 1, "files": [f"f{n}" for n in range(MOST_FILES - 1)]}
    await bench.database["quotas"].insert_one(full)
    assert (await bench.upload(key.id, b"the last one")).status_code == 201
    assert (await bench.upload(key.id, b"one too many")).json()["code"] == "over-quota"


@pytest.mark.parametrize("lost", ["fs.chunks", "fs.files"])
async def test_a_crash_while_it_is_stored(bench: Bench, lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a file is no file; sent again it is finished, and counted once."""
    key, content = await bench.key(), pdf(2 * CHUNK_BYTES)

    def die(label: str, *_: object) -> None:
        if label == f"store.{lost}.before":
            raise AutoReconnect

    with monkeypatch.context() as patch:
        patch.setattr("lendrail.runtime.mongo.point", die)
        assert (await bench.upload(key.id, content)).status_code == 503
    ref_id = upload_id(key.id, hashlib.sha256(content).hexdigest())
    assert await bench.files.get(ref_id) is None
    reply = await bench.upload(key.id, content)
    assert (reply.status_code, reply.json()["id"]) == (201, ref_id)
    file = await bench.files.get(ref_id)
    assert file is not None
    assert key.open_bytes(file.sealed) == content
    [quota] = await bench.database["quotas"].find({}).to_list()
    assert quota["bytes"] == len(content)


@contextlib.asynccontextmanager
async def served(bench: Bench) -> AsyncIterator[int]:
    """The port of the service on a real socket."""
    server = uvicorn.Server(uvicorn.Config(bench.app, port=0, lifespan="off", log_config=None, http="httptools"))
    task = asyncio.create_task(server.serve())
    try:
        await support.eventually(lambda: _started(server), 10)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


async def _started(server: uvicorn.Server) -> bool:
    return server.started


def head(bench: Bench, application: str, length: str) -> bytes:
    lines = [
        f"PUT /internal/applications/{application}/documents?kind=other HTTP/1.1",
        "Host: documents.test",
        f"Authorization: {bench.token()['Authorization']}",
        length,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


@pytest.mark.parametrize("stated", [True, False])
async def test_a_file_that_is_cut_on_its_way(bench: Bench, stated: bool) -> None:
    """What came ends as a whole file would; only the connection tells that more was meant to come."""
    key, content = await bench.key(), pdf(200_000)
    length = "Content-Length: 300000" if stated else "Transfer-Encoding: chunked"
    body = content if stated else b"%x\r\n%b\r\n" % (len(content), content)
    async with served(bench) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head(bench, key.id, length) + body)
        await writer.drain()
        await asyncio.sleep(0.3)
        writer.close()
        await writer.wait_closed()
        await asyncio.sleep(0.3)
        assert await bench.counts() == (0, 0)
        assert await bench.database["quotas"].count_documents({}) == 0
    assert (await bench.upload(key.id, content)).status_code == 201


@pytest.mark.parametrize(
    "bench", [{"uploads_at_once": "1", "upload_wait_seconds": "0.2", "upload_seconds": "1"}], indirect=True
)
async def test_a_slow_sender_is_cut_off_and_others_are_told_to_come_again(bench: Bench) -> None:
    key, content = await bench.key(), pdf()
    async with served(bench) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head(bench, key.id, "Content-Length: 5000") + b"%PDF-1.7\n")
        await writer.drain()
        await asyncio.sleep(0.2)
        meanwhile = await bench.upload(key.id, content)
        assert (meanwhile.status_code, meanwhile.headers["retry-after"]) == (503, "2")
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n"), 5)
        assert b" 408 " in answer
        writer.close()
    assert (await bench.upload(key.id, content)).status_code == 201
