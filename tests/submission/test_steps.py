"""A creation of several calls, a decision with the answer, and creations that leave nothing to follow."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests import make
from tests.submission.desk import submit
from tests.submission.test_plan import planned, send

from lendrail.contracts.terms import Report, Status
from lendrail.partners.exchange import Accepted, Rejected, Request, Unknown
from lendrail.partners.partner import Capability, Operation
from lendrail.submission.attempts import moves, resolved
from lendrail.submission.attempts.attempt import Attempt, Opportunity, State
from lendrail.submission.attempts.classify import Event, LookedUp, Lost, classify
from lendrail.submission.attempts.moves import Move, Result
from lendrail.submission.attempts.turns import due_now
from lendrail.submission.sending.answers import still_open

NOW = make.NOW
KEYED = Operation(capability=Capability.KEYED, repeats=5)


def three_calls() -> Opportunity:
    opportunity = planned(submit(intent=send())).opportunity
    create = opportunity.create
    assert create is not None
    return opportunity.put(replace(create, calls=("party", "draft", "create")))


def called(opportunity: Opportunity, event: Event) -> Move:
    batch = due_now(opportunity, NOW, 1)
    begun = moves.begin(opportunity, batch, "digest", NOW)
    attempt = begun.attempt(batch[0].id)
    verdict = classify(KEYED, attempt, event, 5)
    accepted = event if isinstance(event, Accepted) else Accepted()
    result = Result(attempt.id, verdict, 0, accepted.partner_id, report=accepted.report, given=accepted.given)
    return moves.finish(begun, [result], NOW)


def create_of(opportunity: Opportunity) -> Attempt:
    assert opportunity.create is not None
    return opportunity.create


def test_each_answer_fills_the_calls_after_it_and_only_the_last_is_told() -> None:
    one, quiet = called(three_calls(), Accepted(given={"party": "p-1"}))
    assert quiet == ()
    assert (create_of(one).call, create_of(one).given) == ("draft", {"party": "p-1"})
    two, quiet = called(one, Accepted("app-1", given={"application": "app-1"}))
    assert quiet == ()
    assert two.partner_id is None, "nothing counts before the last call"
    three, (told,) = called(two, Accepted(report=Report(status=Status.APPROVED, words="approved")))
    assert (told.outcome, told.partner_id) == ("accepted", "app-1")
    assert told.report is not None
    assert [each.operation for each in due_now(three, NOW, 25)] == ["document"]


def test_a_doubt_belongs_to_its_call() -> None:
    one, _ = called(three_calls(), Unknown("no-answer"))
    assert (create_of(one).state, create_of(one).unknowns, create_of(one).call) == (State.UNKNOWN, 1, "party")
    two, _ = called(one, Accepted(given={"party": "p-1"}))
    assert (create_of(two).unknowns, create_of(two).unknown_since, create_of(two).sent_at) == (0, None, None)


def test_declined_at_once_gets_no_documents() -> None:
    opportunity = planned(submit(intent=send())).opportunity
    done, (told,) = called(opportunity, Accepted("lead-1", Report(status=Status.DECLINED, words="declined")))
    assert told.outcome == "accepted"
    assert [each.state for each in done.attempts] == [State.ACKED, State.CANCELLED]


def test_an_acceptance_without_an_id_leaves_nothing_to_follow() -> None:
    done, (told,) = called(planned(submit(intent=send())).opportunity, Accepted())
    assert (told.outcome, told.partner_id) == ("accepted", None)
    assert [each.state for each in done.attempts] == [State.ACKED, State.CANCELLED]
    assert due_now(done, NOW, 25) == ()


def test_blanks_are_filled_in_path_query_and_content_and_nowhere_else() -> None:
    request = Request(
        operation="draft",
        method="POST",
        path="/a/{{party:ref-1}}/b",
        query=(("p", "{{party:ref-1}}"),),
        headers=(("k", "{{party:ref-1}}"),),
        content=b'{"partyId":"{{party:ref-1}}","purpose":"{{party}}","other":"{{unknown:ref-1}} {{party:ref-2}}"}',
        context=(("company", "Fake Ltd"),),
    )
    filled = request.filled({"party": "pty_1"}, "ref-1")
    assert (filled.path, filled.query, filled.headers) == ("/a/pty_1/b", (("p", "pty_1"),), request.headers)
    assert filled.content == b'{"partyId":"pty_1","purpose":"{{party}}","other":"{{unknown:ref-1}} {{party:ref-2}}"}'
    assert Request.load(request.dump()) == request
    assert request.knows("company") == "Fake Ltd"


BLIND = Operation(capability=Capability.BLIND)


def given_up() -> tuple[Opportunity, Attempt]:
    """Sent by somebody whose lease ended before he could store the answer; the call cannot be repeated."""
    opportunity = planned(submit(intent=send())).opportunity
    begun = moves.begin(opportunity, due_now(opportunity, NOW, 1), "digest", NOW)
    lost, acks = moves.recover(begun, lambda each: Result(each.id, classify(BLIND, each, Lost(), 5)), NOW)
    assert [each.outcome for each in acks] == ["parked"]
    return lost, create_of(lost)


@pytest.mark.parametrize("answer", [Accepted("lead-1"), Rejected(())])
def test_a_clear_answer_that_comes_late_is_better_than_a_question_to_people(answer: Event) -> None:
    opportunity, create = given_up()
    assert still_open(create, answer)
    came, (told,) = moves.finish(opportunity, [Result(create.id, classify(BLIND, create, answer, 5), 0, "lead-1")], NOW)
    assert told.outcome == ("accepted" if isinstance(answer, Accepted) else "rejected")
    assert create_of(came).state in (State.ACKED, State.REJECTED)


def test_an_unclear_one_changes_nothing_and_nothing_undoes_what_a_person_said() -> None:
    opportunity, create = given_up()
    assert not still_open(create, Unknown("no-answer"))
    assert not still_open(create, LookedUp())
    for told in (resolved.bind(opportunity, create, "lead-9", NOW), resolved.send_again(opportunity, create, NOW, NOW)):
        assert not still_open(told[0].attempt(create.id), Accepted("lead-1"))
