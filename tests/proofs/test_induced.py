"""When an unknown outcome counts as brought about by a fault: the narrow word that the verdict hangs on."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from proofs.chaos.induced import Evidence, Send, evidence, sends_of, touched
from proofs.chaos.shapes import Call, Carried, Fault, Kind

NOON = dt.datetime(2030, 1, 2, 12, 0, tzinfo=dt.UTC)
CALL = Call(partner="valiant", began=NOON, ended=NOON, outcome="answered", toxic=None, marks=("ref",))


def at(seconds: float) -> dt.datetime:
    return NOON + dt.timedelta(seconds=seconds)


def fault(kind: Kind, target: str, began: float, ended: float) -> Evidence:
    made = Fault(at=began, kind=kind, target=target, seconds=ended - began)
    return evidence([Carried(fault=made, began=began, ended=ended)], NOON, 2.0)


CALM = evidence([], NOON, 2.0)


def seen(began: float, ended: float, **changes: object) -> Send:
    call = replace(CALL, began=at(began), ended=at(ended), **changes)  # type: ignore[arg-type]
    return Send(partner="valiant", began=call.began, ended=call.ended, seen=call)


@pytest.mark.parametrize(
    ("send", "found", "met"),
    [
        pytest.param(seen(10, 10.1), CALM, False, id="answered, and nothing happened"),
        pytest.param(seen(10, 10.1, outcome="unanswered", toxic="drop-reply"), CALM, True, id="a toxic took the reply"),
        pytest.param(seen(10, 10.1, outcome="answered", toxic="latency"), CALM, False, id="a toxic that did no harm"),
        pytest.param(seen(10, 10.1, outcome="unanswered"), CALM, False, id="we hung up ourselves"),
        pytest.param(seen(10, 12.0, outcome="unanswered"), CALM, True, id="we waited as long as we do"),
        pytest.param(seen(10, 10.1), fault("kill", "submission", 10.05, 12), True, id="killed in the call"),
        pytest.param(seen(10, 10.1), fault("kill", "submission", 10.9, 12), True, id="killed before it was written"),
        pytest.param(seen(10, 10.1), fault("kill", "submission", 11.3, 12), False, id="killed long after"),
        pytest.param(seen(10, 10.1), fault("kill", "submission", 8, 10.02), False, id="killed before, back by now"),
        pytest.param(seen(10, 10.1), fault("kill", "status", 10.05, 12), False, id="another service was killed"),
        pytest.param(seen(10, 10.1), fault("freeze", "submission", 8, 10.02), True, id="frozen until it began"),
        pytest.param(seen(10, 10.1), fault("kill-at", "submission", 5, 17), True, id="killed nobody saw when"),
        pytest.param(seen(10, 10.1), fault("server-kill", "mongo", 9, 12), False, id="an outcome waits for its store"),
        pytest.param(seen(10, 10.1), fault("server-kill", "kafka", 9, 12), False, id="no broker is needed to send"),
        pytest.param(seen(10, 10.1), fault("network", "valiant", 9, 12), False, id="a toxic that did not strike it"),
    ],
)
def test_a_call_that_the_proxy_saw(send: Send, found: Evidence, met: bool) -> None:
    assert touched(send, found) is met


@pytest.mark.parametrize(
    ("found", "met"),
    [
        pytest.param(CALM, False, id="nothing happened"),
        pytest.param(fault("kill", "submission", 11.9, 13), True, id="killed within the time of a call"),
        pytest.param(fault("kill", "submission", 12.1, 13), False, id="killed after it"),
        pytest.param(fault("server-kill", "mongo", 9, 10.5), True, id="no store while it began"),
        pytest.param(fault("skew", "submission", 8, 30), True, id="restarted with another clock"),
    ],
)
def test_a_send_of_which_our_record_alone_knows(found: Evidence, met: bool) -> None:
    assert touched(Send(partner="valiant", began=at(10), ended=at(12)), found) is met


@pytest.mark.parametrize(("killed", "met"), [(14.0, True), (16.5, False)])
def test_an_outcome_that_waits_for_its_store_can_be_lost_until_the_store_is_back(killed: float, met: bool) -> None:
    away, death = fault("server-kill", "mongo", 10, 15), fault("kill", "submission", killed, killed + 1)
    found = Evidence(deaths=death.deaths, away=away.away, deadline=away.deadline)
    assert touched(seen(10.2, 10.3), found) is met


def test_calls_are_known_by_our_reference_and_mails_by_their_time() -> None:
    other = replace(CALL, marks=("another",))
    (send,) = sends_of("valiant", frozenset({"ref"}), [], [CALL, other], dt.timedelta(seconds=2))
    assert send.seen == CALL
    mail = Call(partner="email-lender", began=at(1), ended=at(3), outcome="unknown", toxic="reset")
    later = replace(mail, began=at(5), ended=at(6))
    (send,) = sends_of("email-lender", frozenset({"ref"}), [at(2)], [mail, later], dt.timedelta(seconds=2))
    assert send.seen == mail


def test_a_time_in_our_record_is_a_send_of_its_own_only_where_the_proxy_saw_none() -> None:
    sends = sends_of("valiant", frozenset({"ref"}), [at(-0.1), at(60)], [CALL], dt.timedelta(seconds=2))
    assert [(each.began, each.seen) for each in sends] == [(NOON, CALL), (at(60), None)]
