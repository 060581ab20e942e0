"""What is planned and done at one partner for one application: values without I/O.

An opportunity holds everything of one application under one credential, its attempts in the order in which they are
carried out. So one document write moves an attempt, tells what came of it and frees what waited for it.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from lendrail.contracts.event import Envelope
from lendrail.contracts.partner_ack import Operation, Plan
from lendrail.contracts.terms import Mode, attempt_id


class State(StrEnum):
    PLANNED = "planned"  # waits for something else, such as the partner's id
    PREPARED = "prepared"  # its bytes are fixed and stored; nothing left us, or it was cleanly refused for now
    SENDING = "sending"  # the first byte may have left us
    RECONCILING = "reconciling"  # the same bytes again, after an unknown outcome
    UNKNOWN = "unknown"  # nobody knows whether the partner took it
    ACKED = "acked"
    SUBMITTED_ID_UNKNOWN = "submitted-id-unknown"  # the partner has it, its id was lost on the way
    REJECTED = "rejected"
    PARKED = "parked"  # a person decides
    CANCELLED = "cancelled"  # was not sent and will not be


OPEN = frozenset({State.PLANNED, State.PREPARED})
UNDER_WAY = frozenset({State.SENDING, State.RECONCILING})
WORKABLE = frozenset({State.PLANNED, State.PREPARED, State.UNKNOWN})
OUTCOME_UNKNOWN = "outcome-unknown"
"""Reason of an attempt that is parked since nobody knows what became of it."""
CONFLICT = "revision-conflict"
FOLLOW_UP = "follow-up"
"""The call by which a document follows a creation that gave no id."""
FINAL = frozenset({State.ACKED, State.REJECTED, State.CANCELLED})
APPLICANT, REPLACED = "applicant", "replaced"
"""Subjects of a withdrawal: somebody asked for it; a registration gives way to one of other papers. All others are the
status with which a lender's opportunity ended.
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One thing to be done once at a partner."""

    id: str
    operation: Operation
    subject: str = ""
    """SHA-256 of a document, id of an offer, opportunity of a gate, why it is withdrawn; else empty."""
    variant: str | None = None
    """Of the offer that is accepted."""
    paper: str | None = None
    """Of a gate, and of a registration: a mark of the papers that it is about."""
    added: bool = False
    """A document that came after the application: it follows whatever creation there is."""
    generation: int = 1
    beside: bool = False
    """Of a creation: a person had it sent although the partner has an older one."""
    state: State = State.PLANNED
    version: int = 0
    """Rises with every state that is told to others."""
    tries: int = 0
    """How often its first byte may have left us."""
    unknowns: int = 0
    """How many of these tries ended unknown."""
    delays: int = 0
    """How often it was put off: no connection, or a refusal for now."""
    calls: tuple[str, ...] = ()
    """The partner's operations that it consists of, in their order; empty: the one of its own name."""
    step: int = 0
    """The call that is next; the ones before it are done for good."""
    given: Mapping[str, str] = field(default_factory=dict)
    """What the answers so far gave to the calls after them."""
    sent_at: dt.datetime | None = None
    """When the first byte of this step may first have left us."""
    absences: int = 0
    """How often the partner did not know our reference since the last unknown try."""
    channel: str | None = None
    """The partner whose channel it goes through, with the credential `via`; None: the opportunity's own."""
    via: str | None = None
    known_as: str | None = None
    """Our reference in its bytes, where a person had them sent again; else its own id."""
    unknown_since: dt.datetime | None = None
    due: dt.datetime | None = None
    """Not before this time; None: at once."""
    reason: str | None = None
    plan: Plan | None = None
    """How an unknown outcome goes on."""
    request_sha256: str | None = None
    words: str | None = field(default=None, repr=False)
    """The partner's own words of a refusal, sealed."""
    unread: Mapping[str, Any] | None = None
    """When the last reply came that left us not knowing, its status and size; the store keeps it, sealed."""
    problems: tuple[Mapping[str, str], ...] = ()
    """What the partner found wrong: pointer, code and message of each."""
    document: Mapping[str, Any] | None = field(default=None, repr=False)
    """The document that it hands over, its link sealed."""

    @property
    def call(self) -> str:
        """The partner's operation that is next."""
        return self.calls[self.step] if self.calls else self.operation

    @property
    def last_step(self) -> bool:
        return self.step + 1 >= len(self.calls)

    @property
    def never_taken(self) -> bool:
        """Whether it is certain that the partner has no application by it, and gets none.

        One of several calls that stands between two of them may go on; a draft that a refused one left is none.
        """
        if self.unknowns:
            return False
        if self.state == State.PARKED:
            return self.tries == 0
        return self.state in (State.REJECTED, State.CANCELLED) or (self.state in OPEN and self.step == 0)

    @property
    def in_vain(self) -> bool:
        """It was to stand beside an older creation, and was refused or never sent: the older one counts again."""
        return self.beside and self.state in (State.REJECTED, State.CANCELLED)

    @property
    def left_a_draft(self) -> bool:
        """It stands between two of its calls: the partner holds a part that is no application by itself."""
        return self.step > 0 and self.unknowns == 0 and self.state in OPEN

    @property
    def in_thread(self) -> bool:
        """It answers the creation and needs no id of it."""
        return self.calls == (FOLLOW_UP,)

    @property
    def planned(self) -> bool:
        """Whether there ever was something to send."""
        return bool(self.calls) or self.document is not None

    @property
    def in_doubt(self) -> bool:
        """Nobody knows what became of it, and nobody has said what he found out."""
        return self.state == State.UNKNOWN or (self.state == State.PARKED and self.reason == OUTCOME_UNKNOWN)

    @property
    def document_name(self) -> str | None:
        return None if self.document is None else str(self.document["name"])


