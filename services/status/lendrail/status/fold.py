"""From everything that was heard to one state: pure, total, and blind to the order and number of deliveries.

Three layers, each stronger than the one before: what validation said, what came of our attempts, what the partner
decided. A partner that reports on a deal has it, whatever became of our call; so a decision outranks every answer,
and within the answers an acceptance cannot be undone by a later refusal.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lendrail.contracts.partner_ack import Outcome
from lendrail.contracts.terms import Report, Status
from lendrail.status.observation import Answered, Missing, Observation, Reported, State, Validated

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

_DECIDED_BY_US = {"accept": Status.ACCEPTED, "withdraw": Status.WITHDRAWN}
_OUTCOMES: dict[Outcome, tuple[Status, str | None]] = {
    "accepted": (Status.SUBMITTED, None),
    "id-bound": (Status.SUBMITTED, None),
    "accepted-id-unknown": (Status.SUBMITTED, None),
    "duplicate": (Status.DUPLICATE, None),
    "rejected": (Status.FAILED, "refused"),
    "parked": (Status.OUTCOME_UNKNOWN, "parked"),
    "unknown": (Status.OUTCOME_UNKNOWN, None),
    "not-sent": (Status.SUBMITTING, "not-sent"),
}
_WAITING = (Status.SUBMITTING, Status.OUTCOME_UNKNOWN)
_TOLD = (
    "offers",
    "decline_reasons",
    "decline_notes",
    "missing_info",
    "notes",
    "contact",
    "close_chance",
    "closes_on",
    "commission",
    "matches",
)
"""What a report says beside its status."""
REVIEW = "review-"
"""Flags that begin so ask for a person: until one has confirmed the partner's id, later news approve nothing."""
_TAKEN: tuple[Outcome, ...] = ("id-bound", "accepted", "accepted-id-unknown")


@dataclass(frozen=True, slots=True)
class _Layer:
    """What one layer says: the observation behind it and the fields of the state that it fills."""

    observation: Observation
    fields: dict[str, Any]


def fold(observations: Iterable[Observation]) -> State:
    """Raises ValueError when nothing at all was heard."""
    heard = sorted({each.id: each for each in observations}.values(), key=lambda each: each.place)
    if not heard:
        raise ValueError("there is nothing to fold")
    validated, answers = _validated(heard), _latest_answers(heard)
    flags: dict[str, None] = {}
    partner_id = _partner_id(heard)
    decided = _decided(heard, answers, flags)
    layer = (
        decided
        or _submitted(answers, partner_id, flags)
        or validated
        or _Layer(heard[0], {"status": Status.SUBMITTING})
    )
    _alarms(answers, flags)
    known = validated.observation.said if validated else None
    facts: dict[str, Any] = {
        "source": layer.observation.source,
        "observed_at": layer.observation.at,
        "partner_time": layer.observation.partner_time,
        "received_at": known.received_at if isinstance(known, Validated) else None,
        "references": known.references if isinstance(known, Validated) else (),
        "partner_id": partner_id,
        "documents_sent": _documents_sent(answers, flags),
    }
    return State(**facts | layer.fields, flags=tuple(flags))


def _validated(heard: Sequence[Observation]) -> _Layer | None:
    """The newest revision's word; problems are shown for as long as nothing stronger was heard."""
    found = [each for each in heard if isinstance(each.said, Validated)]
    if not found:
        return None
    newest = max(found, key=lambda each: (each.said.revision, each.place))  # type: ignore[union-attr]
    assert isinstance(newest.said, Validated)
    return _Layer(newest, {"status": newest.said.status, "problems": newest.said.problems})


def _latest_answers(heard: Sequence[Observation]) -> list[Observation]:
    """Of each attempt its newest version, by version and not by time: two clocks may have written them."""
    newest: dict[uuid.UUID, Observation] = {}
    for each in heard:
        if isinstance(each.said, Answered):
            known = newest.get(each.said.attempt_id)
            if known is None or each.said.version >= _answer(known).version:
                newest[each.said.attempt_id] = each
    return sorted(newest.values(), key=lambda each: each.place)


def _answer(observation: Observation) -> Answered:
    assert isinstance(observation.said, Answered)
    return observation.said


def _submitted(answers: Sequence[Observation], partner_id: str | None, flags: dict[str, None]) -> _Layer | None:
    """What came of bringing the application there: the best acceptance, else the newest attempt."""
    gates = [each for each in answers if _answer(each).operation == "gate"]
    creates = [each for each in answers if _answer(each).operation == "create"]
    if gates and (stopped := _at_gate(gates[-1], _tried(creates), flags)) is not None:
        return stopped
    if not creates:
        return None
    taken = [each for outcome in _TAKEN for each in creates if _answer(each).outcome == outcome]
    ruling = taken[0] if taken else creates[-1]
    answer = _answer(ruling)
    status, flag = _OUTCOMES[answer.outcome]
    if answer.outcome == "not-sent" and answer.next_check_at is None:
        status = Status.FAILED
    if answer.outcome == "rejected" and any(each.pointer for each in answer.problems):
        status = Status.INFO_REQUIRED  # the applicant can mend it
    if status is Status.SUBMITTED:
        flag = "partner-id-unknown" if answer.outcome == "accepted-id-unknown" and not partner_id else None
    elif answer.reason:
        flags[answer.reason] = None
    if flag:
        flags[flag] = None
    wait = {name: getattr(answer, name) for name in ("next_check_at", "unknown_since", "plan")}
    return _Layer(ruling, {"status": status, "problems": answer.problems} | (wait if status in _WAITING else {}))


