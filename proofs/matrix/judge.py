"""What became of one application: the partners' own ledgers, what we show, and what a subscriber was told."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lendrail.contracts.terms import attempt_id, opportunity_id
from lendrail.local.accounts import ACCOUNTS, AUDIT_MAIL
from lendrail.local.hooks import Receiver
from proofs.matrix.ways import BLIND, BY_REFERENCE, REGISTRY, Way

CREDENTIALS = {each.partner: each.credential for each in ACCOUNTS if each.credential != AUDIT_MAIL}
GENERATIONS = range(1, 5)
"""A later one is a new permission to send; here nobody gives any, so any of them counts."""
TELLING_PARKED = "finance-parked"
"""A flag of the registry's opportunity: it stays cleared, and nobody knows whether the money was told there."""
View = Mapping[str, Any]
Ledgers = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Told:
    """One notice."""

    id: str
    application: str
    opportunity: str | None
    version: int
    status: str
    content: str


class Subscriber(Receiver):
    """A customer's receiver that keeps all it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.told_all: list[Told] = []

    def take(self, headers: Any, body: bytes) -> bool:
        if not super().take(headers, body):
            return False
        data = json.loads(body)["data"]
        self.told_all.append(
            Told(
                headers["webhook-id"],
                data["applicationId"],
                data.get("opportunityId"),
                data["version"],
                data["status"],
                hashlib.sha256(body).hexdigest(),
            )
        )
        return True


def opportunities(view: View) -> dict[str, Mapping[str, Any]]:
    return {each["partner"]: each for each in view.get("opportunities", ())}


def unknown(partner: str, deal: Mapping[str, Any]) -> bool:
    """Whether it ended without anybody knowing all: parked for a person, or taken under an id that was lost."""
    if partner == BY_REFERENCE:
        return deal.get("status") == "submitted" and "partner-id-unknown" in deal.get("flags", ())
    if partner == REGISTRY and TELLING_PARKED in deal.get("flags", ()):
        return True
    return deal.get("status") == "outcome-unknown" and deal.get("plan") == "person"


def ended(way: Way, view: View) -> bool:
    """Whether nothing more is to come."""
    found = opportunities(view)
    return all(
        partner in found and (found[partner]["status"] == status or unknown(partner, found[partner]))
        for partner, status in way.ends.items()
    )


def problems(way: Way, view: View, ledgers: Ledgers, told: Sequence[Told], *, may_be_unknown: bool) -> list[str]:
    """All that does not hold; empty: all does."""
    return [
        *_shown(way, view, may_be_unknown),
        *_kept(way, view, ledgers),
        *_timeline(view),
        *_told(view, [each for each in told if each.application == view["applicationId"]]),
    ]


def _shown(way: Way, view: View, may_be_unknown: bool) -> Iterator[str]:
    found = opportunities(view)
    for partner, wanted in way.ends.items():
        deal = found.get(partner, {})
        if deal.get("status") != wanted and not (may_be_unknown and unknown(partner, deal)):
            yield f"{partner} is shown as {deal.get('status')}, not {wanted}"


def _kept(way: Way, view: View, ledgers: Ledgers) -> Iterator[str]:
    found = opportunities(view)
    for partner, name in way.once:
        count = _count(view["applicationId"], partner, name, ledgers[partner])
        parked = (partner == BLIND or name == "financings") and unknown(partner, found.get(partner, {}))
        if count != 1 and not (parked and count == 0):
            yield f"{partner} has it {count} times in its {name}"


def _count(application: str, partner: str, name: str, ledger: Mapping[str, Any]) -> int:
    leads = [each for each in ledger["leads"] if each["reference"] in references(application, partner)]
    if name == "leads":
        return len(leads)
    own = {part["id"] for each in leads for part in each["fvrs"]}
    return sum(bool(own & set(each["fvrs"])) for each in ledger.get(name, ()))


def references(application: str, partner: str) -> set[str]:
    """What it may stand under in the partner's ledger."""
    there = opportunity_id(uuid.UUID(application), partner, CREDENTIALS[partner])
    return {str(attempt_id(there, "create", "", generation)) for generation in GENERATIONS}


def _timeline(view: View) -> Iterator[str]:
    entries = Counter(json.dumps(entry, sort_keys=True) for entry in view["timeline"])
    if any(count > 1 for count in entries.values()):
        yield "something stands in the timeline twice"


def _told(view: View, told: Sequence[Told]) -> Iterator[str]:
    ids: defaultdict[tuple[str | None, int], set[str]] = defaultdict(set)
    contents: defaultdict[str, set[str]] = defaultdict(set)
    for each in told:
        ids[each.opportunity, each.version].add(each.id)
        contents[each.id].add(each.content)
    if any(len(names) > 1 for names in ids.values()):
        yield "one version was told under two ids"
    if any(len(bodies) > 1 for bodies in contents.values()):
        yield "one id was told with two contents"
    for partner, deal in opportunities(view).items():
        if not last_told(deal, told):
            yield f"nobody was told that it is {deal['status']} at {partner}"


def last_told(deal: Mapping[str, Any], told: Sequence[Told]) -> bool:
    """Whether the newest notice of this opportunity says what is shown."""
    own = [each for each in told if each.opportunity == deal["opportunityId"]]
    return bool(own) and max(own, key=lambda each: each.version).status == deal["status"]
