"""Stories up to where an offer is to be accepted, an application withdrawn, a registration cancelled; and what the
partner's ledger says of it.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests import make, support
from tests.submission.amended import SOAP_LENDER, accept, first_of, intended, withdraw
from tests.submission.desk import Desk
from tests.submission.others import MONETAGO, REFERENCE, ledger, open_accounts

from lendrail.contracts.event import Record, envelope_of
from lendrail.contracts.partner_ack import PartnerAck
from lendrail.contracts.status_updated import StatusUpdated
from lendrail.contracts.submit import Submit
from lendrail.contracts.terms import Status, opportunity_id
from lendrail.runtime.clock import utc_now
from lendrail.runtime.step import Delivery
from lendrail.submission.attempts.attempt import OUTCOME_UNKNOWN, Attempt


@dataclass(frozen=True)
class Story:
    name: str
    operation: str
    """Ours; the partner's own name of the call is `call`."""
    call: str
    partner: str
    effects: str
    """Kind of effect that the ledger has of it."""
    begin: Callable[[Desk], Awaitable[Submit]]
    """The partner has the application."""
    ask: Callable[[Desk, Submit], Awaitable[None]]
    """Somebody wants it ended: from now on it is due."""

    async def attempts(self, desk: Desk, event: Submit) -> list[Attempt]:
        return [each for each in (await desk.opportunity(event)).attempts if each.operation == self.operation]

    async def state(self, desk: Desk, event: Submit) -> str:
        found = await self.attempts(desk, event)
        return str(found[-1].state) if found else "none"

    async def until(self, desk: Desk, event: Submit, state: str, seconds: float = 40) -> Attempt:
        async def there() -> bool:
            return await self.state(desk, event) == state

        try:
            await support.eventually(there, seconds)
        except AssertionError:
            raise AssertionError(f"{self.name} is {await self.state(desk, event)}, not {state}") from None
        return (await self.attempts(desk, event))[-1]

    async def done(self, desk: Desk, event: Submit) -> int:
        """How often the partner did it to this application."""
        books, name = ledger(desk, self.partner), (await desk.create(event)).id
        if self.partner == "monetago":
            (lead,) = [each for each in books["leads"] if each["reference"] == name]
            own = {each["id"] for each in lead["fvrs"]}
            return len([each for each in books.get(self.effects, []) if own & set(each["fvrs"])])
        return len([each for each in books.get(self.effects, []) if each["reference"] == name])

    async def told(self, desk: Desk, event: Submit) -> list[str]:
        return [each.outcome for each in await desk.acks(event) if each.operation == self.operation]


async def _sent(desk: Desk, event: Submit) -> Submit:
    await desk.hear(event)
    async with desk.lanes():
        await desk.until(event, "acked")
    return event


async def _approved(desk: Desk) -> Submit:
    open_accounts(desk, REFERENCE)
    event = await _sent(desk, first_of())
    name = (await desk.opportunity(event)).partner_id

    async def there() -> bool:
        return any(each["id"] == name for each in ledger(desk, "reference-partner")["decisions"])

    await support.eventually(there, 10)
    return event


async def _accept(desk: Desk, event: Submit) -> None:
    await desk.hear(intended(event, accept("offer-1")))


async def _taken(desk: Desk) -> Submit:
    open_accounts(desk, SOAP_LENDER)
    return await _sent(desk, first_of(SOAP_LENDER))


async def _withdraw(desk: Desk, event: Submit) -> None:
    await desk.hear(intended(event, withdraw()))


async def _registered(desk: Desk) -> Submit:
    open_accounts(desk, MONETAGO, SOAP_LENDER)
    party = {"name": "Fake Trading GmbH", "country": "DE"}
    money = {"amount": {"amount": "100", "currency": "EUR"}, "requested": {"amount": "80", "currency": "EUR"}}
    paper = {"number": f"FAKE-{uuid.uuid4()}", "issuedOn": "2030-01-02", "issuer": party, "debtor": party} | money
    return await _sent(desk, first_of(MONETAGO, invoices=[paper]))


async def _cancel(desk: Desk, registration: Submit) -> None:
    """The one lender behind the registry is withdrawn before anything was sent there, and status says so."""
    application, account = registration.application_id, f"demo-{SOAP_LENDER.name}"
    lender = first_of(SOAP_LENDER, gate=registration.opportunity_id).model_copy(
        update={
            "application_id": application,
            "opportunity_id": opportunity_id(application, "soap-lender", account),
        }
    )
    await desk.hear(lender, intended(lender, withdraw()))
    assert [(each.operation, each.outcome) for each in await desk.acks(lender)][-1] == ("withdraw", "accepted")
    await word(desk, lender, Status.WITHDRAWN)
    # a look at the lender would find nothing to do; without it a process has the registration alone to look after
    await desk.store.collection.update_one({"_id": str(lender.opportunity_id)}, {"$unset": {"due": ""}})


async def word(desk: Desk, about: Submit, status: Status, version: int = 1) -> None:
    """Status says what became of this opportunity."""
    event = StatusUpdated(
        tenant_id=about.tenant_id,
        mode=about.mode,
        application_id=about.application_id,
        opportunity_id=about.opportunity_id,
        partner=about.partner,
        credential=about.credential,
        state_version=version,
        status=status,
        source="fetch",
        observed_at=make.NOW,
    )
    key = await desk.key(about)
    await desk.registry.on_status_updated([Delivery(event, envelope_of(event, "test", utc_now()), key)])


ACCEPTING = Story("accept", "accept", "accept", "reference-partner", "acceptances", _approved, _accept)
WITHDRAWING = Story("withdraw", "withdraw", "update", "soap-lender", "withdrawals", _taken, _withdraw)
CANCELLING = Story("cancel", "withdraw", "cancellations", "monetago", "cancellations", _registered, _cancel)
STORIES = (ACCEPTING, WITHDRAWING, CANCELLING)


def once_by_id(records: list[Record]) -> bool:
    """Whether what was published twice was the same fact in the same bytes."""
    ids = {(dict(each.headers)["ce_id"], each.value) for each in records if each.topic == PartnerAck.topic}
    return len(ids) == len({identity for identity, _ in ids})


def asks_a_person(attempt: Attempt) -> bool:
    return (attempt.reason, attempt.plan) == (OUTCOME_UNKNOWN, "person")
