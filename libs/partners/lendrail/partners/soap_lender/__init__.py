"""A SOAP lender: profile (facts), mapping (calls, answers, faults), application and state (the long elements)."""

from lendrail.partners.partner import Feed, Partner
from lendrail.partners.soap_lender import mapping, profile, state

SOAP_LENDER = Partner(
    name=profile.NAME,
    title="SOAP Lender",
    auth=profile.AUTH,
    operations=profile.OPERATIONS,
    facts=profile.FACTS,
    check=mapping.check,
    create=mapping.create,
    outcome=mapping.outcome,
    search=mapping.search,
    found=mapping.found,
    delivery=mapping.delivery,
    document=mapping.document,
    update=mapping.update,
    withdraw=mapping.withdraw,
    read=mapping.read,
    report=state.report,
    index=mapping.index,
    listed=mapping.listing,
    feed=Feed(
        every=profile.FEED_SECONDS,
        request=mapping.feed,
        page=mapping.page,
        acknowledge=mapping.acknowledge,
    ),
)
