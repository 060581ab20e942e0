"""What is held against one another in the end: the partners' ledgers as `Taken`, what we show as `Shown`.

`Shown.parked` means that the creation waits for a person, or, where the partner's id was lost, for the partner's own
word. `induced` says whether a fault brought that about; `induced.py` defines it. What is parked beside a creation (a
document, an acceptance, the mail for audit) is shown as an entry of its own, named after partner and operation.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pymongo import MongoClient

from proofs.chaos import books
from proofs.chaos.books import SEATS, Books
from proofs.chaos.cast import AUDIT
from proofs.chaos.doors import Rest
from proofs.chaos.induced import SAME, WORDLESS, Evidence, Send, sends_of, touched
from proofs.chaos.shapes import Accepted, Call, Notice, Shown
from proofs.chaos.traffic import Acted
from proofs.chaos.truth import Truth

PERSON = frozenset({"parked", "submitted-id-unknown"})
"""States of an attempt in which a person, or the partner's own word, has to decide."""
CANCELLED = "cancelled"
ENDED = frozenset({"acked", "rejected", CANCELLED})
ASIDE = frozenset({"create", "gate", "supplement"})
"""Operations that are not counted beside the creation: the creation, what it waits for, and the mail for audit."""
AT_ONCE = 16
"""Views that are read at the same time."""
Attempt = Mapping[str, Any]
View = dict[str, Any]


@dataclass
class Sends:
    """How many there were, and how many met a fault."""

    calls: int = 0
    touched: int = 0


@dataclass
class Reader:
    """All that says something of what we show."""

    books: Books
    calls: Sequence[Call]
    truth: Truth
    found: Evidence
    attempts: Mapping[str, Sequence[Attempt]]
    """By opportunity, as submission has them."""
    sends: Sends = field(default_factory=Sends)

    def __post_init__(self) -> None:
        self._noted: dict[tuple[str, str], list[books.Noted]] = defaultdict(list)
        for noted in self.books.calls:
            self._noted[noted.ledger, noted.reference].append(noted)
        self._about: dict[tuple[str, str], list[Call]] = defaultdict(list)
        self._mute: dict[str, list[Call]] = defaultdict(list)
        for call in sorted(self.calls, key=lambda each: each.began):
            for word in call.marks:
                self._about[call.partner, word].append(call)
            if not call.marks:
                self._mute[call.partner].append(call)
        self._longest = max((each.ended - each.began for each in self.calls), default=dt.timedelta())

    def shown(self, accepted: Accepted, view: View) -> Iterator[Shown]:
        """Everything of one application."""
        for each in view["opportunities"]:
            partner, identity = each["partner"], each["opportunityId"]
            attempts = self.attempts.get(identity, ())
            create = _of(attempts, "create")
            yield Shown(
                application=accepted.application,
                opportunity=identity,
                partner=partner,
                status=each["status"],
                partner_id=each.get("partnerId"),
                versions=self.truth.to_tell((accepted.application, identity)),
                parked=create is not None and create["state"] in PERSON,
                induced=self._induced(accepted, partner, create),
            )
            yield from self._beside(accepted, partner, identity, attempts)
            if AUDIT in accepted.wanted and partner == SEATS[AUDIT].at:
                yield self._audit_mail(accepted, identity, create, _of(attempts, "supplement"))

    def _beside(
        self, accepted: Accepted, partner: str, opportunity: str, attempts: Sequence[Attempt]
    ) -> Iterator[Shown]:
        for each in attempts:
            if each["operation"] not in ASIDE and each["state"] in PERSON:
                yield _entry(
                    accepted,
                    f"{opportunity}/{each['operation']}",
                    f"{partner} {each['operation']}",
                    parked=True,
                    induced=self._induced(accepted, partner, each),
                )

    def _audit_mail(self, accepted: Accepted, opportunity: str, create: Attempt | None, mail: Attempt | None) -> Shown:
        """It waits with the creation where that waits for a person."""
        if mail is not None and mail["state"] not in PERSON | ENDED and create is not None:
            parked, induced = create["state"] in PERSON, self._induced(accepted, SEATS[AUDIT].at, create)
        else:
            parked = mail is not None and mail["state"] in PERSON
            induced = self._induced(accepted, AUDIT, mail)
        status = {"acked": "submitted", "cancelled": CANCELLED}.get(mail["state"] if mail else "", "submitting")
        entry = _entry(accepted, f"{opportunity}/supplement", AUDIT, parked=parked, induced=induced)
        return replace(entry, status=status)

    def _induced(self, accepted: Accepted, partner: str, attempt: Attempt | None) -> bool:
        """Whether one of its sends met a fault. What was never sent met none."""
        seat, known_as = SEATS[partner], books.reference(accepted.application, partner, accepted.mark)
        noted = self._noted[seat.ledger, known_as]
        stated = [each.at for each in noted] + _times(attempt)
        near = self._about[seat.ledger, known_as] + self._mute_at(seat.ledger, stated)
        sends = sends_of(seat.ledger, frozenset({known_as}), stated, near, self.found.deadline)
        met = [touched(send, self.found) or _not_whole(send, noted) for send in sends]
        self.sends.calls += len(met)
        self.sends.touched += sum(met)
        return any(met) or any(not each.whole for each in noted)

    def _mute_at(self, ledger: str, stated: Sequence[dt.datetime]) -> list[Call]:
        """Of the calls without a word of ours those that may have been under way at these times: of a hundred thousand
        a few.
        """
        calls = self._mute[ledger] if ledger in WORDLESS else []
        found: dict[int, Call] = {}
        for at in stated:
            first = bisect_left(calls, at - self._longest - SAME, key=lambda each: each.began)
            last = bisect_right(calls, at + SAME, key=lambda each: each.began)
            found |= {id(each): each for each in calls[first:last]}
        return list(found.values())


