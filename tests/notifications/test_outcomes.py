"""Outcomes on a tenant's topic: what a record says, in which order, and that none is lost. Real MongoDB, a topic by
plan.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError
from tests import make, support

from lendrail.contracts.event import read_envelope
from lendrail.contracts.json_schemas import schemas
from lendrail.contracts.outcome import Outcome
from lendrail.contracts.status_updated import StatusUpdated
from lendrail.contracts.terms import DeclineReason, ReasonCode, Status
from lendrail.gateway.description.openapi import document
from lendrail.notifications import lanes
from lendrail.notifications.notify import topic_recipient
from lendrail.notifications.order import next_in_turn, wait_before
from lendrail.notifications.outcome import as_text, from_text, outcome_of, outcome_record
from lendrail.runtime.directory import Tenant
from lendrail.runtime.topic_port import WRITTEN

from .conftest import token, updated
from .outcomes import Topic, blocks, switch

URL = "https://api.example.test"
QUICK = "[0.02]"
PERSONAL: dict[str, Any] = {
    "contact": {"name": "Zelda Fakename", "email": "zelda@partner.example.test", "phone": "+15550100000"},
    "notes": "call Zelda on Monday",
    "decline_notes": "Zelda was late",
}
WORDS = ("Zelda", "zelda@", "5550100000", "x.test/a", "Monday", "March", "enc1:", "***")


@pytest.fixture(autouse=True)
def no_long_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "LONGEST_HOLD", 0.05)


async def _written(topic: Topic, count: int, seconds: float = 15) -> None:
    async def there() -> bool:
        return len(topic.written) >= count

    await support.eventually(there, seconds)


async def test_an_update_is_a_cloud_event_on_the_tenants_own_topic(start: Any, tmp_path: Path) -> None:
    topic = Topic()
    running = await start(topic)
    name = switch(tmp_path, on=True)
    await running.work()
    event = StatusUpdated.model_validate(updated(3).model_dump() | PERSONAL)
    await running.publish(event)
    notice = await running.state(event, "delivered")
    (record,) = topic.written
    assert (record.topic, record.key.decode()) == (name, str(event.application_id))
    envelope = read_envelope(record.headers, "io.lendrail.outcome.v1")
    assert (envelope.source, envelope.subject, envelope.tenant_id) == ("notifications", event.subject, "demo")
    assert envelope.mode == "test"
    assert "ce_keyid" not in dict(record.headers)
    said = json.loads(record.value)
    Draft202012Validator(schemas()["outcome"]).validate(said)
    assert Outcome.model_validate(said).id == envelope.id
    assert (said["version"], said["status"], said["partner"]) == (3, "approved", "forward-financing")
    assert said["offers"][0]["amount"] == {"amount": "25000.00", "currency": "USD"}
    assert said["offers"][0]["linkPath"] == f"/v1/opportunities/{event.opportunity_id}/offers/offer-1/link"
    assert said["withheld"] == ["declineNotes", "missingInfo", "notes", "contact", "actionLink"]
    assert said["link"] == f"{URL}/v1/applications/{event.application_id}"
    assert not any(word in str(record) for word in WORDS)
    assert "body" not in notice


async def test_the_delivery_log_shows_it_like_any_other(start: Any, tmp_path: Path) -> None:
    topic = Topic(lambda attempt: WRITTEN if attempt > 1 else "unknown-topic-or-partition")
    running = await start(topic, outcome_retry_seconds="[1.5]")
    switch(tmp_path, on=True, emails=True)
    event = updated()
    await running.publish(event)
    await running.work()
    wanted = {"application": event.subject}

    async def lines() -> Any:
        log = (await running.http.get("/v1/deliveries", params=wanted, headers=token())).json()["items"]
        return next((line for line in log if line["channel"] == "kafka" and line["tries"]), None)

    line = await support.eventually(lines)
    assert (line["status"], line["outcome"], line["tries"]) == ("waiting", "unknown-topic-or-partition", 1)
    await _written(topic, 1)
    await running.state(event, "delivered")
    line = await support.eventually(lines)
    assert (line["outcome"], line["tries"]) in ((WRITTEN, 2), ("unknown-topic-or-partition", 1))
    assert line["endpointId"] == str(topic_recipient("demo"))
    assert (line["applicationId"], line["opportunityId"]) == (event.subject, str(event.opportunity_id))


async def test_all_of_an_application_arrives_in_the_order_of_what_happened(start: Any, tmp_path: Path) -> None:
    """Over its opportunities, with every third attempt failing: nothing superseded, nothing overtaken."""
    topic = Topic(lambda attempt: "timeout" if attempt % 3 == 0 else WRITTEN)
    running = await start(topic, outcome_retry_seconds=QUICK)
    switch(tmp_path, on=True)
    application, one, other = make.new_id(), make.new_id(), make.new_id()
    steps = [(one, 1), (other, 1), (other, 2), (one, 2), (one, 3), (other, 5), (other, 4), (one, 7)]
    events = [updated(n, application_id=application, opportunity_id=which) for which, n in steps]
    await running.work()
    await running.publish(*events[:5])
    await running.publish(*events[3:])
    await _written(topic, len(steps))
    await running.state(events[-1], "delivered")
    said = [json.loads(record.value) for record in topic.written]
    assert [(each["opportunityId"], each["version"]) for each in said] == [(str(which), n) for which, n in steps]
    (queue,) = await running.deliveries.find({"channel": "kafka"}).to_list()
    assert {notice["state"] for notice in queue["notices"]} == {"delivered"}
    assert "due" not in queue


async def test_nothing_is_ever_parked_and_every_attempt_is_the_same_bytes(start: Any, tmp_path: Path) -> None:
    topic = Topic(lambda attempt: WRITTEN if attempt > 25 else "kafka-connection")
    running = await start(topic, outcome_retry_seconds=QUICK)
    switch(tmp_path, on=True)
    await running.work()
    event = updated()
    await running.publish(event)
    notice = await running.state(event, "delivered", 30)
    assert notice["tries"] == len(topic.attempts) == 26
    assert len(set(topic.attempts)) == 1


async def test_one_that_waits_holds_up_no_other_application(start: Any, tmp_path: Path) -> None:
    stuck, fine = updated(), updated()
    topic = Topic()
    topic.plan = lambda _: "timeout" if topic.attempts[-1].key == stuck.subject.encode() else WRITTEN
    running = await start(topic, outcome_retry_seconds=QUICK)
    switch(tmp_path, on=True)
    await running.work()
    await running.publish(stuck, fine)
    await running.state(fine, "delivered")
    assert (await running.state(stuck, "waiting"))["tries"] >= 0


async def test_switched_off_what_waits_is_cancelled_and_nothing_new_is_made(start: Any, tmp_path: Path) -> None:
    topic = Topic(lambda _: "timeout")
    running = await start(topic, outcome_retry_seconds=QUICK)
    switch(tmp_path, on=True)
    event = updated()
    await running.publish(event)
    switch(tmp_path, on=False)
    await running.work()
    assert (await running.state(event, "cancelled"))["outcome"] == "endpoint-gone"
    await running.publish(updated())
    assert await running.deliveries.count_documents({"channel": "kafka"}) == 1
    assert not topic.attempts


async def test_an_erased_person_is_not_told_about(start: Any, tmp_path: Path) -> None:
    topic = Topic()
    running = await start(topic)
    switch(tmp_path, on=True)
    event = updated()
    await running.publish(event)
    await running.service.vault.erase(event.key_id)
    await running.work()
    assert (await running.state(event, "cancelled"))["outcome"] == "erased"
    assert not topic.attempts


async def test_another_mode_and_another_tenant_are_not_told_here(start: Any, tmp_path: Path) -> None:
    topic = Topic()
    running = await start(topic)
    switch(tmp_path, on=True)
    await running.work()
    ours = updated()
    await running.publish(updated(mode="live"), updated(tenant_id="other"), ours)
    await running.state(ours, "delivered")
    await asyncio.sleep(0.3)
    assert [record.key.decode() for record in topic.written] == [ours.subject]


async def test_what_rests_until_it_is_written_is_sealed(start: Any, tmp_path: Path) -> None:
    running = await start(Topic())
    switch(tmp_path, on=True)
    await running.publish(updated())
    (queue,) = await running.deliveries.find({"channel": "kafka"}).to_list()
    assert queue["notices"][0]["body"].startswith("enc1:")


def test_an_outcome_leaves_out_what_is_personal_and_says_so() -> None:
    reason = DeclineReason(code=ReasonCode.CASH_FLOW, words="Cash flow")
    declined = updated(status=Status.DECLINED, offers=(), missing_info=None, decline_reasons=(reason,))
    outcome = outcome_of(declined, URL)
    assert outcome.withheld == ()
    assert [each.model_dump() for each in outcome.decline_reasons] == [{"code": "cash-flow", "words": "Cash flow"}]
    assert outcome_of(updated(), URL).withheld == ("missingInfo", "actionLink")


def test_the_documents_that_a_partner_wants_are_named_and_its_words_for_them_are_not() -> None:
    wanted = [{"kind": "bank-statement", "words": "March, of Zelda"}, {"kind": "bank-statement"}, {"words": "a call"}]
    outcome = outcome_of(StatusUpdated.model_validate(updated().model_dump() | {"wanted": wanted, "offers": ()}), URL)
    assert (outcome.wanted_documents, outcome.wanted_in_words, outcome.ways) == (("bank-statement",), 0, ())
    assert outcome.withheld == ("missingInfo", "wanted")
    assert outcome_of(updated(wanted=({"kind": "id-card"},), offers=(), missing_info=None), URL).withheld == ()


def test_what_is_to_be_done_is_said_without_the_partners_words() -> None:
    """Kinds of documents, how many things it says in words only, codes of faulty fields, and how to send it."""
    wanted = [{"kind": "bank-statement", "words": "March, of Zelda"}, {"words": "a call"}, {"words": "Zelda's number"}]
    problem = {"pointer": "/business/taxNumber", "code": "unreadable", "message": "cannot be read"}
    asked = updated(status=Status.INFO_REQUIRED, offers=(), missing_info=None, wanted=wanted, problems=[problem])
    outcome = outcome_of(asked, URL)
    assert (outcome.wanted_documents, outcome.wanted_in_words) == (("bank-statement",), 2)
    here = f"/v1/applications/{asked.application_id}"
    ways = [(each.what, each.method, each.path) for each in outcome.ways]
    assert ways == [("document", "POST", f"{here}/documents"), ("correction", "PUT", here)]
    assert [each.code for each in outcome.problems] == ["unreadable"]
    assert "Zelda" not in outcome.model_dump_json()
    text_only = outcome_of(updated(status=Status.INFO_REQUIRED), URL)
    assert (text_only.wanted_documents, text_only.wanted_in_words) == ((), 1)
    fields_only = outcome_of(asked.model_copy(update={"wanted": ()}), URL)
    assert (fields_only.wanted_in_words, [each.what for each in fields_only.ways]) == (0, ["correction"])


async def test_the_program_of_the_page_sends_what_is_wanted(project: Path) -> None:
    """With exactly the parameters that the API states for it, and under a key that is the same when it comes again."""
    page = project / "docs" / "outcomes.md"
    _, program = blocks(page, "python")
    (_, example) = blocks(page, "json")
    said = json.loads(example)
    Draft202012Validator(schemas()["outcome"]).validate(said)
    sent: list[httpx.Request] = []

    def api(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(202)

    names: dict[str, Any] = {}
    exec(compile(program, str(page), "exec"), names)
    async with httpx.AsyncClient(transport=httpx.MockTransport(api), base_url=URL) as client:
        files = {"bank-statement": b"%PDF-1.7 fake", "tax-return": b"not asked for"}
        left = [await names["answer"](client, "outcome-id", said, files) for _ in range(2)]
        missing = await names["answer"](client, "outcome-id", said, {})
        await names["answer"](client, "outcome-id", said | {"status": "approved"}, files)
    assert left == [["1 in words"]] * 2
    assert missing == ["bank-statement", "1 in words"]
    first, again = sent
    assert (first.method, first.url.path) == ("POST", f"/v1/applications/{said['applicationId']}/documents")
    assert (first.content, first.headers["idempotency-key"]) == (again.content, again.headers["idempotency-key"])
    described = document(URL, with_issuer=False)["paths"]["/v1/applications/{id}/documents"]["post"]["parameters"]
    assert set(first.url.params) <= {each["name"] for each in described if each["in"] == "query"}
    assert dict(first.url.params) == {"kind": "bank-statement", "opportunity": said["opportunityId"]}


def test_its_id_follows_from_opportunity_and_version() -> None:
    event = updated(2)
    again = StatusUpdated.model_validate(event.model_dump() | {"observed_at": make.NOW})
    later = StatusUpdated.model_validate(event.model_dump() | {"state_version": 3})
    assert outcome_of(event, URL).id == outcome_of(again, "https://other.example.test").id
    assert outcome_of(event, URL).id != outcome_of(later, URL).id
    assert outcome_of(event, URL).id != event.id


def test_a_record_rests_as_text_and_comes_back_whole() -> None:
    event = updated(partner_words="Genehmigt für „Süd“")
    cause = read_envelope(make.record(event, _Key(event.key_id)).headers)
    record = outcome_record(event, URL, "notifications", cause)
    assert from_text(as_text(record)) == record
    assert record == outcome_record(event, URL, "notifications", cause)


class _Key:
    def __init__(self, key_id: str) -> None:
        self.id = key_id

    def seal(self, plain: str) -> str:
        return "enc1:AAAA"

    def open(self, token: str) -> str:
        return ""


@given(st.lists(st.sampled_from(["waiting", "delivered", "parked", "cancelled"]), max_size=6))
def test_the_first_that_is_not_told_goes_next(states: list[str]) -> None:
    queue = [{"state": state, "version": 9 - place} for place, state in enumerate(states)]
    chosen = next_in_turn(queue)
    if "waiting" in states:
        assert chosen is queue[states.index("waiting")]
    else:
        assert chosen is None


def test_the_last_wait_is_repeated_for_ever() -> None:
    waits = [wait_before((0.0, 7.0), tries, for_ever=True) for tries in (1, 2, 3, 500)]
    assert waits[0] == 0
    assert all(wait is not None and 0 <= wait <= 7 for wait in waits)


@pytest.mark.parametrize("name", ["demo/../other", "a b", "", "x" * 81])
def test_a_tenant_whose_name_is_no_topic_has_none(name: str) -> None:
    Tenant.model_validate({"id": name, "name": "Demo", "mode": "test"})
    with pytest.raises(ValidationError):
        Tenant.model_validate({"id": name, "name": "Demo", "mode": "test", "outcomes": True})
