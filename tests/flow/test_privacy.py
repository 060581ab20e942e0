"""Unique canaries in every personal field, then a scan of every byte that logs, Kafka, MongoDB and mails wrote."""

import base64
import io
import json
import re
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.flow.stack import Stack, loan, opportunity, post, reached, until

OPEN = "Reference" + uuid.uuid4().hex


def canary() -> str:
    return "Zq" + uuid.uuid4().hex[:14]


def planted() -> tuple[dict[str, Any], list[str]]:
    """An application whose every personal text is a canary, and the canaries."""
    application, marks = loan("30000", reference=OPEN), []

    def word() -> str:
        marks.append(canary())
        return marks[-1]

    business = application["business"]
    business |= {"legalName": word(), "tradingName": word(), "description": word(), "email": f"{word()}@example.test"}
    for address in business["addresses"]:
        address |= {"line1": word(), "city": word()}
    for owner in application["owners"]:
        owner |= {"firstName": word(), "lastName": word(), "title": word(), "email": f"{word()}@example.test"}
        if "address" in owner:
            owner["address"] |= {"line1": word(), "city": word()}
        marks.append(re.sub(r"\D", "", owner.get("ssn", "")))
    application["notes"] = word()
    application["metadata"] = {"remark": word()}
    for consent in application["consents"]:
        consent["givenBy"] = word()
    return application, [mark for mark in marks if mark]


def disguises(mark: str) -> list[bytes]:
    """Plain, with separators, Base64 at each of its three alignments, hex, UTF-16."""
    plain = mark.encode()
    shapes = [plain, plain.hex().encode(), plain.hex().upper().encode(), mark.encode("utf-16-le")]
    if mark.isdigit() and len(mark) == 9:
        shapes += [f"{mark[:3]}{s}{mark[3:5]}{s}{mark[5:]}".encode() for s in "- ./"]
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + plain)
        shapes.append(encoded[(4 if shift else 0) : len(encoded) - 4])
    return shapes


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below `folder`, and every member of every archive inside one."""
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        data = path.read_bytes()
        yield str(path.relative_to(folder)), data
        for match in re.finditer(rb"PK\x03\x04", data):
            try:
                archive = zipfile.ZipFile(io.BytesIO(data[match.start() :]))
                yield from ((f"{path.name}!{name}", archive.read(name)) for name in archive.namelist())
            except zipfile.BadZipFile:
                continue


def found(folder: Path, marks: list[str], skip: tuple[str, ...] = ()) -> list[str]:
    shapes = [shape for mark in marks for shape in disguises(mark)]
    pattern = re.compile(b"|".join(re.escape(shape) for shape in shapes))
    return [
        f"{name} at {match.start()}"
        for name, data in contents(folder)
        if not name.startswith(skip)
        for match in [pattern.search(data)]
        if match
    ]


@pytest.fixture(scope="module")
def open_book(new_stack: Callable[[], Stack]) -> Stack:
    """A stack whose stores do not compress, so that a scan sees what is there."""
    return new_stack().up("--no-rate-limit", "--no-compression", LENDRAIL_LOG_LEVEL="DEBUG")


async def test_no_personal_value_rests_in_clear(open_book: Stack, tmp_path: Path) -> None:
    stack = open_book
    marks: list[str] = []
    async with stack.client() as client:
        await _traffic(stack, client, tmp_path, marks)
    stack.lendrail("restart", "mongo")  # everything in memory goes to the files
    partner = ("data/sandbox",)
    assert found(stack.folder, marks, skip=partner) == []
    for store in ("kafka", "mongo"):
        assert found(stack.folder / "data" / store, [OPEN]), (
            f"what is not personal lies open in {store}: the scan sees it"
        )
    control = canary()
    (stack.folder / "data" / "control.bin").write_bytes(b"\0" * 999 + base64.b64encode(f"x{control}x".encode()))
    assert found(stack.folder, [control]), "the scan must find what was planted"
    assert found(stack.folder, marks), "the partner's own ledger holds what it was sent: the scan sees it"


async def _traffic(stack: Stack, client: httpx.AsyncClient, folder: Path, marks: list[str]) -> None:
    """Both doors, an approval, a refusal at the door, a rejection later, a poison record, an unknown reply."""
    application, first = planted()
    view = await until(client, await post(client, application), reached("approved"), 60)
    assert opportunity(view)["documentsSent"]
    broken, second = planted()
    broken["owners"][0]["ssn"] = "12-" + second[0]
    reply = await client.post("/v1/applications", json=broken, headers={"Idempotency-Key": canary()})
    assert reply.status_code == 422
    assert not any(mark in reply.text for mark in second)
    rejected, third = planted()
    rejected["consents"] = []
    sealed, fourth = planted()
    (folder / "some.json").write_text(json.dumps([rejected, sealed]))
    stack.lendrail("publish", str(folder / "some.json"))
    lost, fifth = planted()
    stack.dial(kind="drop_reply", operation="lead", times=1)
    await until(client, await post(client, lost), reached("submitted", "outcome-unknown"), 60)
    marks += [*first, *second, *third, *fourth, *fifth]
