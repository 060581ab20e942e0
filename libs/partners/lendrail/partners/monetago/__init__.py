"""MonetaGo Secure Financing: profile (facts), registration (to it), results (from it), mapping (calls, replies)."""

from lendrail.partners.monetago import mapping, profile, results
from lendrail.partners.partner import Feed, Inquiry, Partner
from lendrail.partners.polling import Polling

MONETAGO = Partner(
    name=profile.NAME,
    title="MonetaGo Secure Financing",
    kind="registry",
    auth=profile.AUTH,
    operations=profile.OPERATIONS,
    facts=profile.FACTS,
    check=mapping.check,
    create=mapping.create,
    outcome=mapping.outcome,
    search=mapping.search,
    found=results.found,
    withdraw=mapping.withdraw,
    finance=mapping.finance,
    read=mapping.read,
    report=results.report,
    poll=Polling(waits=profile.POLL_SECONDS),
    feed=Feed(every=profile.FEED_SECONDS, request=mapping.activity, page=results.page),
    inquiries={
        "status-request": Inquiry(request=mapping.status_request, about="application", result=mapping.STATUS_REQUEST),
        "document-matches": Inquiry(request=mapping.document_matches, about="match", compare=results.compared),
    },
)
