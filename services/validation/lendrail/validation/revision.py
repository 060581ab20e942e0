"""One revision of an application as it is judged, whichever event brought it. Pure."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass

from lendrail.contracts.application import Application
from lendrail.contracts.application_amended import Amendment, ApplicationAmended, Corrected
from lendrail.contracts.application_received import ApplicationReceived
from lendrail.contracts.terms import FieldProblem, Mode, Reference
from lendrail.validation.standing import Standing


@dataclass(frozen=True, slots=True)
class Revision:
    application_id: uuid.UUID
    tenant_id: str
    mode: Mode
    number: int
    application: Application | None
    """As it stands at this revision."""
    received_at: dt.datetime
    """When the application itself was received."""
    stated_at: dt.datetime
    """When this revision was."""
    amendment: Amendment | None = None
    before: Standing | None = None
    """How the application stood; None at the first revision."""
    handed_over: tuple[FieldProblem, ...] = ()
    references: tuple[Reference, ...] = ()

    @property
    def new_content(self) -> bool:
        """Whether all rules have to look at the application, since nobody saw it like this before."""
        return self.amendment is None or isinstance(self.amendment, Corrected)


def first(event: ApplicationReceived) -> Revision:
    return Revision(
        application_id=event.application_id,
        tenant_id=event.tenant_id,
        mode=event.mode,
        number=event.revision,
        application=event.application,
        received_at=event.received_at,
        stated_at=event.received_at,
        handed_over=event.problems,
        references=event.references,
    )


def later(event: ApplicationAmended, before: Standing) -> Revision:
    return Revision(
        application_id=event.application_id,
        tenant_id=event.tenant_id,
        mode=event.mode,
        number=event.revision,
        application=event.stands,
        received_at=event.received_at or before.received_at,
        stated_at=event.amended_at,
        amendment=event.amendment,
        before=before,
    )


def predecessor(event: ApplicationAmended) -> str:
    """The id of the event whose report must be there first."""
    application, number = str(event.application_id), event.revision - 1
    return (ApplicationReceived if number == 1 else ApplicationAmended).id_of(application, number)
