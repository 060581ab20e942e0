"""Which deal a row is about: found by any id, kept while nobody knows it, and never another's or an erased person's."""

from __future__ import annotations

from tests import make
from tests.status.bench import Bench, Deal
from tests.status.importing import Files, all_text, csv, known, outcomes, row
from tests.status.tables import CANARY

from lendrail.contracts.terms import Reference


async def test_it_matches_by_any_id(files: Files, bench: Bench) -> None:
    deals = [Deal() for _ in range(5)]
    reference = Reference(system="demo-crm", kind="deal", value="CRM 7")
    application = make.application(externalReferences=[reference.model_dump()])
    await bench.deliver(
        *(
            deal.validated(application=application if deal is deals[4] else make.application(externalReferences=[]))
            for deal in deals
        )
    )
    await bench.deliver(*(deal.ack() for deal in deals))
    names = [
        ("opportunityId", str(deals[0].id)),
        ("applicationId", str(deals[1].application_id).upper()),
        ("ourReference", str(deals[2].attempt)),
        ("partnerId", deals[3].partner_id),
        ("externalReference", "CRM 7"),
    ]
    header = ",".join([*(name for name, _ in names), "approvedAt"])
    rows = [",".join(["" if other != name else value for other, _ in names] + ["2026-03-01"]) for name, value in names]
    told = await files.bring(csv(*rows, header=header))
    assert [each.get("opportunityId") for each in told["rows"]] == [str(deal.id) for deal in deals]
    together = ",".join([str(deals[0].id), "", "", deals[3].partner_id, "", "2026-03-02"])
    agreed = ",".join([str(deals[0].id), "", "", deals[0].partner_id, "", "2026-03-02"])
    told = await files.bring(csv(together, agreed, header=header))
    assert [each["outcome"] for each in told["rows"]] == ["fault", "heard"]
    assert told["rows"][0]["problems"][0]["code"] == "ids-disagree"


async def test_a_reference_of_several_deals_needs_another_id(files: Files, bench: Bench) -> None:
    deals = [Deal(), Deal()]
    application = make.application(externalReferences=[{"system": "demo-crm", "kind": "deal", "value": "CRM-9"}])
    await bench.deliver(*(deal.validated(application=application) for deal in deals))
    await bench.deliver(*(deal.ack() for deal in deals))
    header = "externalReference,partnerId,approvedAt"
    told = await files.bring(csv("CRM-9,,2026-03-01", f"CRM-9,{deals[1].partner_id},2026-03-01", header=header))
    assert [each.get("opportunityId") for each in told["rows"]] == [None, str(deals[1].id)]
    assert told["rows"][0]["problems"][0]["code"] == "ambiguous"


async def test_nobody_elses_opportunity_is_matched(files: Files, bench: Bench) -> None:
    (deal,) = await known(bench, 1)
    for field, other in (("tenant", "other"), ("mode", "live"), ("credential", "other"), ("partner", "finpace")):
        before = (await bench.document(deal.id))[field]
        await bench.opportunities.update_one({"_id": str(deal.id)}, {"$set": {field: other}})
        told = await files.bring(csv(row(deal)), again=True)
        assert outcomes(told) == ["unknown-id"], field
        await bench.opportunities.update_one({"_id": str(deal.id)}, {"$set": {field: before}})


async def test_an_unknown_id_is_heard_when_its_deal_is_known(files: Files, bench: Bench) -> None:
    deal, other = Deal(), Deal()
    content = csv(f"{deal.partner_id},,2026-03-01,2026-03-02,{CANARY}", f",{other.id},,2026-03-02,",
                  header="partnerId,opportunityId,approvedAt,fundedAt,notes")  # fmt: skip
    told = await files.bring(content)
    assert outcomes(told) == ["unknown-id", "unknown-id"]
    kept = await bench.parts.orphans.find({"source": "csv"}).to_list()
    assert {each["words"] for each in kept} == {"fundedAt"}
    assert CANARY not in all_text(kept)
    await bench.deliver(deal.ack())
    assert (await bench.statuses(deal.id))[-1] == "funded"
    assert len((await bench.document(deal.id))["observations"]) == 3
    await bench.deliver(other.validated())
    assert await files.parts.orphaned.turn() is False
    assert (await bench.statuses(other.id))[-1] == "funded"
    assert await bench.parts.orphans.count_documents({}) == 0
    assert outcomes(await files.bring(content, again=True)) == ["known", "known"]


async def test_a_person_gives_an_unknown_row_to_its_deal(files: Files, bench: Bench) -> None:
    (deal,) = await known(bench, 1)
    await files.bring(csv(row(Deal(), "approved")))
    (call,) = await bench.parts.orphans.find().to_list()
    assert await bench.parts.hints._reports.speaks(call)
    await bench.parts.hints.follow([(call, await bench.document(deal.id))])
    document = await bench.document(deal.id)
    assert (document["status"], document["observations"][-1]["source"]) == ("approved", "csv")
    assert "hints" not in document, "its word counts by itself; nobody has to be asked"


async def test_the_same_unknown_row_is_kept_once(files: Files, bench: Bench) -> None:
    deal = Deal()
    for more in ("", "\n"):
        await files.bring(csv(row(deal), more))
    assert await bench.parts.orphans.count_documents({}) == 1


async def test_a_person_who_was_erased_stays_forgotten(files: Files, bench: Bench) -> None:
    from lendrail.status.forget import Forgetter

    deal, late = (await known(bench, 1))[0], Deal()
    await files.bring(csv(row(late)))
    await bench.deliver(late.ack())
    for each in (deal, late):
        await bench.service.vault.erase(str(each.application_id))
    assert outcomes(await files.bring(csv(row(deal, "accepted")))) == ["erased"], "also before anything was dropped"
    await Forgetter(bench.opportunities).forget([str(deal.application_id), str(late.application_id)])
    told = await files.bring(csv(row(deal), row(late, "funded")))
    assert outcomes(told) == ["erased", "erased"]
    for each in (deal, late):
        assert (await bench.document(each.id))["observations"] == []
    assert await bench.parts.orphans.count_documents({}) == 0
