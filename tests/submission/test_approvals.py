"""Live credentials, approved and not, while the lanes of a real service work beside a real sandbox behind TLS.

The partner's own ledger is the judge of whether anything was sent.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests import make
from tests.sandbox.process import Sandbox
from tests.submission.desk import CREDENTIAL, PARTNER, TENANT, Desk, Shelf, credential, submit
from tests.support import eventually

from lendrail.contracts.submit import Send, Submit
from lendrail.runtime.approvals import Approval, Approvals
from lendrail.runtime.directory import Credential, Credentials, Mounted
from lendrail.runtime.mongo import Collection
from lendrail.runtime.partner_port import PartnerPort, Paused
from lendrail.runtime.tokens import Caller, Unauthorised
from lendrail.submission.app import build
from lendrail.submission.operators.actions import REASONS_KEY, Actions
from lendrail.submission.operators.approving import Approvers, Approving
from lendrail.submission.operators.pauses import Pauses
from lendrail.submission.settings import Settings

pytestmark = pytest.mark.asyncio
REASON = "agreed with Testa Fakely on 555-0100"
CALLERS = {
    "approver": Caller(TENANT, "demo-approver", "live", frozenset({"approver"})),
    "operator": Caller(TENANT, "demo-operator", "live", frozenset({"operator", "platform"})),
    "stranger": Caller("another", "stranger", "live", frozenset({"approver"})),
    "test": Caller(TENANT, "demo-approver", "test", frozenset({"approver"})),
    "test-operator": Caller(TENANT, "demo-operator", "test", frozenset({"operator"})),
}
WAITING = ("planned", "prepared")
OAUTH = {"scheme": "oauth-password", "username": "iso@example.test", "password": "not-a-secret"}


class Verifier:
    """Knows its callers by name; signatures have their own tests."""

    async def caller(self, authorization: str | None) -> Caller:
        name = (authorization or "").removeprefix("Bearer ")
        if name not in CALLERS:
            raise Unauthorised("unknown")
        return CALLERS[name]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One sandbox behind TLS, whose certificate this process and those it starts trust."""
    running = Sandbox(tmp_path_factory.mktemp("sandbox"), tls=True).start()
    before = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = str(running.folder / "ledger" / "tls-cert.pem")
    yield running
    if before is None:
        del os.environ["SSL_CERT_FILE"]
    else:
        os.environ["SSL_CERT_FILE"] = before
    running.stop()


def secure(sandbox: Sandbox, path: str = "/forward-financing/v1") -> str:
    return f"https://127.0.0.1:{sandbox.tls_port}{path}"


def live(desk: Desk, base_url: str | None = None, **changes: Any) -> dict[str, Any]:
    return credential(base_url or secure(desk.sandbox), mode="live", **changes)


@pytest.fixture
async def desk(
    tmp_path: Path, mongo: str, database_prefix: str, shared: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Desk]:
    """A live account with a live credential that nobody has approved."""
    monkeypatch.setattr("os.environ", dict(__import__("os").environ))
    shared.reset()
    async with Shelf().open() as shelf:
        made = Desk(tmp_path, mongo, database_prefix, shared, shelf)
        made.tenants(mode="live", options={"revision": "classic", "attachments": "raw", "vocabulary": "classic"})
        made.credentials(live(made))
        await made.store.prepare()
        yield made
        for name in ("submission", "partners", "keys"):
            await made.client.drop_database(database_prefix + name)
        await made.client.close()
    shared.reset()


