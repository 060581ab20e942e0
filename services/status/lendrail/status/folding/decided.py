"""What the partner decided, and what we decided that the partner took, in the order in which it was so. Pure.

The partner's later word counts more than ours. What it said before it had our withdrawal or our document is no answer
to that; a look that began afterwards is.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lendrail.contracts.terms import Report, Status
from lendrail.status.folding.later import Later, done_at
from lendrail.status.folding.observation import (
    LOOKS,
    UNSENT,
    Amended,
    Answered,
    Corrected,
    Missing,
    Observation,
    Reported,
)
from lendrail.status.folding.observation import AcceptReported as ByPerson

FINAL = frozenset(
    {
        Status.INVALID,
        Status.INELIGIBLE,
        Status.DECLINED,
        Status.DUPLICATE,
        Status.FUNDED,
        Status.WITHDRAWN,
        Status.EXPIRED,
        Status.FAILED,
        Status.ERASED,
    }
)
"""Nobody waits for news any more."""

REOPENED = frozenset(
    {
        (Status.DECLINED, Status.APPROVED),
        (Status.DECLINED, Status.ACCEPTED),
        (Status.DECLINED, Status.FUNDED),
        (Status.EXPIRED, Status.APPROVED),
        (Status.EXPIRED, Status.ACCEPTED),
        (Status.EXPIRED, Status.FUNDED),
        (Status.WITHDRAWN, Status.FUNDED),
    }
)
"""The exceptions: a final status that gives way to another one, with an alarm. All others stay what they are."""

PATIENCE = dt.timedelta(days=1)
"""So long a partner may repeat its question while it reads our answer; then the question counts again."""
REVIEW = "review-"
"""Flags that begin so ask for a person: until one has confirmed the partner's id, later news approve nothing."""
TOLD = (
    "offers",
    "decline_reasons",
    "decline_notes",
    "missing_info",
    "wanted",
    "notes",
    "contact",
    "close_chance",
    "closes_on",
    "commission",
    "matches",
)
"""What a report says beside its status."""
_OURS = {"accept": Status.ACCEPTED, "withdraw": Status.WITHDRAWN}
_OVER = {Status.ACCEPTED: ("missing_info", "wanted"), Status.WITHDRAWN: ("missing_info", "wanted", "offers")}
"""What the partner told before, and what is over with our decision."""
_ASKED = ("status", "words", "missing_info", "wanted")
_AGREED = (Status.APPROVED, Status.ACCEPTED)
_KEPT = ("contact", "close_chance", "closes_on", "commission")
"""What stays as it was told last where another word says nothing of it; only a look shows all that holds."""
_BY_FILE = "csv"
"""A file has no column for offers, nor for what is missing: it takes nothing of that back while the deal stands as it
did.
"""


@dataclass(frozen=True, slots=True)
class Layer:
    """What one layer says: the observation behind it and the fields of the state that it fills."""

    observation: Observation
    fields: dict[str, Any]
    ours: bool = False
    """We decided it, and the partner said nothing against it since."""
    question: Report | None = None
    """What the partner wanted to know, and has been answered since."""
    corrected: bool = False
    """A person set it: it holds until the partner's next word."""

    @property
    def status(self) -> Status:
        found: Status = self.fields["status"]
        return found


def decided(heard: Sequence[Observation], answers: Sequence[Observation], flags: dict[str, None]) -> Layer | None:
    """What holds of all decisions; None where there is none. `heard` is in order; `answers` are the newest of each
    attempt. Flags are added to `flags`.
    """
    course = _Course(heard, answers, flags)
    for each in heard:
        course.hear(each)
    if course.ruling is not None:
        _alarm(heard, course, flags)
        if course.ruling.ours:
            flags.update(dict.fromkeys(_remarks(course.ruling.observation, heard)))
    return course.ruling


def _remarks(decision: Observation, heard: Sequence[Observation]) -> list[str]:
    """What is to be known of a decision of ours: on whose word, or that the partner never had the application, which
    stays true when the same is asked for again.
    """
    said = decision.said
    if isinstance(said, ByPerson):
        return ["accepted-reported"]
    told = [each.said for each in heard if isinstance(each.said, Answered)]
    mine = [each for each in told if isinstance(said, Answered) and each.attempt_id == said.attempt_id]
    return [each.reason for each in mine if each.reason in UNSENT]


