"""Operators pause and resume partners over HTTP, while the lanes of another process work."""

import asyncio
import datetime as dt
import json
import time
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from tests.submission.callers import CALLERS, as_
from tests.submission.desk import CREDENTIAL, PARTNER, Desk, credential

from lendrail.contracts.submit import Submit
from lendrail.runtime.directory import Credentials, Mounted
from lendrail.runtime.holds import Hold, Holds
from lendrail.runtime.mongo import Collection
from lendrail.runtime.partner_port import PartnerPort
from lendrail.submission.operators.actions import REASONS_KEY, Actions
from lendrail.submission.operators.pauses import Pauses, Pausing

pytestmark = pytest.mark.asyncio
REASON = "asked by Testa Fakely on 555-0100"


def order(what: str, key: str = "key-1", caller: str = "operator", partner: str = PARTNER, **body: Any) -> Any:
    headers = as_(caller) | {"Idempotency-Key": key}
    return {"url": f"/v1/partners/{partner}/{what}", "headers": headers, "json": {"reason": REASON} | body}


def state(desk: Desk) -> Collection:
    return desk.client[desk.settings.database_prefix + "partners"]["credentials"]


def port(desk: Desk) -> PartnerPort:
    return PartnerPort(state(desk), Mounted(desk.settings.credentials_file, Credentials), desk.vault)


async def account(http: httpx.AsyncClient, caller: str = "operator") -> dict[str, Any]:
    (item,) = (await http.get("/v1/partners", headers=as_(caller))).json()["items"]
    return dict(item)


async def untouched(desk: Desk, event: Submit) -> bool:
    """Whether nothing was tried or counted."""
    return all(each.tries == each.delays == each.unknowns == 0 for each in (await desk.opportunity(event)).attempts)


async def test_paused_work_waits_and_goes_on_within_a_second(desk: Desk, http: httpx.AsyncClient) -> None:
    async with desk.lanes():
        paused = await http.post(**order("pause"))
        assert (paused.status_code, paused.json()["paused"], paused.json()["credentials"]) == (200, True, [CREDENTIAL])
        await asyncio.sleep(0.25)
        calls = desk.sandbox.summary()["counts"]["calls"]
        events = [await desk.submit(b"fake sheet") for _ in range(5)]
        await asyncio.sleep(1)
        assert desk.sandbox.summary()["counts"]["calls"] == calls
        for event in events:
            assert await desk.states(event) == ["prepared", "planned"]
            assert await untouched(desk, event)
        assert (await account(http))["due"] == 5
        begun = time.monotonic()
        assert (await http.post(**order("resume", "key-2"))).json()["paused"] is False
        await desk.until(events[0], "acked", "acked")
        assert time.monotonic() - begun < 1.5
        for event in events:
            await desk.until(event, "acked", "acked")
            assert len((await desk.ledger(event))["leads"]) == 1
    assert (await account(http))["due"] == 0


async def test_work_under_way_is_held_before_its_next_call(desk: Desk, http: httpx.AsyncClient) -> None:
    desk.sandbox.dial(kind="delay", operation="lead", ms=500, when="before", times=1)
    async with desk.lanes():
        event = await desk.submit(b"fake sheet")
        await asyncio.sleep(0.2)
        await http.post(**order("pause"))
        await desk.until(event, "acked", "planned")
        await asyncio.sleep(0.5)
        assert (await desk.ledger(event))["attachments"] == []
        await http.post(**order("resume", "key-2"))
        await desk.until(event, "acked", "acked")


async def test_our_own_pause_that_ends_does_not_end_an_operators(desk: Desk, http: httpx.AsyncClient) -> None:
    ours = port(desk)
    await http.post(**order("pause"))
    await ours.pause(CREDENTIAL, "credential-refused", 0.3)
    shown = await account(http)
    assert [(each["by"], each["reason"]) for each in shown["pauses"]] == [
        ("operator", REASON),
        ("lendrail", "credential-refused"),
    ]
    assert (shown["pauses"][0]["who"], "until" in shown["pauses"][0], "until" in shown["pauses"][1]) == (
        "demo-operator", False, True,
    )  # fmt: skip
    await asyncio.sleep(0.5)
    assert await ours.paused() == {CREDENTIAL: "operator"}
    assert [each["by"] for each in (await account(http))["pauses"]] == ["operator"]


