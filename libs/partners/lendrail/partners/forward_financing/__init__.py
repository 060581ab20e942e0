"""Forward Financing: profile and vocabularies (facts), mapping (calls, replies), lead and deal (the long bodies)."""

from lendrail.partners.forward_financing import deal, mapping, profile
from lendrail.partners.partner import Partner, Webhook

FORWARD_FINANCING = Partner(
    name=profile.NAME,
    title="Forward Financing",
    auth=profile.AUTH,
    rate=profile.RATE,
    operations=profile.OPERATIONS,
    facts=profile.FACTS,
    check=mapping.check,
    create=mapping.create,
    outcome=mapping.outcome,
    delivery=mapping.delivery,
    document=mapping.document,
    read=mapping.read,
    report=deal.report,
    webhook=Webhook(addresses=profile.WEBHOOK_ADDRESSES, hint=deal.hint, register=mapping.register_webhook),
)
