"""The pure rules: who is told, in which order, in which words, with which lanes."""

import email
import email.policy
import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from lendrail.contracts.status_updated import StatusUpdated
from lendrail.contracts.terms import (
    DeclineReason,
    FieldProblem,
    Match,
    Money,
    Offer,
    ReasonCode,
    Reference,
    Status,
)
from lendrail.notifications.lanes import FAILING_FROM, Lanes
from lendrail.notifications.letter import compose, letter
from lendrail.notifications.notice import webhook_body
from lendrail.notifications.notify import Recipient, is_told, mail_recipient, notifies
from lendrail.notifications.order import next_notice, wait_before
from lendrail.notifications.signing import new_secret, signed_headers
from lendrail.runtime.clock import utc_now

from .conftest import updated

SCHEDULE = (5.0, 30.0, 120.0)


def test_every_version_is_told_except_those_that_only_say_we_work() -> None:
    told = {status for status in Status if is_told(updated(status=status))}
    assert set(Status) - told == {Status.RECEIVED, Status.SUBMITTING}
    assert is_told(updated(status=Status.SUBMITTING, flags=("unmapped",)))
    problem = FieldProblem(pointer="/x", code="x", message="x")
    assert is_told(updated(status=Status.SUBMITTING, problems=(problem,)))


def test_one_event_for_each_recipient_with_an_id_of_its_own() -> None:
    recipients = [Recipient(uuid.uuid4(), "webhook"), Recipient(mail_recipient("demo", "A@x.test"), "email")]
    first, again, later = notifies(updated(1), recipients), notifies(updated(1), recipients), updated(2)
    assert [event.channel for event in first] == ["webhook", "email"]
    assert len({event.id for event in first}) == 2
    assert not {event.id for event in notifies(later, recipients)} & {event.id for event in first + again}
    assert mail_recipient("demo", " a@X.test ") == recipients[1].id
    assert mail_recipient("other", "a@x.test") != recipients[1].id


notices = st.lists(
    st.tuples(st.integers(1, 9), st.sampled_from(["waiting", "sending", "delivered", "parked"]), st.integers(0, 3)),
    max_size=8,
    unique_by=lambda n: n[0],
).map(lambda found: [{"version": v, "state": s, "tries": t if s == "waiting" else t + 1} for v, s, t in found])


@given(notices)
def test_the_next_notice(queue: list[dict[str, Any]]) -> None:
    chosen = next_notice(queue)
    told = max((n["version"] for n in queue if n["state"] in ("delivered", "parked")), default=0)
    waiting = [n for n in queue if n["state"] == "waiting" and n["version"] > told]
    sending = [n for n in queue if n["state"] == "sending"]
    if chosen is None:
        assert not waiting
        assert not sending
    elif sending:
        assert chosen["version"] == min(n["version"] for n in sending)
    elif untried := [n["version"] for n in waiting if not n["tries"]]:
        assert chosen["version"] == min(untried)
    else:
        assert chosen["version"] == max(n["version"] for n in waiting)


@given(st.integers(1, 3))
def test_waits_are_drawn_from_the_whole_range_of_the_schedule(tries: int) -> None:
    waits = [wait_before(SCHEDULE, tries) for _ in range(50)]
    assert all(wait is not None and 0 <= wait <= SCHEDULE[tries - 1] for wait in waits)
    assert len(set(waits)) > 40
    assert wait_before(SCHEDULE, len(SCHEDULE) + 1) is None


@given(st.text(min_size=1, max_size=200), st.uuids())
def test_signatures_are_those_of_standard_webhooks(text: str, notice: uuid.UUID) -> None:
    secret, now = new_secret(), int(utc_now().timestamp())
    body = text.encode("utf-8", "surrogatepass") if text.isprintable() else b"{}"
    headers = signed_headers(secret, str(notice), now, body)
    Webhook(secret).verify(body, headers, json_parse=False)
    with pytest.raises(Exception, match=r"No matching signature"):
        Webhook(new_secret()).verify(body, headers, json_parse=False)
    with pytest.raises(Exception, match=r"No matching signature"):
        Webhook(secret).verify(body + b" ", headers, json_parse=False)


