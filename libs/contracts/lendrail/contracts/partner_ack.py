from __future__ import annotations

import uuid
from typing import ClassVar, Literal

from lendrail.contracts.event import ApplicationEvent
from lendrail.contracts.terms import FieldProblem, ForeignId, PartnerName, Report, Time

Operation = Literal[
    "create",
    "update",
    "document",
    "accept",
    "withdraw",
    "gate",  # the registry's word, for which all else of the opportunity waits
    "finance",  # tell the registry that the money flowed
    "supplement",  # the same by email, for what the API cannot take and for audit
]

Plan = Literal["repeat", "look-up", "wait", "person"]
"""How an unknown outcome is settled: the same bytes again where that is safe, a look for our reference at the partner,
word from the partner itself, or a person.
"""

Outcome = Literal[
    "accepted",  # the partner has it, and said under which id
    "accepted-id-unknown",  # the partner has it, its id was lost on the way
    "rejected",  # a clean refusal: nothing was taken
    "duplicate",  # the partner says it knows this applicant from elsewhere
    "unknown",  # nobody knows yet; `next_check_at` says when we look again
    "parked",  # we stopped trying; a person decides
    "not-sent",  # not one byte of it left us
    "id-bound",  # a person told us the partner's id
]


class PartnerAck(ApplicationEvent):
    """What came of one attempt at a partner."""

    topic: ClassVar[str] = "partner-ack"

    opportunity_id: uuid.UUID
    partner: PartnerName
    credential: str
    attempt_id: uuid.UUID
    attempt_version: int
    operation: Operation
    generation: int | None = None
    """Of a creation: rises with each new one at this partner. Of several that the partner has the last one counts."""
    document: str | None = None
    """Name of the document that this attempt was about."""
    outcome: Outcome
    partner_id: ForeignId | None = None
    report: Report | None = None
    """The decision, where the partner gives it with its answer."""
    problems: tuple[FieldProblem, ...] = ()
    reason: str | None = None
    """A stable code for operators, such as `no-answer` or `credential-refused`."""
    occurred_at: Time
    asked_at: Time | None = None
    """When the first byte of the call was first sent: `report` may be as old as that, above all after a repeat."""
    next_check_at: Time | None = None
    unknown_since: Time | None = None
    plan: Plan | None = None

    @property
    def entity(self) -> str:
        return str(self.attempt_id)

    @property
    def version(self) -> int:
        return self.attempt_version
