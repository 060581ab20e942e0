"""What other services say reaches the read model through real Kafka, sealed, and is revealed to its owner only."""

import datetime as dt
import json
import uuid
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer
from pymongo import AsyncMongoClient
from tests import make, support
from tests.gateway.process import Gateway, new_key

from lendrail.contracts.application_rejected import ApplicationRejected
from lendrail.contracts.application_validated import ApplicationValidated, Eligible
from lendrail.contracts.event import Event
from lendrail.contracts.sensitive import Sensitive, SensitiveText
from lendrail.contracts.status_updated import StatusUpdated
from lendrail.contracts.terms import FieldProblem, Offer, Status
from lendrail.runtime.settings import read_key
from lendrail.runtime.vault import LocalWrapper, Vault

LINK = "https://partner.example.test/offers/Canarywitz900000019"


class Others:
    """The other services: they know the data keys and speak on Kafka."""

    def __init__(self, gateway: Gateway, kafka: str) -> None:
        environment = gateway.environment
        self.client: AsyncMongoClient[Any] = AsyncMongoClient(environment["MONGO_URL"], tz_aware=True)
        keys = self.client[f"{environment['LENDRAIL_DATABASE_PREFIX']}keys"]["data_keys"]
        self.master = LocalWrapper(read_key(Path(environment["LENDRAIL_MASTER_KEY_FILE"])))
        self.vault = Vault(keys, self.master)
        self.kafka = kafka

    async def say(self, *events: Event) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self.kafka) as producer:
            for event in events:
                record = make.record(event, await self.vault.get(event.key_id), event.topic)
                await producer.send_and_wait(record.topic, record.value, key=record.key, headers=list(record.headers))


def about(application: str) -> dict[str, Any]:
    return {"application_id": uuid.UUID(application), "tenant_id": "demo", "mode": "test"}


def update(application: str, opportunity: uuid.UUID, version: int, status: Status, **more: Any) -> StatusUpdated:
    return StatusUpdated(
        **about(application),
        opportunity_id=opportunity,
        partner="forward-financing",
        credential=support.CREDENTIAL,
        state_version=version,
        status=status,
        source="fetch",
        observed_at=make.NOW + dt.timedelta(seconds=version),
        **more,
    )


async def made(caller: httpx.AsyncClient) -> str:
    answer = await caller.post("/v1/applications", json=make.application_json(), headers=new_key())
    return str(answer.json()["applicationId"])


async def test_the_way_of_an_application_is_shown_to_its_owner(
    gateway: Gateway, caller: httpx.AsyncClient, kafka: str, stored: Any
) -> None:
    application, opportunity = await made(caller), uuid.uuid4()
    others = Others(gateway, kafka)
    validated = ApplicationValidated(
        **about(application),
        revision=1,
        received_at=make.NOW,
        application=make.application(),
        eligible=(Eligible(partner="forward-financing", credential=support.CREDENTIAL, opportunity_id=opportunity),),
    )
    offer = Offer(id="base", action_link=Sensitive(LINK))
    approved = update(
        application,
        opportunity,
        2,
        Status.APPROVED,
        partner_words="Approved",
        partner_id="lead-7",
        offers=(offer,),
        missing_info=SensitiveText("Bank statements of Testa"),
        documents_sent=("summary.xlsx",),
    )
    await others.say(approved, update(application, opportunity, 1, Status.SUBMITTED), validated, approved)

    async def complete() -> Any:
        shown = (await caller.get(f"/v1/applications/{application}")).json()
        return shown if len(shown["timeline"]) == 4 else None

    shown = await support.eventually(complete)
    (seen,) = shown["opportunities"]
    assert (shown["status"], seen["status"], seen["partnerId"]) == ("approved", "approved", "lead-7")
    handed_over = f"/v1/opportunities/{opportunity}/offers/base/link"
    assert (seen["offers"], seen["missingInfo"]) == (
        [{"id": "base", "fees": [], "details": {}, "conditions": [], "linkPath": handed_over}],
        "Bank statements of Testa",
    )
    assert LINK not in json.dumps(shown)
    assert seen["documentsSent"] == ["summary.xlsx"]
    services = {entry["service"] for entry in shown["timeline"]}
    assert services == {"gateway", "application-validated", "status-updated"}
    facts = [fact async for fact in stored["facts"].find({"application": application})]
    assert len(facts) == 3
    assert LINK not in json.dumps(facts, default=str)
    assert "Fakely" not in json.dumps(facts, default=str)
    assert LINK not in gateway.log.read_text()
    async with gateway.caller("other-upstream") as other:
        assert (await other.get(f"/v1/applications/{application}")).status_code == 404

    await others.vault.erase(application)
    gone = await caller.get(f"/v1/applications/{application}")
    assert (gone.status_code, gone.json()["status"]) == (200, "erased")
    listed = (await caller.get("/v1/applications", params={"pageSize": 1})).json()["items"][0]
    assert (listed["applicationId"], listed["status"]) == (application, "erased")
    await others.client.close()


async def test_a_rejected_application_shows_its_problems(
    gateway: Gateway, caller: httpx.AsyncClient, kafka: str
) -> None:
    application = await made(caller)
    others = Others(gateway, kafka)
    problem = FieldProblem(pointer="/business", code="recent-duplicate", message="came before", phase="backend")
    await others.say(ApplicationRejected(**about(application), revision=1, received_at=make.NOW, problems=(problem,)))

    async def rejected() -> Any:
        shown = (await caller.get(f"/v1/applications/{application}")).json()
        return shown if shown["status"] == "invalid" else None

    shown = await support.eventually(rejected)
    assert [each["code"] for each in shown["problems"]] == ["recent-duplicate"]
    await others.client.close()


async def test_no_replay_for_an_erased_person(gateway: Gateway, caller: httpx.AsyncClient, kafka: str) -> None:
    key, body = new_key(), make.application_json()
    first = await caller.post("/v1/applications", json=body, headers=key)
    others = Others(gateway, kafka)
    await others.vault.erase(first.json()["applicationId"])
    await others.client.close()
    again = await caller.post("/v1/applications", json=body, headers=key)
    assert (again.status_code, again.json()["code"]) == (422, "idempotency-key-reused")