async def test_an_operator_who_resumes_does_not_end_our_own_pause(desk: Desk, http: httpx.AsyncClient) -> None:
    ours = port(desk)
    await ours.pause(CREDENTIAL, "retry-later", 30)
    await http.post(**order("pause"))
    await http.post(**order("resume", "key-2"))
    await asyncio.sleep(0.25)
    assert await ours.paused() == {CREDENTIAL: "retry-later"}


async def test_a_pause_for_minutes_ends_by_itself(desk: Desk, http: httpx.AsyncClient) -> None:
    answer = (await http.post(**order("pause", minutes=10))).json()
    length = dt.datetime.fromisoformat(answer["until"]) - dt.datetime.fromisoformat(answer["at"])
    assert length == dt.timedelta(minutes=10)
    assert (await account(http))["pauses"][0]["until"] == answer["until"]
    assert await port(desk).paused() == {CREDENTIAL: "operator"}
    over = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)
    await state(desk).update_one({"_id": CREDENTIAL}, {"$set": {"hold.until": over}})
    assert await port(desk).paused() == {}
    assert (await account(http))["pauses"] == []


async def test_a_repeated_request_undoes_nothing_that_was_said_since(desk: Desk, http: httpx.AsyncClient) -> None:
    first = await http.post(**order("pause", minutes=5))
    await http.post(**order("resume", "key-2"))
    again = await http.post(**order("pause", minutes=5))
    assert (again.status_code, again.json()) == (200, first.json())
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")
    assert await port(desk).paused() == {}
    for other in (order("pause", minutes=6), order("resume"), order("pause", minutes=5, reason="another")):
        refused = await http.post(**other)
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency-key-reused")
    assert await port(desk).paused() == {}


async def test_the_same_request_at_the_same_moment_is_one_record(desk: Desk, http: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(http.post(**order("pause")) for _ in range(8)))
    assert len({each.text for each in answers}) == 1
    assert await actions(desk).count_documents({}) == 1


def actions(desk: Desk) -> Collection:
    return desk.client[desk.settings.database_prefix + "submission"]["operator_actions"]


async def test_who_what_and_why_are_recorded_and_the_reason_is_sealed(desk: Desk, http: httpx.AsyncClient) -> None:
    await http.post(**order("pause", minutes=5))
    await http.post(**order("resume", "key-2"))
    records = [each async for each in actions(desk).find().sort("at", 1)]
    assert [(each["who"], each["what"], each["partner"], each["credentials"]) for each in records] == [
        ("demo-operator", what, PARTNER, [CREDENTIAL]) for what in ("pause", "resume")
    ]
    key = await desk.vault.get(REASONS_KEY)
    assert [key.open(each["why"]) for each in records] == [REASON, REASON]
    stored = repr(records) + repr([each async for each in state(desk).find()])
    assert "Fakely" not in stored


class NoHolds(Holds):
    """Dies before the effect."""

    async def hold(self, credentials: Sequence[str], word: Hold) -> None:
        raise ConnectionError


async def test_the_record_comes_before_the_effect_and_a_repeat_completes_it(
    desk: Desk, http: httpx.AsyncClient
) -> None:
    pauses = Pauses(Actions(actions(desk), desk.vault), NoHolds(state(desk)), desk.mounted[0])
    told = Pausing.model_validate({"reason": REASON})
    with pytest.raises(ConnectionError):
        await pauses.carry_out(CALLERS["operator"], "pause", PARTNER, told, "key-1", "r-1")
    assert await actions(desk).count_documents({"what": "pause"}) == 1
    assert await port(desk).paused() == {}
    again = await http.post(**order("pause"))
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    assert await port(desk).paused() == {CREDENTIAL: "operator"}


