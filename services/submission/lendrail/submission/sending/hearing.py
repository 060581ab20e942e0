"""Every answer of a partner tells the breaker whether the partner is there."""

from __future__ import annotations

from lendrail.partners.exchange import NoAnswer, NotSent, Reply, Request
from lendrail.partners.health import healthy
from lendrail.partners.refusals import retry_after
from lendrail.runtime.partner_port import PartnerPort


async def tell(port: PartnerPort, credential: str, request: Request, answer: Reply | NotSent | NoAnswer) -> None:
    """A wait that the partner names in its trouble holds all calls of the credential. Within the port's `call`."""
    match healthy(request, answer):
        case True:
            await port.answered(credential, request.operation)
        case False:
            wait = retry_after(answer) if isinstance(answer, Reply) else None
            await port.failed(credential, request.operation, wait)
