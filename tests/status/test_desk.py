"""Orphans, disagreements and twins at the desk, on a real MongoDB; and that an erased person is in no list."""

import asyncio
import datetime as dt
from typing import Any

import httpx
import pytest
from tests import make, support
from tests.forgotten import traces
from tests.status.bench import PARTNER, Bench, Deal
from tests.status.conftest import MakeBench
from tests.status.deskwork import REASON, WORD, Operator, call, desk_of, unknown
from tests.status.deskwork import operator as operator
from tests.status.deskwork import reports_by_itself as reports_by_itself
from tests.status.reading import bearer

from lendrail.contracts.terms import Reference, Report, Status
from lendrail.runtime.audit_chain import Chain
from lendrail.runtime.audit_verify import verify
from lendrail.runtime.clock import utc_now
from lendrail.runtime.forgetting import Forgetting
from lendrail.status.desk.twins import MOST_ALIKE
from lendrail.status.forget import Forgetter

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("reports_by_itself")]
LISTS = ("words", "orphans", "disagreements", "duplicates")


async def merge(operator: Operator, orphan: str, deal: Deal, key: str = "") -> Any:
    body = {"opportunityId": str(deal.id), "reason": REASON}
    return await operator.post(f"/orphans/{orphan}/merge", body, key)


async def test_orphans_are_shown_with_their_age_and_never_their_bodies(bench: Bench, operator: Operator) -> None:
    early = utc_now() - dt.timedelta(hours=2)
    await bench.deliver(call(Deal(), "approved", "FAKE.b"), call(Deal(), "declined", "FAKE.a", received_at=early))
    await bench.deliver(call(Deal(), "declined", "FAKE.other", tenant_id="other"))
    await bench.deliver(call(Deal(), "declined", "FAKE.live", mode="live"))
    told = (await operator.get("/orphans"))["orphans"]
    assert [(each["partnerId"], each["proven"]) for each in told] == [("FAKE.a", True), ("FAKE.b", True)]
    assert 7190 < told[0]["ageSeconds"] < 7300
    assert "body" not in str(told)
    overview = await operator.get()
    assert overview["orphans"]["count"] == 2
    assert overview["orphans"]["since"].startswith(early.strftime("%Y-%m-%dT%H"))


async def test_a_merged_call_is_heard_and_later_ones_follow(bench: Bench, operator: Operator) -> None:
    deal = Deal()
    await bench.deliver(deal.ack("accepted-id-unknown", reason="no-id"))
    early = utc_now() - dt.timedelta(minutes=1)
    await bench.deliver(call(deal, "approved", "FAKE.theirs", received_at=early))
    await bench.deliver(call(deal, "in-review", "FAKE.theirs"))
    first, second = (await operator.get("/orphans"))["orphans"]
    answer = await merge(operator, first["id"], deal, "m-1")
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "orphan": first["id"],
        "opportunityId": str(deal.id),
        "laterCallsFollow": True,
        "heard": "report",
    }
    assert await bench.parts.orphans.count_documents({}) == 0, "the other one waited under the same name"
    assert (await bench.told(deal.id))[-1].status is Status.IN_REVIEW
    await bench.deliver(call(deal, "declined", "FAKE.theirs"))
    last = (await bench.told(deal.id))[-1]
    assert (last.status, last.source) == (Status.DECLINED, "webhook")
    assert (await merge(operator, first["id"], deal, "m-1")).json() == answer.json(), "the same request again"
    assert (await merge(operator, second["id"], deal)).status_code == 404
    document = await bench.document(deal.id)
    assert "merging" not in document or document["merging"] == []
    (entry,) = document["audit"]
    assert (entry["what"], entry["who"]) == ("orphan-merged", "test")
    assert "Fakename" not in repr(document)