class _Course:
    """The decisions of one opportunity, one after the other."""

    def __init__(self, heard: Sequence[Observation], answers: Sequence[Observation], flags: dict[str, None]) -> None:
        self.ruling: Layer | None = None
        self._registered: str | None = None
        self._flags = flags
        self._current = {each.id for each in answers}
        self._late = {each.said.document for each in heard if isinstance(each.said, Amended)} - {None}
        self.later = Later(heard)
        self.overruled = {each.id for each in answers if self._is_overruled(each)}
        reports = [each.said.report for each in answers if isinstance(each.said, Answered)]
        told = [flag for report in reports if report for flag in report.flags]
        self._review = tuple(flag for flag in told if flag.startswith(REVIEW))

    def hear(self, each: Observation) -> None:
        said = each.said
        if isinstance(said, Missing):
            self._flags["unknown-at-partner"] = None
        elif isinstance(said, Reported):
            self._flags.pop("unknown-at-partner", None)
            self._report(each, self._held(said.report))
        elif isinstance(said, ByPerson):
            self._decide(each, Status.ACCEPTED)
        elif isinstance(said, Corrected):
            kept = without_outdated(self.ruling.fields, said.status) if self.ruling else {}
            self.ruling = Layer(each, kept | {"status": said.status}, corrected=True)
        elif isinstance(said, Answered) and each.id in self._current:
            self._answer(each, said)

    def _held(self, report: Report) -> Report:
        if not self._review:
            return report
        status = Status.REFERRED if report.status in _AGREED else report.status
        return report.model_copy(update={"status": status, "flags": (*report.flags, *self._review)})

    def _answer(self, each: Observation, said: Answered) -> None:
        """What the partner took of ours; then what it says itself in the same breath. A registration that replaces one
        of other papers begins anew: what was said of that one says nothing of this one.
        """
        if said.at_registry and said.operation == "create" and said.partner_id:
            if self._registered not in (None, said.partner_id):
                self.ruling = None
            self._registered = said.partner_id
        if said.outcome == "accepted" and each.id not in self.overruled:
            if said.operation in _OURS:
                self._decide(each, _OURS[said.operation])
            elif self._is_answer(said):
                self._answer_question(each)
        if said.report:
            self._report(each, said.report if said.operation == "create" else self._held(said.report))

    def _is_answer(self, said: Answered) -> bool:
        """Whether it may be what the partner asked for: not a document of the first submission."""
        return said.operation == "update" or (said.operation == "document" and said.document in self._late)

    def _is_overruled(self, answer: Observation) -> bool:
        """Whether the partner's own later word shows that our withdrawal came too late, or our answer was not
        enough.
        """
        said = answer.said
        if not isinstance(said, Answered) or said.outcome != "accepted":
            return False
        if said.operation == "withdraw" and not said.at_registry:
            return self.later.has(_AGREED, done_at(answer))
        return self._is_answer(said) and self.later.has((Status.INFO_REQUIRED,), done_at(answer) + PATIENCE)

    def _decide(self, each: Observation, status: Status) -> None:
        before, by_person = self.ruling, isinstance(each.said, ByPerson)
        if before is not None and before.status == status and (by_person or not before.ours):
            return
        if before is not None and by_person and before.status in FINAL:
            self._flags[f"contradicted:{status}-after-{before.status}"] = None
            return
        kept = {name: value for name, value in (before.fields if before else {}).items() if name not in _OVER[status]}
        self._turn(Layer(each, kept | {"status": status}, ours=True))

    def _answer_question(self, each: Observation) -> None:
        """The partner has what it asked for, as far as we know: it is at work again until it says otherwise."""
        before = self.ruling
        if before is None or before.status is not Status.INFO_REQUIRED:
            return
        question = Report(
            status=Status.INFO_REQUIRED,
            words=before.fields.get("partner_words", ""),
            missing_info=before.fields.get("missing_info"),
            wanted=before.fields.get("wanted", ()),
        )
        self.ruling = Layer(each, before.fields | _AT_WORK, question=question)

    def _report(self, each: Observation, report: Report) -> None:
        """An unknown word changes no status: it is shown and flagged. A deal that it is the first word of is in
        review.
        """
        for flag in [flag for flag in self._flags if flag == "unmapped-words" or flag.startswith("partner:")]:
            del self._flags[flag]
        self._flags.update(dict.fromkeys(f"partner:{flag}" for flag in report.flags))
        before = self.ruling
        if report.status is None:
            self._flags["unmapped-words"] = None
            before = before or Layer(each, {"status": Status.IN_REVIEW})
            self.ruling = replace(before, fields=before.fields | {"partner_words": report.words})
            return
        fields = _told(each, report, before)
        if before is not None and before.ours and before.status is Status.ACCEPTED and report.status is Status.APPROVED:
            # it took our acceptance; that it still calls the deal approved takes nothing back
            self.ruling = replace(before, fields=fields | {"status": Status.ACCEPTED})
        elif before is not None and before.question is not None and _repeats(before, report):
            self.ruling = replace(before, fields=fields | _AT_WORK)
        elif before is not None and _is_offer_of(before, each, report):
            return
        else:
            self._turn(Layer(each, fields | {"status": report.status}))

    def _turn(self, layer: Layer) -> None:
        before, after = self.ruling.status if self.ruling else None, layer.status
        if before is None or before not in FINAL or before == after:
            self.ruling = layer
        elif (before, after) in REOPENED:
            self._flags[f"alarm:{after}-after-{before}"] = None
            self.ruling = layer
        elif self.ruling is not None and self.ruling.corrected:
            self.ruling = layer
        else:
            self._flags[f"contradicted:{after}-after-{before}"] = None


