"""Operators ask partners: about an attempt, and for all that a partner has of us, also what was sent from elsewhere."""

import asyncio
import re
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests import support
from tests.partners.rehearsals import Rehearsal
from tests.sandbox.process import Sandbox
from tests.submission.callers import Verifier, as_
from tests.submission.desk import Desk
from tests.submission.others import (
    MONETAGO,
    REFERENCE,
    SOAP,
    VALIANT,
    application,
    dial,
    event,
    open_accounts,
    running,
    undial,
)

from lendrail.contracts.submit import Submit
from lendrail.partners.exchange import Accepted, Reply
from lendrail.submission.app import build
from lendrail.submission.settings import Settings

pytestmark = pytest.mark.asyncio


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def dials(desk: Desk) -> Iterator[None]:
    """None before and none after."""
    for case in (MONETAGO, REFERENCE, SOAP):
        undial(desk, case.partner_name)
    yield
    for case in (MONETAGO, REFERENCE, SOAP):
        undial(desk, case.partner_name)


async def sent(desk: Desk, case: Rehearsal, data: dict[str, Any] | None = None) -> Submit:
    """An application that the partner has."""
    made = event(case, data or application(case, uuid.uuid4().hex))
    await desk.hear(made)
    async with desk.lanes():
        await desk.until(made, "acked")
    return made


async def elsewhere(desk: Desk, case: Rehearsal, reference: str) -> str:
    """An application that somebody else sent under our credential; its id at the partner."""
    (request,) = case.partner.create(case.order(reference, application(case, uuid.uuid4().hex)))
    async with case.channel(desk.sandbox.url) as channel:
        reply = await channel.send(request, 10)
    assert isinstance(reply, Reply)
    came = case.partner.outcome(request, reply)
    assert isinstance(came, Accepted)
    assert came.partner_id
    return came.partner_id


async def known(http: httpx.AsyncClient, case: Rehearsal) -> dict[str, dict[str, Any]]:
    """By partner id, all pages."""
    found: dict[str, dict[str, Any]] = {}
    params: dict[str, str] = {}
    for _ in range(100):
        answer = await http.get(f"/v1/partners/demo-{case.name}/known", params=params)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found |= {each["partnerId"]: each for each in page["items"]}
        if "nextPageToken" not in page:
            return found
        params = {"pageToken": page["nextPageToken"]}
    raise AssertionError("pages without end")


async def actions(desk: Desk) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await desk.store.collection.database["operator_actions"].find({}).to_list()
    return found


