"""What a person sets: a correction until the partner's next word, a pin whatever the partner says."""

import datetime as dt
import itertools
import uuid
from typing import Any

import pytest
from tests.make import NOW
from tests.status.test_fold import ack, report, seen, state, validated

from lendrail.contracts.sensitive import Sensitive, SensitiveText
from lendrail.contracts.terms import Money, Offer, Report, Status
from lendrail.status.folding.decided import FINAL
from lendrail.status.folding.fold import fold
from lendrail.status.folding.observation import Corrected, Observation, Pinned, Reported, Unpinned

WHY = SensitiveText("told by phone")


def corrected(second: float, status: Status, name: str = "") -> Observation:
    return seen(second, Corrected(status=status, by="operator-1", why=WHY), "person", name or f"corrected-{second}")


def pinned(second: float, status: Status, **until: Any) -> Observation:
    return seen(second, Pinned(status=status, by="operator-1", why=WHY, **until), "person", f"pinned-{second}")


def unpinned(second: float) -> Observation:
    return seen(second, Unpinned(by="operator-1", why=WHY), "person", f"unpinned-{second}")


def pushed(second: float, status: Status | None, **values: Any) -> Observation:
    said = Reported(report=Report(status=status, words=values.pop("words", "Word"), **values))
    return seen(second, said, "webhook", f"webhook-{second}", partner_time=NOW + dt.timedelta(seconds=second))


@pytest.mark.parametrize("status", sorted(Status))
@pytest.mark.parametrize("before", [Status.IN_REVIEW, Status.DECLINED, Status.FUNDED])
def test_a_correction_counts_at_its_time_whatever_was_said_before(before: Status, status: Status) -> None:
    told = state(validated(), ack(1, "accepted", partner_id="L1"), report(2, before), corrected(5, status))
    assert (told.status, told.source, told.partner_status) == (status, "person", before)
    assert told.flags[-1] == "corrected" if before == status else f"partner-disagrees:{before}" in told.flags
    assert told.partner_words == "Word"


def test_an_older_word_that_comes_late_overrides_no_correction() -> None:
    told = state(report(2, Status.IN_REVIEW), corrected(5, Status.DECLINED), pushed(4, Status.APPROVED))
    assert (told.status, told.partner_status) == (Status.DECLINED, Status.APPROVED)


@pytest.mark.parametrize("set_to", sorted(FINAL))
@pytest.mark.parametrize("said", [Status.IN_REVIEW, Status.APPROVED, Status.FUNDED, Status.DECLINED])
def test_a_later_word_of_the_partner_overrides_a_correction_even_a_final_one(set_to: Status, said: Status) -> None:
    told = state(report(2, Status.REFERRED), corrected(5, set_to), report(6, said))
    assert (told.status, told.source, told.partner_status) == (said, "fetch", None)
    assert "corrected" not in told.flags


def test_a_word_that_nobody_knows_overrides_nothing() -> None:
    told = state(report(2, Status.IN_REVIEW), corrected(5, Status.DECLINED), report(6, None, "Odd"))
    assert (told.status, told.partner_words) == (Status.DECLINED, "Odd")
    assert {"corrected", "unmapped-words"} <= set(told.flags)


def test_funded_after_a_person_said_declined_is_an_alarm_too() -> None:
    told = state(report(1, Status.IN_REVIEW), corrected(2, Status.DECLINED), report(3, Status.FUNDED))
    assert (told.status, "alarm:funded-after-declined" in told.flags) == (Status.FUNDED, True)


def test_a_correction_keeps_what_can_still_hold() -> None:
    offer = Offer(id="base", amount=Money(amount="30000", currency="USD"))
    approved = report(1, Status.APPROVED, offers=(offer,), close_chance="60", missing_info=SensitiveText("x"))
    accepted, declined = state(approved, corrected(2, Status.ACCEPTED)), state(approved, corrected(2, Status.DECLINED))
    assert (accepted.offers, accepted.missing_info) == ((offer,), None)
    assert (declined.offers, declined.close_chance) == ((), approved.said.report.close_chance)  # type: ignore[union-attr]
    assert [each.latest for each in declined.offer_history] == [offer]


