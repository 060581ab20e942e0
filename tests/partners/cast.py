"""Every rehearsal of every partner: the one list that the conformance suite and the sandbox of the tests read."""

from tests.partners.email_lender.rehearsal import REHEARSALS as EMAIL_LENDER
from tests.partners.finpace.rehearsal import REHEARSALS as FINPACE
from tests.partners.forward_financing.rehearsal import REHEARSALS as FORWARD_FINANCING
from tests.partners.monetago.rehearsal import REHEARSALS as MONETAGO
from tests.partners.optimum_finance.rehearsal import REHEARSALS as OPTIMUM_FINANCE
from tests.partners.reference_partner.rehearsal import REHEARSALS as REFERENCE_PARTNER
from tests.partners.rehearsals import Rehearsal
from tests.partners.soap_lender.rehearsal import REHEARSALS as SOAP_LENDER
from tests.partners.valiant.rehearsal import REHEARSALS as VALIANT

REHEARSALS: tuple[Rehearsal, ...] = (
    *EMAIL_LENDER,
    *FINPACE,
    *FORWARD_FINANCING,
    *MONETAGO,
    *OPTIMUM_FINANCE,
    *REFERENCE_PARTNER,
    *SOAP_LENDER,
    *VALIANT,
)
