"""A lender by mail: profile (facts), content and body (what stands in the mail), mapping (the message, the replies)."""

from lendrail.partners.email_lender import mapping, profile
from lendrail.partners.partner import Partner

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
)