@pytest.mark.parametrize("case", [REFERENCE, SOAP], ids=lambda it: it.name)
async def test_all_that_a_partner_has_is_matched_to_ours(
    desk: Desk, http: httpx.AsyncClient, case: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lendrail.partners.reference.profile.PAGE_SIZE", 2)
    monkeypatch.setattr("lendrail.partners.soap_lender.profile.PAGE", 2)
    open_accounts(desk, case)
    ours = await sent(desk, case)
    lost = event(case, application(case, uuid.uuid4().hex))
    await desk.hear(lost)
    reference = (await desk.create(lost)).id
    twice = await elsewhere(desk, case, reference)
    told = "Testa-Fakely-555-0100"
    foreign = await elsewhere(desk, case, told)
    here = (await desk.opportunity(ours)).partner_id
    assert here
    found = await known(http, case)
    assert {each: found[each]["match"] for each in (here, twice, foreign)} == {
        here: "known",
        twice: "id-unknown",
        foreign: "unknown",
    }
    assert (found[here]["opportunityId"], found[here]["attemptState"]) == (str(ours.opportunity_id), "acked")
    assert (found[twice]["reference"], found[twice]["applicationId"]) == (reference, str(lost.application_id))
    assert found[foreign]["status"]
    assert not {"reference", "applicationId", "opportunityId"} & found[foreign].keys()
    assert told not in repr(found), "nobody knows what somebody else put there"
    await desk.store.collection.update_one({"_id": str(lost.opportunity_id)}, {"$set": {"partner_id": "another"}})
    assert (await known(http, case))[twice]["match"] == "other-id"
    recorded = await actions(desk)
    assert {(each["what"], each["who"], each["credential"]) for each in recorded} == {
        ("known", "demo-operator", f"demo-{case.name}")
    }
    assert all(each["at"] for each in recorded)


async def test_a_registry_is_asked_anew_and_about_a_match(desk: Desk, http: httpx.AsyncClient) -> None:
    open_accounts(desk, MONETAGO)
    paper = application(MONETAGO, uuid.uuid4().hex)
    first = await sent(desk, MONETAGO, paper)
    await sent(desk, MONETAGO, paper)
    create = (await desk.create(first)).id

    async def report() -> Any:
        answer = await http.post(f"/v1/attempts/{create}/inquiries/status-request")
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert (told["attempt"], told["partner"], told["operation"]) == (create, "monetago", "status-request")
        return told["report"] if told["report"].get("matches") else None

    told = await support.eventually(report)
    assert (told["status"], told["words"]) == ("duplicate", "REDU")
    (match,) = told["matches"]
    asked: dict[str, Any] = {"url": f"/v1/attempts/{create}/inquiries/document-matches", "json": {"id": match["id"]}}
    answer = await http.post(**asked)
    assert answer.status_code == 200, answer.text
    (compared,) = {each["id"]: each for each in answer.json()["comparisons"]}.values()
    assert (compared["id"], compared["fields"]["number"]) == (match["id"], True)
    assert set(map(type, compared["fields"].values())) == {bool}
    entry = next(each for each in await actions(desk) if each.get("operation") == "document-matches")
    assert (entry["attempt"], entry["subject"], entry["who"]) == (create, match["id"], "demo-operator")
    answer = await http.post(**asked | {"json": {"id": "00000000-0000-4000-8000-00000000dead"}})
    assert (answer.status_code, answer.json()["code"]) == (502, "partner-unanswered")


async def test_the_wait_for_a_registry_asks_the_registry(desk: Desk, http: httpx.AsyncClient) -> None:
    open_accounts(desk, MONETAGO, REFERENCE)
    registered = await sent(desk, MONETAGO)
    waits = event(REFERENCE, application(REFERENCE)).model_copy(update={"gate": registered.opportunity_id})
    await desk.hear(waits)
    gate = (await desk.opportunity(waits)).gate
    assert gate is not None
    answer = await http.post(f"/v1/attempts/{gate.id}/inquiries/status-request")
    assert answer.status_code == 200, answer.text
    assert answer.json()["partner"] == "monetago"


async def test_what_cannot_be_asked_says_why(desk: Desk, http: httpx.AsyncClient) -> None:
    open_accounts(desk, MONETAGO, REFERENCE, VALIANT)
    lender, registry = await sent(desk, REFERENCE), event(MONETAGO, application(MONETAGO))
    await desk.hear(registry)
    asked, at = (await desk.create(registry)).id, (await desk.create(lender)).id
    status, matches = (f"/v1/attempts/{asked}/inquiries/{each}" for each in ("status-request", "document-matches"))
    wrong: list[tuple[int, str, str, dict[str, Any]]] = [
        (409, "not-offered", f"/v1/attempts/{at}/inquiries/status-request", {}),
        (409, "not-offered", f"/v1/attempts/{asked}/inquiries/guess", {}),
        (409, "no-partner-id", status, {}),
        (422, "invalid-request", status, {"json": {"id": "x"}}),
        (422, "invalid-request", matches, {}),
        (422, "invalid-request", matches, {"json": {}}),
        (422, "invalid-request", matches, {"json": {"id": "a b"}}),
        (422, "invalid-request", matches, {"json": {"id": "x", "more": 1}}),
        (400, "malformed-json", matches, {"content": b"{", "headers": {"content-type": "application/json"}}),
        (404, "not-found", f"/v1/attempts/{uuid.uuid4()}/inquiries/status-request", {}),
        (404, "not-found", status, {"headers": as_("stranger")}),
        (404, "not-found", status, {"headers": as_("live")}),
        (403, "forbidden", status, {"headers": as_("reader")}),
    ]
    for code, name, url, more in wrong:
        answer = await http.post(url, **more)
        assert (answer.status_code, answer.json()["code"]) == (code, name), (url, more, answer.text)
    reads: list[tuple[int, str, str, dict[str, Any]]] = [
        (409, "not-offered", "/v1/partners/demo-valiant/known", {}),
        (404, "not-found", "/v1/partners/demo-nobody/known", {}),
        (404, "not-found", "/v1/partners/demo-reference-partner/known", {"headers": as_("stranger")}),
        (403, "forbidden", "/v1/partners/demo-reference-partner/known", {"headers": as_("reader")}),
        (422, "invalid-request", "/v1/partners/demo-reference-partner/known?pageToken=a%20b", {}),
    ]
    for code, name, url, more in reads:
        answer = await http.get(url, **more)
        assert (answer.status_code, answer.json()["code"]) == (code, name), (url, answer.text)
    assert await actions(desk) == [], "what was never asked is not recorded"


@pytest.mark.parametrize(
    ("trouble", "status", "code"),
    [
        ({"kind": "status", "status": 500}, 502, "partner-unanswered"),
        ({"kind": "status", "status": 429, "retry_after": 7}, 503, "retry-later"),
        ({"kind": "status", "status": 403}, 409, "credential-refused"),
        ({"kind": "html"}, 502, "partner-unanswered"),
        ({"kind": "drop_reply"}, 502, "partner-unanswered"),
        ({"kind": "delay", "ms": 3000, "when": "before"}, 502, "partner-unanswered"),
    ],
    ids=lambda it: str(it.get("kind")) if isinstance(it, dict) else str(it),
)
async def test_a_partner_in_trouble(
    desk: Desk, http: httpx.AsyncClient, trouble: dict[str, Any], status: int, code: str
) -> None:
    open_accounts(desk, REFERENCE)
    dial(desk, "reference-partner", operation="index", times=1, **trouble)
    url = "/v1/partners/demo-reference-partner/known"
    answer = await http.get(url)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    if code in ("retry-later", "credential-refused"):
        assert (await http.get(url)).json()["code"] == "partner-paused", "one refusal holds all calls"
    if code == "retry-later":
        assert answer.headers["retry-after"] == "7"


async def test_a_breaker_that_is_open_lets_no_question_through(desk: Desk, http: httpx.AsyncClient) -> None:
    open_accounts(desk, REFERENCE)
    dial(desk, "reference-partner", kind="status", status=500, operation="index")
    url = "/v1/partners/demo-reference-partner/known"
    answers = [await http.get(url) for _ in range(7)]
    assert answers[0].json()["code"] == "partner-unanswered"
    assert (answers[-1].status_code, answers[-1].json()["code"]) == (503, "partner-away")
    assert int(answers[-1].headers["retry-after"]) >= 1


async def test_many_questions_at_once_share_the_lanes(desk: Desk, http: httpx.AsyncClient) -> None:
    open_accounts(desk, REFERENCE)
    url = "/v1/partners/demo-reference-partner/known"
    answers = await asyncio.gather(*(http.get(url) for _ in range(12)))
    assert {each.status_code for each in answers} == {200}


async def test_a_credential_that_is_not_ours_is_never_used(desk: Desk, http: httpx.AsyncClient) -> None:
    open_accounts(desk, REFERENCE)
    path = desk.folder / "credentials.json"
    for changes in ('"tenant": "another"', '"mode": "live"'):
        name = changes.partition(":")[0]
        before = path.read_text()
        path.write_text(re.sub(rf'{name}: "[a-z]+"', changes, before))
        _, app = build(Settings(), Verifier(), publisher=desk.heard, client=desk.client)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
            answer = await client.get("/v1/partners/demo-reference-partner/known", headers=as_("operator"))
        assert answer.status_code == 409, answer.text
        assert answer.json()["code"] in ("not-configured", "mode-crossing")
        path.write_text(before)