async def test_the_platform_pauses_a_partner_for_all_and_only_the_platform_resumes_it(
    desk: Desk, http: httpx.AsyncClient
) -> None:
    paused = await http.post(**order("pause", caller="platform", allTenants=True))
    assert (paused.status_code, paused.json()["allTenants"], "credentials" in paused.json()) == (200, True, False)
    await http.post(**order("resume", "key-2"))
    assert await port(desk).paused() == {CREDENTIAL: "operator"}
    (pause,) = (await account(http))["pauses"]
    assert (pause["by"], "reason" in pause, "who" in pause) == ("platform", False, False)
    desk.credentials(credential(desk.sandbox.api), credential(desk.sandbox.api, id="new", tenant="another"))
    assert await port(desk).paused() == {CREDENTIAL: "operator", "new": "operator"}
    await http.post(**order("resume", "key-3", caller="platform", allTenants=True))
    assert await port(desk).paused() == {}


@pytest.mark.parametrize(
    ("caller", "body", "status"),
    [
        ("reader", {}, 403),
        ("operator", {"allTenants": True}, 403),
        ("stranger", {}, 404),
        ("live", {}, 404),
        ("platform", {}, 404),
        ("nobody", {}, 401),
    ],
)
async def test_who_may(desk: Desk, http: httpx.AsyncClient, caller: str, body: dict[str, Any], status: int) -> None:
    assert (await http.post(**order("pause", caller=caller, **body))).status_code == status
    assert await port(desk).paused() == {}
    assert await actions(desk).count_documents({}) == 0


async def test_strangers_and_the_other_mode_see_nothing(desk: Desk, http: httpx.AsyncClient) -> None:
    for caller in ("stranger", "live"):
        assert (await http.get("/v1/partners", headers=as_(caller))).json() == {"items": []}
    assert (await http.get("/v1/partners", headers=as_("reader"))).status_code == 403


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"reason": ""}, ["/reason"]),
        ({"minutes": 0}, ["/minutes"]),
        ({"minutes": "5"}, ["/minutes"]),
        ({"minutes": 1.5}, ["/minutes"]),
        ({"minutes": 10_000_000}, ["/minutes"]),
        ({"allTenants": "yes", "Fakely": "Fakely"}, ["/allTenants", "/Fakely"]),
    ],
)
async def test_body_is_strict_and_never_quoted(
    desk: Desk, http: httpx.AsyncClient, body: dict[str, Any], pointers: list[str]
) -> None:
    answer = await http.post(**order("pause", **body))
    assert answer.status_code == 422
    assert [each["pointer"] for each in answer.json()["errors"]] == pointers
    assert "Testa" not in answer.text


async def test_unknown_partners_and_missing_keys(desk: Desk, http: httpx.AsyncClient) -> None:
    answer = await http.post(**order("pause", partner="Fakely-Finance"))
    assert (answer.status_code, "Fakely" in answer.text) == (404, False)
    answer = await http.post(**order("pause") | {"headers": as_("operator")})
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency-key-missing")
    assert (await http.post(**order("resume", minutes=5))).status_code == 422


async def test_accounts_show_breakers_budget_and_what_waits(desk: Desk, http: httpx.AsyncClient) -> None:
    ours = port(desk)
    for _ in range(5):
        await ours.failed(CREDENTIAL, "create")
    await ours.failed(CREDENTIAL, "read")
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30)
    await state(desk).update_one({"_id": CREDENTIAL}, {"$set": {"next": soon}})
    now, later = [await desk.submit(), await desk.submit()], await desk.submit()
    await desk.store.collection.update_one({"_id": str(later.opportunity_id)}, {"$set": {"due": soon}})
    shown = await account(http)
    fixed = ("partner", "title", "kind", "credential", "mode", "enabled", "pauses", "due", "scheduled")
    assert {name: shown[name] for name in fixed} == {
        "partner": PARTNER, "title": "Forward Financing", "kind": "lender", "credential": CREDENTIAL, "mode": "test",
        "enabled": True, "pauses": [], "due": len(now), "scheduled": 1,
    }  # fmt: skip
    assert abs(dt.datetime.fromisoformat(shown["nextStartAt"]) - soon) < dt.timedelta(milliseconds=1)
    operations = {each.pop("operation"): each for each in shown["operations"]}
    assert (operations["create"]["state"], operations["create"]["failures"]) == ("open", 5)
    assert dt.datetime.fromisoformat(operations["create"]["until"]) > dt.datetime.now(dt.UTC)
    assert (operations["read"]["state"], operations["read"]["failures"]) == ("closed", 1)
    assert operations["document"] == {"state": "closed"}
    assert "classic-test-key" not in json.dumps(shown)
