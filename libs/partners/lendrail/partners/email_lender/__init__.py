"""A lender by mail: profile (facts), content and body (what stands in the mail), mapping (the message, the replies),
followup (what comes later)."""

from lendrail.partners.email_lender import followup, mapping, profile
from lendrail.partners.partner import Partner, Thread

EMAIL_LENDER = Partner(
    name=profile.NAME,
    title="Lender by e-mail",
    auth=profile.AUTH,
    operations=profile.OPERATIONS,
    facts=profile.FACTS,
    check=mapping.check,
    create=mapping.create,
    outcome=mapping.outcome,
    again=mapping.again,
    delivery=mapping.delivery,
    thread=Thread(delivery=followup.delivery, document=followup.document),
)
