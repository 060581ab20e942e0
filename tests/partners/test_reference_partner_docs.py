"""The published interface is sound, its examples keep it, and the simulated partner answers by it over real sockets."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, get_args

import httpx
import pytest
from openapi_spec_validator import validate
from pydantic import SecretStr
from tests.partners.receiver import receiving
from tests.partners.reference_partner import published
from tests.partners.reference_partner.rehearsal import JUDGED, REHEARSALS, WEBHOOK_SECRET
from tests.partners.rehearsals import FULL, Sandbox, new_reference

from lendrail.contracts.terms import ReasonCode, TermUnit
from lendrail.partners import PARTNERS
from lendrail.partners.exchange import File, Request
from lendrail.partners.reference import profile
from lendrail.partners.reference.__main__ import PUBLISHED, artefact

PARTNER = PARTNERS["reference-partner"]
REHEARSAL = REHEARSALS[1]


def test_document_is_openapi() -> None:
    validate(published.openapi(), base_uri=(published.FOLDER / "openapi.yaml").as_uri())


def test_published_schema_is_fresh() -> None:
    """`python -m lendrail.partners.reference` writes it again."""
    assert [path.read_text() == artefact() for path in PUBLISHED] == [True, True]


@pytest.mark.parametrize("pointer", sorted(published.bodies()))
def test_examples_keep_their_schemas(pointer: str) -> None:
    judge, body = published.judge(f"{pointer}/schema"), published.at(pointer)
    for name in body.get("examples", {}):
        judge.validate(published.at(published.followed(f"{pointer}/examples/{name}"))["value"])


def test_examples_are_there() -> None:
    count = sum(len(published.at(each).get("examples", {})) for each in published.bodies())
    assert count >= 12


def test_closed_lists_are_ours() -> None:
    schemas = published.openapi()["components"]["schemas"]
    assert schemas["Status"]["enum"] == list(profile.STATUSES)
    assert schemas["ReasonCode"]["enum"] == [each.value for each in ReasonCode]
    assert schemas["Offer"]["properties"]["term"]["properties"]["unit"]["enum"] == list(get_args(TermUnit))


def test_everything_that_we_send_keeps_the_schemas() -> None:
    order = REHEARSAL.order(new_reference(), FULL)
    (create,) = PARTNER.create(order)
    assert PARTNER.update
    assert PARTNER.accept
    assert PARTNER.document
    assert PARTNER.webhook
    assert PARTNER.webhook.register
    link = File(name="a.pdf", kind="bank-statement", link="https://gateway.example.test/documents/fake")
    sent = {
        "Application": [create, PARTNER.update("app_1", order)],
        "Document": [
            PARTNER.document("app_1", (File(name="a b.pdf", kind="application-summary", content=b"x"),), {}),
            PARTNER.document("app_1", (link,), {"attachments": "link"}),
        ],
        "Acceptance": [PARTNER.accept("app_1", "offer-1", None, {}), PARTNER.accept("app_1", "offer-1", "short", {})],
        "Webhook": [
            PARTNER.webhook.register("https://gateway.example.test/w", SecretStr(WEBHOOK_SECRET)),
            PARTNER.webhook.register("https://gateway.example.test/w", None),
        ],
    }
    for name, requests in sent.items():
        for request in requests:
            published.judge(f"/components/schemas/{name}").validate(json.loads(request.content))


class Caller:
    """Calls the simulated partner and has each answer judged."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._base = sandbox.url + REHEARSAL.path
        self._client = httpx.Client(trust_env=False, headers={"authorization": f"Bearer {JUDGED}"})

    def __call__(self, path: str, request: Request, status: int, **changes: Any) -> Any:
        url, headers = self._base + request.path, dict(request.headers) | changes.pop("headers", {})
        content = changes.pop("content", request.content)
        reply = self._client.request(
            request.method, url, params=request.query or None, headers=headers, content=content
        )
        assert reply.status_code == status, reply.text
        body = reply.json()
        published.judge(published.answer_pointer(path, request.method.lower(), status)).validate(body)
        return body


def test_every_answer_of_the_simulated_partner_keeps_its_schema(sandbox: Sandbox) -> None:
    call, partner = Caller(sandbox), PARTNER
    assert partner.read
    assert partner.update
    assert partner.index
    assert partner.search
    assert partner.document
    reference = new_reference()
    data = REHEARSAL.application("50003", reference)
    order = REHEARSAL.order(reference, data)
    (create,) = partner.create(order)
    every, one, files = "/applications", "/applications/{id}", "/applications/{id}/documents"

    state = call(every, create, 201)
    assert call(every, create, 201) == state, "the original answer"
    call(every, create, 409, content=create.content.replace(b"50003", b"50004"))
    call(every, create, 422, content=b"{}", headers={"idempotency-key": new_reference()})
    call(every, create, 400, headers={"idempotency-key": "x" * 81})
    call(every, create, 401, headers={"authorization": "Bearer fake-other-token"})
    call(every, partner.index(None), 200)
    call(every, Request(operation="index", method="GET", path="/applications", query=(("pageSize", "0"),)), 400)
    (entry,) = call(every, partner.search(reference, {}), 200)["applications"]
    assert entry["id"] == state["id"]
    call(one, partner.read(state["id"]), 200)
    call(one, partner.read("app_none"), 404)
    call(one, partner.update(state["id"], order), 200)
    call(one, partner.update("app_none", order), 404)
    call(one, partner.update(state["id"], order), 422, content=b"[]")

    document = partner.document(state["id"], (File(name="a.pdf", kind="quote", content=b"x"),), {})
    taken = call(files, document, 201)
    assert call(files, document, 201) == taken
    call(files, document, 409, content=document.content.replace(b"a.pdf", b"b.pdf"))
    call(files, document, 422, content=b"{}", headers={"idempotency-key": "other"})
    call(files, partner.document("app_none", (File(name="a", kind="quote"),), {}), 404)


