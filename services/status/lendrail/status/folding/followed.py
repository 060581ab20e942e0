"""Which of several applications at a partner an opportunity follows, where a person had it sent anew: the last one that
the partner has. What is said of an older one is known as such and decides nothing. Pure.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lendrail.contracts.partner_ack import Outcome
from lendrail.status.folding.observation import AcceptReported, Answered, Corrected, Missing, Observation, Reported

TAKEN: tuple[Outcome, ...] = ("id-bound", "accepted", "accepted-id-unknown")
"""With these the partner has it; in this order the one that tells most."""
Place = tuple[dt.datetime, int, int, str]


@dataclass(frozen=True, slots=True)
class Followed:
    """The last application that the partner has; `since` is None while there is only one."""

    generation: int
    since: Place | None = None
    former: frozenset[str] = frozenset()
    """Ids and references of the older ones."""

    def counts(self, each: Observation) -> bool:
        """Whether it says something of this application, or of all."""
        said = each.said
        if self.since is None or (isinstance(said, Answered) and _of_all(said)):
            return True
        if isinstance(said, Reported | Missing) and said.about is not None:
            return said.about not in self.former
        if isinstance(said, Answered) and said.operation == "create":
            return said.generation >= self.generation
        tied = isinstance(said, Answered | AcceptReported | Corrected | Reported | Missing)
        return not tied or each.place >= self.since

    def words_of_former(self, heard: Sequence[Observation]) -> list[Reported]:
        """What the partner said of older ones since it has this one."""
        late = [each.said for each in heard if self.since is not None and each.place > self.since]
        return [said for said in late if isinstance(said, Reported) and said.about in self.former]


def _of_all(said: Answered) -> bool:
    """The registry's word, and what the partner refused to take back or to take up: it may be asked for again."""
    return said.operation == "gate" or (said.operation in ("accept", "withdraw") and said.outcome == "rejected")


def followed(answers: Iterable[Observation], heard: Iterable[Observation]) -> Followed:
    """`answers`: the newest of each attempt; `heard`: all, since an id may have been told before."""
    creations = [(each.said, each) for each in answers if isinstance(each.said, Answered)]
    taken = [(said, each) for said, each in creations if said.operation == "create" and said.outcome in TAKEN]
    generations = {said.generation for said, _ in taken}
    if len(generations) < 2:
        return Followed(max(generations, default=1))
    newest = max(generations)
    told = [(each.said, each.place) for each in heard if isinstance(each.said, Answered)]
    told = [(said, place) for said, place in told if said.operation == "create"]
    return Followed(
        newest,
        min(place for said, place in told if said.generation == newest and said.outcome in TAKEN),
        _names(said for said, _ in told if said.generation in generations - {newest})
        - _names(said for said, _ in told if said.generation >= newest),
    )


def about(call: Mapping[str, Any], document: Mapping[str, Any]) -> str | None:
    """What a call is about: the partner's id where it is one of this opportunity's, else our reference."""
    known = {document.get("partner_id"), *document.get("former", ())}
    named: str | None = call["partner_id"]
    return named if named in known else call.get("reference") or named


def _names(answers: Iterable[Answered]) -> frozenset[str]:
    return frozenset(name for said in answers for name in (str(said.attempt_id), said.partner_id) if name)
