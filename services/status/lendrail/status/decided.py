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
from lendrail.status.observation import LOOKS, UNSENT, Amended, Answered, Missing, Observation, Reported
from lendrail.status.observation import AcceptReported as ByPerson

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


@dataclass(frozen=True, slots=True)
class Layer:
    """What one layer says: the observation behind it and the fields of the state that it fills."""

    observation: Observation
    fields: dict[str, Any]
    ours: bool = False
    """We decided it, and the partner said nothing against it since."""
    question: Report | None = None
    """What the partner wanted to know, and has been answered since."""

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
        _alarm(heard, course.overruled, course.ruling, flags)
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


def said_later(heard: Sequence[Observation], moment: dt.datetime) -> list[Report]:
    """What the partner said, as proven by a look that began after `moment`, or by a word of its own that is younger."""
    found = [(each, each.said.report) for each in heard if isinstance(each.said, Reported)]
    return [report for each, report in found if _word_of(each) > moment]


def done_at(answer: Observation) -> dt.datetime:
    """When this answer of the partner was known to us."""
    said = answer.said
    return (said.done_at if isinstance(said, Answered) else None) or answer.at


def _word_of(each: Observation) -> dt.datetime:
    """How new the partner's word is. A call that states no time may be an old one that came again."""
    if each.source in LOOKS:
        return each.looked_at or each.at
    return each.partner_time or dt.datetime.min.replace(tzinfo=dt.UTC)


class _Course:
    """The decisions of one opportunity, one after the other."""

    def __init__(self, heard: Sequence[Observation], answers: Sequence[Observation], flags: dict[str, None]) -> None:
        self.ruling: Layer | None = None
        self._registered: str | None = None
        self._flags = flags
        self._current = {each.id for each in answers}
        self._late = {each.said.document for each in heard if isinstance(each.said, Amended)} - {None}
        self.overruled = {each.id for each in answers if self._is_overruled(each, heard)}
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

    def _is_overruled(self, answer: Observation, heard: Sequence[Observation]) -> bool:
        """Whether the partner's own later word shows that our withdrawal came too late, or our answer was not
        enough.
        """
        said = answer.said
        if not isinstance(said, Answered) or said.outcome != "accepted":
            return False
        if said.operation == "withdraw" and not said.at_registry:
            return any(report.status in _AGREED for report in said_later(heard, done_at(answer)))
        if self._is_answer(said):
            later = said_later(heard, done_at(answer) + PATIENCE)
            return any(report.status is Status.INFO_REQUIRED for report in later)
        return False

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
        fields = {name: getattr(report, name) for name in TOLD} | {"partner_words": report.words}
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


def _alarm(heard: Sequence[Observation], overruled: set[str], ruling: Layer, flags: dict[str, None]) -> None:
    """A withdrawal that the partner took and did not follow, unless it says *withdrawn* by now."""
    if ruling.status is Status.WITHDRAWN:
        return
    for each in heard:
        if each.id in overruled and isinstance(each.said, Answered) and each.said.operation == "withdraw":
            agreed = [r.status for r in said_later(heard, done_at(each)) if r.status in _AGREED]
            flags[f"alarm:{agreed[-1]}-after-{Status.WITHDRAWN}"] = None
