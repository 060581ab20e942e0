"""The map: every topic, its one event class, who states it, who hears it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from lendrail.contracts.application_amended import ApplicationAmended
from lendrail.contracts.application_received import ApplicationReceived
from lendrail.contracts.application_rejected import ApplicationRejected
from lendrail.contracts.application_validated import ApplicationValidated
from lendrail.contracts.event import Event
from lendrail.contracts.intake import Intake
from lendrail.contracts.notify import Notify
from lendrail.contracts.outcome import Outcome
from lendrail.contracts.partner_ack import PartnerAck
from lendrail.contracts.partner_webhook import PartnerWebhook
from lendrail.contracts.status_updated import StatusUpdated
from lendrail.contracts.submit import Submit

E = TypeVar("E", bound=Event)
DAY = 24


@dataclass(frozen=True)
class Topic(Generic[E]):
    """One topic. `retention_hours` is how long Kafka keeps its records; inboxes remember ids for longer than that."""

    event: type[E]
    says: str
    keyed_by: str
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    partitions: int = 6
    retention_hours: int = 7 * DAY

    @property
    def name(self) -> str:
        return self.event.topic

    @property
    def dead_letters(self) -> str:
        return dead_letters_of(self.name)


@dataclass(frozen=True)
class TopicTemplate:
    """A family of topics, one for each upstream, credential or tenant; created when that is."""

    prefix: str
    type: str | None
    """The CloudEvents type of what travels on them; None: whatever the other side writes."""
    says: str
    whose: str
    keyed_by: str
    producers: tuple[str, ...] = ()
    consumers: tuple[str, ...] = ()
    """Of our services; who else is at the other end is `whose`."""
    partitions: int = 3
    retention_hours: int = 7 * DAY
    timed_by: Literal["writer", "broker"] = "writer"
    """Whose clock the time of a record is: what the writer of another house states could be anything."""

    def name(self, whose: str) -> str:
        return f"{self.prefix}{whose}"

    @property
    def placeholder(self) -> str:
        """The name of the family in documents for people."""
        return self.name(f"<{self.whose}>")


DEAD_LETTER_RETENTION_HOURS = 30 * DAY


def dead_letters_of(topic: str) -> str:
    return f"{topic}-dlq"


APPLICATION_RECEIVED = Topic(
    ApplicationReceived, "stored: this tenant wants finance", "application", ("gateway",), ("validation",)
)
APPLICATION_AMENDED = Topic(
    ApplicationAmended,
    "stored: corrected, document or partner added, offer accepted, withdrawn",
    "application",
    ("gateway",),
    ("validation",),
)
APPLICATION_VALIDATED = Topic(
    ApplicationValidated,
    "sound at this revision; these partners can take it, those cannot and why",
    "application",
    ("validation",),
    ("documents", "status", "gateway"),
)
APPLICATION_REJECTED = Topic(
    ApplicationRejected, "it is not, field by field", "application", ("validation",), ("status", "gateway")
)
SUBMIT = Topic(Submit, "do this at this partner for this opportunity", "application", ("documents",), ("submission",))
PARTNER_ACK = Topic(PartnerAck, "what came of it", "application", ("submission",), ("status",))
PARTNER_WEBHOOK = Topic(
    PartnerWebhook, "a partner called us: raw, stored", "partner, credential and its own id", ("gateway",), ("status",)
)
STATUS_UPDATED = Topic(
    StatusUpdated, "version n of the truth", "application", ("status",), ("notifications", "gateway", "submission")
)
NOTIFY = Topic(Notify, "tell this recipient this", "recipient", ("notifications",), ("notifications",))

TOPICS: tuple[Topic[Any], ...] = (
    APPLICATION_RECEIVED,
    APPLICATION_AMENDED,
    APPLICATION_VALIDATED,
    APPLICATION_REJECTED,
    SUBMIT,
    PARTNER_ACK,
    PARTNER_WEBHOOK,
    STATUS_UPDATED,
    NOTIFY,
)
INTAKE = TopicTemplate(
    Intake.prefix,
    Intake.type,
    "an application, or a change of one, as an upstream system sent it",
    "upstream",
    "as sent",
    consumers=("gateway",),
)
PUSH = TopicTemplate(
    "push-",
    None,
    "a partner's call, by Kafka instead of HTTP: its body, with its headers",
    "credential",
    "as sent",
    consumers=("gateway",),
    timed_by="broker",
)
FAMILIES = (INTAKE, PUSH)
"""Those that we hear."""
OUTCOMES = TopicTemplate(
    Outcome.prefix,
    Outcome.type(),
    "version n of the truth, for the tenant's own systems",
    "tenant",
    "application",
    producers=("notifications",),
    partitions=6,
)
