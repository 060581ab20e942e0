"""Forward Financing: profile and vocabularies (facts), mapping (calls, replies), lead and deal (the long bodies)."""

from lendrail.partners.forward_financing import deal, mapping, profile
from lendrail.partners.partner import Partner, Webhook

FORWARD_FINANCING = Partner(
    name=profile.NAME,
    title="Forward Financing",
    auth=frozenset({"api-key", "oauth-password"}),
    key_header=profile.KEY_HEADER,
    rate=profile.RATE,
    operations=profile.OPERATIONS,
    check=mapping.check,
    create=mapping.create,
    outcome=mapping.outcome,
    delivery=mapping.delivery,
    document=mapping.document,
    read=mapping.read,
    report=deal.report,
    webhook=Webhook(
        scheme="none", addresses=profile.WEBHOOK_ADDRESSES, hint=deal.hint, register=mapping.register_webhook
    ),
)
