"""Finpace: profile (facts), form (what it is told), mapping (calls, replies and webhooks)."""

from dataclasses import replace

from lendrail.partners import events
from lendrail.partners.finpace import mapping, profile
from lendrail.partners.finpace.form import DRAFT, PARTY
from lendrail.partners.partner import Partner, Webhook

FINPACE = Partner(
    name=profile.NAME,
    title="Finpace",
    auth=profile.AUTH,
    operations=profile.OPERATIONS,
    facts=replace(profile.FACTS, required=PARTY.required + DRAFT.required),
    check=mapping.check,
    create=mapping.create,
    outcome=mapping.outcome,
    webhook=Webhook(
        proof=profile.SIGNATURE,
        hint=mapping.hint,
        report=mapping.report,
        register=mapping.register_webhook,
        event_id=events.in_body("eventId"),
    ),
)
