"""Every shape of the public documentation, told by a client that knows nothing else."""

import base64
import hashlib
import json
import re
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.sandbox.process import Sandbox, lead, listening, wait_for

SAMPLE = (Path(__file__).parent / "sample.json").read_bytes()
JSON = {"Content-Type": "application/json"}
RECEIVED = {"message": "Your attachment was received and is being processed"}
PDF = b"%PDF-1.4 fake=1&more=%00\x00\xff\r\n"


def without_address(reference: str) -> dict[str, Any]:
    content = json.loads(SAMPLE)
    del content["lead"]["contacts_attributes"][0]["current_address_attributes"]
    content["lead"]["application_attributes"]["reference_id"] = reference
    return dict(content)


def test_the_documented_samples_are_served_word_for_word(sandbox: Sandbox) -> None:
    with sandbox.client() as client:
        created = client.post("/lead", content=SAMPLE, headers=JSON)
        missing = client.post("/lead", json=without_address("ANYTHING_YOUWANT_AS_A_STRING"))
        duplicate = client.post("/lead", json=without_address("THIS_ISNT_UNIQUE"))
        again = client.post("/lead", content=SAMPLE, headers=JSON)
    assert created.status_code == 201
    assert created.json()["message"] == "Your lead was successfully created."
    assert re.fullmatch(r"[A-Za-z0-9._-]{55,70}", created.json()["id"])
    assert (missing.status_code, missing.json()) == (422, {"errors": {"contacts_attributes": ["Must provide address"]}})
    for reply in (duplicate, again):
        assert (reply.status_code, reply.json()) == (422, {"message": "Reference ID is not unique."})
    kept = sandbox.ledger("ANYTHING_YOUWANT_AS_A_STRING")
    assert [item["sha256"] for item in kept["leads"]] == [hashlib.sha256(SAMPLE).hexdigest()]
    assert kept["leads"][0]["body"] == json.loads(SAMPLE)
    assert kept["counts"]["duplicates"] == 1
    assert [call["status"] for call in kept["calls"]] == [201, 422, 422]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"api_key": "wrong"},
        {"api-key": "classic-test-key"},
        {"Authorization": "Bearer x.y"},
        {"Authorization": "Bearer é"},
    ],
)
def test_who_cannot_sign_in_gets_401(sandbox: Sandbox, headers: dict[str, str]) -> None:
    encoded = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
    for path in ("/lead", "/webhook", "/trigger_webhook", "/attachment", "/attachments"):
        assert httpx.post(sandbox.api + path, headers=encoded, json={}, trust_env=False).status_code == 401
    assert httpx.get(sandbox.api + "/deal_status/x", headers=encoded, trust_env=False).status_code == 401


def test_the_header_name_is_case_insensitive(sandbox: Sandbox) -> None:
    reply = httpx.post(
        f"{sandbox.api}/lead", headers={"Api_key": "classic-test-key"}, json=lead("case"), trust_env=False
    )
    assert reply.status_code == 201


def test_invalid_json_is_422_and_nothing_is_recorded(sandbox: Sandbox) -> None:
    before = sandbox.summary()["counts"]["leads"]
    with sandbox.client() as client:
        for body in (b"{", b"", b"[]", b'{"lead": NaN}', b'{"lead": []}', b"\xff"):
            reply = client.post("/lead", content=body, headers=JSON)
            assert (reply.status_code, list(reply.json())) == (422, ["errors"])
        assert client.post("/lead", content=b" " * 1_100_000, headers=JSON).status_code == 413
    assert sandbox.summary()["counts"]["leads"] == before


def test_the_newer_vocabulary_rejects_the_older_samples(sandbox: Sandbox) -> None:
    with sandbox.client() as client:
        client.headers["api_key"] = "current-test-key"
        refused = client.post("/lead", content=SAMPLE, headers=JSON)
        taken = client.post("/lead", json=lead("current-1"))
    listed = ["is not included in the list"]
    assert refused.status_code == 422
    assert refused.json() == {"errors": {"entity_type": listed, "industry_name": listed}}
    assert taken.status_code == 201


