"""Lists and search over HTTP: what other services say on real Kafka is found by whoever it belongs to."""

import uuid
from typing import Any

import httpx
from tests import make, support
from tests.gateway.process import Gateway, new_key
from tests.gateway.test_reads import Others, about, update

from lendrail.contracts.application_validated import ApplicationValidated, Eligible
from lendrail.contracts.terms import Status

CANARY = "Canarywitz"


async def test_what_is_said_on_kafka_is_found_by_its_owner(
    gateway: Gateway, caller: httpx.AsyncClient, kafka: str
) -> None:
    reference = {"system": "crm", "kind": "deal", "value": f"L-{uuid.uuid4()}"}
    body = make.application_json(externalReferences=[reference])
    application = str((await caller.post("/v1/applications", json=body, headers=new_key())).json()["applicationId"])
    here = {"reference": reference["value"]}
    page = (await caller.get("/v1/applications", params=here)).json()
    assert [each["status"] for each in page["items"]] == ["received"]
    others, opportunity, lead = Others(gateway, kafka), uuid.uuid4(), f"lead-{uuid.uuid4()}"
    validated = ApplicationValidated(
        **about(application),
        revision=1,
        received_at=make.NOW,
        application=make.application(),
        eligible=(Eligible(partner="forward-financing", credential=support.CREDENTIAL, opportunity_id=opportunity),),
    )
    await others.say(update(application, opportunity, 2, Status.APPROVED, partner_id=lead), validated)
    await others.client.close()

    async def approved() -> Any:
        return (await caller.get("/v1/applications", params=here | {"status": ["approved", "funded"]})).json()["items"]

    (item,) = await support.eventually(approved)
    assert (item["applicationId"], item["status"], item["mode"]) == (application, "approved", "test")
    assert (item["revision"], item["references"]) == (1, [reference])
    query = {"partnerId": lead, "partner": "forward-financing", "credential": support.CREDENTIAL}
    found = await caller.get("/v1/opportunities", params=query)
    (shown,) = found.json()["items"]
    assert (shown["opportunityId"], shown["applicationId"]) == (str(opportunity), application)
    assert (shown["kind"], shown["partnerId"], shown["status"]) == ("lender", lead, "approved")
    (of_application,) = (await caller.get(f"/v1/applications/{application}")).json()["opportunities"]
    assert (shown["source"], shown["observedAt"]) == (of_application["source"], of_application["observedAt"])
    assert 0 <= of_application["ageSeconds"] - shown["ageSeconds"] < 60
    assert found.headers["cache-control"] == "no-store"
    for kind in ("applications", "opportunities"):
        of_time = (await caller.get(f"/v1/{kind}", params=here | {"changedFrom": "2026-03-02T10:30:00Z"})).json()
        assert (len(of_time["items"]), "changedTo" in of_time) == (1, True)
        async with gateway.caller("other-upstream") as stranger:
            for params in ({}, here, query):
                assert (await stranger.get(f"/v1/{kind}", params=params)).json() == {"items": []}


async def test_a_bad_question_is_refused_with_what_to_change(caller: httpx.AsyncClient) -> None:
    for kind in ("applications", "opportunities"):
        answer = await caller.get(f"/v1/{kind}", params={"status": CANARY, CANARY: "x"})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
        assert {each["code"] for each in answer.json()["errors"]} == {"invalid", "unknown-parameter"}
        assert CANARY not in answer.text
        token = await caller.get(f"/v1/{kind}", params={"pageToken": CANARY})
        assert (token.status_code, token.json()["code"]) == (400, "page-token-invalid")
        live = await caller.get(f"/v1/{kind}", params={"mode": "live"})
        assert (live.status_code, live.json()["code"]) == (422, "mode-crossing")
    page = (await caller.get("/v1/applications", params={"pageSize": 1})).json()
    if "nextPageToken" in page:
        other = await caller.get("/v1/opportunities", params={"pageToken": page["nextPageToken"]})
        assert other.json()["code"] == "page-token-invalid"


async def test_lists_are_for_readers_only(gateway: Gateway, caller: httpx.AsyncClient) -> None:
    for kind in ("applications", "opportunities"):
        answer = await caller.get(f"/v1/{kind}", headers={"Authorization": "Bearer x"})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorised")


async def test_both_lists_and_their_filters_are_described(caller: httpx.AsyncClient) -> None:
    described = (await caller.get("/openapi.json")).json()
    for kind, page in (("applications", "ApplicationPage"), ("opportunities", "OpportunityPage")):
        operation = described["paths"][f"/v1/{kind}"]["get"]
        assert {"status", "partner", "credential", "partnerId", "reference", "system", "mode", "changedFrom"} <= {
            each["name"] for each in operation["parameters"]
        }
        answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
        assert answer == {"$ref": f"#/components/schemas/{page}"}
        assert page in described["components"]["schemas"]
