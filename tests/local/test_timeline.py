"""What a person sees of the events: who, how long after the arrival, which word; and nothing personal."""

import datetime as dt
import json
from typing import Any

from lendrail.contracts.event import Envelope
from lendrail.local.timeline import Line, Timeline

APPLICATION = "0199f0a0-0000-7000-8000-000000000001"
ARRIVED = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def read(timeline: Timeline, topic: str, after_ms: int, *, subject: str = APPLICATION, **body: Any) -> Line | None:
    envelope = Envelope(
        id=f"{topic}-{after_ms}",
        type=f"io.lendrail.{topic}.v1",
        source="status",
        time=ARRIVED + dt.timedelta(milliseconds=after_ms),
        subject=subject,
        correlation_id="c",
        causation_id="c",
        tenant_id="demo",
        mode="test",
        key_id=subject,
    )
    return timeline.read(topic, envelope.headers(), json.dumps(body).encode())


def test_milliseconds_count_from_the_gateway_s_receipt() -> None:
    timeline = Timeline()
    received = ARRIVED.isoformat()
    first = read(timeline, "application-received", 12, receivedAt=received)
    later = read(timeline, "status-updated", 900, status="approved", partner="forward-financing")
    assert first == Line("application-received", "status", APPLICATION, 12)
    assert later == Line("status-updated", "status", APPLICATION, 900, "forward-financing", "approved")


def test_a_webhook_is_put_to_its_application_once_the_partner_s_id_is_known() -> None:
    timeline = Timeline()
    named = {"partner": "forward-financing", "credential": "demo-ff"}
    subject = "forward-financing/demo-ff/lead-1"
    before = read(timeline, "partner-webhook", 5, subject=subject, words="Approved", **named)
    read(timeline, "partner-ack", 10, outcome="accepted", operation="create", partnerId="lead-1", **named)
    after = read(timeline, "partner-webhook", 20, subject=subject, words="Approved", **named)
    assert before is not None
    assert before.application is None
    assert after == Line("partner-webhook", "status", APPLICATION, 10, "forward-financing", "Approved")


def test_a_record_that_is_not_ours_is_left_out() -> None:
    assert Timeline().read("submit", [("ce_id", b"\xff")], b"{") is None
    assert Timeline().read("submit", [], None) is None


def test_an_unreadable_body_still_has_its_line() -> None:
    timeline = Timeline()
    envelope = Envelope("1", "io.lendrail.submit.v1", "documents", ARRIVED, APPLICATION, "c", "c", "demo", "test", "k")
    assert timeline.read("submit", envelope.headers(), b"not json") == Line("submit", "documents", APPLICATION, 0)


def test_each_event_has_the_word_that_tells_most() -> None:
    timeline = Timeline()

    def word(topic: str, **body: Any) -> str | None:
        line = read(timeline, topic, 0, **body)
        return line.word if line else "no line"

    assert word("application-validated", eligible=[{}, {}]) == "2 can take it"
    assert word("application-rejected", problems=[{}]) == "1 problem(s)"
    assert word("submit", intent={"kind": "send", "documents": [{}]}) == "send, 1 document(s)"
    assert word("submit", intent={"kind": "withdraw"}) == "withdraw"
    assert word("application-amended", amendment={"kind": "withdrawn"}, revision=2) == "withdrawn, revision 2"
    again = {"amendment": {"kind": "document-added"}, "eligible": [{}], "revision": 2}
    assert word("application-validated", **again) == "revision 2 is sound"
    assert word("partner-ack", operation="create", outcome="accepted") == "create: accepted"
    assert word("notify", channel="email", update={"status": "declined"}) == "email: declined"
