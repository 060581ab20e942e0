"""What may be asked of a list, and what a caller is told who asks otherwise."""

from __future__ import annotations

import datetime as dt
import uuid
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lendrail.contracts.terms import Status
from lendrail.gateway.lists.asked import OF_APPLICATIONS, OF_OPPORTUNITIES, read
from lendrail.gateway.lists.search import Question
from lendrail.runtime.http import Problem

CANARY = "Canarywitz 900-00-0019"
NAMES = [each.name for each in OF_OPPORTUNITIES]


def refused(*query: tuple[str, str]) -> Problem:
    with pytest.raises(Problem) as caught:
        read(OF_OPPORTUNITIES, query, "test")
    assert caught.value.status == 422
    return caught.value


def test_every_filter_is_read() -> None:
    application = str(uuid.uuid4())
    asked = read(
        OF_OPPORTUNITIES,
        [
            ("status", "approved"),
            ("status", "accepted"),
            ("status", "approved"),
            ("application", application.upper()),
            ("partner", "first-lender"),
            ("credential", "demo-first"),
            ("partnerId", "lead 7/ü"),
            ("reference", "D&1=%"),
            ("system", "crm"),
            ("mode", "test"),
            ("receivedFrom", "2026-03-02T10:30:00Z"),
            ("receivedTo", "2026-03-02T13:30:00+02:00"),
            ("pageSize", "7"),
            ("pageToken", "abc"),
        ],
        "test",
    )
    assert asked.question == Question(
        statuses=(Status.ACCEPTED, Status.APPROVED),
        application=application,
        partner="first-lender",
        credential="demo-first",
        partner_id="lead 7/ü",
        reference="D&1=%",
        system="crm",
        received_from=dt.datetime(2026, 3, 2, 10, 30, tzinfo=dt.UTC),
        received_to=dt.datetime(2026, 3, 2, 11, 30, tzinfo=dt.UTC),
    )
    assert (asked.size, asked.token) == (7, "abc")
    walk = read(OF_APPLICATIONS, [("changedFrom", "2026-03-02T10:30:00.5-01:00")], "test")
    assert walk.question.changed_from == dt.datetime(2026, 3, 2, 11, 30, 0, 500_000, tzinfo=dt.UTC)
    assert (walk.size, walk.token) == (50, None)


@pytest.mark.parametrize(
    ("name", "text", "advice"),
    [
        ("status", "aproved", "in-review"),
        ("partner", "first lender", "GET /v1/partners"),
        ("credential", "", "GET /v1/partners"),
        ("partnerId", "x" * 513, "1 to 512"),
        ("reference", "", "1 to 200"),
        ("system", "x" * 81, "1 to 80"),
        ("application", "7", "applicationId"),
        ("mode", "prod", "test or live"),
        ("receivedFrom", "2026-03-02", "2026-03-02T10:30:00Z"),
        ("receivedTo", "2026-03-02T10:30:00", "offset"),
        ("changedFrom", "2026-03-02T10:30:00 01:00", "%2B"),
        ("changedTo", "0001-01-01T00:00:00+23:59", "offset"),
        ("pageSize", "0", "1 to 200"),
        ("pageSize", "١", "1 to 200"),
        ("pageSize", "1_0", "1 to 200"),
    ],
)
def test_a_value_that_cannot_be_read_is_named_with_what_to_change(name: str, text: str, advice: str) -> None:
    (fault,) = refused((name, text)).errors
    assert fault.pointer == f"/query/{name}"
    assert advice in fault.message


def test_all_faults_are_told_at_once_and_nothing_is_quoted() -> None:
    problem = refused(("status", CANARY), (CANARY, "x"), ("partner", "a"), ("partner", "b"), ("receivedFrom", CANARY))
    assert {(each.pointer, each.code) for each in problem.errors} == {
        ("/query/status", "invalid"),
        ("/query", "unknown-parameter"),
        ("/query/partner", "repeated"),
        ("/query/receivedFrom", "invalid"),
    }
    assert CANARY not in repr(problem.errors) + problem.detail


def test_what_no_index_leads_to_is_refused_with_the_way_out() -> None:
    crm, partner = ("system", "crm"), ("partner", "a")
    assert "reference" in refused(crm, partner).detail
    assert read(OF_OPPORTUNITIES, [crm, partner, ("reference", "D-1")], "test").question.system == "crm"
    early, late = "2026-03-02T10:30:00Z", "2026-03-02T10:31:00Z"
    assert "not by both" in refused(("receivedFrom", early), ("changedTo", late)).detail
    for which in ("received", "changed"):
        assert "end after" in refused((f"{which}From", late), (f"{which}To", early)).detail


def test_test_and_live_never_cross() -> None:
    assert refused(("mode", "live")).code == "mode-crossing"
    assert read(OF_APPLICATIONS, [("mode", "live")], "live").question == Question()


def test_applications_are_not_asked_for_by_their_own_id() -> None:
    with pytest.raises(Problem):
        read(OF_APPLICATIONS, [("application", str(uuid.uuid4()))], "test")


@given(st.lists(st.tuples(st.sampled_from(NAMES) | st.text(max_size=8), st.text(max_size=30)), max_size=6))
def test_whatever_is_sent_is_read_or_refused(query: list[tuple[str, str]]) -> None:
    with suppress(Problem):
        asked = read(OF_OPPORTUNITIES, query, "test")
        assert 1 <= asked.size <= 200
