"""The demo's last table: how each status came, and what it takes that one is missing."""

import csv
import datetime as dt
import io
import uuid
from typing import Any

import pytest
from rich.console import Console

from lendrail.local.follow import reference
from lendrail.local.origins import judge, listed, origins
from lendrail.local.stage import Missed

NOON = dt.datetime(2030, 1, 2, 12, 0, 5, tzinfo=dt.UTC)


def told(partner: str, source: str, **more: Any) -> dict[str, Any]:
    return {"partner": partner, "source": source, "status": "approved", "ageSeconds": 3.2} | more


ALL = [
    told("finpace", "webhook", partnerTime=NOON.isoformat()),
    told("soap-lender", "fetch"),
    told("email-lender", "csv"),
]


def test_each_status_says_how_it_came_and_how_old_it_is() -> None:
    out = io.StringIO()
    Console(file=out, width=110).print(origins(ALL))
    lines = out.getvalue().splitlines()
    pushed, polled, filed = (
        next(line for line in lines if way in line) for way in ("push: it called", "poll: its mailbox", "file: a row")
    )
    assert "12:00:05" in pushed
    assert "none given" in polled
    assert filed.rstrip().endswith("3 s")


@pytest.mark.parametrize(("left_out", "lacks"), [(0, "push"), (1, "poll"), (2, "file")])
def test_a_way_by_which_nothing_came_is_named(left_out: int, lacks: str) -> None:
    judge("scene", ALL)
    with pytest.raises(Missed, match=f"no status came by {lacks};"):
        judge("scene", [each for place, each in enumerate(ALL) if place != left_out])


def test_the_list_names_the_deal_by_the_reference_of_our_mail() -> None:
    deal = {"opportunityId": str(uuid.UUID(int=7))}
    (row,) = csv.DictReader(io.StringIO(listed(deal, NOON).decode()))
    assert row == {"ourReference": reference(deal), "approvedAt": "2030-01-02T12:00:05+00:00"}
