"""From everything that was heard to one state: pure, total, and blind to the order and number of deliveries.

Three layers, each stronger than the one before: what validation said, what came of our attempts, what the partner
decided. A partner that reports on a deal has it, whatever became of our call; so a decision outranks every answer,
and within the answers an acceptance cannot be undone by a later refusal. What became of later changes (corrections,
documents, acceptances, withdrawals) stands beside it: what the partner refused of them is told, and changes nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from lendrail.contracts.partner_ack import Outcome
from lendrail.contracts.terms import FieldProblem, Status
from lendrail.status.folding.decided import FINAL, Layer, decided
from lendrail.status.folding.disagreement import Disagreement, disagreements
from lendrail.status.folding.followed import TAKEN, followed
from lendrail.status.folding.observation import Alarmed, Amended, Answered, Observation, State, Validated
from lendrail.status.folding.offers import offer_history, words_of
from lendrail.status.folding.persons import WAIT, active_pin, held, pin_of, without_corrections
from lendrail.status.folding.words import MAPPED, NO_WORDS, Words, read_with

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
_CHANGES = ("create", "update", "document", "accept", "withdraw")


def fold(observations: Iterable[Observation], words: Words = NO_WORDS) -> State:
    """`words`: what people said that unknown words mean. Raises ValueError when nothing at all was heard."""
    heard, mapped = read_with(words, _in_order(observations))
    if not heard:
        raise ValueError("there is nothing to fold")
    heard, answers, older = _followed(heard)
    flags: dict[str, None] = dict.fromkeys(f"older-application:{each}" for each in older)
    validated, partner_id = _validated(heard, flags), _partner_id(heard)
    said, rest = words_of(heard, answers), (answers, validated, partner_id)
    free = _strongest(heard, *rest, flags) or Layer(heard[0], {"status": Status.SUBMITTING})
    pin = active_pin(heard, said)
    layer = held(free, pin) if pin is not None else free
    facts: dict[str, Any] = {"partner_id": partner_id, "offer_history": offer_history(said)}
    if pin is not None or free.corrected:
        alone = _strongest(without_corrections(heard), *rest, {})
        facts |= _by_person(layer.status, alone.status if alone else Status.SUBMITTING, pin, flags)
    _alarms(heard, answers, flags)
    flags.update(dict.fromkeys(each.flag for each in disagreements(heard)))
    if layer.observation.id in mapped:
        flags[MAPPED] = None
    wait = dict.fromkeys(WAIT) if layer.status in FINAL else {}
    facts |= _provenance(layer, validated) | _changes(answers, flags) | wait | layer.fields
    problems = (*layer.fields.get("problems", ()), *_refused(heard, answers, flags))
    return State(**facts | {"problems": problems, "flags": tuple(flags)})


def _strongest(
    heard: Sequence[Observation],
    answers: Sequence[Observation],
    validated: Layer | None,
    partner_id: str | None,
    flags: dict[str, None],
) -> Layer | None:
    return decided(heard, answers, flags) or _submitted(heard, answers, partner_id, flags) or validated


def _provenance(layer: Layer, validated: Layer | None) -> dict[str, Any]:
    """Whose word the status is, of when, and since when we have it; with what validation knows of the application."""
    word, known = layer.observation, validated.observation.said if validated else None
    facts: dict[str, Any] = {
        "source": word.source,
        "observed_at": word.at,
        "partner_time": word.partner_time,
        "status_received_at": word.reached_at or word.received_at,
    }
    if isinstance(known, Validated):
        facts |= {"received_at": known.received_at, "references": known.references}
    return facts


def _by_person(
    status: Status, partner_status: Status, pin: Observation | None, flags: dict[str, None]
) -> dict[str, Any]:
    """That a person set it, and what the partner's words alone would come to."""
    flags["corrected" if pin is None else "pinned"] = None
    if partner_status != status:
        flags[f"partner-disagrees:{partner_status}"] = None
    return {"partner_status": partner_status, "pin": pin_of(pin) if pin is not None else None}


def disagreeing(observations: Iterable[Observation], words: Words = NO_WORDS) -> tuple[Disagreement, ...]:
    """What the flags of the state tell of, with both sides and their times."""
    heard, _ = read_with(words, _in_order(observations))
    return disagreements(_followed(heard)[0])


def _in_order(observations: Iterable[Observation]) -> list[Observation]:
    return sorted({each.id: each for each in observations}.values(), key=lambda each: each.place)


def _followed(heard: list[Observation]) -> tuple[list[Observation], list[Observation], list[Status]]:
    """What counts, the newest answers among it, and what the partner said last of an application that was sent
    before.
    """
    answers = _latest_answers(heard)
    last = followed(answers, heard)
    older = [said.report.status for said in last.words_of_former(heard) if said.report.status is not None]
    return list(filter(last.counts, heard)), list(filter(last.counts, answers)), older[-1:]


def former_names(observations: Iterable[Observation]) -> frozenset[str]:
    """Ids and references of the applications that the partner had before the one that counts."""
    heard = sorted(observations, key=lambda each: each.place)
    return followed(_latest_answers(heard), heard).former


