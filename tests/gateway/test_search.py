"""An entry is found by exactly those questions that it fits, whatever its texts hold."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.gateway.listing import PARTNERS, at, seen

from lendrail.contracts.terms import Status
from lendrail.gateway.lists.search import Question, entries_of_opportunities, entry_of_application, stamp_of
from lendrail.runtime.mongo import Document

TEXTS = st.sampled_from(["a", "a&status=approved", "a=b", "%26", "ü", "$x", " "])
STATUSES = st.sampled_from([Status.APPROVED, Status.DECLINED])
VIEWS = st.builds(
    seen,
    status=STATUSES,
    references=st.lists(st.tuples(TEXTS, TEXTS), max_size=3),
    partners=st.lists(
        st.tuples(st.sampled_from(list(PARTNERS)), st.none() | TEXTS), max_size=2, unique_by=lambda p: p[0]
    ),
)
QUESTIONS = st.builds(
    Question,
    statuses=st.lists(STATUSES, max_size=2, unique=True).map(tuple),
    partner=st.none() | st.sampled_from(list(PARTNERS)),
    credential=st.none() | st.sampled_from(list(PARTNERS.values())),
    partner_id=st.none() | TEXTS,
    reference=st.none() | TEXTS,
    system=st.none() | TEXTS,
)


def fits(entry: Document, question: Question) -> bool:
    """The question put to the entry by hand."""
    wanted = {"partner": question.partner, "credential": question.credential, "partner_id": question.partner_id}
    at_one = any(all(v is None or each[n] == v for n, v in wanted.items()) for each in entry["at"])
    named = {"value": question.reference, "system": question.system}
    one = any(all(v is None or each[n] == v for n, v in named.items()) for each in entry["references"])
    return (
        (not question.statuses or entry["status"] in question.statuses)
        and (at_one or not any(wanted.values()))
        and (one or not any(named.values()))
    )


def refused(question: Question) -> bool:
    """What the reader of queries never lets through."""
    by_id = question.partner_id or question.reference
    return question.system is not None and not by_id and bool(question.partner or question.credential)


def narrow(question: Question) -> bool:
    """Whether the key is only that of an id: then the conditions decide on the rest."""
    return bool(question.partner_id or question.reference)


@given(VIEWS, QUESTIONS)
def test_the_keys_of_an_entry_are_the_questions_that_it_fits(view: Any, question: Question) -> None:
    if refused(question):
        return
    for entry in (entry_of_application(view, "demo"), *entries_of_opportunities(view, "demo")):
        found = bool(set(question.keys()) & set(entry["keys"]))
        assert found or not fits(entry, question)
        assert fits(entry, question) or not found or narrow(question)


def test_questions_differ_in_their_names() -> None:
    told = [
        Question(),
        Question(statuses=(Status.APPROVED,)),
        Question(reference="a"),
        Question(system="a"),
        Question(partner_id="a"),
        Question(received_from=at(0)),
        Question(changed_from=at(0)),
        Question(changed_to=at(0)),
    ]
    names = {
        question.name(kind, tenant, mode)
        for question, kind, tenant, mode in itertools.product(
            told, ("applications", "opportunities"), ("demo", "other"), ("test", "live")
        )
    }
    assert len(names) == len(told) * 8


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_stamps_sort_as_times_do(one: int, other: int) -> None:
    assert (stamp_of(at(one)) < stamp_of(at(other))) == (one < other)