async def test_an_id_that_is_somebody_elses_is_not_followed(bench: Bench, operator: Operator) -> None:
    """The opportunity that the partner gave this id gets its calls, whatever a person said before."""
    deal, owner = Deal(), Deal()
    await bench.deliver(deal.ack("accepted-id-unknown"))
    await bench.deliver(call(deal, "approved", owner.partner_id))
    ((orphan),) = (await operator.get("/orphans"))["orphans"]
    assert (await merge(operator, orphan["id"], deal)).json()["laterCallsFollow"] is True
    await bench.deliver(owner.ack())
    await bench.deliver(call(owner, "declined", owner.partner_id))
    assert (await bench.told(owner.id))[-1].status is Status.DECLINED
    assert (await bench.told(deal.id))[-1].status is Status.APPROVED

    third = Deal()
    await bench.deliver(third.ack("accepted-id-unknown"))
    late = call(third, "approved", "FAKE.new")
    await bench.deliver(late)
    await bench.parts.orphans.update_one({}, {"$set": {"partner_id": owner.partner_id}})  # as if it came before the ack
    ((orphan),) = (await operator.get("/orphans"))["orphans"]
    assert (await merge(operator, orphan["id"], third)).json()["laterCallsFollow"] is False
    assert (await bench.told(third.id))[-1].status is Status.APPROVED


async def test_merging_is_refused_where_it_cannot_be(bench: Bench, operator: Operator) -> None:
    deal, elsewhere, theirs, gone = Deal(), Deal(), Deal(), Deal()
    await bench.deliver(deal.ack(), elsewhere.ack(credential="another"), theirs.ack(tenant_id="other"), gone.ack())
    await bench.service.vault.erase(str(gone.application_id))
    await Forgetter(bench.opportunities).forget([str(gone.application_id)])
    await bench.deliver(call(Deal(), "approved", "FAKE.x"))
    ((orphan),) = (await operator.get("/orphans"))["orphans"]
    codes = {each: (await merge(operator, orphan["id"], each)).json()["code"] for each in (elsewhere, theirs, gone)}
    assert list(codes.values()) == ["another-credential", "not-found", "erased"]
    assert (await merge(operator, "nothing", deal)).status_code == 404
    foreign = Operator(bench, "other")
    assert (await merge(foreign, orphan["id"], theirs)).status_code == 404
    await foreign.client.aclose()
    empty = await operator.post(f"/orphans/{orphan['id']}/merge", {"opportunityId": str(deal.id)})
    assert empty.status_code == 422
    assert await bench.parts.orphans.count_documents({}) == 1


async def test_a_merge_that_died_before_the_call_was_heard_is_finished(make_bench: MakeBench) -> None:
    bench = await make_bench(orphan_sweep_seconds="0.1")
    operator, deal = Operator(bench), Deal()
    await bench.deliver(deal.ack("accepted-id-unknown"))
    await bench.deliver(call(deal, "approved", "FAKE.theirs"))
    ((orphan),) = (await operator.get("/orphans"))["orphans"]
    merging = desk_of(bench).merging
    with pytest.MonkeyPatch.context() as dying:
        dying.setattr(merging, "finish", _nothing)
        assert (await merge(operator, orphan["id"], deal)).status_code == 200
    assert (await bench.statuses(deal.id))[-1] == "submitted"
    sweep = asyncio.create_task(merging.run())

    async def heard() -> bool:
        return (await bench.statuses(deal.id))[-1] == "approved"

    await support.eventually(heard)

    async def gone() -> bool:
        return await bench.parts.orphans.count_documents({}) == 0

    await support.eventually(gone)
    sweep.cancel()
    await operator.client.aclose()


async def _nothing(_: str) -> None:
    return


async def test_a_dismissed_call_leaves_the_list_and_is_not_lost(bench: Bench, operator: Operator) -> None:
    deal = Deal()
    await bench.deliver(call(deal, "approved", deal.partner_id))
    ((orphan),) = (await operator.get("/orphans"))["orphans"]
    path, body = f"/orphans/{orphan['id']}/dismiss", {"reason": REASON}
    first, again = await operator.post(path, body, "d-1"), await operator.post(path, body, "d-1")
    assert (first.status_code, again.json()) == (200, first.json())
    assert (await operator.post(path, body, "d-2")).json()["code"] == "dismissed-already"
    assert (await operator.get("/orphans"))["orphans"] == []
    assert (await operator.get())["orphans"] == {"count": 0}
    database = bench.service.database
    chain = Chain("status", database, [bench.opportunities, bench.parts.orphans, desk_of(bench).vocabulary.collection])
    await chain.prepare()
    await chain.round()
    await bench.deliver(deal.ack())
    assert (await bench.told(deal.id))[-1].status is Status.APPROVED, "its opportunity became known after all"
    assert await bench.parts.orphans.count_documents({}) == 0
    verdict = await verify("status", database)
    assert (verdict.broken, verdict.links, verdict.waiting) == (None, 1, 0)


