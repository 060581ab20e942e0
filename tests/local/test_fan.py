"""One application at five partners: what it is, how it is shown, and what a partner's ledger proves or disproves."""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, RenderableType

from lendrail.contracts.application import Application
from lendrail.local.accounts import ACCOUNTS
from lendrail.local.fan import judge
from lendrail.local.follow import Changes
from lendrail.local.proof import Proof, proof
from lendrail.local.scenes import PARTS, REGISTRY, FanOut, fan_out, scenes
from lendrail.local.stage import Missed
from lendrail.local.tables import books, channel, outcomes, sent
from lendrail.local.timeline import Line
from lendrail.local.words import of_all, said, short_id, wanted
from lendrail.partners import PARTNERS

APPLICATION = "0199f0a0-0000-7000-8000-000000000001"
USD = "USD"
DECIDED, CALLED = "2026-01-02T03:04:05.500000+00:00", "2026-01-02T03:04:06.250000+00:00"


@pytest.fixture(scope="module")
def loans(project: Path) -> Path:
    return project / "examples" / "sba-7a-sample.csv"


@pytest.fixture(scope="module")
def fan(loans: Path) -> FanOut:
    return fan_out(loans)


def line(event: str, partner: str | None, word: str, after: int = 0, application: str | None = APPLICATION) -> Line:
    return Line(event, "status", application, after, partner, word)


def printed(shown: RenderableType, width: int = 100) -> str:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(shown)
    return out.getvalue()


def call(operation: str, second: int, reply: str = "sent") -> dict[str, Any]:
    return {"operation": operation, "at": f"2026-01-02T03:04:{second:02d}+00:00", "monotonic": second, "reply": reply}


def ledger(calls: Iterable[dict[str, Any]], leads: int = 1, **more: Any) -> dict[str, Any]:
    return {"calls": list(calls), "leads": [{}] * leads, "duplicates": [], "decisions": []} | more


def proven(partner: str, **changed: Any) -> Proof:
    facts: dict[str, Any] = {"taken": 1, "lost": 0, "recognised": 0, "calls": ("submit",), "first": CALLED}
    return Proof(**({"partner": partner, "decided": ""} | facts | changed))


def all_well() -> dict[str, Proof]:
    found = {part.partner: proven(part.partner, lost=int(part.lost(True))) for part in PARTS}
    return found | {REGISTRY: proven(REGISTRY, decided=DECIDED)}


def test_every_lender_would_take_the_application(fan: FanOut) -> None:
    application = Application.model_validate(fan.application)
    options = {account.partner: dict(account.options) for account in ACCOUNTS}
    for name in (REGISTRY, *(part.partner for part in fan.parts)):
        assert PARTNERS[name].check(application, options[name]) == [], name


def test_a_registry_has_not_seen_its_paper_and_nobody_its_numbers(loans: Path, fan: FanOut) -> None:
    again = fan_out(loans)
    assert again.paper != fan.paper
    first, second = (
        {owner["ssn"] for scene in scenes(loans) if scene.outcome for owner in scene.application["owners"]}
        for _ in range(2)
    )
    assert not first & second
    assert all(ssn.startswith("900-") for ssn in first)


def test_a_dial_meets_this_application_only(fan: FanOut) -> None:
    for part in fan.parts:
        dials = list(part.dials("our-reference", hurried=True))
        assert dials, part.partner
        assert all(dial["reference"] == "our-reference" and dial["times"] == 1 for dial in dials)


def test_a_reply_whose_settling_takes_minutes_is_lost_only_where_somebody_hurries(fan: FanOut) -> None:
    lost = {hurried: {part.partner for part in fan.parts if part.lost(hurried)} for hurried in (True, False)}
    assert lost == {True: {"finpace", "email-lender"}, False: {"email-lender"}}
    kinds = {dial["kind"] for part in fan.parts if part.partner == "finpace" for dial in part.dials("r", False)}
    assert kinds == {"outcome"}


def test_the_ledger_tells_what_was_lost_and_what_was_known_already() -> None:
    calls = [call("submit", 3, "dropped"), call("parties", 1), call("draft", 2), call("submit", 5)]
    found = proof("finpace", ledger(calls, duplicates=[{"at": call("submit", 5)["at"], "by": "key"}]))
    assert found.calls == ("parties", "draft", "submit (reply lost)", "submit (known already)")
    assert (found.taken, found.lost, found.recognised) == (1, 1, 1)
    assert found.first == call("parties", 1)["at"]
    assert found.has_it == "once, 1 repeat recognised"


