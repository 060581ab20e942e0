"""Each dial, as a client sees it and as the ledger remembers it."""

import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.sandbox.process import KEY, Sandbox, lead, listening, wait_for


def outcome_of(sandbox: Sandbox, reference: str) -> list[tuple[int, str, int | None]]:
    return [(call["status"], call["reply"], call["answered"]) for call in sandbox.ledger(reference)["calls"]]


def test_a_dropped_reply_was_recorded(sandbox: Sandbox) -> None:
    sandbox.dial(kind="drop_reply", operation="lead", reference="dropped", times=1)
    with sandbox.client() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            client.post("/lead", json=lead("dropped"))
        again = client.post("/lead", json=lead("dropped"))
    assert again.json() == {"message": "Reference ID is not unique."}
    assert len(sandbox.ledger("dropped")["leads"]) == 1
    assert outcome_of(sandbox, "dropped") == [(201, "dropped", None), (422, "sent", 422)]


def test_a_refused_call_was_not_recorded(sandbox: Sandbox) -> None:
    sandbox.dial(kind="refuse", reference="refused", times=2)
    with sandbox.client() as client:
        for _ in range(2):
            with pytest.raises(httpx.RemoteProtocolError):
                client.post("/lead", json=lead("refused"))
        sandbox.lead(client, "refused")
    assert outcome_of(sandbox, "refused") == [(0, "refused", None)] * 2 + [(201, "sent", 201)]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_status_codes(sandbox: Sandbox, status: int) -> None:
    reference = f"status {status}"
    sandbox.dial(kind="status", status=status, retryAfter=2, reference=reference, times=1)
    with sandbox.client() as client:
        refused = client.post("/lead", json=lead(reference))
        sandbox.lead(client, reference)
    assert (refused.status_code, refused.headers["retry-after"]) == (status, "2")
    assert outcome_of(sandbox, reference) == [(0, "status", status), (201, "sent", 201)]


def test_a_server_error_can_hide_a_recorded_lead(sandbox: Sandbox) -> None:
    sandbox.dial(kind="status", status=502, recorded=True, reference="hidden")
    with sandbox.client() as client:
        assert client.post("/lead", json=lead("hidden")).status_code == 502
    assert len(sandbox.ledger("hidden")["leads"]) == 1


def test_garbled_replies(sandbox: Sandbox) -> None:
    sandbox.dial(kind="html", reference="html")
    sandbox.dial(kind="truncated", reference="truncated")
    sandbox.dial(kind="empty_422", reference="empty", times=1)
    with sandbox.client() as client:
        html = client.post("/lead", json=lead("html"))
        truncated = client.post("/lead", json=lead("truncated"))
        empty = client.post("/lead", json=lead("empty"))
    assert (html.status_code, html.headers["content-type"].split(";")[0]) == (200, "text/html")
    assert (truncated.status_code, truncated.headers["content-type"]) == (201, "application/json")
    with pytest.raises(ValueError):
        truncated.json()
    assert (empty.status_code, empty.content) == (422, b"")
    assert [len(sandbox.ledger(name)["leads"]) for name in ("html", "truncated", "empty")] == [1, 1, 0]


def test_delays_before_and_after_recording(sandbox: Sandbox) -> None:
    sandbox.dial(kind="delay", ms=400, when="after", reference="late reply")
    sandbox.dial(kind="delay", ms=400, when="before", reference="late start")
    with sandbox.client(), httpx.Client(headers=KEY, trust_env=False, timeout=0.2) as hasty:
        for reference in ("late reply", "late start"):
            with pytest.raises(httpx.ReadTimeout):
                hasty.post(f"{sandbox.api}/lead", json=lead(reference))
        assert len(sandbox.ledger("late reply")["leads"]) == 1
        assert len(wait_for(lambda: sandbox.ledger("late start")["leads"])) == 1, (
            "the client gave up, the partner did not"
        )


def test_an_outcome_for_one_application(sandbox: Sandbox) -> None:
    sandbox.dial(kind="outcome", outcome="approve")
    sandbox.dial(kind="outcome", outcome="decline", reference="chosen", drivers=["Fraud", "Default history"])
    sandbox.dial(kind="outcome", outcome="missing", then="decline", reference="twice", missingInfo="a form")
    sandbox.dial(kind="outcome", outcome="working", stage="Underwriting Review", reference="strange")
    with sandbox.client() as client:
        declined = sandbox.until_stage(client, sandbox.lead(client, "chosen"), "Declined")
        sandbox.until_stage(client, sandbox.lead(client, "strange"), "Underwriting Review")
        twice = sandbox.lead(client, "twice")
        assert sandbox.until_stage(client, twice, "File Missing Info")["missing_info"] == "a form"
        client.post("/attachment", params={"filename": "a.pdf", "lead_id": twice}, content=b"x")
        sandbox.until_stage(client, twice, "Declined")
        sandbox.until_stage(client, sandbox.lead(client, "any other", capital="1001"), "Approval Sent")
    assert declined["decline_drivers"] == "Fraud;Default history"


def test_a_decision_can_take_its_time(sandbox: Sandbox) -> None:
    sandbox.dial(kind="decision_delay", ms=300, reference="slow")
    with sandbox.client() as client:
        lead_id = sandbox.lead(client, "slow")
        assert client.get(f"/deal_status/{lead_id}").json() == {"stage": "Working"}
        sandbox.until_stage(client, lead_id, "Approval Sent")
    kept = sandbox.ledger("slow")
    assert kept["decisions"][0]["monotonic"] - kept["leads"][0]["monotonic"] > 0.28


