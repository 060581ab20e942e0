"""Finance partners: one explicit table; adding one is one folder and one line here."""

from lendrail.partners.email_lender import EMAIL_LENDER
from lendrail.partners.finpace import FINPACE
from lendrail.partners.forward_financing import FORWARD_FINANCING
from lendrail.partners.monetago import MONETAGO
from lendrail.partners.optimum_finance import OPTIMUM_FINANCE
from lendrail.partners.partner import Partner
from lendrail.partners.reference import reference_partner
from lendrail.partners.soap_lender import SOAP_LENDER
from lendrail.partners.valiant import VALIANT

PARTNERS: dict[str, Partner] = {
    "email-lender": EMAIL_LENDER,
    "finpace": FINPACE,
    "forward-financing": FORWARD_FINANCING,
    "monetago": MONETAGO,
    "optimum-finance": OPTIMUM_FINANCE,
    "reference-partner": reference_partner("reference-partner", "Reference partner"),
    "soap-lender": SOAP_LENDER,
    "valiant": VALIANT,
}
