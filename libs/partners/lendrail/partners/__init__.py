"""Finance partners: one explicit table; adding one is one folder and one line here."""

from lendrail.partners.forward_financing import FORWARD_FINANCING
from lendrail.partners.partner import Partner

PARTNERS: dict[str, Partner] = {
    "forward-financing": FORWARD_FINANCING,
}
