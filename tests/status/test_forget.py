"""An erased person on a real MongoDB: nothing is left that tells of them, and late words about them are dropped."""

import httpx
import pytest
from tests import make
from tests.forgotten import traces
from tests.status.bench import Bench, Deal
from tests.status.reading import bearer

from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import Contact, Reference, Report, Status
from lendrail.runtime.forgetting import Forgetting
from lendrail.runtime.vault import Key
from lendrail.status.forget import Forgetter

pytestmark = pytest.mark.asyncio
WORDS = "Zq8canary words of a partner"
NUMBER = "Zq8-CRM-1"


async def told(bench: Bench) -> Deal:
    """An opportunity of which much was heard, in clear and sealed."""
    deal = Deal()
    references = (Reference(system="crm", kind="loan", value=NUMBER),)
    application = make.application().model_copy(update={"external_references": references})
    contact = Contact(name=SensitiveText("Testa Testname"))
    report = Report(status=Status.APPROVED, words=WORDS, notes=SensitiveText("call Testa"), contact=contact)
    await bench.deliver(deal.validated(application=application))
    await bench.deliver(deal.ack(report=report))
    await bench.deliver(deal.webhook())
    return deal


async def left(bench: Bench, key: Key) -> list[str]:
    return await traces(bench.service.database, key, ("Zq8", "Testa"))


def forgetting(bench: Bench) -> Forgetting:
    places = bench.service.database["forgotten"]
    return Forgetting(bench.service.vault, places, [Forgetter(bench.opportunities).forget])


async def test_nothing_is_left_but_that_it_was(bench: Bench, client: httpx.AsyncClient) -> None:
    deal, other = await told(bench), Deal()
    await bench.deliver(other.validated())
    key = await bench.service.vault.get(str(deal.application_id))
    before = await bench.document(deal.id)
    others = await bench.document(other.id)
    assert {place.split(".")[1].rstrip("[]") for place in await left(bench, key)} >= {"observations", "state", "outbox"}
    await bench.service.vault.erase(str(deal.application_id))
    for _ in range(2):
        await forgetting(bench).turn()
    assert await left(bench, key) == []
    after = await bench.document(deal.id)
    assert {name: after[name] for name in ("partner_id", "ours", "tenant")} == {
        name: before[name] for name in ("partner_id", "ours", "tenant")
    }
    assert (after["status"], after["outbox"], "due" in after) == ("erased", [], False)
    assert await bench.document(other.id) == others
    shown = (await client.get(f"/v1/opportunities/{deal.id}", headers=bearer("applications:read"))).json()
    assert shown["status"] == "erased"
    assert NUMBER not in str(shown)


async def test_a_late_call_is_dropped_and_never_an_orphan(bench: Bench) -> None:
    deal = await told(bench)
    await bench.service.vault.erase(str(deal.application_id))
    await forgetting(bench).turn()
    before = await bench.document(deal.id)
    await bench.deliver(deal.webhook(received_at=make.NOW))
    assert await bench.document(deal.id) == before
    assert await bench.service.database["orphans"].count_documents({}) == 0
    bench.work()
    assert (await bench.document(deal.id))["status"] == "erased"


async def test_a_word_that_was_on_its_way_changes_nothing_of_who_was_erased(bench: Bench) -> None:
    """A handler that had read the key before."""
    deal = await told(bench)
    key = await bench.service.vault.get(str(deal.application_id))
    late = await bench.delivery(deal.ack(attempt_version=2, outcome="accepted"))
    await bench.service.vault.erase(str(deal.application_id))
    await Forgetter(bench.opportunities).forget([str(deal.application_id)])
    before = await bench.document(deal.id)
    await bench.parts.handlers.on_partner_ack([late])
    assert await bench.document(deal.id) == before
    assert await left(bench, key) == []


async def test_the_first_word_of_a_deal_that_was_on_its_way_is_forgotten_the_second_time(bench: Bench) -> None:
    """A handler that had read the key stores its event after the first walk, which found nothing."""
    deal = Deal()
    await bench.delivery(deal.ack())
    key = await bench.service.vault.get(str(deal.application_id))
    late = await bench.delivery(deal.ack(attempt_version=2, outcome="accepted"))
    await bench.service.vault.erase(str(deal.application_id))
    await Forgetter(bench.opportunities).forget([str(deal.application_id)])
    await bench.parts.handlers.on_partner_ack([late])
    assert (await bench.document(deal.id))["status"] == "submitted"
    await Forgetter(bench.opportunities).forget([str(deal.application_id)])
    assert await left(bench, key) == []
    assert (await bench.document(deal.id))["status"] == "erased"


async def test_an_application_without_opportunities_is_forgotten_too(bench: Bench) -> None:
    deal = Deal()
    references = (Reference(system="crm", kind="loan", value=NUMBER),)
    await bench.deliver(deal.rejected().model_copy(update={"references": references}))
    key = await bench.service.vault.get(str(deal.application_id))
    assert await left(bench, key)
    await Forgetter(bench.opportunities).forget([str(deal.application_id)])
    assert await left(bench, key) == []