def _validated(heard: Sequence[Observation], flags: dict[str, None]) -> Layer | None:
    """The newest sound revision's word; problems are shown for as long as nothing stronger was heard.

    A later revision that is refused changes nothing but that it is told.
    """
    found = [(each.said, each) for each in heard if isinstance(each.said, Validated)]
    if not found:
        return None
    refused = [pair for pair in found if _is_refused(pair[0])]
    sound = [pair for pair in found if not _is_refused(pair[0])]
    said, newest = max(sound or refused, key=_revision)
    status = Status.RECEIVED if _is_refused(said) else said.status
    last = max(refused, key=_revision, default=(said, newest))[0]
    if _is_refused(last) and last.revision >= said.revision:
        flags[f"amendment-refused:{last.revision}"] = None
        return Layer(newest, {"status": status, "problems": last.problems})
    return Layer(newest, {"status": status, "problems": said.problems})


def _is_refused(said: Validated) -> bool:
    return said.status is Status.INVALID and said.revision > 1


def _revision(pair: tuple[Validated, Observation]) -> Any:
    return pair[0].revision, pair[1].place


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


def _submitted(
    heard: Sequence[Observation], answers: Sequence[Observation], partner_id: str | None, flags: dict[str, None]
) -> Layer | None:
    """What came of bringing the application there: the best acceptance, else the newest attempt."""
    gates = [each for each in answers if _answer(each).operation == "gate"]
    creates = [each for each in answers if _answer(each).operation == "create"]
    if gates and (stopped := _at_gate(gates[-1], _tried(creates), flags)) is not None:
        return stopped
    if not creates or _is_outdated(creates, heard):
        return None
    taken = [each for outcome in TAKEN for each in creates if _answer(each).outcome == outcome]
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
    wait = {name: getattr(answer, name) for name in WAIT}
    return Layer(ruling, {"status": status, "problems": answer.problems} | (wait if status in _WAITING else {}))


def _is_outdated(creates: Sequence[Observation], heard: Sequence[Observation]) -> bool:
    """Nothing was taken, and a newer revision came afterwards: validation's word holds until that one is tried."""
    if any(_answer(each).outcome not in ("rejected", "not-sent") for each in creates):
        return False
    tried = creates[-1].place
    known = [(each.said.revision, each.place) for each in heard if isinstance(each.said, Validated)]
    before = max((revision for revision, place in known if place < tried), default=None)
    return before is not None and any(revision > before and place > tried for revision, place in known)


def _alarms(heard: Sequence[Observation], answers: Sequence[Observation], flags: dict[str, None]) -> None:
    """A registry that knows the same paper is shown whatever the lender decided."""
    flags.update(dict.fromkeys(each.said.flag for each in heard if isinstance(each.said, Alarmed)))
    for answer in map(_answer, answers):
        if answer.operation == "gate" and answer.outcome == "duplicate" and answer.reason:
            flags[answer.reason] = None


def _tried(creates: Sequence[Observation]) -> bool:
    """An earlier revision may have been told as not sent."""
    return any(_answer(each).outcome != "not-sent" for each in creates)


def _at_gate(gate: Observation, tried: bool, flags: dict[str, None]) -> Layer | None:
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
    return Layer(gate, {"status": status, "problems": answer.problems} | wait)


def _partner_id(heard: Sequence[Observation]) -> str | None:
    """The newest id; one that a person bound counts more than any that was read."""
    found = [said for each in heard if isinstance(said := each.said, Answered) and said.partner_id]
    bound = [said for said in found if said.outcome == "id-bound"]
    return (bound or found)[-1].partner_id if found else None


def _changes(answers: Sequence[Observation], flags: dict[str, None]) -> dict[str, Any]:
    """What the partner took of later changes, and the plan for one of which nobody knows it yet."""
    later = _later(answers)
    done = [answer for answer in later if answer.outcome == "accepted"]
    updates = sum(answer.operation == "update" for answer in done)
    if updates:
        flags[f"updated:{updates}"] = None
    sent = dict.fromkeys(answer.document for answer in done if answer.operation == "document" and answer.document)
    facts: dict[str, Any] = {"documents_sent": tuple(sent)}
    for answer in _newest(later):
        if answer.outcome not in ("accepted", "id-bound"):
            flags[f"{'resend' if answer.operation == 'create' else answer.operation}-{answer.outcome}"] = None
        if answer.unknown_since is not None and answer.operation in _CHANGES:
            facts |= {name: getattr(answer, name) for name in WAIT}
    return facts


def _later(answers: Sequence[Observation]) -> list[Answered]:
    """What came of all that was done once the partner had it; that is also sending it anew, until it has that."""
    told = [_answer(each) for each in answers]
    has = max((said.generation for said in told if said.operation == "create" and said.outcome in TAKEN), default=None)
    return [
        said
        for said in told
        if said.operation not in ("create", "gate")
        or (said.operation == "create" and has is not None and said.generation > has and not said.at_registry)
    ]


def _newest(answers: Iterable[Answered]) -> list[Answered]:
    """Of each kind of change the newest try; of documents that of each name."""
    return list({(answer.operation, answer.document): answer for answer in answers}.values())


def _refused(
    heard: Sequence[Observation], answers: Sequence[Observation], flags: dict[str, None]
) -> list[FieldProblem]:
    """Why changes did not reach the partner: by validation's word, and by the partner's."""
    problems: list[FieldProblem] = []
    for each in heard:
        if isinstance(each.said, Amended) and each.said.problems:
            flags[f"{each.said.operation}-rejected"] = None
            problems += each.said.problems
    for answer in _newest(each for each in _later(answers) if each.operation in _CHANGES):
        problems += answer.problems
    return problems