@pytest.mark.parametrize("amount", ["50000", "50001", "50002", "50003", "50005", "50006"])
async def test_every_state_and_every_webhook_keeps_its_schema(sandbox: Sandbox, amount: str) -> None:
    assert PARTNER.read
    assert PARTNER.webhook
    assert PARTNER.webhook.register
    call = Caller(sandbox)
    with receiving() as ours:
        register = PARTNER.webhook.register(ours.url, SecretStr(WEBHOOK_SECRET))
        call("/webhooks", register, 201)
        call("/webhooks", register, 422, content=b'{"url": "ftp://x", "secret": "not base 64"}')
        reference = new_reference()
        (create,) = PARTNER.create(REHEARSAL.order(reference, REHEARSAL.application(amount, reference)))
        state = call("/applications", create, 201)
        heard = await asyncio.to_thread(ours.wait, 1)
        event = json.loads(heard[-1].body)
        published.judge("/components/schemas/Event").validate(event)
        assert event["application"] == call("/applications/{id}", PARTNER.read(state["id"]), 200)
        call("/webhooks", PARTNER.webhook.register(ours.url, None), 201)


def test_a_closed_application_is_not_changed(sandbox: Sandbox) -> None:
    assert PARTNER.read
    assert PARTNER.update
    call, reference = Caller(sandbox), new_reference()
    order = REHEARSAL.order(reference, REHEARSAL.application("50001", reference))
    (create,) = PARTNER.create(order)
    state = call("/applications", create, 201)
    patience = time.monotonic() + 10
    while call("/applications/{id}", PARTNER.read(state["id"]), 200)["status"] != "declined":
        assert time.monotonic() < patience
        time.sleep(0.02)
    call("/applications/{id}", PARTNER.update(state["id"], order), 409)


def test_one_offer_is_accepted_and_told(sandbox: Sandbox) -> None:
    assert PARTNER.read
    assert PARTNER.accept
    assert PARTNER.webhook
    assert PARTNER.webhook.register
    call, reference, path = Caller(sandbox), new_reference(), "/applications/{id}/accept"
    with receiving() as ours:
        call("/webhooks", PARTNER.webhook.register(ours.url, SecretStr(WEBHOOK_SECRET)), 201)
        (create,) = PARTNER.create(REHEARSAL.order(reference, REHEARSAL.application("50000", reference)))
        state = call("/applications", create, 201)
        ours.wait(1)
        accept = PARTNER.accept(state["id"], "offer-1", None, {})
        call(path, PARTNER.accept(state["id"], "offer-1", "short", {}), 409)
        call(path, PARTNER.accept("app_none", "offer-1", None, {}), 404)
        call(path, accept, 422, content=b"{}", headers={"idempotency-key": "other"})
        taken = call(path, accept, 200)
        assert call(path, accept, 200) == taken, "the original answer"
        assert (taken["status"], [each["id"] for each in taken["offers"]]) == ("accepted", ["offer-1"])
        assert call("/applications/{id}", PARTNER.read(state["id"]), 200) == taken
        call(path, PARTNER.accept(state["id"], "offer-1", "long", {}), 409)
        event = json.loads(ours.wait(2)[-1].body)
        published.judge("/components/schemas/Event").validate(event)
        assert (event["value"], event["application"]) == ("accepted", taken)


def test_pages_hold_every_application_once(sandbox: Sandbox) -> None:
    call, references = Caller(sandbox), [new_reference() for _ in range(3)]
    for reference in references:
        (create,) = PARTNER.create(REHEARSAL.order(reference, REHEARSAL.application("50003", reference)))
        call("/applications", create, 201)
    listed: list[str] = []
    token: tuple[tuple[str, str], ...] = ()
    while True:
        query = (("pageSize", "2"), *token)
        page = call("/applications", Request(operation="index", method="GET", path="/applications", query=query), 200)
        listed += [each["reference"] for each in page["applications"]]
        if "nextPageToken" not in page:
            break
        assert len(page["applications"]) == 2
        token = (("pageToken", page["nextPageToken"]),)
    assert len(set(listed)) == len(listed)
    assert [each for each in listed if each in references] == references