async def test_an_entry_that_is_not_linked_yet_keeps_its_orphan(bench: Bench, operator: Operator) -> None:
    deal = Deal()
    await bench.deliver(call(deal, "approved", deal.partner_id))
    ((orphan),) = (await operator.get("/orphans"))["orphans"]
    await operator.post(f"/orphans/{orphan['id']}/dismiss", {"reason": REASON})
    await bench.deliver(deal.ack())
    assert (await bench.told(deal.id))[-1].status is Status.APPROVED
    assert await bench.parts.orphans.count_documents({"unchained": {"$exists": True}}) == 1


async def test_channels_that_disagree_are_listed_with_both_sides(
    bench: Bench, operator: Operator, client: httpx.AsyncClient
) -> None:
    deal, quiet = Deal(), Deal()
    asked = utc_now() - dt.timedelta(hours=1)
    declined = Report(status=Status.DECLINED, words="Declined", partner_time=asked)
    await bench.deliver(deal.ack(report=declined, asked_at=asked), quiet.ack())
    await bench.deliver(call(deal, "approved", deal.partner_id), call(quiet, "approved", quiet.partner_id))
    assert "channels-disagree" not in str((await bench.told(deal.id))[-1].flags), "declined, then approved: it is told"
    await bench.deliver(call(deal, "in-review", deal.partner_id))
    ((found),) = (await operator.get("/disagreements"))["disagreements"]
    assert found["opportunityId"] == str(deal.id)
    assert [(each["channel"], each["status"], each["words"]) for each in found["sides"]] == [
        ("ack", "declined", "Declined"),
        ("webhook", "in-review", "in-review"),
    ]
    assert found["sides"][0]["at"] < found["sides"][1]["at"]
    assert "channels-disagree:ack-declined:webhook-in-review" in (await bench.told(deal.id))[-1].flags
    assert (await operator.get())["disagreements"]["count"] == 1
    shown = await client.get(f"/v1/opportunities/{deal.id}", headers=bearer("applications:read"))
    assert [each["sides"] for each in shown.json()["disagreements"]] == [found["sides"]]
    await bench.deliver(call(deal, "funded", deal.partner_id))
    assert (await operator.get("/disagreements"))["disagreements"] == []


async def test_deals_that_look_alike_are_listed_while_both_are_open(bench: Bench, operator: Operator) -> None:
    reference = (Reference(system="crm", kind="loan", value="L-77"),)
    same, other = make.application(), make.application(externalReferences=[])
    first, second, third = Deal(), Deal(), Deal()
    await bench.deliver(first.validated(application=same.model_copy(update={"external_references": reference})))
    bare = other.model_copy(update={"business": other.business.model_copy(update={"registrations": ()}), "owners": ()})
    await bench.deliver(third.validated(application=bare.model_copy(update={"external_references": reference})))
    await bench.deliver(second.validated(application=other))
    pairs = (await operator.get("/duplicates"))["duplicates"]
    found = {each["by"]: {side["opportunityId"] for side in each["opportunities"]} for each in pairs}
    assert found == {
        "same-wish": {str(first.id), str(second.id)},
        "same-reference": {str(first.id), str(third.id)},
    }
    assert (await operator.get())["duplicates"]["count"] == 2
    await bench.deliver(second.validated(application=other))
    assert len((await operator.get("/duplicates"))["duplicates"]) == 2
    await bench.deliver(second.ack(report=Report(status=Status.DECLINED, words="No")))
    assert [each["by"] for each in (await operator.get("/duplicates"))["duplicates"]] == ["same-reference"]
    document = await bench.document(first.id)
    numbers = [each.number.reveal() for each in same.business.registrations]
    assert not any(number in repr(document["marks"]) for number in numbers)