@pytest.fixture
async def http(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    _, app = build(Settings(), Verifier(), publisher=desk.heard, client=desk.client)  # type: ignore[arg-type]
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def as_(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {name}"}


def order(
    what: str = "approve", key: str = "key-1", caller: str = "approver", partner: str = PARTNER, **body: Any
) -> Any:
    headers = as_(caller) | {"Idempotency-Key": key}
    return {"url": f"/v1/partners/{partner}/{what}", "headers": headers, "json": {"reason": REASON} | body}


async def submitted(desk: Desk) -> Submit:
    event = submit(mode="live", intent=Send(application=make.application(mode="live")))
    await desk.hear(event)
    return event


def state(desk: Desk) -> Collection:
    return desk.client[desk.settings.database_prefix + "partners"]["credentials"]


def actions(desk: Desk) -> Collection:
    return desk.client[desk.settings.database_prefix + "submission"]["operator_actions"]


def port(desk: Desk) -> PartnerPort:
    return PartnerPort(state(desk), Mounted(desk.settings.credentials_file, Credentials), desk.vault)


async def account(http: httpx.AsyncClient) -> dict[str, Any]:
    (item,) = (await http.get("/v1/partners", headers=as_("operator"))).json()["items"]
    return dict(item)


def calls(desk: Desk) -> int:
    return int(desk.sandbox.summary()["counts"]["calls"])


async def waits(desk: Desk, *events: Submit) -> bool:
    """Whether these were never tried nor counted, half a second and several looks later."""
    await asyncio.sleep(0.6)
    attempts = [each for event in events for each in (await desk.opportunity(event)).attempts]
    return all(e.state in WAITING and not (e.tries or e.delays or e.unknowns) for e in attempts)


async def test_live_work_waits_for_its_approval_and_then_goes_by_itself(desk: Desk, http: httpx.AsyncClient) -> None:
    before = calls(desk)
    async with desk.lanes():
        events = [await submitted(desk) for _ in range(3)]
        assert await waits(desk, *events)
        assert calls(desk) == before
        shown = await account(http)
        assert shown["pauses"] == [{"by": "lendrail", "reason": "approval-missing"}]
        assert shown["approval"] == {"state": "missing", "address": secure(desk.sandbox)}
        assert shown["due"] == 3
        answer = await http.post(**order())
        assert (answer.status_code, answer.json()["approved"], answer.json()["credentials"]) == (
            200,
            True,
            [CREDENTIAL],
        )
        for event in events:
            await desk.until(event, "acked", seconds=3)
            assert len((await desk.ledger(event))["leads"]) == 1
    shown = await account(http)
    assert shown["pauses"] == []
    told = shown["approval"]
    assert (told["state"], told["who"], told["reason"]) == ("approved", "demo-approver", REASON)


async def test_test_credentials_need_none(desk: Desk, http: httpx.AsyncClient) -> None:
    desk.tenants(mode="test")
    desk.credentials(credential(desk.sandbox.api))
    async with desk.lanes():
        await desk.until(await desk.submit(), "acked")
    (shown,) = (await http.get("/v1/partners", headers=as_("test-operator"))).json()["items"]
    assert (shown["pauses"], "approval" in shown) == ([], False)
    answer = await http.post(**order(caller="test"))
    assert (answer.status_code, answer.json()["code"]) == (409, "approval-not-needed")
    assert await actions(desk).count_documents({}) == 0


async def test_no_token_is_asked_for_before(desk: Desk, http: httpx.AsyncClient) -> None:
    """Signing in sends secrets there too."""
    token_url = secure(desk.sandbox, "/forward-financing/application/o/token/")
    desk.credentials(live(desk, auth=OAUTH | {"tokenUrl": token_url}))
    before = calls(desk)
    async with desk.lanes():
        event = await submitted(desk)
        assert await waits(desk, event)
        assert calls(desk) == before
        assert (await http.post(**order())).status_code == 200
        await eventually_called(desk, before)
        assert "token" in {each["operation"] for each in desk.sandbox.ledger()["calls"]}


async def eventually_called(desk: Desk, before: int) -> None:
    async def called() -> bool:
        return calls(desk) > before

    await eventually(called, 5)


async def test_revoking_holds_what_comes_then_and_another_approval_lets_it_go(
    desk: Desk, http: httpx.AsyncClient
) -> None:
    async with desk.lanes():
        await http.post(**order())
        await desk.until(await submitted(desk), "acked")
        answer = await http.post(**order("revoke-approval", "key-2"))
        assert (answer.status_code, answer.json()["approved"]) == (200, False)
        await asyncio.sleep(0.25)
        before = calls(desk)
        event = await submitted(desk)
        assert await waits(desk, event)
        assert calls(desk) == before
        assert (await account(http))["approval"]["state"] == "revoked"
        await http.post(**order(key="key-3"))
        await desk.until(event, "acked", seconds=3)


async def test_another_address_needs_another_approval_and_new_secrets_do_not(
    desk: Desk, http: httpx.AsyncClient
) -> None:
    first = await http.post(**order())
    async with desk.lanes():
        await desk.until(await submitted(desk), "acked")
        desk.credentials(live(desk, auth={"scheme": "api-key", "key": "paced-test-key"}))
        rotated = await submitted(desk)
        await desk.until(rotated, "acked")
        assert (await desk.ledger(rotated))["leads"][0]["user"] == "paced"
        moved = secure(desk.sandbox).replace("127.0.0.1", "localhost")
        desk.credentials(live(desk, moved))
        await asyncio.sleep(0.25)
        before = calls(desk)
        event = await submitted(desk)
        assert await waits(desk, event)
        assert calls(desk) == before
        shown = await account(http)
        assert shown["pauses"] == [{"by": "lendrail", "reason": "approval-missing"}]
        assert (shown["approval"]["state"], shown["approval"]["address"]) == ("moved", moved)
        again = await http.post(**order())
        assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
        assert await waits(desk, event), "a repeat approves no more than it did the first time"
        await http.post(**order(key="key-2"))
        await desk.until(event, "acked", seconds=3)


@pytest.mark.parametrize(
    "changes",
    [
        {"base_url": "https://elsewhere.example.test"},
        {"auth": {"scheme": "oauth-client", "tokenUrl": "https://elsewhere.example.test/token"}},
        {"partner": "finpace"},
        {"tenant": "another"},
        {"mode": "test"},
        {"id": "other"},
    ],
)
async def test_what_an_approval_is_bound_to(desk: Desk, changes: dict[str, Any]) -> None:
    one = live(desk, auth={"scheme": "oauth-client", "tokenUrl": "https://a.example.test", "clientSecret": "a"})
    place = Credential.model_validate(one).place
    changes = {"baseUrl" if name == "base_url" else name: value for name, value in changes.items()}
    assert Credential.model_validate(one | changes).place != place
    rotated = one["auth"] | {"clientSecret": "b", "clientId": "c"}
    assert Credential.model_validate(one | {"auth": rotated, "rate": {"requests": 1, "seconds": 1}}).place == place


async def test_a_port_asks_for_the_very_credential_that_it_hands_out(desk: Desk, http: httpx.AsyncClient) -> None:
    """Also when the file changed since the last look, and whatever the call is for."""
    await http.post(**order())
    ours = port(desk)
    for kind in ("submission", "hint", "poll"):
        async with ours.call(CREDENTIAL, kind):
            pass
    desk.credentials(live(desk, "https://elsewhere.example.test"))
    for kind, operation in (("submission", "create"), ("hint", "read"), ("poll", "read"), ("submission", "")):
        with pytest.raises(Paused):
            async with ours.call(CREDENTIAL, kind, operation):  # type: ignore[arg-type]
                pass


async def test_a_pause_of_an_approved_credential_still_holds(desk: Desk, http: httpx.AsyncClient) -> None:
    ours = port(desk)
    await http.post(**order())
    await ours.pause(CREDENTIAL, "retry-later", 30)
    await asyncio.sleep(0.25)
    assert await ours.paused() == {CREDENTIAL: "retry-later"}


async def test_repeats_are_one_record_and_another_request_is_refused(desk: Desk, http: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(http.post(**order()) for _ in range(6)))
    assert len({each.text for each in answers}) == 1
    assert await actions(desk).count_documents({}) == 1
    for other in (order("revoke-approval"), order(reason="another"), order(credential=CREDENTIAL)):
        refused = await http.post(**other)
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency-key-reused")
    await http.post(**order("revoke-approval", "key-2"))
    assert (await http.post(**order())).json()["approved"] is True, "the first answer"
    await asyncio.sleep(0.25)
    assert await port(desk).paused() == {CREDENTIAL: "approval-missing"}, "and no effect: something was said since"


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"caller": "operator"}, 403, "forbidden"),
        ({"caller": "nobody"}, 401, "unauthorised"),
        ({"caller": "stranger"}, 404, "not-found"),
        ({"caller": "test"}, 404, "not-found"),
        ({"partner": "Fakely-Finance"}, 404, "not-found"),
        ({"credential": "Fakely"}, 404, "not-found"),
        ({"reason": ""}, 422, "invalid-request"),
        ({"credential": 7}, 422, "invalid-request"),
        ({"allTenants": True}, 422, "invalid-request"),
    ],
)
@pytest.mark.parametrize("what", ["approve", "revoke-approval"])
async def test_who_may_and_what_is_refused(
    desk: Desk, http: httpx.AsyncClient, what: str, changes: dict[str, Any], status: int, code: str
) -> None:
    answer = await http.post(**order(what, **changes))
    assert (answer.status_code, answer.json()["code"], "Fakely" in answer.text) == (status, code, False)
    assert await actions(desk).count_documents({}) == 0
    assert await port(desk).paused() == {CREDENTIAL: "approval-missing"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"baseUrl": "http://127.0.0.1:1"}, "mode-crossing"),
        ({"mode": "test"}, "mode-crossing"),
        ({"tenant": "another"}, "not-configured"),
        ({"partner": "finpace"}, "not-configured"),
        ({"id": "other"}, "not-configured"),
    ],
)
async def test_what_could_not_go_anyway_is_not_approved(
    desk: Desk, http: httpx.AsyncClient, changes: dict[str, Any], code: str
) -> None:
    desk.credentials(live(desk) | changes)
    answer = await http.post(**order())
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert await actions(desk).count_documents({}) == 0