def test_references_and_lead_ids_belong_to_one_user(sandbox: Sandbox) -> None:
    with sandbox.client() as client:
        mine = sandbox.lead(client, "both")
        client.headers["api_key"] = "current-test-key"
        theirs = sandbox.lead(client, "both")
        assert mine != theirs
        assert client.get(f"/deal_status/{mine}").status_code == 404
        assert client.post("/attachment", params={"filename": "a.pdf", "lead_id": mine}, content=PDF).status_code == 400


def test_the_password_grant(sandbox: Sandbox) -> None:
    url = f"{sandbox.url}/forward-financing/application/o/token/"
    form = {"grant_type": "password", "client_id": "partner-api", "username": "iso@example.test",
            "password": "not-a-secret", "scope": "openid email profile"}  # fmt: skip
    granted = httpx.post(url, data=form, trust_env=False)
    assert granted.status_code == 200
    token = granted.json()
    assert (token["token_type"], token["expires_in"]) == ("bearer", 600)
    bearer = {"Authorization": f"Bearer {token['access_token']}"}
    assert httpx.post(f"{sandbox.api}/lead", headers=bearer, json=lead("oauth"), trust_env=False).status_code == 201
    wrong = httpx.post(url, data=form | {"password": "wrong"}, trust_env=False)
    assert (wrong.status_code, wrong.json()) == (400, {"error": "invalid_grant"})
    nobody = httpx.post(url, data=form | {"username": "nobody@example.test"}, trust_env=False)
    assert nobody.json() == {"error": "invalid_grant"}
    other = httpx.post(url, data=form | {"grant_type": "client_credentials"}, trust_env=False)
    assert other.json() == {"error": "unsupported_grant_type"}


def test_a_token_expires(sandbox: Sandbox) -> None:
    form = {
        "grant_type": "password",
        "client_id": "partner-api",
        "username": "brief@example.test",
        "password": "not-a-secret",
    }
    token = httpx.post(f"{sandbox.url}/forward-financing/application/o/token", data=form, trust_env=False).json()
    bearer = {"Authorization": f"bearer {token['access_token']}"}
    time.sleep(1.1)
    assert httpx.get(f"{sandbox.api}/deal_status/x", headers=bearer, trust_env=False).status_code == 401


@pytest.mark.parametrize(
    "kind", [None, "application/x-www-form-urlencoded", "application/pdf", "multipart/form-data; boundary=x"]
)
def test_raw_bytes_are_taken_as_they_are(sandbox: Sandbox, kind: str | None) -> None:
    reference = f"raw {kind}"
    with sandbox.client() as client:
        lead_id = sandbox.lead(client, reference)
        query = {"filename": "bank statement +é.pdf", "lead_id": lead_id}
        reply = client.post("/attachment", params=query, content=PDF, headers={"Content-Type": kind} if kind else {})
    assert (reply.status_code, reply.json()) == (202, RECEIVED)
    [kept] = sandbox.ledger(reference)["attachments"]
    assert (kept["sha256"], kept["size"], kept["how"]) == (hashlib.sha256(PDF).hexdigest(), len(PDF), "raw")
    assert kept["filename"] == "bank statement +é.pdf"


def test_base64_is_strict(sandbox: Sandbox) -> None:
    with sandbox.client() as client:
        query = {"filename": "a.pdf", "lead_id": sandbox.lead(client, "base64"), "encoded": "true"}
        encoded = base64.b64encode(PDF)
        assert client.post("/attachment", params=query, content=encoded).status_code == 202
        for bad in (encoded[:8] + b"\n" + encoded[8:], encoded + b"\n", b"*" + encoded, encoded[:-1], b""):
            assert client.post("/attachment", params=query, content=bad).status_code == 400
    assert [item["sha256"] for item in sandbox.ledger("base64")["attachments"]] == [hashlib.sha256(PDF).hexdigest()]


def test_missing_parameters_of_an_attachment_are_400(sandbox: Sandbox) -> None:
    with sandbox.client() as client:
        lead_id = sandbox.lead(client, "parameters")
        for query in ({}, {"filename": "a.pdf"}, {"lead_id": lead_id}, {"filename": "", "lead_id": lead_id},
                      {"filename": "a.pdf", "lead_id": "unknown"}):  # fmt: skip
            assert client.post("/attachment", params=query, content=PDF).status_code == 400
        both = {"filename": "a.pdf", "lead_id": lead_id}
        assert client.post("/attachment", params=both, content=b"").status_code == 400
        assert client.post("/attachment", json=both).status_code == 400
        assert client.post("/attachment", json=both | {"attachment_url": "ftp://x.example.test/a"}).status_code == 400
    assert sandbox.ledger("parameters")["attachments"] == []