def _not_whole(send: Send, noted: Iterable[books.Noted]) -> bool:
    """The partner itself says that it did not answer this one as it should."""
    return any(send.began <= each.at <= send.ended and not each.whole for each in noted)


def _times(attempt: Attempt | None) -> list[dt.datetime]:
    """When its first byte may have left, by our record; nothing where it never came to that."""
    at = attempt.get("sent_at") if attempt else None
    return [at.replace(tzinfo=dt.UTC)] if at is not None else []


def _of(attempts: Sequence[Attempt], operation: str) -> Attempt | None:
    """The newest of this operation."""
    return next((each for each in reversed(attempts) if each["operation"] == operation), None)


def _entry(accepted: Accepted, opportunity: str, partner: str, *, parked: bool, induced: bool) -> Shown:
    return Shown(
        application=accepted.application,
        opportunity=opportunity,
        partner=partner,
        status="outcome-unknown",
        partner_id=None,
        versions=(),
        parked=parked,
        induced=induced,
    )


def attempts(mongo: str) -> dict[str, list[Attempt]]:
    """By opportunity."""
    with MongoClient[dict[str, Any]](mongo, tz_aware=False) as client:
        found = client["submission"]["opportunities"].find({}, {"attempts": 1})
        return {each["_id"]: each["attempts"] for each in found}


async def views(rest: Rest, accepted: Iterable[Accepted]) -> dict[str, View]:
    """What the gateway says of each application now; of one that it does not know nothing. Raises TimeoutError."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(application: str) -> tuple[str, View]:
        async with gate:
            return application, await rest.find(f"/v1/applications/{application}") or {"opportunities": []}

    ids = {each.application for each in accepted}
    return dict(await asyncio.gather(*(one(each) for each in ids)))


def with_lives(accepted: Sequence[Accepted], acted: Iterable[Acted], shown: Sequence[Shown]) -> list[Accepted]:
    """What must be shown after the changes that we acknowledged. One that waits for a person may have come to pass or
    not, so both are right then; what the partner holds decides in any case. A withdrawal overtakes the mail for audit:
    one that was cancelled so must not have left.
    """
    overtaken = {each.application for each in shown if (each.partner, each.status) == (AUDIT, CANCELLED)}
    waits = {(each.application, each.partner) for each in shown if each.parked}
    changed: dict[str, dict[str, str]] = {}
    for each in acted:
        before = next(one.wanted[each.partner] for one in accepted if one.application == each.application)
        names = {(each.application, f"{each.partner} {each.life}"), (each.application, each.partner)}
        after = f"{before}|{each.becomes}" if names & waits else each.becomes
        changed[each.application] = {each.partner: after}
        if each.life == "withdraw" and each.application in overtaken:
            changed[each.application][AUDIT] = CANCELLED
    return [_with(each, changed.get(each.application, {})) for each in accepted]


def _with(accepted: Accepted, changed: Mapping[str, str]) -> Accepted:
    withheld = (*accepted.withheld, AUDIT) if AUDIT in changed else accepted.withheld
    return replace(accepted, wanted={**accepted.wanted, **changed}, withheld=withheld)


async def without_superseded(
    rest: Rest, endpoint: str, shown: Sequence[Shown], notices: Iterable[Notice]
) -> tuple[list[Shown], int]:
    """A version that was tried, failed and gave way to a newer one need not arrive: that is stated. The delivery log
    says which; it is asked only of applications of which something was not told.
    """
    told = {(each.application, each.opportunity, each.version) for each in notices}
    kept, count = [], 0
    for each in shown:
        missing = {n for n in each.versions if (each.application, each.opportunity, n) not in told}
        gone = missing & await _gave_way(rest, endpoint, each) if missing else set()
        kept.append(replace(each, versions=tuple(n for n in each.versions if n not in gone)))
        count += len(gone)
    return kept, count


async def _gave_way(rest: Rest, endpoint: str, shown: Shown) -> set[int]:
    path = f"/v1/deliveries?application={shown.application}&pageSize=200"
    log = (await rest.get(path))["items"]
    return {
        each["version"]
        for each in log
        if (each["endpointId"], each.get("opportunityId")) == (endpoint, shown.opportunity)
        and (each["status"], each["tries"] > 0) == ("superseded", True)
    }
