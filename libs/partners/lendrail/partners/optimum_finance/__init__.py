"""Optimum Finance: profile (facts), form (what it is told), mapping (calls, replies)."""

from dataclasses import replace

from lendrail.partners.optimum_finance import mapping, profile
from lendrail.partners.optimum_finance.form import FORM
from lendrail.partners.partner import Partner, Webhook
from lendrail.partners.polling import Polling

OPTIMUM_FINANCE = Partner(
    name=profile.NAME,
    title="Optimum Finance",
    auth=profile.AUTH,
    operations=profile.OPERATIONS,
    facts=replace(profile.FACTS, required=FORM.required),
    check=FORM.check,
    create=mapping.create,
    outcome=mapping.outcome,
    read=mapping.read,
    report=mapping.report,
    poll=Polling(waits=profile.POLL, stages=profile.STAGE_POLLS),
    webhook=Webhook(hint=mapping.hint),
)