async def test_documents_by_url_are_really_fetched(sandbox: Sandbox) -> None:
    async with listening() as files, httpx.AsyncClient(base_url=sandbox.api, trust_env=False) as client:
        files.files["/d/token"] = PDF
        client.headers["api_key"] = "classic-test-key"
        lead_id = (await client.post("/lead", json=lead("by-url"))).json()["id"]
        body = {"attachment_url": f"{files.url}/d/token", "filename": "a.pdf", "lead_id": lead_id}
        replies = [
            await client.post("/attachment", json=body),
            await client.post("/attachment", params=body),
            await client.post("/attachment", json=body | {"attachment_url": f"{files.url}/gone"}),
        ]
        assert [(reply.status_code, reply.json()) for reply in replies] == [(202, RECEIVED)] * 3
    kept = sandbox.ledger("by-url")["attachments"]
    assert [item["accepted"] for item in kept] == [True, True, False]
    assert {item["sha256"] for item in kept if item["accepted"]} == {hashlib.sha256(PDF).hexdigest()}


async def test_bulk_answers_in_request_order(sandbox: Sandbox) -> None:
    async with listening() as files, httpx.AsyncClient(base_url=sandbox.api, trust_env=False) as client:
        files.files["/a"] = PDF
        client.headers["api_key"] = "current-test-key"
        lead_id = (await client.post("/lead", json=lead("bulk"))).json()["id"]
        good = {"filename": "a.pdf", "attachment_url": f"{files.url}/a", "tags": ["bank_statement"]}
        bad = {"filename": "b.xlsx", "attachment_url": f"{files.url}/none", "tags": []}
        every = await client.post("/attachments", json={"lead_id": lead_id, "attachments": [good] * 30})
        mixed = await client.post("/attachments", json={"lead_id": lead_id, "attachments": [bad, good]})
        none = await client.post("/attachments", json={"lead_id": lead_id, "attachments": [bad]})
        empty = await client.post("/attachments", json={"lead_id": lead_id, "attachments": []})
    assert (every.status_code, mixed.status_code, none.status_code, empty.status_code) == (202, 207, 422, 400)
    assert mixed.json() == {
        "results": [
            {"filename": "b.xlsx", "status": "rejected", "error": "unreachable url (status 404)"},
            {"filename": "a.pdf", "status": "accepted"},
        ]
    }
    kept = sandbox.ledger("bulk")["attachments"]
    assert sum(item["accepted"] for item in kept) == 26, "25 of the 30, and one of the two"
    assert kept[0]["tags"] == ["bank_statement"]


@pytest.mark.parametrize(("amount", "stage", "fields"), [
    ("50000", "Approval Sent", {"max_approval", "max_payments", "offer_link", "required_stipulations"}),
    ("50001", "Declined", {"decline_drivers", "decline_notes"}),
    ("50002", "File Missing Info", {"missing_info"}),
    ("50004.00", "Waiting on ISO", {"missing_info"}),
])  # fmt: skip
def test_magic_amounts_decide(sandbox: Sandbox, amount: str, stage: str, fields: set[str]) -> None:
    with sandbox.client() as client:
        lead_id = sandbox.lead(client, f"magic {amount}", capital=amount)
        body = sandbox.until_stage(client, lead_id, stage)
        assert set(body) == {"stage"} | fields
        client.headers["api_key"] = "current-test-key"
        lead_id = sandbox.lead(client, f"magic {amount}", capital=amount)
        newer = sandbox.until_stage(client, lead_id, stage)
    if stage == "Approval Sent":
        assert (body["max_approval"], body["max_payments"]) == (40000, 140)
        assert newer["offer_variants"][0]["max_approval_amount"] == 40000
        assert set(newer) - set(body) == {"offer_variants", "notes"}


