"""What an update says beside its status, in sentences: what became of a change that the tenant asked for. Pure.

They hold ids, counts and words of ours only, so they may stand in a mail.
"""

from __future__ import annotations

from collections.abc import Iterator

from lendrail.contracts.status_updated import StatusUpdated
from lendrail.contracts.terms import Status

REFUSED_CHANGE = "amendment-refused"
"""Flag of a change that validation refused, with its revision: `amendment-refused:2`."""
ALARM = "alarm"
"""Flag of what should never have come after what was: `alarm:funded-after-declined`."""
_BY_PERSON = {
    "corrected": "An operator set this status; it holds until the partner says something else.",
    "pinned": "An operator holds this status, whatever the partner says.",
}
_CHANGES = {
    "update": "the correction",
    "document": "a document",
    "accept": "the acceptance of the offer",
    "withdraw": "the withdrawal",
    "resend": "the corrected application as a new one",
}
_CAME_TO = {
    "rejected": "The partner did not take {change}.",
    "duplicate": "The partner says that it has {change} already.",
    "unknown": "Nobody knows yet whether the partner took {change}.",
    "parked": "Nobody knows whether the partner took {change}; a person decides.",
    "not-sent": "Not sent: {change}.",
}
_STANDS = {
    "update": "It still has the application as it was.",
    "withdraw": "The application is still there.",
    "accept": "The offer is not accepted.",
    "resend": "It still has the application as it was.",
}
_OURS = {
    Status.WITHDRAWN: ("The partner took the withdrawal.", "The partner says that it was withdrawn."),
    Status.ACCEPTED: ("The partner took the acceptance of the offer.", "The partner says that its offer was accepted."),
}


def headline(update: StatusUpdated) -> str:
    """What the letter is about, in a word or two; an alarm is called one when this status is what rings it."""
    if update.opportunity_id is None and _refused(update):
        return "change refused"
    rings = any(flag.startswith(f"{ALARM}:{update.status}-after-") for flag in update.flags)
    return f"{ALARM}, {update.status}" if rings else update.status.value


def remarks(update: StatusUpdated) -> list[str]:
    """One sentence for each change that came to something; none where nothing was changed."""
    said = [*_decided(update), *_taken(update), *(line for flag in update.flags for line in _flag(flag))]
    return list(dict.fromkeys(said))


def _refused(update: StatusUpdated) -> bool:
    return any(flag.startswith(f"{REFUSED_CHANGE}:") for flag in update.flags)


def _decided(update: StatusUpdated) -> Iterator[str]:
    if "accepted-reported" in update.flags:
        yield "A person reported that the offer was accepted; the partner has not confirmed it yet."
    elif "not-sent-yet" in update.flags:
        yield "It was withdrawn before it was sent: the partner never had it."
    elif "draft-left" in update.flags:
        yield "It was withdrawn while it was being sent: the partner has no more than an unfinished draft."
    elif update.status in _OURS and update.source != "person":
        by_us, by_partner = _OURS[update.status]
        yield by_us if update.source == "ack" else by_partner


def _taken(update: StatusUpdated) -> Iterator[str]:
    for flag in update.flags:
        name, _, count = flag.partition(":")
        if name == "updated":
            yield "The partner took the correction." if count == "1" else f"The partner took {count} corrections."
    if sent := len(update.documents_sent):
        yield "The partner has one document." if sent == 1 else f"The partner has {sent} documents."


def _alarm(after: str, before: str) -> str:
    if before == Status.WITHDRAWN:
        return f"The partner says {after}, although it took the withdrawal."
    return f"Alarm: the partner says {after}, although it was {before} before. Please look into it."


def _flag(flag: str) -> Iterator[str]:
    name, _, rest = flag.partition(":")
    if name == REFUSED_CHANGE:
        yield f"Your change (revision {rest}) was refused. Nothing changed at any partner."
    if name == ALARM:
        yield _alarm(*rest.split("-after-", 1))
    if flag in _BY_PERSON:
        yield _BY_PERSON[flag]
    if name == "partner-disagrees":
        yield f"The words of the partner alone say {rest}."
    if name == "older-application":
        yield f"Of the application that was sent there before this one the partner says {rest}."
    operation, _, outcome = name.partition("-")
    if operation in _CHANGES and outcome in _CAME_TO:
        yield _CAME_TO[outcome].format(change=_CHANGES[operation])
        if outcome == "rejected" and operation in _STANDS:
            yield _STANDS[operation]