def test_looks_in_a_row_are_counted() -> None:
    found = proof("monetago", ledger([call("registrations", 1), *(call("status", each) for each in (2, 3, 4))]))
    assert found.calls == ("registrations", "status (3 times)")


@pytest.mark.parametrize(("leads", "said"), [(0, "never"), (1, "once"), (2, "2 times")])
def test_how_often_it_has_it(leads: int, said: str) -> None:
    assert proof("finpace", ledger([], leads)).has_it == said


def test_five_sound_ledgers_pass_and_tell_how_long_the_lenders_waited(fan: FanOut) -> None:
    assert judge(fan, all_well(), hurried=True) == pytest.approx(0.75)


@pytest.mark.parametrize("partner", [REGISTRY, *(part.partner for part in PARTS)])
@pytest.mark.parametrize("taken", [0, 2])
def test_a_partner_that_has_it_twice_or_never_stops_the_demo(fan: FanOut, partner: str, taken: int) -> None:
    sound = all_well()
    facts = {"taken": taken, "lost": sound[partner].lost, "decided": sound[partner].decided}
    with pytest.raises(Missed, match=f"{partner}'s own ledger has the application {taken} times"):
        judge(fan, sound | {partner: proven(partner, **facts)}, hurried=True)


def test_a_lender_that_was_called_before_the_registry_decided_stops_the_demo(fan: FanOut) -> None:
    early = proven("forward-financing", first="2026-01-02T03:04:05.400000+00:00")
    with pytest.raises(Missed, match="forward-financing was called before the registry had decided"):
        judge(fan, all_well() | {"forward-financing": early}, hurried=True)


def test_a_registry_that_never_decided_stops_the_demo(fan: FanOut) -> None:
    with pytest.raises(Missed, match="before the registry had decided"):
        judge(fan, all_well() | {REGISTRY: proven(REGISTRY)}, hurried=True)


def test_a_reply_that_was_not_lost_after_all_stops_the_demo(fan: FanOut) -> None:
    with pytest.raises(Missed, match="email-lender's own ledger has 0 lost replies"):
        judge(fan, all_well() | {"email-lender": proven("email-lender")}, hurried=True)


def test_of_many_lines_only_changes_of_status_are_shown() -> None:
    shown = Changes(APPLICATION)
    told = [
        line("application-received", None, ""),
        line("status-updated", "finpace", "submitting"),
        line("partner-ack", "finpace", "create: unknown"),
        line("status-updated", "finpace", "outcome-unknown"),
        line("status-updated", "soap-lender", "submitted"),
        line("status-updated", "finpace", "outcome-unknown"),
        line("status-updated", "finpace", "referred", application="another"),
        line("status-updated", "finpace", "referred"),
        line("notify", "finpace", "email: referred"),
    ]
    seen = [(each.event, each.partner, each.word) for each in told if shown(each)]
    assert seen == [
        ("application-received", None, ""),
        ("status-updated", "finpace", "outcome-unknown"),
        ("status-updated", "soap-lender", "submitted"),
        ("status-updated", "finpace", "referred"),
    ]


def test_each_operation_is_told_with_its_class_and_what_is_no_plain_yes() -> None:
    lines = [
        line("partner-ack", "finpace", "gate: accepted"),
        line("partner-ack", "finpace", "create: unknown"),
        line("partner-ack", "finpace", "create: accepted"),
        line("partner-ack", "finpace", "create: accepted"),
        line("partner-ack", "forward-financing", "create: accepted"),
        line("partner-ack", "forward-financing", "document: accepted"),
        line("partner-ack", "soap-lender", "supplement: accepted"),
    ]
    assert sent("finpace", lines) == ["create (A): unknown, then accepted"]
    assert sent("forward-financing", lines) == ["create (B)", "document (E)"]
    assert sent("soap-lender", lines) == ["copy by email"]
    assert sent("email-lender", lines) == []


def test_the_channel_of_every_account_has_a_name() -> None:
    assert channel({"scheme": "wsse", "version": "1.1"}) == "SOAP 1.1, WS-Security"
    assert channel({"scheme": "smtp"}) == "email, SMTP"
    assert channel({"scheme": "something-new"}) == "something-new"


def opportunity(partner: str, status: str, **more: Any) -> dict[str, Any]:
    return {"partner": partner, "kind": "lender", "credential": partner, "status": status} | more