def test_a_working_deal_keeps_working(sandbox: Sandbox) -> None:
    with sandbox.client() as client:
        lead_id = sandbox.lead(client, "working", capital="70003")
        wait_for(lambda: sandbox.ledger("working")["decisions"])
        assert client.get(f"/deal_status/{lead_id}").json() == {"stage": "Working"}
        unknown = client.get("/deal_status/no.such-lead_")
    assert unknown.status_code == 404


def test_a_document_moves_a_deal_on_that_missed_one(sandbox: Sandbox) -> None:
    with sandbox.client() as client:
        lead_id = sandbox.lead(client, "moves on", capital="80002")
        sandbox.until_stage(client, lead_id, "File Missing Info")
        client.post("/attachment", params={"filename": "more.pdf", "lead_id": lead_id}, content=PDF)
        sandbox.until_stage(client, lead_id, "Approval Sent")
    decisions = [(item["outcome"], item["event"]) for item in sandbox.ledger("moves on")["decisions"]]
    assert decisions == [("missing", "Waiting on ISO"), ("approve", "Approved")]


def test_webhook_addresses_are_checked(sandbox: Sandbox) -> None:
    invalid = {"errors": {"webhook_url": ["is not a valid URL"]}}
    incomplete = {"message": "Please provide lead_id, webhook_url and event_type"}
    with sandbox.client() as client:
        for url in ("example.test", "ftp://example.test", "http://", "", None, 7):
            reply = client.post("/webhook", json={"webhook_url": url})
            assert (reply.status_code, reply.json()) == (422, invalid)
        for body in ({}, {"webhook_url": "http://127.0.0.1:9"}, {"webhook_url": "http://127.0.0.1:9", "lead_id": "x"}):
            reply = client.post("/trigger_webhook", json=body)
            assert (reply.status_code, reply.json()) == (400, incomplete)


async def test_a_triggered_webhook_arrives(sandbox: Sandbox) -> None:
    async with listening() as receiver, httpx.AsyncClient(base_url=sandbox.api, trust_env=False) as client:
        client.headers["api_key"] = "classic-test-key"
        body = {"webhook_url": receiver.url, "lead_id": "any-lead", "event_type": "Declined"}
        reply = await client.post("/trigger_webhook", json=body)
        assert (reply.status_code, reply.json()) == (200, {"message": "Webhook trigger successful"})
        await receiver.until(1)
    assert receiver.received[0][1] == {"lead_id": "any-lead", "event_type": "Declined"}


def test_one_request_per_second_and_user(sandbox: Sandbox) -> None:
    with sandbox.client() as client:
        client.headers["api_key"] = "paced-test-key"
        before = sandbox.summary()["rateViolations"]
        first, second = client.get("/deal_status/x"), client.get("/deal_status/x")
        time.sleep(1)
        third = client.get("/deal_status/x")
        client.headers["api_key"] = "classic-test-key"
        assert client.get("/deal_status/x").status_code == 404, "another user has its own second"
    assert (first.status_code, second.status_code, third.status_code) == (404, 429, 404)
    assert sandbox.summary()["rateViolations"] == before + 1


def test_health_and_unknown_partners(sandbox: Sandbox) -> None:
    assert httpx.get(f"{sandbox.url}/live", trust_env=False).json()["status"] == "live"
    ready = httpx.get(f"{sandbox.url}/ready", trust_env=False).json()
    assert (ready["status"], ready["checks"]["forward-financing"]) == ("ready", "ok")
    for page in ("_ledger/nobody", "_ledger/nobody/summary", "_dials/nobody"):
        assert httpx.get(f"{sandbox.url}/{page}", trust_env=False).status_code == 404


def test_logs_hold_no_personal_data(sandbox: Sandbox) -> None:
    with sandbox.client() as client:
        lead_id = sandbox.lead(client, "quiet-reference")
        client.post("/attachment", params={"filename": "quiet-name.pdf", "lead_id": lead_id}, content=PDF)
        client.post("/lead", content=b'{"lead": {"contacts_attributes": [{"ssn": "900-00-9999"}]}}', headers=JSON)
    log = sandbox.log()
    assert "operation=lead status=201" in log, "the control: this is the log of these calls"
    for secret in ("Fakely", "900000001", "900-00-9999", "quiet-reference", "quiet-name", lead_id, "classic-test-key"):
        assert secret not in log