async def test_plain_http_stays_refused_whatever_was_approved(desk: Desk) -> None:
    plain = credential(desk.sandbox.api, mode="live")
    desk.credentials(plain)
    await Approvals(state(desk)).say(CREDENTIAL, word(Credential.model_validate(plain).place))
    before = calls(desk)
    async with desk.lanes():
        event = await submitted(desk)
        await asyncio.sleep(0.6)
    assert await desk.outcomes(event) == ["not-sent"]
    assert calls(desk) == before


def word(place: str) -> Approval:
    at = make.NOW
    return Approval(action="a", at=at, approved=True, place=place, by="demo-approver", reason="sealed")


async def test_only_the_named_credential_is_approved(desk: Desk, http: httpx.AsyncClient) -> None:
    second(desk)
    assert (await http.post(**order(credential="second"))).json()["credentials"] == ["second"]
    assert await port(desk).paused() == {CREDENTIAL: "approval-missing"}
    assert (await http.post(**order(key="key-2"))).json()["credentials"] == [CREDENTIAL, "second"]
    await asyncio.sleep(0.25)
    assert await port(desk).paused() == {}


def second(desk: Desk) -> None:
    """Another live account at the same partner."""
    tenants = json.loads(desk.settings.tenants_file.read_text())
    (mine,) = tenants["tenants"][0]["partners"]
    tenants["tenants"][0]["partners"] += [mine | {"credential": "second", "webhookPath": "b" * 40}]
    desk.settings.tenants_file.write_text(json.dumps(tenants))
    desk.credentials(live(desk), live(desk, id="second"))