OFFER = {
    "amount": {"amount": "192000", "currency": USD},
    "term": {"value": 24, "unit": "months"},
    "costPerThousand": {"amount": "135.40", "currency": USD},
    "netFunded": {"amount": "191505.00", "currency": USD},
    "conditions": ["Guarantee of every owner"],
}
VIEW = {
    "opportunities": [
        opportunity("monetago", "approved", kind="registry"),
        opportunity("soap-lender", "approved", offers=[OFFER], partnerId="LS-2B76B9063ACA8590"),
        opportunity("finpace", "referred", partnerWords="refer", partnerId="smeapp_2BJEG5D86C2W0M8X7YQXV6DB5M"),
        opportunity("reference-partner", "info-required", missingInfo="We need the latest bank statements"),
        opportunity("forward-financing", "declined", declineReasons=[{"code": "deposits", "words": "Low volume"}]),
        opportunity("email-lender", "outcome-unknown", plan="person"),
    ]
}


def test_an_offer_is_told_with_amount_term_cost_and_conditions() -> None:
    assert list(said(VIEW["opportunities"][1])) == [
        "192000 USD over 24 months",
        "135.40 USD per 1000, 191505.00 USD on day one",
        "wants: Guarantee of every owner",
    ]


def test_an_offer_without_a_cost_has_no_empty_words() -> None:
    assert list(said({"offers": [{"amount": {"amount": "1", "currency": USD}}]})) == ["1 USD"]
    assert list(said({"offers": [{"id": "base"}]})) == ["offer"]


def test_reasons_come_before_the_partner_s_own_word() -> None:
    told = opportunity("x", "declined", declineReasons=[{"code": "deposits", "words": "Low"}], partnerWords="Declined")
    assert list(said(told)) == ["deposits: Low"]
    assert list(said(opportunity("x", "referred", partnerWords="refer"))) == ["in its own word: refer"]
    field = {"pointer": "/business/email", "message": "is required"}
    assert list(said(opportunity("x", "info-required", reasons=[field]))) == ["/business/email: is required"]


def test_an_unknown_outcome_is_told_with_its_plan_and_time() -> None:
    (parked,) = said(VIEW["opportunities"][-1])
    assert "parked for a person" in parked
    (repeated,) = said(opportunity("x", "outcome-unknown", plan="repeat", nextCheckAt="2026-01-02T03:04:05.7Z"))
    assert repeated.endswith("next at 03:04:05 UTC")


def test_several_lenders_are_told_by_name_and_the_registry_is_none_of_them() -> None:
    told = list(of_all(VIEW))
    assert "soap-lender: approved" in told
    assert len(told) == 5


def test_changes_that_were_taken_are_told_and_refused_ones_are_not() -> None:
    made = [{"kind": "document-added", "state": "accepted"}, {"kind": "corrected", "state": "refused"}]
    view = {"opportunities": [VIEW["opportunities"][1]], "amendments": made}
    assert list(of_all(view))[-1] == "on request: document-added"


def test_what_a_partner_waits_for_is_told_by_name_and_in_its_words() -> None:
    assert wanted({"kind": "bank-statement", "words": "last two months"}) == "bank-statement: last two months"
    assert wanted({"words": "A letter"}) == "A letter"


def test_long_ids_keep_both_ends() -> None:
    assert short_id("LS-2B76B9063ACA8590") == "LS-2B76B9063ACA8590"
    assert short_id("smeapp_2BJEG5D86C2W0M8X7YQXV6DB5M") == "smeapp_2B…YQXV6DB5M"


def test_the_tables_fit_a_terminal_of_100_columns_and_cut_no_id() -> None:
    lines = [line("status-updated", "finpace", "referred", 6059), line("partner-ack", "finpace", "create: accepted")]
    credentials = [{"id": part.partner, "auth": {"scheme": "wsse", "version": "1.1"}} for part in PARTS]
    shown = printed(outcomes(VIEW, lines, credentials, [part.partner for part in PARTS]))
    assert max(map(len, shown.splitlines())) <= 100
    for expected in (
        "LS-2B76B9063ACA8590",
        "outcome-unknown",
        "+6059 ms",
        "no id came back",
        "192000 USD over 24 months",
    ):
        assert expected in shown
    ledgers = printed(books([proven("monetago"), proven("finpace", recognised=1)]))
    assert max(map(len, ledgers.splitlines())) <= 100
    assert "once, 1 repeat" in ledgers