_AT_WORK: dict[str, Any] = {"status": Status.IN_REVIEW, "missing_info": None, "wanted": ()}


def _repeats(answered: Layer, report: Report) -> bool:
    """The question that was answered, and not asked again since."""
    question, since = answered.question, report.partner_time
    assert question is not None
    same = all(getattr(question, name) == getattr(report, name) for name in _ASKED)
    return same and (since is None or since <= done_at(answered.observation))


def _is_offer_of(accepted: Layer, each: Observation, report: Report) -> bool:
    """Whether this tells the offer that was accepted in the same moment: many partners count in whole seconds, and
    nothing is accepted before it is offered.
    """
    offered = report.status is Status.APPROVED and accepted.status is Status.ACCEPTED
    return offered and each.at == accepted.observation.at


def _alarm(heard: Sequence[Observation], course: _Course, flags: dict[str, None]) -> None:
    """A withdrawal that the partner took and did not follow, unless it says *withdrawn* by now."""
    if course.ruling is None or course.ruling.status is Status.WITHDRAWN:
        return
    for each in heard:
        if each.id in course.overruled and isinstance(each.said, Answered) and each.said.operation == "withdraw":
            agreed = course.later.last(_AGREED, done_at(each))
            flags[f"alarm:{agreed}-after-{Status.WITHDRAWN}"] = None


def _told(each: Observation, report: Report, before: Layer | None) -> dict[str, Any]:
    """What it says beside its status, and what still holds of what was told before."""
    fields = {name: getattr(report, name) for name in TOLD} | {"partner_words": report.words}
    if before is not None and each.source not in LOOKS:
        same = report.status == before.status or {report.status, before.status} == set(_AGREED)
        kept = TOLD if same and each.source == _BY_FILE else _KEPT
        fields |= {name: before.fields[name] for name in kept if fields[name] in (None, ()) and name in before.fields}
    return fields


_ENDED_UNFUNDED = (Status.DECLINED, Status.WITHDRAWN, Status.EXPIRED, Status.DUPLICATE, Status.FAILED)


def without_outdated(fields: dict[str, Any], status: Status) -> dict[str, Any]:
    """What was told of another status and can hold no more with this one, which a person set."""
    over: set[str] = set()
    over.update(() if status is Status.INFO_REQUIRED else ("missing_info", "wanted"))
    over.update(() if status is Status.DECLINED else ("decline_reasons", "decline_notes"))
    over.update(("offers",) if status in _ENDED_UNFUNDED else ())
    return {name: value for name, value in fields.items() if name not in over}
