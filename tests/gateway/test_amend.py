"""What an amendment makes of an application, and every reason why it cannot be made: pure, without any store."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import replace
from typing import Any

import pytest
from tests import make, support

from lendrail.contracts.application_amended import (
    Amendment,
    Corrected,
    DocumentAdded,
    OfferAccepted,
    PartnerAdded,
    Withdrawn,
)
from lendrail.contracts.application_words import UploadKind
from lendrail.contracts.sensitive import Sensitive, SensitiveText
from lendrail.contracts.terms import DocumentRef, FieldProblem, Offer, Status
from lendrail.gateway.amending.amend import CLOSED, ENDED, Standing, applied, refusal, replayed
from lendrail.gateway.shapes import AmendmentView, ApplicationView, OpportunityView
from lendrail.partners import PARTNERS
from lendrail.partners.exchange import Request
from lendrail.runtime.directory import PartnerAccount, Tenant

OPPORTUNITY = uuid.uuid4()
NAMES = ("forward-financing", "reference-partner")
ABLE, UNABLE = "able-lender", "unable-lender"
PATH = support.WEBHOOK_PATH
WITHDRAWN = Withdrawn(reason=SensitiveText("changed plans"))
ONE_WITHDRAWN = Withdrawn(opportunity_id=OPPORTUNITY, reason=SensitiveText("changed plans"))
ACCEPTED = OfferAccepted(opportunity_id=OPPORTUNITY, offer_id="base")
CORRECTED = Corrected(application=make.application(notes="corrected"))


def document(**changes: Any) -> DocumentRef:
    values = {"id": "d1", "kind": "bank-statement", "name": "s.pdf", "content_type": "application/pdf"}
    return DocumentRef(**{**values, "sha256": "a" * 64, "size": 3, **changes})


def opportunity(**changes: Any) -> OpportunityView:
    values: dict[str, Any] = {
        "opportunity_id": OPPORTUNITY,
        "partner": ABLE,
        "credential": "demo-x",
        "status": Status.APPROVED,
        "status_since": make.NOW,
        "age_seconds": 0,
        "observed_at": make.NOW,
        "source": "ack",
        "made": (Offer(id="base"),),
    }
    return OpportunityView(**(values | changes))


def asked(amendment_kind: str, state: str = "received", **changes: Any) -> AmendmentView:
    return AmendmentView(revision=2, kind=amendment_kind, at=make.NOW, by="demo", state=state, **changes)


def standing(*opportunities: OpportunityView, **changes: Any) -> Standing:
    view = ApplicationView(
        application_id=uuid.uuid4(),
        status=changes.pop("status", Status.SUBMITTING),
        revision=1,
        mode="test",
        received_at=make.NOW,
        door="rest",
        upstream="demo",
        opportunities=opportunities,
        amendments=changes.pop("amendments", ()),
    )
    accounts = tuple(
        PartnerAccount(partner=name, credential=f"demo-{name}", mode="test", webhook_path=PATH) for name in NAMES
    )
    tenant = Tenant(id="demo", name="Demo", mode="test", partners=accounts)
    content = changes.pop("content", make.application(targetPartners=["forward-financing"]))
    assert not changes
    return Standing(view, content, tenant, make.NOW)


@pytest.fixture(autouse=True)
def lenders(monkeypatch: pytest.MonkeyPatch) -> None:
    """One partner that can be asked for everything, and one that only takes applications."""
    reference = PARTNERS["reference-partner"]
    call = Request(operation="any", method="POST", path="any")
    able = replace(reference, name=ABLE, withdraw=lambda *_: call, document=lambda *_: call, accept=lambda *_: call)
    unable = replace(reference, name=UNABLE, withdraw=None, document=None, update=None, accept=None)
    monkeypatch.setitem(PARTNERS, ABLE, able)
    monkeypatch.setitem(PARTNERS, UNABLE, unable)


def code(amendment: Amendment, now: Standing) -> str | None:
    refused = refusal(amendment, now)
    return refused.code if refused else None


def test_a_correction_is_the_whole_application() -> None:
    assert applied(make.application(), CORRECTED) == CORRECTED.application
    assert applied(None, CORRECTED) == CORRECTED.application


def test_an_added_partner_is_a_target_from_then_on() -> None:
    named = make.application(targetPartners=["forward-financing"])
    added = PartnerAdded(partners=("reference-partner", "forward-financing"))
    stands = applied(named, added)
    assert stands is not None
    assert stands.target_partners == ("forward-financing", "reference-partner")
    assert applied(make.application(targetPartners="all"), added) == make.application(targetPartners="all")
    assert applied(None, added) is None


def test_a_document_for_all_goes_with_the_application_and_one_for_a_partner_does_not() -> None:
    first = make.application(uploads=[])
    stands = replayed(first, [DocumentAdded(document=document()), DocumentAdded(document=document())])
    assert stands is not None
    (upload,) = stands.uploads
    assert (upload.id, upload.kind, upload.sha256) == ("d1", UploadKind.BANK_STATEMENT, "a" * 64)
    assert applied(first, DocumentAdded(document=document(), opportunity_id=OPPORTUNITY)) == first
    odd = applied(first, DocumentAdded(document=document(kind="summary")))
    assert odd is not None
    assert odd.uploads[0].kind == UploadKind.OTHER


@pytest.mark.parametrize("amendment", [ACCEPTED, WITHDRAWN, ONE_WITHDRAWN])
def test_what_happens_at_a_partner_changes_no_content(amendment: Amendment) -> None:
    assert applied(make.application(), amendment) == make.application()


@pytest.mark.parametrize("amendment", [CORRECTED, ACCEPTED, WITHDRAWN, ONE_WITHDRAWN])
def test_what_can_be_done_is_not_refused(amendment: Amendment) -> None:
    assert refusal(amendment, standing(opportunity())) is None


def test_a_document_and_a_partner_can_be_added() -> None:
    now = standing(opportunity(status=Status.INFO_REQUIRED))
    for at in (None, OPPORTUNITY):
        assert refusal(DocumentAdded(document=document(), opportunity_id=at), now) is None
    assert refusal(PartnerAdded(partners=("forward-financing",)), now) is None


@pytest.mark.parametrize("status", sorted(ENDED))
def test_nothing_is_done_where_it_has_ended(status: Status) -> None:
    now = standing(opportunity(status=status))
    expected = "already-accepted" if status == Status.FUNDED else "already-ended"
    assert code(ACCEPTED, now) == expected
    assert code(ONE_WITHDRAWN, now) == code(WITHDRAWN, now) == "already-ended"
    assert code(DocumentAdded(document=document(), opportunity_id=OPPORTUNITY), now) == "already-ended"
    assert code(CORRECTED, now) == ("already-ended" if status in CLOSED else None)


def test_one_open_lender_is_enough_to_withdraw_or_correct() -> None:
    now = standing(opportunity(status=Status.DECLINED), opportunity(opportunity_id=uuid.uuid4()))
    assert refusal(WITHDRAWN, now) is refusal(CORRECTED, now) is None


def test_an_unable_partner_says_so_once_it_has_the_application() -> None:
    taken = standing(opportunity(partner=UNABLE))
    at_one = DocumentAdded(document=document(), opportunity_id=OPPORTUNITY)
    for amendment in (ONE_WITHDRAWN, WITHDRAWN, ACCEPTED, at_one):
        assert code(amendment, taken) == "not-possible-at-partner"
    for status in (Status.SUBMITTING, Status.OUTCOME_UNKNOWN):
        assert refusal(ONE_WITHDRAWN, standing(opportunity(partner=UNABLE, status=status))) is None
    known = standing(opportunity(partner=UNABLE, status=Status.OUTCOME_UNKNOWN, partner_id="lead-7"))
    assert code(ONE_WITHDRAWN, known) == "not-possible-at-partner"
    assert code(ONE_WITHDRAWN, standing(opportunity(partner="gone-from-our-table"))) == "not-possible-at-partner"


def test_a_lender_by_mail_takes_a_later_document_and_nothing_else() -> None:
    taken = standing(opportunity(partner="email-lender"))
    at_one = DocumentAdded(document=document(), opportunity_id=OPPORTUNITY)
    assert refusal(at_one, taken) is None
    for amendment in (ONE_WITHDRAWN, ACCEPTED):
        assert code(amendment, taken) == "not-possible-at-partner"


def test_a_registry_is_not_asked_by_hand() -> None:
    now = standing(opportunity(kind="registry"))
    assert code(ONE_WITHDRAWN, now) == "not-possible-at-partner"


def test_offers() -> None:
    past, future = make.NOW - dt.timedelta(seconds=1), make.NOW + dt.timedelta(seconds=1)
    assert code(ACCEPTED, standing(opportunity(made=()))) == "unknown-offer"
    assert code(ACCEPTED, standing(opportunity(made=(Offer(id="other"),)))) == "unknown-offer"
    assert code(ACCEPTED, standing(opportunity(made=(Offer(id="base", expires_at=past),)))) == "offer-expired"
    assert code(ACCEPTED, standing(opportunity(made=(Offer(id="base", expires_at=make.NOW),)))) == "offer-expired"
    assert refusal(ACCEPTED, standing(opportunity(made=(Offer(id="base", expires_at=future),)))) is None
    variants = standing(opportunity(made=(Offer(id="base", variant="a"), Offer(id="base", variant="b"))))
    assert code(ACCEPTED, variants) == "unknown-offer"
    assert refusal(ACCEPTED.model_copy(update={"variant": "b"}), variants) is None
    assert code(ACCEPTED.model_copy(update={"variant": "c"}), variants) == "unknown-offer"


@pytest.mark.parametrize("status", [Status.ACCEPTED, Status.FUNDED])
def test_an_offer_is_accepted_once(status: Status) -> None:
    assert code(ACCEPTED, standing(opportunity(status=status))) == "already-accepted"
    before = (asked("offer-accepted", opportunity_id=OPPORTUNITY),)
    assert code(ACCEPTED, standing(opportunity(), amendments=before)) == "already-accepted"
    refused = (asked("offer-accepted", "refused", opportunity_id=OPPORTUNITY),)
    assert code(ACCEPTED, standing(opportunity(), amendments=refused)) is None
    elsewhere = (asked("offer-accepted", opportunity_id=uuid.uuid4()),)
    assert code(ACCEPTED, standing(opportunity(), amendments=elsewhere)) is None


def test_where_the_partner_has_a_link_only() -> None:
    offer = Offer(id="base", action_link=Sensitive("https://offers.example.test/secret"))
    now = standing(opportunity(partner=UNABLE, made=(offer,)))
    refused = refusal(ACCEPTED, now)
    assert refused is not None
    assert refused.code == "accept-by-link"
    assert f"/v1/opportunities/{OPPORTUNITY}/offers/" in refused.detail
    assert "secret" not in refused.detail
    assert refusal(ACCEPTED.model_copy(update={"reported": True}), now) is None


def test_a_withdrawal_under_way_stops_the_rest() -> None:
    wide, narrow = (asked("withdrawn"),), (asked("withdrawn", "accepted", opportunity_id=OPPORTUNITY),)
    added = PartnerAdded(partners=("forward-financing",))
    for amendment in (CORRECTED, ACCEPTED, WITHDRAWN, ONE_WITHDRAWN, added, DocumentAdded(document=document())):
        assert code(amendment, standing(opportunity(), amendments=wide)) == "already-withdrawn"
    for amendment in (ACCEPTED, WITHDRAWN, ONE_WITHDRAWN):
        assert code(amendment, standing(opportunity(), amendments=narrow)) == "already-withdrawn"
    for amendment in (CORRECTED, added):
        assert code(amendment, standing(opportunity(), amendments=narrow)) is None
    refused = (asked("withdrawn", "refused"),)
    assert code(ONE_WITHDRAWN, standing(opportunity(), amendments=refused)) is None


def test_what_the_partner_refused_may_be_asked_again() -> None:
    said = FieldProblem(pointer="", code="not-withdrawable", message="cannot be withdrawn")
    now = standing(opportunity(reasons=(said,)), amendments=(asked("withdrawn"),))
    assert code(ONE_WITHDRAWN, now) is code(WITHDRAWN, now) is None
    flagged = standing(opportunity(flags=("accept-rejected",)), amendments=(asked("offer-accepted"),))
    assert code(ACCEPTED, flagged) is None


def test_adding_partners() -> None:
    def add(*names: str, **changes: Any) -> Any:
        return refusal(PartnerAdded(partners=names), standing(opportunity(partner="forward-financing"), **changes))

    assert add("reference-partner") is None
    unknown = add("reference-partner", "nobody")
    assert (unknown.status, unknown.code) == (422, "invalid-amendment")
    assert [(e.pointer, e.code) for e in unknown.errors] == [("/partners/1", "unknown-partner")]
    silent = add("reference-partner", content=make.application(consents=[]))
    assert [(e.pointer, e.code) for e in silent.errors] == [("/partners/0", "consent-missing")]
    assert add("forward-financing").code == "already-there"
    undecided = add("reference-partner", amendments=(asked("corrected"),))
    assert (undecided.code, undecided.wait) == ("correction-undecided", True)
    assert add("reference-partner", amendments=(asked("corrected", "accepted"),)) is None


def test_a_partner_that_could_not_take_it_may_be_added_again() -> None:
    now = standing(opportunity(partner="forward-financing", status=Status.INELIGIBLE))
    assert refusal(PartnerAdded(partners=("forward-financing",)), now) is None


def test_a_rejected_application_can_only_be_corrected() -> None:
    now = standing(content=None, status=Status.INVALID)
    assert refusal(CORRECTED, now) is None
    assert code(WITHDRAWN, now) == "already-ended"
    for amendment in (PartnerAdded(partners=NAMES), DocumentAdded(document=document()), ACCEPTED):
        assert code(amendment, now) == "application-invalid"


def test_before_validation_has_spoken_it_can_be_withdrawn() -> None:
    assert refusal(WITHDRAWN, standing(status=Status.RECEIVED)) is None


def test_an_opportunity_that_nobody_named() -> None:
    for amendment in (ACCEPTED, ONE_WITHDRAWN, DocumentAdded(document=document(), opportunity_id=OPPORTUNITY)):
        refused = refusal(amendment, standing())
        assert refused is not None
        assert (refused.status, refused.code) == (404, "not-found")


def test_an_application_carries_so_many_documents() -> None:
    uploads = [{"id": f"u{n}", "kind": "invoice", "sha256": "b" * 64} for n in range(100)]
    full = standing(content=make.application(uploads=uploads))
    assert code(DocumentAdded(document=document()), full) == "too-many-documents"
    assert code(DocumentAdded(document=document(id="u7")), full) is None
