"""A partner's lists are fetched, kept and renewed, and an application is checked against them before it is sent."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests import support
from tests.sandbox.process import Sandbox
from tests.submission.desk import Desk
from tests.submission.others import VALIANT, application, dial, event, ledger, open_accounts, running, undial

from lendrail.partners import PARTNERS
from lendrail.partners.valiant.profile import OPTION_NAMES

pytestmark = pytest.mark.asyncio
ACCOUNT = "demo-valiant"
QUICK = {"lists_look_seconds": "0.1"}
WORDS = {"words": VALIANT.options["words"]}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def at_valiant(desk: Desk) -> Iterator[Desk]:
    undial(desk, "valiant")
    open_accounts(desk, VALIANT, options=WORDS)
    yield desk
    undial(desk, "valiant")


async def shown(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    (item,) = (await http.get("/v1/partners")).json()["items"]
    return list(item.get("lists", []))


async def whole(desk: Desk) -> bool:
    """Whether each list was fetched."""
    return set((await desk.lists.fetched([ACCOUNT])).get(ACCOUNT, ())) == set(OPTION_NAMES)


def lead(desk: Desk, reference: str) -> dict[str, Any]:
    return next(each["body"] for each in ledger(desk, "valiant")["leads"] if each["reference"] == reference)


async def test_fetched_and_checked_before_anything_leaves(at_valiant: Desk) -> None:
    async with at_valiant.lanes(**QUICK):
        await support.eventually(lambda: whole(at_valiant))
        odd = application(VALIANT)
        odd["business"]["industry"] = {"description": "Fake moon mining"}
        before = len(ledger(at_valiant, "valiant")["leads"])
        first = event(VALIANT, odd)
        await at_valiant.hear(first)
        refused = await at_valiant.opportunity(first)
        assert [(str(each.state), each.reason, each.tries) for each in refused.attempts] == [
            ("rejected", "not-in-lists", 0)
        ]
        (told,) = await at_valiant.acks(first)
        problems = {(each.pointer, each.code) for each in told.problems}
        assert (told.outcome, ("/business/industry", "not-supported") in problems) == ("rejected", True)
        assert "moon" not in repr(told.problems)
        assert len(ledger(at_valiant, "valiant")["leads"]) == before
        await at_valiant.hear(event(VALIANT, mended(), first))
        await at_valiant.until(first, "rejected", "acked")
    sent = lead(at_valiant, (await at_valiant.create(first)).id)
    assert (sent["industry"], sent["entity_type"], sent["state"]) == ("hospitality", "PRV", "NSW")


def mended() -> dict[str, Any]:
    """In words of the simulator's lists."""
    data = application(VALIANT)
    data["business"]["entityType"] = "private-company"
    data["requestedFinance"]["purpose"] = "equipment-purchase"
    data["financials"] = {}
    return data


async def test_until_lists_are_there_it_goes_without_their_words(at_valiant: Desk) -> None:
    dial(at_valiant, "valiant", kind="status", operation="options", status=500)
    first = event(VALIANT, mended())
    await at_valiant.hear(first)
    async with at_valiant.lanes(**QUICK):
        await at_valiant.until(first, "acked")
        assert await at_valiant.lists.fetched([ACCOUNT]) == {}
    sent = lead(at_valiant, (await at_valiant.create(first)).id)
    assert not {"industry", "entity_type", "state", "loan_purpose"} & sent.keys()
    assert sent["company"] == "Fake Bakery Pty Ltd"


async def test_renewed_at_their_age_and_kept_when_a_fetch_fails(at_valiant: Desk, http: httpx.AsyncClient) -> None:
    async with at_valiant.lanes(**QUICK, lists_seconds="0.4"):
        await support.eventually(lambda: whole(at_valiant))
        first = {each["name"]: each["fetchedAt"] for each in await shown(http)}
        assert set(first) == set(OPTION_NAMES)

        async def renewed() -> bool:
            return all(each["fetchedAt"] > first[each["name"]] for each in await shown(http))

        await support.eventually(renewed)
        dial(at_valiant, "valiant", kind="status", operation="options", status=404)

        async def failing() -> bool:
            return all(each.get("failures", 0) >= 2 for each in await shown(http))

        await support.eventually(failing)
        now = await shown(http)
        assert {each["reason"] for each in now} == {"status-404"}
        assert all(each["choices"] > 0 and each["ageSeconds"] >= 0 and each["nextFetchAt"] for each in now)
        assert await whole(at_valiant), "old lists stay in use"
        undial(at_valiant, "valiant")

        async def well() -> bool:
            return all("failures" not in each and "reason" not in each for each in await shown(http))

        await support.eventually(well)


async def test_a_restart_fetches_nothing_that_is_fresh(at_valiant: Desk) -> None:
    def calls() -> int:
        url = f"{at_valiant.sandbox.url}/_ledger/valiant/summary"
        return int(httpx.get(url, trust_env=False).json()["counts"]["calls"])

    async with at_valiant.lanes(**QUICK):
        await support.eventually(lambda: whole(at_valiant))
    before = calls()
    async with at_valiant.lanes(**QUICK):
        await asyncio.sleep(0.5)
    assert calls() == before


async def test_a_paused_partner_is_not_asked_and_a_wrong_key_pauses_it(
    at_valiant: Desk, http: httpx.AsyncClient
) -> None:
    dial(at_valiant, "valiant", kind="status", operation="options", status=401, times=1)
    async with at_valiant.lanes(**QUICK, credential_pause_seconds="1"):

        async def held() -> bool:
            (item,) = (await http.get("/v1/partners")).json()["items"]
            return any(each.get("reason") == "credential-refused" for each in item["pauses"])

        await support.eventually(held)
        await support.eventually(lambda: whole(at_valiant))


async def test_lists_of_an_account_that_ended_are_forgotten(at_valiant: Desk) -> None:
    async with at_valiant.lanes(**QUICK, lists_seconds="0.3"):
        await support.eventually(lambda: whole(at_valiant))
        open_accounts(at_valiant, VALIANT, options=WORDS, enabled=False)

        async def gone() -> bool:
            return await at_valiant.lists.fetched([ACCOUNT]) == {}

        await support.eventually(gone)


async def test_accounts_without_lists_show_none(desk: Desk, http: httpx.AsyncClient) -> None:
    assert await shown(http) == []
    assert [name for name, each in PARTNERS.items() if each.lists] == ["valiant"]