async def test_one_id_that_the_partner_gave_twice(bench: Bench, operator: Operator) -> None:
    first, second = Deal(), Deal()
    await bench.deliver(first.ack())
    await bench.deliver(second.ack(partner_id=first.partner_id))
    ((pair),) = (await operator.get("/duplicates"))["duplicates"]
    assert pair["by"] == "same-partner-id"
    assert {each["partnerId"] for each in pair["opportunities"]} == {first.partner_id}


async def test_an_erased_person_is_in_no_list(bench: Bench, operator: Operator) -> None:
    """Nor in anything that the lists are made of."""
    asked = utc_now() - dt.timedelta(hours=1)
    declined = Report(status=Status.DECLINED, words="Zq8 no", partner_time=asked)
    deal, twin = Deal(), Deal()
    application = make.application()
    await bench.deliver(deal.validated(application=application), twin.validated(application=application))
    await bench.deliver(unknown(deal, f"{WORD} Zq8"))
    await bench.deliver(deal.ack(report=declined, asked_at=asked, attempt_version=2))
    await bench.deliver(call(deal, "in-review", deal.partner_id))
    overview = await operator.get()
    assert {name: overview[name]["count"] for name in LISTS if name != "orphans"} == {
        "words": 1,
        "disagreements": 1,
        "duplicates": 0,
    }, "declined, so no twin is open"
    key = await bench.service.vault.get(str(deal.application_id))
    await bench.service.vault.erase(str(deal.application_id))
    places = bench.service.database["forgotten"]
    await Forgetting(bench.service.vault, places, [Forgetter(bench.opportunities).forget]).turn()
    assert await traces(bench.service.database, key, ("Zq8",)) == []
    overview = await operator.get()
    assert [overview[name] for name in LISTS] == [{"count": 0}] * 4
    for name in LISTS:
        assert (await operator.get(f"/{name}"))[name] == []
    document = await bench.document(deal.id)
    assert not {"marks", "twins", "held", "unmapped", "disagreements", "refolded"} & document.keys()


async def test_it_is_for_operators(bench: Bench) -> None:
    reader = Operator(bench, scope="applications:read")
    for path in ("", "/words", "/orphans", "/disagreements", "/duplicates"):
        assert (await reader.client.get(f"/v1/desk{path}")).status_code == 403
    for path in ("/words", "/words/x/take-back", "/orphans/x/merge", "/orphans/x/dismiss", "/orphans/dismiss"):
        assert (await reader.post(path, {})).status_code == 403
    await reader.client.aclose()


async def test_a_change_needs_a_key(bench: Bench, operator: Operator) -> None:
    await bench.deliver(unknown(Deal()))
    await bench.deliver(call(Deal(), "approved", "FAKE.x"))
    ((orphan),) = (await operator.get("/orphans"))["orphans"]
    body = {"partner": PARTNER, "word": WORD, "status": "declined", "reason": REASON}
    for path, sent in (("/words", body), (f"/orphans/{orphan['id']}/dismiss", {"reason": REASON})):
        answer = await operator.client.post(f"/v1/desk{path}", json=sent)
        assert (answer.status_code, answer.json()["code"]) == (400, "idempotency-key-missing")


async def test_a_mark_that_too_many_bear_tells_nothing(bench: Bench, operator: Operator) -> None:
    loans = [(Reference(system="crm", kind="customer", value=name),) for name in ("all", "two")]
    bare = make.application().model_copy(update={"owners": ()})
    bare = bare.model_copy(update={"business": bare.business.model_copy(update={"registrations": ()})})

    def with_(*references: Reference) -> Any:
        return bare.model_copy(update={"external_references": references})

    two = [Deal(), Deal()]
    await bench.deliver(*(each.validated(application=with_(*loans[0], *loans[1])) for each in two))
    assert len((await operator.get("/duplicates"))["duplicates"]) == 1, "both came in one batch"
    await bench.deliver(*(Deal().validated(application=with_(*loans[0])) for _ in range(MOST_ALIKE)))
    assert len((await operator.get("/duplicates"))["duplicates"]) == 1
    assert await bench.opportunities.count_documents({"twins": {"$exists": True}}) == 2