def _alarms(answers: Sequence[Observation], flags: dict[str, None]) -> None:
    """A registry that knows the same paper is shown whatever the lender decided."""
    for answer in map(_answer, answers):
        if answer.operation == "gate" and answer.outcome == "duplicate" and answer.reason:
            flags[answer.reason] = None


def _tried(creates: Sequence[Observation]) -> bool:
    """An earlier revision may have been told as not sent."""
    return any(_answer(each).outcome != "not-sent" for each in creates)


def _at_gate(gate: Observation, tried: bool, flags: dict[str, None]) -> _Layer | None:
    """While the registry is silent nothing was tried; its *duplicate* stops what was not tried and alarms what was."""
    answer = _answer(gate)
    if answer.outcome == "accepted":
        return None
    if answer.reason:
        flags[answer.reason] = None
    if tried:
        return None
    waits = answer.outcome == "not-sent"
    wait = {"next_check_at": answer.next_check_at} if waits else {}
    status = Status.SUBMITTING if waits else Status.DUPLICATE
    return _Layer(gate, {"status": status, "problems": answer.problems} | wait)


def _decided(heard: Sequence[Observation], answers: Sequence[Observation], flags: dict[str, None]) -> _Layer | None:
    """The partner's decisions in their order, ours to accept or withdraw among them once the partner took them."""
    ruling: _Layer | None = None
    current = {each.id for each in answers}
    review = tuple(flag for each in answers for flag in _flags(_answer(each).report) if flag.startswith(REVIEW))
    for each in heard:
        if isinstance(each.said, Missing):
            flags["unknown-at-partner"] = None
        elif isinstance(each.said, Reported):
            flags.pop("unknown-at-partner", None)
            ruling = _report(ruling, each, _held(each.said.report, review), flags)
        elif isinstance(each.said, Answered) and each.id in current:
            ruling = _decision_in(ruling, each, each.said, flags)
    return ruling


def _flags(report: Report | None) -> tuple[str, ...]:
    return report.flags if report else ()


def _held(report: Report, review: tuple[str, ...]) -> Report:
    if not review:
        return report
    status = Status.REFERRED if report.status in (Status.APPROVED, Status.ACCEPTED) else report.status
    return report.model_copy(update={"status": status, "flags": (*report.flags, *review)})


def _decision_in(ruling: _Layer | None, each: Observation, said: Answered, flags: dict[str, None]) -> _Layer | None:
    if said.operation in _DECIDED_BY_US and said.outcome == "accepted":
        return _turn(ruling, _Layer(each, {"status": _DECIDED_BY_US[said.operation]}), flags)
    return _report(ruling, each, said.report, flags) if said.report else ruling


def _report(ruling: _Layer | None, each: Observation, report: Report, flags: dict[str, None]) -> _Layer:
    """An unknown word changes no status: it is shown and flagged. A deal that it is the first word of is in review."""
    for flag in [flag for flag in flags if flag == "unmapped-words" or flag.startswith("partner:")]:
        del flags[flag]
    flags.update(dict.fromkeys(f"partner:{flag}" for flag in report.flags))
    if report.status is None:
        flags["unmapped-words"] = None
        before = ruling or _Layer(each, {"status": Status.IN_REVIEW})
        return _Layer(before.observation, before.fields | {"partner_words": report.words})
    told = {name: getattr(report, name) for name in _TOLD}
    layer = _Layer(each, {"status": report.status, "partner_words": report.words, **told})
    return _turn(ruling, layer, flags)


def _turn(ruling: _Layer | None, layer: _Layer, flags: dict[str, None]) -> _Layer:
    before, after = (ruling.fields["status"] if ruling else None), layer.fields["status"]
    if ruling is None or before not in FINAL or before == after:
        return layer
    if (before, after) in REOPENED:
        flags[f"alarm:{after}-after-{before}"] = None
        return layer
    flags[f"contradicted:{after}-after-{before}"] = None
    return ruling


def _partner_id(heard: Sequence[Observation]) -> str | None:
    """The newest id; one that a person bound counts more than any that was read."""
    found = [said for each in heard if isinstance(said := each.said, Answered) and said.partner_id]
    bound = [said for said in found if said.outcome == "id-bound"]
    return (bound or found)[-1].partner_id if found else None


def _documents_sent(answers: Sequence[Observation], flags: dict[str, None]) -> tuple[str, ...]:
    """Names of the documents that the partner has; the outcome of any other one is a flag."""
    sent: dict[str, None] = {}
    for answer in map(_answer, answers):
        if answer.operation in ("create", "gate") or (
            answer.operation in _DECIDED_BY_US and answer.outcome == "accepted"
        ):
            continue
        if answer.operation == "document" and answer.outcome == "accepted" and answer.document:
            sent[answer.document] = None
        elif answer.outcome not in ("accepted", "id-bound"):
            flags[f"{answer.operation}-{answer.outcome}"] = None
    return tuple(sent)
