"""Where partners name their events: read strictly, or not at all."""

import json

import pytest

from lendrail.partners import PARTNERS
from lendrail.partners.events import in_body, in_header


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ([(b"Webhook-Id", b"msg_1"), (b"x", b"y")], "msg_1"),
        ([], None),
        ([(b"webhook-id", b"")], None),
        ([(b"webhook-id", b"a"), (b"WEBHOOK-ID", b"a")], None),
        ([(b"webhook-id", b"\xff")], None),
        ([(b"webhook-id", b"a\x00b")], None),
        ([(b"webhook-id", b"a" * 257)], None),
    ],
)
def test_in_a_header_that_comes_once(headers: list[tuple[bytes, bytes]], told: str | None) -> None:
    assert in_header("webhook-id")(headers, b"") == told


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"eventId": "evt_1"}', "evt_1"),
        (b'{"eventId": 7}', None),
        (b'{"eventId": ""}', None),
        (b'{"eventId": "a\\u0000b"}', None),
        (b'{"eventId": "\\ud800"}', None),
        (json.dumps({"eventId": "x" * 257}).encode(), None),
        (b"[]", None),
        (b"\xff", None),
    ],
)
def test_in_a_body_of_json(body: bytes, told: str | None) -> None:
    assert in_body("eventId")([], body) == told


def test_who_names_events_also_proves_its_calls() -> None:
    """An id that anybody can write would let a forger stand in the way of a right call."""
    named = {name: each.webhook for name, each in PARTNERS.items() if each.webhook and each.webhook.event_id}
    assert {"finpace", "reference-partner"} & set(named) >= {"finpace"}
    assert all(webhook.proof is not None for webhook in named.values())
