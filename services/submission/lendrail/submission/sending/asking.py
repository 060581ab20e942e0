"""Questions that change nothing at a partner: each goes once through the port, as every call, and is never stored."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from lendrail.partners import PARTNERS
from lendrail.partners.exchange import Accepted, CredentialRefused, Rejected, Reply, Request, RetryLater, Unknown
from lendrail.runtime.budget import Kind
from lendrail.runtime.clock import utc_now
from lendrail.runtime.directory import Credential, PartnerAccount
from lendrail.runtime.mongo import OUTAGES
from lendrail.runtime.partner_port import Open, PartnerPort, Paused
from lendrail.submission.attempts.classify import Event
from lendrail.submission.planning.desk import crossing
from lendrail.submission.sending.answers import event_of
from lendrail.submission.sending.channels import Channels
from lendrail.submission.sending.hearing import tell
from lendrail.submission.settings import Settings

log = structlog.get_logger()


class Unanswered(Exception):
    """No answer, or none that could be read. `reason` is a stable code; `after`: seconds until asking again may help,
    where that is known.
    """

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.after = reason, after


@dataclass(frozen=True)
class Answer:
    """A reply that the partner's own reader took for an answer."""

    reply: Reply
    given: Mapping[str, str]


class Asker:
    """Asks on behalf of a tenant. `channels` are its own, so that a question never waits for a lane of the work."""

    def __init__(self, settings: Settings, port: PartnerPort, channels: Channels) -> None:
        self._settings, self._port, self._channels = settings, port, channels

    async def ask(
        self,
        tenant: str,
        account: PartnerAccount,
        kind: Kind,
        request: Request,
        lane: int,
        *,
        deadline: float,
        guard: Callable[[], bool] | None = None,
    ) -> Answer:
        """`deadline` is the most one call may take, in seconds, without the wait for its turn. Raises `Unanswered`, and
        the store's outages.
        """
        self._credential(tenant, account)
        partner = PARTNERS[account.partner]
        longest = min(deadline, self._settings.deadline(partner.operations[request.operation]))
        try:
            async with self._port.call(account.credential, kind, request.operation) as credential:
                answer = await self._channels.open(lane, credential).send(request, longest, guard)
                await tell(self._port, credential.id, request, answer)
        except Paused:
            raise Unanswered("partner-paused") from None
        except Open as breaker:
            raise Unanswered("partner-away", max(1.0, (breaker.until - utc_now()).total_seconds())) from None
        except ValueError as error:  # a credential that no channel fits
            log.error("a question could not be asked", credential=account.credential, error=type(error).__name__)
            raise Unanswered("not-configured") from None
        event = event_of(partner, request, answer)
        if isinstance(event, Accepted) and isinstance(answer, Reply):
            return Answer(answer, event.given)
        raise await self._why_not(account.credential, event)

    def _credential(self, tenant: str, account: PartnerAccount) -> Credential:
        """Raises `Unanswered` for one that is missing, another's, or of the other mode."""
        try:
            credential = self._port.credential(account.credential)
        except KeyError:
            raise Unanswered("not-configured") from None
        if (credential.tenant, credential.partner) != (tenant, account.partner):
            raise Unanswered("not-configured")
        if crossing(credential, account.mode):
            raise Unanswered("mode-crossing")
        return credential

    async def _why_not(self, credential: str, event: Event) -> Unanswered:
        """What was refused to one call is refused to the next, so such a refusal holds them all."""
        if isinstance(event, CredentialRefused):
            await self._pause(credential, "credential-refused", self._settings.credential_pause_seconds)
            return Unanswered("credential-refused")
        if isinstance(event, RetryLater):
            await self._pause(credential, "retry-later", event.after)
            return Unanswered("retry-later", event.after)
        if isinstance(event, Unknown):
            return Unanswered(event.reason)
        return Unanswered("refused" if isinstance(event, Rejected) else "not-sent")

    async def _pause(self, credential: str, reason: str, seconds: float) -> None:
        log.warning("a credential is paused", credential=credential, reason=reason)
        try:
            await self._port.pause(credential, reason, math.ceil(seconds))
        except OUTAGES as error:
            log.warning("a pause could not be stored", error=type(error).__name__)
