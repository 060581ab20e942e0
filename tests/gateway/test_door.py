"""The REST door on real Kafka and MongoDB: once by key, every kind of bad input, nothing echoed."""

import asyncio
import json
import uuid
from typing import Any

import httpx
import pytest
from tests import make
from tests.gateway.process import Gateway, claims, new_key

CANARY = "Canarywitz900000017"
Json = {"Content-Type": "application/json"}


async def post(caller: httpx.AsyncClient, body: Any, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await caller.post("/v1/applications", content=content, headers=Json | new_key() | headers)


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """A problem document that repeats nothing of the input."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert CANARY not in answer.text
    told: dict[str, Any] = answer.json()
    assert told["code"] == code
    assert told["requestId"] == answer.headers["x-request-id"]
    return told


async def test_an_application_is_taken_and_can_be_read(caller: httpx.AsyncClient, stored: Any) -> None:
    reference = {"system": "crm", "kind": "lead", "value": f"R-{uuid.uuid4()}"}
    answer = await post(
        caller, make.application_json(externalReferences=[reference]), **{"X-Correlation-Id": "their-own-42"}
    )
    assert answer.status_code == 202
    told = answer.json()
    assert told == {"applicationId": told["applicationId"], "status": "received", "revision": 1}
    assert uuid.UUID(told["applicationId"]).version == 7
    assert answer.headers["location"] == f"/v1/applications/{told['applicationId']}"
    assert answer.headers["x-correlation-id"] == "their-own-42"
    document = await stored["applications"].find_one({"_id": told["applicationId"]})
    assert document["idempotency"]
    assert document["outbox"][0]["headers"]["ce_correlationid"] == b"their-own-42"
    assert b"Fakely" not in document["outbox"][0]["value"]
    shown = (await caller.get(answer.headers["location"])).json()
    assert shown["status"] == "received"
    assert shown["references"] == [reference]
    assert [entry["event"] for entry in shown["timeline"]][:1] == ["application-received"]
    found = (await caller.get("/v1/applications", params={"reference": reference["value"], "system": "crm"})).json()
    assert [each["applicationId"] for each in found["items"]] == [told["applicationId"]]
    nothing = (await caller.get("/v1/applications", params={"reference": reference["value"], "system": "x"})).json()
    assert nothing["items"] == []


async def test_200_posts_with_one_key_make_one_application(gateway: Gateway, stored: Any) -> None:
    body, key = make.application_json(notes="two hundred at once"), new_key()
    async with gateway.caller(limits=httpx.Limits(max_connections=200)) as caller:
        answers = await asyncio.gather(*(post(caller, body, **key) for _ in range(200)))
    codes = {answer.status_code for answer in answers}
    assert codes <= {202, 409}
    assert len({answer.json()["applicationId"] for answer in answers if answer.status_code == 202}) == 1
    assert all(answer.headers["retry-after"] for answer in answers if answer.status_code == 409)
    assert await stored["applications"].count_documents({"idempotency": key["Idempotency-Key"]}) == 1


async def test_a_key_gives_its_first_answer_again(caller: httpx.AsyncClient) -> None:
    body, key = make.application_json(), new_key()
    first = await post(caller, body, **key)
    again = await post(caller, json.dumps(dict(reversed(body.items())), indent=1).encode(), **key)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert (again.status_code, again.json(), again.headers["location"]) == (
        202,
        first.json(),
        first.headers["location"],
    )
    problem(await post(caller, make.application_json(notes=CANARY), **key), 422, "idempotency-key-reused")
    problem(await post(caller, {"also": "invalid"}, **key), 422, "idempotency-key-reused")


async def test_a_key_belongs_to_its_tenant(caller: httpx.AsyncClient, gateway: Gateway) -> None:
    body, key = make.application_json(targetPartners="all", consents=[]), new_key()
    async with gateway.caller("other-upstream") as other:
        theirs = await post(other, body, **key)
    ours = await post(caller, make.application_json(), **key)
    assert theirs.status_code == ours.status_code == 202
    assert theirs.json() != ours.json()


@pytest.mark.parametrize("key", [None, "", "x" * 256, "with space", "\x80"])
async def test_the_key_is_required_and_checked(caller: httpx.AsyncClient, key: str | None) -> None:
    headers = {} if key is None else {b"Idempotency-Key": key.encode("latin-1")}
    answer = await caller.post("/v1/applications", json=make.application_json(notes=CANARY), headers=headers)
    problem(answer, 400, "idempotency-key-missing")


@pytest.mark.parametrize(
    "body",
    [
        b'{"notes": "' + CANARY.encode(),
        b'{"notes": NaN, "x": "' + CANARY.encode() + b'"}',
        b'{"mode": "test", "mode": "' + CANARY.encode() + b'"}',
        b'"' + CANARY.encode() + b"\xff" + b'"',
        b'{"notes": "\\ud800' + CANARY.encode() + b'"}',
        b"[" * 100 + b"]" * 100,
        b'{"n": ' + b"9" * 5000 + b"}",
        b"",
    ],
)
async def test_malformed_json(caller: httpx.AsyncClient, body: bytes) -> None:
    problem(await post(caller, body), 400, "malformed-json")


async def test_wrong_content_type(caller: httpx.AsyncClient) -> None:
    problem(
        await post(caller, make.application_json(), **{"Content-Type": "text/plain"}), 415, "unsupported-media-type"
    )


async def test_ten_megabytes_are_refused_before_they_are_read(caller: httpx.AsyncClient) -> None:
    problem(await post(caller, b" " * 10_000_000), 413, "too-large")

    async def chunks() -> Any:
        for _ in range(200):
            yield b" " * 50_000

    answer = await caller.post("/v1/applications", content=chunks(), headers=Json | new_key())
    problem(answer, 413, "too-large")


async def test_every_fault_at_once_and_nothing_stored(caller: httpx.AsyncClient, stored: Any) -> None:
    body = make.application_json(surprise=CANARY, targetPartners=["forward-financing", "nobody"])
    body["owners"][0] |= {"ssn": CANARY, "shoeSize": 44}
    body["requestedFinance"]["amount"] = {"amount": 12.5, "currency": CANARY}
    del body["business"]["legalName"]
    before = await stored["applications"].count_documents({})
    told = problem(await post(caller, body), 422, "invalid-application")
    found = {(error["pointer"], error["code"]) for error in told["errors"]}
    assert {("/surprise", "unknown_field"), ("/owners/0/shoeSize", "unknown_field")} <= found
    assert {("/owners/0/ssn", "digits"), ("/business/legalName", "missing")} <= found
    assert {pointer for pointer, _ in found} >= {
        "/requestedFinance/amount/amount",
        "/requestedFinance/amount/currency",
    }
    assert await stored["applications"].count_documents({}) == before


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ({"targetPartners": ["forward-financing", "nobody"]}, "/targetPartners/1", "unknown-partner"),
        ({"consents": []}, "/consents", "consent-missing"),
        ({"legal_name": CANARY}, "/legal_name", "unknown_field"),
    ],
)
async def test_what_the_tenant_set_up_can_tell(
    caller: httpx.AsyncClient, changes: dict[str, Any], pointer: str, code: str
) -> None:
    told = problem(await post(caller, make.application_json(**changes)), 422, "invalid-application")
    assert [(error["pointer"], error["code"]) for error in told["errors"]] == [(pointer, code)]


async def test_live_and_test_never_cross(caller: httpx.AsyncClient) -> None:
    told = problem(await post(caller, make.application_json(mode="live")), 422, "mode-crossing")
    assert told["errors"][0]["pointer"] == "/mode"


async def test_another_tenants_application_does_not_exist(caller: httpx.AsyncClient, gateway: Gateway) -> None:
    made = await post(caller, make.application_json())
    async with gateway.caller("other-upstream") as other:
        foreign = problem(await other.get(made.headers["location"]), 404, "not-found")
    unknown = problem(await caller.get(f"/v1/applications/{uuid.uuid4()}"), 404, "not-found")
    assert foreign["detail"] == unknown["detail"]
    for strange in ("x", CANARY, made.json()["applicationId"].upper()):
        problem(await caller.get(f"/v1/applications/{strange}"), 404, "not-found")


async def test_tokens_and_scopes(gateway: Gateway) -> None:
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as nobody:
        answer = await post(nobody, make.application_json())
        problem(answer, 401, "unauthorised")
        assert answer.headers["www-authenticate"].startswith("Bearer")
        problem(await post(nobody, {}, Authorization=f"Bearer {CANARY}"), 401, "unauthorised")
    async with gateway.caller("demo-reader") as reader:
        problem(await post(reader, make.application_json()), 403, "forbidden")
        assert (await reader.get("/v1/applications")).status_code == 200


async def test_pages_are_complete_and_stable_while_new_ones_arrive(caller: httpx.AsyncClient) -> None:
    reference = {"system": "crm", "kind": "batch", "value": f"B-{uuid.uuid4()}"}
    body = make.application_json(externalReferences=[reference])
    made = [(await post(caller, body)).json()["applicationId"] for _ in range(7)]
    params: dict[str, Any] = {"reference": reference["value"], "pageSize": 3}
    seen: list[str] = []
    while True:
        page = (await caller.get("/v1/applications", params=params)).json()
        seen += [each["applicationId"] for each in page["items"]]
        await post(caller, body)
        if "nextPageToken" not in page:
            break
        params["pageToken"] = page["nextPageToken"]
    assert seen == made[::-1]
    other = {"pageToken": params["pageToken"]}
    problem(await caller.get("/v1/applications", params=other), 400, "page-token-invalid")
    problem(await caller.get("/v1/applications", params={"pageToken": CANARY}), 400, "page-token-invalid")
    for size in ("0", "201", CANARY):
        problem(await caller.get("/v1/applications", params={"pageSize": size}), 422, "invalid-request")


async def test_what_is_posted_is_published_at_once(caller: httpx.AsyncClient, stored: Any) -> None:
    made = (await post(caller, make.application_json())).json()["applicationId"]
    for _ in range(100):
        document = await stored["applications"].find_one({"_id": made})
        if document["sent"] == 1:
            break
        await asyncio.sleep(0.02)
    assert document["sent"] == 1
    assert "pending" not in document


async def test_the_issuer_answers_as_rfc_6749_says(gateway: Gateway) -> None:
    form = {"grant_type": "client_credentials", "client_id": "demo-upstream", "client_secret": "not-a-real-secret"}
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client:
        good = await client.post("/oauth/token", data=form | {"scope": "applications:read"})
        assert good.headers["cache-control"] == "no-store"
        told = claims(good.json()["access_token"])
        assert (told["tenant"], told["scope"], told["mode"]) == ("demo", "applications:read", "test")
        assert told["exp"] - told["nbf"] == 3600
        for change, error, status in (
            ({"grant_type": "password"}, "unsupported_grant_type", 400),
            ({"scope": "everything"}, "invalid_scope", 400),
            ({"client_secret": CANARY}, "invalid_client", 401),
            ({"client_id": CANARY}, "invalid_client", 401),
            ({"grant_type": ""}, "invalid_request", 400),
        ):
            bad = await client.post("/oauth/token", data=form | change)
            assert (bad.status_code, bad.json()["error"]) == (status, error)
            assert CANARY not in bad.text
        basic = await client.post("/oauth/token", data=form, auth=("demo-upstream", "wrong"))
        assert basic.json()["error"] == "invalid_request"
        basic = await client.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=("a", "wrong"))
        assert basic.headers["www-authenticate"].startswith("Basic")
        twice = await client.post(
            "/oauth/token",
            content="grant_type=a&grant_type=b",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert twice.json()["error"] == "invalid_request"
        assert (await client.post("/oauth/token", json=form)).json()["error"] == "invalid_request"
        keys = (await client.get("/.well-known/jwks.json")).json()["keys"]
        assert "d" not in keys[0]
        metadata = (await client.get("/.well-known/oauth-authorization-server")).json()
        assert metadata["token_endpoint"] == f"{gateway.url}/oauth/token"


async def test_no_log_line_holds_what_callers_sent(gateway: Gateway) -> None:
    log = gateway.log.read_text()
    assert CANARY not in log
    assert "Fakely" not in log
    assert "not-a-real-secret" not in log
