"""Finpace: profile (facts) and mapping (calls, replies, webhooks)."""

from lendrail.partners.finpace import mapping, profile
from lendrail.partners.partner import Partner, Webhook

FINPACE = Partner(
    name=profile.NAME,
    title="Finpace",
    auth=profile.AUTH,
    operations=profile.OPERATIONS,
    facts=profile.FACTS,
    check=mapping.check,
    create=mapping.create,
    outcome=mapping.outcome,
    webhook=Webhook(
        proof=profile.SIGNATURE, hint=mapping.hint, report=mapping.report, register=mapping.register_webhook
    ),
)
