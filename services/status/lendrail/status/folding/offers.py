"""Each offer as the partner first told it and as it told it last, whatever became of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from lendrail.contracts.terms import Offer, OfferForms, Report
from lendrail.status.folding.observation import Answered, Observation, Reported

MOST = 50
"""Offers whose forms are kept, those that came last; a partner that gives an offer a new id each time must not make
every version longer than the one before.
"""


def offer_history(words: Iterable[tuple[Observation, Report]]) -> tuple[OfferForms, ...]:
    """`words`: what the partner said, in order."""
    forms: dict[tuple[str, str | None], OfferForms] = {}
    for each, report in words:
        for offer in report.offers:
            name, bare = (offer.id, offer.variant), _without_link(offer)
            known = forms.get(name)
            if known is None:
                forms[name] = OfferForms(original=bare, original_at=each.at, latest=bare, latest_at=each.at)
            elif known.latest != bare:
                forms[name] = known.model_copy(update={"latest": bare, "latest_at": each.at})
    return tuple(forms.values())[-MOST:]


def words_of(heard: Iterable[Observation], answers: Iterable[Observation]) -> list[tuple[Observation, Report]]:
    """What the partner said in all that counts, in its order. `answers` are the newest of each attempt."""
    current = {each.id for each in answers}
    found: list[tuple[Observation, Report]] = []
    for each in heard:
        said = each.said
        counts = isinstance(said, Reported) or (isinstance(said, Answered) and each.id in current)
        if counts and isinstance(said, Reported | Answered) and said.report is not None:
            found.append((each, said.report))
    return found


def _without_link(offer: Offer) -> Offer:
    """A link is a secret, and one that changes with each look makes no other offer."""
    return offer if offer.action_link is None else offer.model_copy(update={"action_link": None})