def test_the_pace_can_be_enforced_or_only_counted(sandbox: Sandbox) -> None:
    before = sandbox.summary()["rateViolations"]
    dial = sandbox.dial(kind="rate", enforce=True)
    with sandbox.client() as client:
        codes = [client.get("/deal_status/x").status_code for _ in range(3)]
        httpx.delete(f"{sandbox.url}/_dials/forward-financing/{dial}", trust_env=False)
        sandbox.dial(kind="rate", enforce=False)
        counted = [client.get("/deal_status/x").status_code for _ in range(2)]
    assert codes == [404, 429, 429]
    assert counted == [404, 404]
    assert sandbox.summary()["rateViolations"] == before + 4


async def test_webhooks_lost_duplicated_late_and_early(sandbox: Sandbox) -> None:
    async with listening() as receiver, httpx.AsyncClient(base_url=sandbox.api, headers=KEY, trust_env=False) as client:
        assert (await client.post("/webhook", json={"webhook_url": receiver.url})).json() == {"success": True}
        sandbox.dial(kind="webhook_lost", reference="lost")
        sandbox.dial(kind="webhook_duplicated", reference="duplicated", copies=3)
        sandbox.dial(kind="webhook_late", reference="late", ms=400)
        sandbox.dial(kind="webhook_early", reference="early")
        sandbox.dial(kind="outcome", outcome="decline", reference="late")
        ids = {}
        for reference in ("lost", "duplicated", "late"):
            ids[(await client.post("/lead", json=lead(reference))).json()["id"]] = reference
        await receiver.until(4)
        early = (await client.post("/lead", json=lead("early"))).json()["id"]
        assert receiver.received[-1][1] == {"lead_id": early, "event_type": "Approved"}, "it came before the reply"
    seen = [(ids[body["lead_id"]], body["event_type"]) for _, body in receiver.received[:4]]
    assert seen == [("duplicated", "Approved")] * 3 + [("late", "Declined")]
    kept = sandbox.ledger("late")
    assert receiver.received[3][0] - kept["decisions"][0]["monotonic"] > 0.38
    assert sandbox.ledger("lost")["webhooks"] == []
    assert [item["status"] for item in sandbox.ledger("duplicated")["webhooks"]] == [200] * 3


def test_plain_http_is_refused_when_tls_is_required(tmp_path: Path) -> None:
    own = Sandbox(tmp_path, tls=True).start()
    try:
        own.dial(kind="require_tls")
        secure = f"https://127.0.0.1:{own.tls_port}/forward-financing/v1"
        trust = ssl.create_default_context(cafile=tmp_path / "ledger" / "tls-cert.pem")
        assert httpx.post(f"{own.api}/lead", headers=KEY, json=lead("plain"), trust_env=False).status_code == 403
        with httpx.Client(verify=trust, headers=KEY, trust_env=False) as client:
            assert client.post(f"{secure}/lead", json=lead("secure")).status_code == 201
            own.dial(kind="drop_reply")
            with pytest.raises(httpx.RemoteProtocolError):
                client.post(f"{secure}/lead", json=lead("secure and dropped"))
        assert own.summary()["counts"]["leads"] == 2
    finally:
        own.stop()


@pytest.mark.parametrize("dial", [
    {}, {"kind": "unknown"}, {"kind": "status", "status": 200}, {"kind": "delay"}, {"kind": "refuse", "times": 0},
    {"kind": "refuse", "operation": "no-such-operation"}, {"kind": "refuse", "misspelt": 1},
    {"kind": "refuse", "probability": 2}, {"dials": [{"kind": "refuse"}, {"kind": "unknown"}]}, {"dials": "refuse"},
])  # fmt: skip
def test_a_wrong_dial_is_refused_whole(sandbox: Sandbox, dial: dict[str, Any]) -> None:
    page = f"{sandbox.url}/_dials/forward-financing"
    assert httpx.post(page, json=dial, trust_env=False).status_code == 422
    assert httpx.get(page, trust_env=False).json() == {"dials": []}


def test_dials_outlive_a_kill(own: Sandbox) -> None:
    own.dial(kind="refuse", reference="r", times=3)
    own.dial(kind="status", status=503, operation="webhook")
    gone = own.dial(kind="html")
    httpx.delete(f"{own.url}/_dials/forward-financing/{gone}", trust_env=False)
    with own.client() as client, pytest.raises(httpx.RemoteProtocolError):
        client.post("/lead", json=lead("r"))
    page = f"{own.url}/_dials/forward-financing"
    before = httpx.get(page, trust_env=False).json()
    own.kill()
    own.start()
    after = httpx.get(page, trust_env=False).json()
    assert after == before
    assert {dial["kind"]: dial["timesLeft"] for dial in after["dials"]} == {"refuse": 2, "status": None}


def test_chance_strikes_some_calls_and_not_others(sandbox: Sandbox) -> None:
    sandbox.dial(kind="status", status=500, operation="deal_status", probability=0.5)
    with sandbox.client() as client:
        codes = {client.get("/deal_status/x").status_code for _ in range(60)}
        assert client.post("/webhook", json={}).status_code == 422, "another operation is out of scope"
    assert codes == {404, 500}


def test_the_latest_dial_of_a_kind_wins_and_a_reference_wins_over_it(sandbox: Sandbox) -> None:
    sandbox.dial(kind="status", status=500, reference="named")
    sandbox.dial(kind="status", status=501)
    sandbox.dial(kind="status", status=502)
    with sandbox.client() as client:
        assert client.post("/lead", json=lead("named")).status_code == 500
        assert client.post("/lead", json=lead("unnamed")).status_code == 502