def test_the_body_is_the_same_every_time() -> None:
    event = updated()
    assert webhook_body(event) == webhook_body(type(event).model_validate(event.model_dump()))


def test_all_that_a_partner_told_is_in_the_notice_and_no_person_in_the_letter() -> None:
    told = {
        "contact": {"name": "Zelda Fakename", "email": "zelda@partner.example.test", "phone": "+15550100000"},
        "closeChance": "62.5",
        "closesOn": "2026-04-01",
        "commission": {"amount": "1250.00", "currency": "GBP"},
        "matches": [{"id": "FAKE-1", "kind": "EXCT"}],
        "unknownSince": "2026-03-02T13:40:00Z",
        "nextCheckAt": "2026-03-02T14:05:00Z",
        "plan": "look-up",
        "flags": ["alarm:funded-after-declined"],
    }
    event = StatusUpdated.model_validate(updated().model_dump() | told)
    data = json.loads(webhook_body(event))["data"]
    assert {name: data[name] for name in told} == told
    parts = json.loads(letter(event, "https://api.example.test"))
    for text in (parts["text"], parts["html"]):
        for line in (
            "Unknown since 2026-03-02 13:40 UTC, next check 2026-03-02 14:05 UTC: "
            "the partner is asked for our reference",
            "Chance: 62.5 %",
            "Closes: 2026-04-01",
            "Commission: 1,250.00 GBP",
            "FAKE-1 (EXCT)",
        ):
            assert line in text
        assert "Zelda" not in text
        assert "5550100000" not in text


@given(st.text(min_size=1, max_size=60), st.text(min_size=1, max_size=60))
def test_what_others_wrote_becomes_neither_a_header_nor_markup(system: str, value: str) -> None:
    event = updated(
        references=(Reference(system=system, kind="<b>", value=value + "\r\nBcc: x@y.test\r\n\r\n<script>"),),
        problems=(FieldProblem(pointer="/<i>", code="x", message="x"),),
        matches=(Match(id="<i>", kind=system),),
        offers=(Offer(id="<s>", amount=Money(amount="1", currency="USD")),),
        decline_reasons=(DeclineReason(code=ReasonCode.OTHER, words="the words of Zelda"),),
    )
    notice, sender = uuid.uuid4(), "Lendrail <lendrail@demo.example.test>"
    mail = compose(
        letter(event, "https://api.example.test"),
        notice_id=str(notice),
        sender=sender,
        recipient="broker@demo.example.test",
        stated=utc_now(),
    )
    raw = mail.as_bytes()
    assert raw.isascii()
    read = email.message_from_bytes(raw, policy=email.policy.default)
    assert sorted(read.keys()) == sorted(
        ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
    )
    assert len(str(read["Subject"])) <= 150
    html = read.get_body(("html",))
    assert html is not None
    assert "<script>" not in html.get_content()
    assert "<i>" not in html.get_content()
    assert b"Zelda" not in raw


def test_lanes_are_won_by_successes_and_lost_by_a_failure() -> None:
    lanes = Lanes(8)
    assert [lanes.enter("a") for _ in range(3)] == [True, True, False]
    lanes.outcome("a", True)
    assert lanes.enter("a")
    lanes.outcome("a", False)
    for _ in range(3):
        lanes.leave("a")
    assert [lanes.enter("a") for _ in range(2)] == [True, False]
    assert lanes.enter("b")
    assert lanes.full() == ["a"]


def test_failing_endpoints_share_half_of_the_lanes_and_are_held_longer_and_longer() -> None:
    lanes = Lanes(8)
    for name in "abcdef":
        assert lanes.enter(name)
        lanes.outcome(name, False)
        lanes.leave(name)
    assert [lanes.enter(name) for name in "abcdef"] == [True] * 4 + [False] * 2
    assert lanes.enter("healthy")
    holds = []
    for _ in range(FAILING_FROM + 10):
        lanes.outcome("a", False)
        holds.append(lanes.hold_seconds("a"))
    assert holds == sorted(holds)
    assert holds[0] == 0.0
    assert holds[-1] == 300.0
    lanes.outcome("a", True)
    assert lanes.hold_seconds("a") == 0.0
