"""The lists of lenders in a chaos run: repeatable, of every kind, and true to the lender's own ledger."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from proofs.chaos import lists
from proofs.chaos.books import HOLDS, SEATS, Ledger, opportunity, reference
from proofs.chaos.cast import AUDIT, PLAYED_AS, mark
from proofs.chaos.lists import HEADER, LENDERS, LINES, MUTE, Planned
from proofs.chaos.shapes import Accepted

from lendrail.contracts.files import format_of
from lendrail.partners import PARTNERS
from lendrail.status.imports.reading import CsvReading
from lendrail.status.imports.rows import Row as Read

NOON = "2030-01-02T12:00:00.123456+00:00"
LATER, LAST = NOON.replace("00.1", "02.9"), NOON.replace("00.1", "07.5")
WHOLE = "2030-01-02T12:00:02Z"


def application(number: int, *partners: str) -> Accepted:
    id = f"00000000-0000-7000-8000-{number:012d}"
    at = dt.datetime.fromisoformat(NOON)
    wanted = dict.fromkeys(partners, "approved")
    return Accepted(application=id, door="rest", at=at, mark=mark(number), partners=partners, wanted=wanted)


def planned(lender: str, **more: Any) -> Planned:
    values: dict[str, Any] = {"ids": "both", "separator": ",", "lines": 0, "twice": False, "strangers": ("nobodys-1",)}
    return Planned(name="a list", lender=lender, at=1.0, sent_at=1.0, **values | more)


def lead(each: Accepted, lender: str, **more: Any) -> dict[str, Any]:
    known_as = reference(each.application, lender, each.mark)
    return {"at": NOON, "user": SEATS[lender].credential, "reference": known_as} | more


def reading(lender: str, content: bytes) -> list[Read]:
    partner = PARTNERS[PLAYED_AS.get(lender, lender)]
    now = dt.datetime.fromisoformat(LAST)
    reader = CsvReading(format_of(partner.files, partner.facts.statuses, {}), now, None)
    return [*reader.feed(content), *reader.end()]


def test_the_same_seed_gives_the_same_lists() -> None:
    assert lists.plan(60, 3) == lists.plan(60, 3) != lists.plan(60, 4)


@pytest.mark.parametrize("seconds", [20, 60, 180, 5000])
def test_every_lender_sends_some_and_some_are_old_long_or_sent_twice(seconds: float) -> None:
    found = lists.plan(seconds, 7)
    assert {each.lender for each in found} == set(LENDERS)
    assert len(found) <= lists.MOST
    assert all(0 < each.at <= each.sent_at <= seconds * 1.25 for each in found[:-1])
    for some in ([each.twice for each in found], [each.lines > 0 for each in found]):
        assert 0 < sum(some) < len(some) / 2
    assert any(each.sent_at > each.at for each in found)
    assert found[-1].lender == MUTE, "what nobody told by then is told in the end"
    assert seconds < found[-1].at == found[-1].sent_at
    strangers = [name for each in found for name in each.strangers]
    assert len(set(strangers)) == len(strangers) > 0


def soap(*applications: Accepted) -> Ledger:
    leads = [lead(each, "soap-lender", leadId=f"LS-{each.mark}") for each in applications]
    asks = {"leadId": leads[0]["leadId"], "outcome": "missing", "status": "MoreInformationRequired", "at": LATER}
    yes = asks | {"outcome": "approve", "status": "Approved", "at": LAST}
    return {"leads": leads, "decisions": [yes, asks], "webhooks": []}


def test_a_row_says_since_when_the_lender_has_it_and_its_newest_word() -> None:
    first, second, odd = (application(number, "soap-lender", AUDIT) for number in (2, 4, 5))
    ledger = soap(first, second, odd)
    found = lists.rows(planned("soap-lender"), ledger, [first, second, odd, application(6, "finpace")])
    assert [each.mark for each in found] == ["ZZ000002", "ZZ000004"], "every second one is proven without lists"
    taken, newest = found[0].said
    assert found[0].opportunity == opportunity(first.application, "soap-lender")
    assert (taken[0], newest[0], newest[1].isoformat()) == (HEADER[2], "Approved", "2030-01-02T12:00:07.523000+00:00")
    assert [word for word, _ in found[1].said] == ["Received"], "one word of one moment stands in it once"
    assert HOLDS["soap-lender"](ledger, ledger["leads"][0])[0] == "approved"


def test_whoever_can_only_call_lists_what_no_call_has_brought() -> None:
    accepted = [application(number, MUTE) for number in range(1, 5)]
    ids = [f"smeapp_{each.mark}" for each in accepted]
    decisions = [
        {
            "at": LATER,
            "applicationId": id,
            "decision": {"outcome": "approve", "decidedAt": WHOLE},
            "planned": [{"id": id}],
        }
        for id in ids[:3]
    ]
    decisions[2]["planned"] = []
    results = [{"id": ids[0], "status": 200}, {"id": ids[1], "status": None}]
    leads = [lead(each, MUTE, applicationId=id) for each, id in zip(accepted, ids, strict=True)]
    ledger = {"leads": leads, "decisions": decisions, "webhooks": results}
    found = lists.rows(planned(MUTE), ledger, accepted)
    assert [each.mark for each in found] == ["ZZ000002", "ZZ000003"]
    under_way = {"leads": leads, "decisions": decisions[:1], "webhooks": []}
    assert lists.rows(planned(MUTE), under_way, accepted) == ()


def told(lender: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A lead and a decision of each lender, as its ledger has them."""
    of_reference = {"id": "app_1", "said": {"status": "submitted", "statusAt": WHOLE}}
    all_of: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        MUTE: ({"applicationId": "smeapp_1"}, {"decision": {"outcome": "refer", "decidedAt": WHOLE}, "planned": []}),
        "forward-financing": ({"leadId": "a.b"}, {"status": {"stage": "Approval Sent"}}),
        "soap-lender": ({"leadId": "LS-1"}, {"status": "Declined"}),
        "reference-partner": (of_reference, {"said": {"status": "approved", "statusAt": WHOLE.replace("02Z", "03Z")}}),
    }
    return all_of[SEATS[lender].ledger]


@pytest.mark.parametrize("ids", ["theirs", "ours", "both"])
@pytest.mark.parametrize("lender", LENDERS)
def test_what_is_written_is_what_the_reader_reads(lender: str, ids: Any) -> None:
    """In each lender's own words, by the format that its account has."""
    each, (has, says) = application(2, lender), told(lender)
    ledger = {"leads": [lead(each, lender, **has)], "decisions": [has | {"at": LATER} | says], "webhooks": []}
    plan = planned(lender, ids=ids, separator="|", lines=LINES)
    found = lists.rows(plan, ledger, [each])
    read = reading(lender, lists.content(plan, found))
    assert len(read) == LINES
    assert not any(row.faults for row in read)
    assert said(read[0]) == set(found[0].said)
    assert all(event.status is not None for event in read[0].events), "every word is one that we know"
    assert set(read[0].keys.values()) == set(found[0].names)
    assert list(read[1].keys.values()) == ["nobodys-1"]
    assert said(read[2]) == said(read[0]), "and so on, again and again"
    assert reading(lender, lists.content(replace(plan, lines=0), found)) == read[:2]


def said(row: Read) -> set[tuple[str, dt.datetime]]:
    return {(event.words, event.time) for event in row.events}
