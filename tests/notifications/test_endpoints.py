"""Registering, listing and deleting endpoints over HTTP, on a real MongoDB."""

import asyncio
from typing import Any

import pytest

from .conftest import token

URL = "http://127.0.0.1:9/hook"


async def test_a_secret_is_shown_once_and_again_only_to_the_same_request(start: Any) -> None:
    running = await start()
    first = await running.register({"url": URL, "description": "main"}, key="k1")
    assert first.status_code == 201
    assert first.json()["secret"].startswith("whsec_")
    again = await running.register({"description": "main", "url": URL}, key="k1")
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    other = await running.register({"url": URL + "2"}, key="k1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    shown = (await running.http.get("/v1/endpoints", headers=token())).json()["items"]
    assert shown == [{"id": first.json()["id"], "url": URL, "status": "active", "description": "main"}]


async def test_the_same_request_many_times_at_once_makes_one_endpoint(start: Any) -> None:
    running = await start()
    replies = await asyncio.gather(*(running.register({"url": URL}, key="same") for _ in range(8)))
    assert {reply.status_code for reply in replies} == {201}
    assert len({reply.text for reply in replies}) == 1
    assert await running.service.database["endpoints"].count_documents({}) == 1


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ({"url": URL, "email": "a@demo.example.test"}, ""),
        ({"url": "https://u:p@a.example.test/"}, "/url"),
        ({"url": "http://10.0.0.1/"}, "/url"),
        ({"url": "http://no-such-host.invalid/"}, "/url"),
        ({"email": "not an address"}, "/email"),
        ({"email": "a@demo.example.test\nBcc: b@demo.example.test"}, "/email"),
        ({"url": URL, "colour": "crimson"}, "/colour"),
        ({"url": 1}, "/url"),
        ([], ""),
    ],
)
async def test_a_bad_endpoint_is_refused_by_its_field_and_not_quoted(start: Any, body: Any, pointer: str) -> None:
    running = await start()
    reply = await running.register(body)
    assert reply.status_code == 422, reply.text
    assert [error["pointer"] for error in reply.json()["errors"]] == [pointer]
    assert not any(text in reply.text for text in ("u:p", "10.0.0.1", "Bcc", "crimson", "no-such-host"))
    assert await running.service.database["endpoints"].count_documents({}) == 0


async def test_production_takes_https_to_public_addresses_only(start: Any) -> None:
    running = await start(environment="production")
    for url in (
        "http://a.example.test/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://[::1]/",
        "https://0x7f.1/",
    ):
        assert (await running.register({"url": url})).status_code == 422
    assert (await running.register({"url": "https://1.1.1.1/hook"})).status_code == 201


async def test_live_endpoints_need_https_in_development_too(start: Any) -> None:
    running = await start()
    assert (await running.register({"url": URL}, mode="live")).status_code == 422


async def test_who_may_do_what(start: Any) -> None:
    running = await start()
    made = (await running.register({"url": URL})).json()["id"]
    assert (await running.http.post("/v1/endpoints", json={"url": URL})).status_code == 401
    assert (await running.register({"url": URL}, scopes="applications:read")).status_code == 403
    foreign = token(tenant="other")
    assert (await running.http.get("/v1/endpoints", headers=foreign)).json()["items"] == []
    assert (await running.http.delete(f"/v1/endpoints/{made}", headers=foreign)).status_code == 404
    assert (await running.http.get("/v1/endpoints", headers=token(mode="live"))).json()["items"] == []
    no_key = await running.http.post("/v1/endpoints", json={"url": URL}, headers=token())
    assert (no_key.status_code, no_key.json()["code"]) == (400, "idempotency-key-missing")


async def test_deleting_forgets_address_and_secret(start: Any) -> None:
    running = await start()
    made = (await running.register({"url": URL}, key="k")).json()["id"]
    for _ in range(2):
        assert (await running.http.delete(f"/v1/endpoints/{made}", headers=token())).status_code == 204
    assert (await running.http.get("/v1/endpoints", headers=token())).json()["items"] == []
    stored = await running.service.database["endpoints"].find_one({"_id": made})
    assert "target" not in stored
    assert "secret" not in stored
    assert (await running.register({"url": URL}, key="k")).json()["code"] == "idempotency-key-reused"


async def test_pages(start: Any) -> None:
    running = await start()
    made = {(await running.register({"url": f"{URL}{n}"})).json()["id"] for n in range(5)}
    found: list[str] = []
    query: dict[str, str] = {"pageSize": "2"}
    while True:
        reply = (await running.http.get("/v1/endpoints", params=query, headers=token())).json()
        found += [item["id"] for item in reply["items"]]
        if "nextPageToken" not in reply:
            break
        query["pageToken"] = reply["nextPageToken"]
    assert (len(found), set(found)) == (5, made)
    bad = await running.http.get("/v1/endpoints", params={"pageToken": "nope"}, headers=token())
    assert bad.status_code == 400


async def test_a_tenant_cannot_have_endpoints_without_end(start: Any) -> None:
    running = await start(endpoints_per_tenant="2")
    codes = [(await running.register({"url": f"{URL}{n}"})).status_code for n in range(3)]
    assert codes == [201, 201, 409]