def test_a_correction_of_what_nobody_decided_yet() -> None:
    waiting = ack(1, "unknown", next_check_at=NOW, unknown_since=NOW)
    told = state(validated(), waiting, corrected(2, Status.FAILED))
    assert (told.status, told.partner_status, told.next_check_at) == (Status.FAILED, Status.OUTCOME_UNKNOWN, None)
    assert state(corrected(1, Status.DECLINED)).status is Status.DECLINED


def test_a_correction_speaks_of_the_application_that_it_was_made_for() -> None:
    anew = ack(9, "accepted", partner_id="L2", generation=2, attempt_id=uuid.UUID(int=2))
    heard = [ack(1, "accepted", partner_id="L1"), report(2, Status.DECLINED), corrected(3, Status.EXPIRED)]
    assert state(*heard).status is Status.EXPIRED
    assert state(*heard, anew).status is Status.SUBMITTED


def test_a_pin_holds_whatever_the_partner_says_and_shows_what_that_is() -> None:
    heard = [report(2, Status.APPROVED, "Approved"), pinned(5, Status.DECLINED)]
    assert (state(*heard).status, state(*heard).source) == (Status.DECLINED, "person")
    told = state(*heard, report(6, Status.FUNDED, "Paid out"))
    assert (told.status, told.partner_status, told.partner_words) == (Status.DECLINED, Status.FUNDED, "Paid out")
    assert {"pinned", "partner-disagrees:funded"} <= set(told.flags)
    assert told.pin is not None
    assert told.pin.since == heard[1].at
    free = state(*heard, report(6, Status.FUNDED, "Paid out"), unpinned(7))
    assert (free.status, free.partner_status, free.pin) == (Status.FUNDED, None, None)
    assert "pinned" not in free.flags


def test_a_pin_that_the_partner_agrees_with_is_no_disagreement() -> None:
    told = state(report(1, Status.IN_REVIEW), pinned(2, Status.DECLINED), report(3, Status.DECLINED))
    assert (told.status, told.partner_status) == (Status.DECLINED, Status.DECLINED)
    assert not [flag for flag in told.flags if flag.startswith("partner-disagrees")]


def test_a_pin_ends_with_the_word_that_it_waits_for() -> None:
    pin = pinned(2, Status.IN_REVIEW, until_partner_says=(Status.FUNDED, Status.APPROVED))
    heard = [report(1, Status.DECLINED), pin, report(3, Status.DECLINED)]
    assert state(*heard).status is Status.IN_REVIEW
    assert state(*heard, pushed(1.5, Status.APPROVED)).status is Status.IN_REVIEW  # said before the pin
    ended = state(*heard, report(4, Status.APPROVED))
    assert (ended.status, ended.pin, "alarm:approved-after-declined" in ended.flags) == (Status.APPROVED, None, True)
    assert state(*heard, report(4, Status.APPROVED), report(5, Status.FUNDED)).status is Status.FUNDED
    with_answer = ack(4, "accepted", "accept", report=Report(status=Status.FUNDED, words="Paid"))
    assert state(*heard, with_answer).pin is None


def test_the_newest_pin_holds_and_under_it_a_correction() -> None:
    heard = [report(1, Status.IN_REVIEW), corrected(2, Status.DECLINED), pinned(2, Status.DECLINED)]
    assert state(*heard, pinned(3, Status.APPROVED)).status is Status.APPROVED
    freed = state(*heard, pinned(3, Status.APPROVED), unpinned(4))
    assert (freed.status, "corrected" in freed.flags) == (Status.DECLINED, True)
    assert state(*heard, unpinned(3), pinned(4, Status.REFERRED)).status is Status.REFERRED


