"""Every rehearsal of every partner: the one list that the conformance suite and the sandbox of the tests read."""

from tests.partners.finpace.rehearsal import REHEARSALS as FINPACE
from tests.partners.forward_financing.rehearsal import REHEARSALS as FORWARD_FINANCING
from tests.partners.monetago.rehearsal import REHEARSALS as MONETAGO
from tests.partners.optimum_finance.rehearsal import REHEARSALS as OPTIMUM_FINANCE
from tests.partners.rehearsals import Rehearsal

REHEARSALS: tuple[Rehearsal, ...] = (
    *FINPACE,
    *FORWARD_FINANCING,
    *MONETAGO,
    *OPTIMUM_FINANCE,
)
