"""Who hears what. Handlers store; nobody here calls a partner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lendrail.contracts.application_rejected import ApplicationRejected
from lendrail.contracts.application_validated import ApplicationValidated
from lendrail.contracts.event import Record
from lendrail.contracts.partner_ack import PartnerAck
from lendrail.contracts.partner_webhook import PartnerWebhook
from lendrail.runtime.clock import utc_now
from lendrail.runtime.step import Delivery
from lendrail.status import observe
from lendrail.status.alarms import REGISTRIES, Alarms
from lendrail.status.desk.twins import Twins
from lendrail.status.hints import Hints
from lendrail.status.polling.silence import Callers
from lendrail.status.store import Opportunities
from lendrail.status.timing import Timing


class Handlers:
    """They return nothing to publish: what they stored has been published from its outbox when they end."""

    def __init__(
        self,
        opportunities: Opportunities,
        hints: Hints,
        timing: Timing,
        callers: Callers,
        twins: Twins,
        alarms: Alarms,
    ) -> None:
        self._opportunities, self._hints, self._timing = opportunities, hints, timing
        self._callers, self._twins, self._alarms = callers, twins, alarms

    async def on_application_validated(self, deliveries: Sequence[Delivery[ApplicationValidated]]) -> Sequence[Record]:
        now = utc_now()
        heard = [each for delivery in deliveries for each in observe.validated(delivery, now)]
        alike = self._twins.of(delivery.event for delivery in deliveries)

        def extra(*told: Any) -> Mapping[str, Any]:
            return {**self._timing.after_event(*told), **alike.fields(told[0].id)}

        await self._opportunities.hear(heard, extra)
        await self._twins.validated(alike)
        return ()

    async def on_application_rejected(self, deliveries: Sequence[Delivery[ApplicationRejected]]) -> Sequence[Record]:
        now = utc_now()
        heard = [observe.rejected(delivery, now) for delivery in deliveries]
        await self._opportunities.hear(heard, self._timing.after_event)
        return ()

    async def on_partner_ack(self, deliveries: Sequence[Delivery[PartnerAck]]) -> Sequence[Record]:
        now = utc_now()
        await self._opportunities.hear([observe.answered(d, now) for d in deliveries], self._timing.after_event)
        answers = [delivery.event for delivery in deliveries]
        await self._hints.known(answers)
        await self._twins.answered(answers)
        await self._alarms.answered({each.subject for each in answers if each.partner not in REGISTRIES})
        return ()

    async def on_partner_webhook(self, deliveries: Sequence[Delivery[PartnerWebhook]]) -> Sequence[Record]:
        """Who called is noted first: as soon as a call is followed a look begins, and one that dies here is made up for
        when its lease is over.
        """
        await self._callers.note(deliveries)
        await self._hints.heard(deliveries)
        return ()
