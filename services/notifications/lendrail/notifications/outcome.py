"""What a tenant's topic says of an update: pure, and the same bytes whenever it is made."""

from __future__ import annotations

import json

from lendrail.contracts.event import Envelope, Record, encode, envelope_of
from lendrail.contracts.offered import history, offered
from lendrail.contracts.outcome import Outcome, Refusal
from lendrail.contracts.status_updated import StatusUpdated
from lendrail.contracts.wanted import ToDo, to_do

SAME = (
    "tenant_id", "mode", "application_id", "opportunity_id", "partner", "partner_id", "status", "partner_words",
    "partner_time", "observed_at", "status_received_at", "partner_status", "cause", "problems", "close_chance",
    "closes_on", "commission", "matches", "unknown_since", "flags", "references",
)  # fmt: skip
"""What an outcome says in the words of the update."""
PERSONAL = ("decline_notes", "missing_info", "notes", "contact")
"""What an update may hold for a person's eyes, besides the words of what is wanted and the offers' action links."""


def outcome_of(update: StatusUpdated, public_url: str) -> Outcome:
    """The update without what is personal."""
    asked = to_do(update.status, update.application_id, update.wanted, update.missing_info, update.problems) or ToDo()
    return Outcome(
        number=update.state_version,
        offers=offered(update.offers, update.opportunity_id),
        offer_history=history(update.offer_history, update.opportunity_id),
        decline_reasons=tuple(Refusal(code=each.code, words=each.words) for each in update.decline_reasons),
        wanted_documents=tuple(dict.fromkeys(each.kind for each in update.wanted if each.kind)),
        wanted_in_words=sum(each.kind is None for each in asked.items),
        ways=asked.ways,
        withheld=_withheld(update),
        link=f"{public_url}/v1/applications/{update.application_id}",
        **{name: getattr(update, name) for name in SAME},
    )


def outcome_record(update: StatusUpdated, public_url: str, source: str, cause: Envelope) -> Record:
    """The record for the tenant's topic. Its time is its cause's, so that a repeat is identical."""
    outcome = outcome_of(update, public_url)
    return encode(outcome, envelope_of(outcome, source, cause.time, cause), None)


def as_text(record: Record) -> str:
    """The record as the text that rests until it is sent."""
    headers = {name: value.decode() for name, value in record.headers}
    parts = {"topic": record.topic, "key": record.key.decode(), "headers": headers, "value": record.value.decode()}
    return json.dumps(parts)


def from_text(text: str) -> Record:
    parts = json.loads(text)
    headers = tuple((name, value.encode()) for name, value in parts["headers"].items())
    return Record(parts["topic"], parts["key"].encode(), parts["value"].encode(), headers)


def _withheld(update: StatusUpdated) -> tuple[str, ...]:
    """As the API names them."""
    named = [StatusUpdated.model_fields[name].alias or name for name in PERSONAL if getattr(update, name) is not None]
    named += ["wanted"] if any(each.words is not None for each in update.wanted) else []
    return (*named, *(["actionLink"] if any(offer.action_link is not None for offer in update.offers) else []))
