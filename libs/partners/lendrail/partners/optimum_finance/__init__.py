"""Optimum Finance: profile (facts), mapping (calls, replies), request (the body), company (whose name it is)."""

from lendrail.partners.optimum_finance import mapping, profile
from lendrail.partners.partner import Partner, Webhook

OPTIMUM_FINANCE = Partner(
    name=profile.NAME,
    title="Optimum Finance",
    auth=profile.AUTH,
    operations=profile.OPERATIONS,
    facts=profile.FACTS,
    check=mapping.check,
    create=mapping.create,
    outcome=mapping.outcome,
    read=mapping.read,
    report=mapping.report,
    poll=profile.POLL,
    webhook=Webhook(hint=mapping.hint),
)