@dataclass(frozen=True, slots=True)
class Opportunity:
    """One application at one partner under one credential."""

    id: str
    tenant: str
    mode: Mode
    partner: str
    credential: str
    application_id: uuid.UUID
    revision: int
    options: Mapping[str, Any]
    """The account's settings when it was planned, so that a repeat makes the same bytes."""
    cause: Envelope
    """What asked for it; acks are correlated to it."""
    content: str | None = None
    """Knows the application of this revision again."""
    attempts: tuple[Attempt, ...] = ()
    inbox: tuple[str, ...] = ()
    """Ids of the events that took effect; kept for ever."""
    partner_id: str | None = None
    ended: str | None = None
    """The status with which it ended, as told by the partner."""
    agreed: bool = False
    """An offer was accepted, as told by the partner or by a person."""
    version: int = 0
    """Of the document; compared and raised by every write."""
    audit: tuple[Mapping[str, Any], ...] = ()
    """Who did what, and why."""

    @property
    def create(self) -> Attempt | None:
        """The newest attempt to bring the application to the partner; none in vain while there is an older one."""
        made = (each for each in reversed(self.attempts) if each.operation == "create")
        return next((each for each in made if not each.in_vain), None)

    @property
    def gate(self) -> Attempt | None:
        """The registry's word that everything waits for: on the newest papers."""
        gates = [each for each in self.attempts if each.operation == "gate"]
        return max(gates, key=lambda each: each.generation, default=None)

    @property
    def withdrawal(self) -> Attempt | None:
        """What an applicant asked for that stands: everything else waits for it, and ends with it."""
        given_up = (State.REJECTED, State.CANCELLED)
        asked = (each for each in self.attempts if each.operation == "withdraw" and each.subject == APPLICANT)
        return next((each for each in asked if each.state not in given_up), None)

    def attempt(self, attempt: str) -> Attempt:
        return next(each for each in self.attempts if each.id == attempt)

    def put(self, *changed: Attempt) -> Opportunity:
        """With these attempts in place of those of the same id, new ones at the end."""
        by_id = {each.id: each for each in changed}
        kept = [by_id.pop(each.id, each) for each in self.attempts]
        return replace(self, attempts=(*kept, *by_id.values()))


def new_attempt(opportunity: str, operation: Operation, subject: str = "", generation: int = 1) -> Attempt:
    derived = attempt_id(uuid.UUID(opportunity), operation, subject, generation)
    return Attempt(id=str(derived), operation=operation, subject=subject, generation=generation)


def reference(attempt: Attempt) -> str:
    """Our reference at the partner: fixed by opportunity and generation, so a repeat never has another one."""
    return attempt.known_as or attempt.id