async def test_who_what_and_why_are_recorded_and_audited(desk: Desk, http: httpx.AsyncClient) -> None:
    await http.post(**order() | {"headers": order()["headers"] | {"X-Request-Id": "request-7"}})
    await http.post(**order("revoke-approval", "key-2"))
    records = [each async for each in actions(desk).find().sort("at", 1)]
    place = Credential.model_validate(live(desk)).place
    assert [(each["who"], each["what"], each["subjects"]) for each in records] == [
        ("demo-approver", "approve", [{"credential": CREDENTIAL, "place": place}]),
        ("demo-approver", "revoke-approval", [{"credential": CREDENTIAL, "place": ""}]),
    ]
    entries = [each["audit"][0] for each in records]
    assert [(each["what"], each["of"], each["about"]) for each in entries] == [
        (what, f"partners/{PARTNER}", {"credentials": CREDENTIAL})
        for what in ("credential-approved", "approval-revoked")
    ]
    assert (entries[0]["request"], entries[0]["mode"]) == ("request-7", "live")
    key = await desk.vault.get(REASONS_KEY)
    assert [key.open(each["why"]) for each in records] == [REASON, REASON]
    stored = repr(records) + repr([each async for each in state(desk).find()])
    assert "Fakely" not in stored
    assert "https://" not in stored


class NoEffect(Approvals):
    """Dies before the effect."""

    async def say(self, credential: str, word: Approval) -> None:
        raise ConnectionError


async def test_the_record_comes_before_the_effect_and_a_repeat_completes_it(
    desk: Desk, http: httpx.AsyncClient
) -> None:
    recorded, tenants, mounted = Actions(actions(desk), desk.vault), *desk.mounted
    approvers = Approvers(recorded, NoEffect(state(desk)), Pauses(recorded, None, tenants), mounted)  # type: ignore[arg-type]
    told = Approving.model_validate({"reason": REASON})
    with pytest.raises(ConnectionError):
        await approvers.carry_out(CALLERS["approver"], "approve", PARTNER, told, "key-1", "r-1")
    assert await actions(desk).count_documents({"what": "approve"}) == 1
    assert await port(desk).paused() == {CREDENTIAL: "approval-missing"}
    again = await http.post(**order())
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    assert await port(desk).paused() == {}
