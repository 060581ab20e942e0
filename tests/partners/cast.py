"""Every rehearsal of every partner: the one list that the conformance suite and the sandbox of the tests read."""

from tests.partners.forward_financing.rehearsal import REHEARSALS as FORWARD_FINANCING
from tests.partners.rehearsals import Rehearsal

REHEARSALS: tuple[Rehearsal, ...] = (*FORWARD_FINANCING,)