def test_a_pinned_state_waits_for_nothing_of_ours_that_has_ended() -> None:
    waiting = ack(1, "unknown", next_check_at=NOW, unknown_since=NOW)
    told = state(validated(), waiting, pinned(2, Status.FAILED))
    assert (told.status, told.next_check_at, told.unknown_since) == (Status.FAILED, None, None)
    assert state(validated(), waiting, pinned(2, Status.OUTCOME_UNKNOWN)).next_check_at == NOW


def test_who_follows_a_deal_goes_by_the_partners_own_word() -> None:
    assert state(report(1, Status.IN_REVIEW), pinned(2, Status.DECLINED)).followed is Status.IN_REVIEW
    assert state(report(1, Status.IN_REVIEW)).followed is Status.IN_REVIEW


def test_any_order_gives_the_same() -> None:
    heard = [
        report(1, Status.APPROVED),
        corrected(2, Status.DECLINED),
        pinned(3, Status.REFERRED, until_partner_says=(Status.FUNDED,)),
        pushed(2.5, Status.IN_REVIEW),
        report(4, Status.FUNDED),
        unpinned(5),
    ]
    first = fold(heard)
    assert all(fold([*order, order[0]]) == first for order in itertools.permutations(heard))


def money(amount: str) -> Money:
    return Money(amount=amount, currency="USD")


def test_each_offer_keeps_its_first_and_its_newest_form() -> None:
    first = Offer(id="a", amount=money("10000"), action_link=Sensitive("https://x.example.test/1"))
    again = first.model_copy(update={"action_link": Sensitive("https://x.example.test/2")})
    better, other = first.model_copy(update={"amount": money("12000")}), Offer(id="a", variant="short")
    heard = [
        ack(1, "accepted", partner_id="L1", report=Report(status=Status.APPROVED, words="w", offers=(first,))),
        report(2, Status.APPROVED, offers=(again,)),
        report(3, Status.APPROVED, offers=(better, other)),
        report(4, Status.APPROVED, offers=(better.model_copy(update={"action_link": None}),)),
        report(5, Status.DECLINED),
    ]
    told = state(*heard)
    assert told.offers == ()
    mine, second = told.offer_history
    bare = first.model_copy(update={"action_link": None})
    assert (mine.original, mine.original_at) == (bare, heard[0].at)
    assert (mine.latest, mine.latest_at) == (better.model_copy(update={"action_link": None}), heard[2].at)
    assert second.original == second.latest == other
    assert all(fold(order).offer_history == told.offer_history for order in itertools.permutations(heard))
    # a repetition is no news, a change is
    assert state(*heard[:2]).offer_history == state(heard[0]).offer_history
    assert not state(*heard[:3]).looks_like(state(*heard[:2]))


def test_an_offer_of_an_older_form_that_comes_late_is_the_original() -> None:
    old, new = Offer(id="a", amount=money("1")), Offer(id="a", amount=money("2"))
    late = pushed(1, Status.APPROVED, offers=(old,))
    (forms,) = state(report(3, Status.APPROVED, offers=(new,)), late).offer_history
    assert (forms.original, forms.latest) == (old, new)


def test_whom_to_ask_and_what_it_brings_stay_until_a_look_shows_otherwise() -> None:
    facts: dict[str, Any] = {
        "close_chance": "60",
        "closes_on": "2026-04-01",
        "commission": {"amount": "250", "currency": "GBP"},
    }
    first = report(1, Status.IN_REVIEW, contact={"name": "Testa Fakely"}, **facts)
    thin = pushed(2, Status.APPROVED, close_chance="80")
    told, seen_again = state(first, thin), state(first, thin, report(3, Status.APPROVED))
    assert told.contact is not None
    assert (str(told.close_chance), told.closes_on, told.commission) == ("80", dt.date(2026, 4, 1), money_of("250"))
    assert (seen_again.contact, seen_again.close_chance, seen_again.commission) == (None, None, None)
    for name in (*facts, "contact"):
        assert not told.looks_like(told.model_copy(update={name: None})), name


def money_of(amount: str) -> Money:
    return Money(amount=amount, currency="GBP")
