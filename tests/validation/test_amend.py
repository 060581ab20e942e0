"""The rules of each kind of amendment, pure; and that any order of arrival ends in the same facts."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import make
from tests.validation.amended import (
    LATER,
    SHA,
    accepted,
    added,
    amended,
    at,
    corrected,
    document,
    withdrawn,
)
from tests.validation.sound import sound, sound_json

from lendrail.contracts.application_amended import ApplicationAmended
from lendrail.contracts.application_received import ApplicationReceived
from lendrail.contracts.application_rejected import ApplicationRejected
from lendrail.contracts.application_validated import ApplicationValidated
from lendrail.runtime.directory import PartnerAccount, Tenant
from lendrail.validation.abn import Fact
from lendrail.validation.amend import in_order, judged
from lendrail.validation.duplicates import Wish
from lendrail.validation.revision import Revision, first, later, predecessor
from lendrail.validation.standing import Standing, standing
from lendrail.validation.state import report, stated

FF, REFERENCE, MAIL = "forward-financing", "reference-partner", "email-lender"
Received = ApplicationReceived


def account(partner: str, credential: str, **changes: Any) -> PartnerAccount:
    values = {"partner": partner, "credential": credential, "mode": "test", "webhook_path": "x" * 32}
    return PartnerAccount(**(values | changes))


TO = {"to": "desk@lender.example.test", "from": "applications@demo.example.test", "lenderName": "Mail Lender"}
ACCOUNTS = (account(FF, "demo-ff"), account(REFERENCE, "demo-ref"), account(MAIL, "demo-mail", options=TO))
TENANT = Tenant(id="demo", name="Demo", mode="test", partners=ACCOUNTS)


def received(*partners: str, **changes: Any) -> Received:
    return make.received(application=sound(targetPartners=list(partners or [FF]), **changes))


@dataclass
class Life:
    """What validation stores and states, without a database."""

    tenant: Tenant | None = TENANT
    earlier: str | None = None
    reports: dict[str, Any] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)
    waits: dict[str, ApplicationAmended] = field(default_factory=dict)

    def hear(self, event: Received | ApplicationAmended) -> Fact:
        """In its turn."""
        self.batch([event])
        assert event.id in self.reports
        return self.facts[-1]

    def batch(self, events: list[Received | ApplicationAmended]) -> None:
        """As the handlers do: what was reported changes nothing, what is early waits until nothing more can go on."""
        fresh = {each.id: each for each in events if each.id not in self.reports}
        for each in fresh.values():
            if isinstance(each, Received):
                self._judge(each, first(each))
        self.waits |= {each.id: each for each in fresh.values() if isinstance(each, ApplicationAmended)}
        while self.waits:
            early = in_order(
                list(self.waits.values()), self._before, lambda e, before: self._judge(e, later(e, before))
            )
            if len(early) == len(self.waits):
                return
            self.waits = {each.id: each for each in early}

    def _before(self, event: ApplicationAmended) -> Standing | None:
        found = self.reports.get(predecessor(event))
        return standing(found) if found is not None else None

    def _judge(self, event: Received | ApplicationAmended, revision: Revision) -> None:
        assert event.id not in self.reports
        verdict = judged(revision, self.tenant, self.earlier)
        wish = Wish(str(event.application_id), ("mark",), revision.stated_at)
        self.reports[event.id] = report(revision, wish, verdict).stored(verdict.sound)
        self.facts.append(stated(revision, verdict))


def life(event: Received, **changes: Any) -> Life:
    made = Life(**changes)
    made.hear(event)
    return made


def codes(fact: Fact) -> set[tuple[str, str]]:
    assert isinstance(fact, ApplicationRejected), fact
    return {(each.pointer, each.code) for each in fact.problems}


def named(fact: Fact) -> dict[str, list[str]]:
    assert isinstance(fact, ApplicationValidated), fact
    return {"eligible": [e.partner for e in fact.eligible], "ineligible": [e.partner for e in fact.ineligible]}


def test_a_correction_goes_through_all_rules_and_to_every_candidate() -> None:
    event = received(FF, REFERENCE)
    told = life(event).hear(amended(event, 2, corrected(sound(targetPartners=[FF, REFERENCE, "nobody"]))))
    assert named(told) == {"eligible": [FF, REFERENCE], "ineligible": ["nobody"]}
    assert isinstance(told, ApplicationValidated)
    assert (told.revision, told.received_at, told.amendment) == (
        2,
        make.NOW,
        corrected(sound(targetPartners=[FF, REFERENCE, "nobody"])),
    )
    refused = life(event).hear(amended(event, 2, corrected(sound(consents=[]))))
    assert ("/consents", "consent-missing") in codes(refused)
    assert refused.revision == 2
    other_mode = life(event).hear(amended(event, 2, corrected(sound(mode="live"))))
    assert ("/mode", "mode-crossing") in codes(other_mode)


def test_a_correction_may_speak_of_what_happened_since() -> None:
    data = sound_json(targetPartners=[FF])
    for each in data["consents"]:
        each["givenAt"] = (LATER).isoformat()
    event = received()
    assert named(life(event).hear(amended(event, 2, corrected(type(sound()).model_validate(data)))))
    data["consents"][0]["givenAt"] = "2026-03-02T12:00:00Z"
    future = life(event).hear(amended(event, 2, corrected(type(sound()).model_validate(data))))
    assert codes(future) == {("/consents/0/givenAt", "in-future")}


def test_a_refused_application_is_put_right() -> None:
    event = received(consents=[])
    made = life(event)
    assert isinstance(made.facts[0], ApplicationRejected)
    assert named(made.hear(amended(event, 2, corrected(sound(targetPartners=[FF])))))["eligible"] == [FF]
    unread = make.received(application=None, problems=made.facts[0].problems)
    assert named(life(unread).hear(amended(unread, 2, corrected(sound(targetPartners=[FF])))))["eligible"] == [FF]


def test_a_partner_added_is_asked_alone() -> None:
    event = received(FF)
    made = life(event)
    told = made.hear(amended(event, 2, added(REFERENCE, "nobody")))
    assert named(told) == {"eligible": [REFERENCE], "ineligible": ["nobody"]}
    assert codes(made.hear(amended(event, 3, added(FF, REFERENCE)))) == {("", "already-added")}
    assert named(made.hear(amended(event, 4, added(FF, MAIL)))) == {"eligible": [MAIL], "ineligible": []}


def test_a_correction_reaches_who_was_added_before_it() -> None:
    """Whose copy of the application never named that partner; the next one too, and a refused one changes nothing."""
    event = received(FF)
    made = life(event)
    made.hear(amended(event, 2, added(REFERENCE)))
    right = corrected(sound(targetPartners=[FF]))
    assert named(made.hear(amended(event, 3, right))) == {"eligible": [FF, REFERENCE], "ineligible": []}
    assert ("/consents", "consent-missing") in codes(made.hear(amended(event, 4, corrected(sound(consents=[])))))
    assert named(made.hear(amended(event, 5, right)))["eligible"] == [FF, REFERENCE]
    every = corrected(sound(targetPartners="all"))
    assert named(made.hear(amended(event, 6, every)))["eligible"] == [FF, REFERENCE, MAIL]
    assert named(made.hear(amended(event, 7, right)))["eligible"] == [FF, REFERENCE]


def test_a_correction_does_not_reach_who_was_added_and_withdrawn() -> None:
    event, right = received(FF), corrected(sound(targetPartners=[FF]))
    made = life(event)
    made.hear(amended(event, 2, added(REFERENCE, MAIL)))
    made.hear(amended(event, 3, withdrawn(at(event, REFERENCE, "demo-ref"))))
    assert named(made.hear(amended(event, 4, right)))["eligible"] == [FF, MAIL]
    again = corrected(sound(targetPartners=[FF, REFERENCE]))
    assert named(made.hear(amended(event, 5, again)))["eligible"] == [FF, REFERENCE, MAIL]
    made.hear(amended(event, 6, withdrawn()))
    assert named(made.hear(amended(event, 7, right)))["eligible"] == [FF]


def test_a_correction_may_make_an_added_partner_able_to_take_it() -> None:
    consent = sound_json()["consents"][0] | {"kind": "share-with-partners", "partners": [FF]}
    event = received(FF, consents=[consent])
    made = life(event)
    assert named(made.hear(amended(event, 2, added(REFERENCE)))) == {"eligible": [], "ineligible": [REFERENCE]}
    told = made.hear(amended(event, 3, corrected(sound(targetPartners=[FF]))))
    assert named(told) == {"eligible": [FF, REFERENCE], "ineligible": []}


def test_a_partner_added_without_consent_or_account() -> None:
    consent = sound_json()["consents"][0] | {"kind": "share-with-partners", "partners": [FF]}
    event = received(FF, consents=[consent])
    told = life(event).hear(amended(event, 2, added(REFERENCE, "valiant")))
    assert isinstance(told, ApplicationValidated)
    reasons = {each.partner: {reason.code for reason in each.reasons} for each in told.ineligible}
    assert reasons == {REFERENCE: {"consent-missing"}, "valiant": {"no-credential"}}
    assert told.eligible == ()


def test_nobody_is_added_to_what_was_refused() -> None:
    event = received(FF, consents=[])
    made = life(event)
    assert codes(made.hear(amended(event, 2, added(REFERENCE)))) == {("", "content-refused")}
    right = sound(targetPartners=[FF])
    made.hear(amended(event, 3, corrected(right)))
    assert named(made.hear(amended(event, 4, added(REFERENCE), application=right)))["eligible"] == [REFERENCE]


def test_a_refused_correction_leaves_what_was_sound() -> None:
    """Partners are added to the content before it; to the refused one, if it should come, they are not."""
    event = received(FF)
    made = life(event)
    wrong = sound(consents=[])
    made.hear(amended(event, 2, corrected(wrong)))
    assert ("/consents", "consent-missing") in codes(made.hear(amended(event, 3, added(MAIL), application=wrong)))
    assert named(made.hear(amended(event, 4, added(REFERENCE))))["eligible"] == [REFERENCE]


@pytest.mark.parametrize("make_one", [document, withdrawn, accepted])
def test_what_concerns_one_names_that_one(make_one: Any) -> None:
    event = received(FF, REFERENCE)
    amendment = make_one(at(event, REFERENCE, "demo-ref"))
    told = life(event).hear(amended(event, 2, amendment))
    assert named(told) == {"eligible": [REFERENCE], "ineligible": []}
    assert isinstance(told, ApplicationValidated)
    assert (told.eligible[0].opportunity_id, told.amendment) == (at(event, REFERENCE, "demo-ref"), amendment)
    for stranger in (at(event, MAIL, "demo-mail"), make.new_id()):
        assert codes(life(event).hear(amended(event, 2, make_one(stranger)))) == {("", "opportunity-unknown")}


@pytest.mark.parametrize("make_one", [document, withdrawn])
def test_what_concerns_all_names_all_that_were_ever_opened(make_one: Any) -> None:
    """A partner added later too, and one that a correction no longer wants: it has the application."""
    event = received(FF)
    made = life(event)
    made.hear(amended(event, 2, added(REFERENCE)))
    made.hear(amended(event, 3, corrected(sound(targetPartners=[MAIL, "nobody"]))))
    assert named(made.hear(amended(event, 4, make_one()))) == {"eligible": [FF, REFERENCE, MAIL], "ineligible": []}


def test_a_refused_amendment_opens_nothing() -> None:
    event = received(FF)
    made = life(event)
    made.hear(amended(event, 2, corrected(sound(targetPartners=[FF, MAIL], consents=[]))))
    assert named(made.hear(amended(event, 3, withdrawn())))["eligible"] == [FF]


def test_a_registry_is_asked_for_the_added_and_not_for_a_withdrawal() -> None:
    accounts = (
        account(FF, "demo-ff", registry="demo-registry"),
        account(REFERENCE, "demo-ref", registry="demo-registry"),
        account("monetago", "demo-registry", options={"institution": "ZZZZUSS0XXX"}),
    )
    tenant = Tenant(id="demo", name="Demo", mode="test", partners=accounts)
    registry = "monetago"
    event = received("nobody")
    made = life(event, tenant=tenant)
    one = made.hear(amended(event, 2, added(FF)))
    assert isinstance(one, ApplicationValidated)
    if not one.eligible:
        pytest.fail(str(one.ineligible))
    assert named(one)["eligible"] == [FF, registry]
    assert one.eligible[0].gate == one.eligible[1].opportunity_id
    other = made.hear(amended(event, 3, added(REFERENCE)))
    assert isinstance(other, ApplicationValidated)
    assert named(other)["eligible"] == [REFERENCE], "the registry has it already"
    assert other.eligible[0].gate == one.eligible[1].opportunity_id
    gone = made.hear(amended(event, 4, withdrawn()))
    assert isinstance(gone, ApplicationValidated)
    again = life(event, tenant=tenant)
    again.hear(amended(event, 2, added(FF)))
    stays = again.hear(amended(event, 3, corrected(sound(targetPartners=["nobody"]))))
    assert named(stays) == {"eligible": [FF, registry], "ineligible": ["nobody"]}
    assert {(each.partner, each.gate) for each in gone.eligible} == {
        (FF, one.eligible[0].gate),
        (REFERENCE, one.eligible[0].gate),
    }
    assert codes(made.hear(amended(event, 5, withdrawn(one.eligible[1].opportunity_id)))) == {
        ("", "opportunity-unknown")
    }


def test_an_account_that_is_gone() -> None:
    event = received(FF, REFERENCE)
    made = life(event)
    made.tenant = TENANT.model_copy(update={"partners": ACCOUNTS[:1]})
    assert named(made.hear(amended(event, 2, withdrawn()))) == {"eligible": [FF], "ineligible": [REFERENCE]}
    assert codes(made.hear(amended(event, 3, withdrawn(at(event, REFERENCE, "demo-ref"))))) == {("", "no-credential")}


def test_a_wish_counts_while_somebody_may_have_it() -> None:
    """Withdrawn partner by partner, and wanted again by adding one; a correction after that states a wish anew."""
    event = received(FF, REFERENCE)
    made = life(event)

    def counts() -> bool:
        return standing(list(made.reports.values())[-1]).counts

    steps = [
        (withdrawn(at(event)), True),
        (document(at(event, REFERENCE, "demo-ref")), True),
        (withdrawn(at(event, REFERENCE, "demo-ref")), False),
        (document(), False),
        (added("nobody"), False),
        (added(MAIL), True),
        (withdrawn(), False),
        (corrected(sound(targetPartners=[FF])), True),
    ]
    for revision, (amendment, wanted) in enumerate(steps, 2):
        made.hear(amended(event, revision, amendment))
        assert counts() == wanted, revision


def test_nothing_to_withdraw() -> None:
    event = received("nobody")
    made = life(event)
    assert codes(made.hear(amended(event, 2, withdrawn()))) == {("", "nothing-to-withdraw")}
    assert named(made.hear(amended(event, 3, document()))) == {"eligible": [], "ineligible": []}


def test_a_file_that_was_added_may_be_named_by_a_correction() -> None:
    event = received(FF)
    made = life(event)
    upload = {"id": "bank-statement-1", "kind": "bank-statement", "sha256": SHA}
    naming = sound(targetPartners=[FF], uploads=[upload])
    assert codes(made.hear(amended(event, 2, corrected(naming)))) == {("/uploads/0/id", "upload-unknown")}
    made.hear(amended(event, 3, document()))
    assert named(made.hear(amended(event, 4, corrected(naming))))["eligible"] == [FF]
    other = sound(targetPartners=[FF], uploads=[upload | {"sha256": "cd" * 32}])
    assert codes(made.hear(amended(event, 5, corrected(other)))) == {("/uploads/0/sha256", "upload-differs")}


KINDS: dict[str, Any] = {
    "corrected": lambda event: corrected(sound(targetPartners=[FF, MAIL])),
    "refused": lambda event: corrected(sound(consents=[])),
    "added": lambda event: added(REFERENCE),
    "document": lambda event: document(at(event)),
    "documents": lambda event: document(name="bank-statement-2"),
    "accepted": lambda event: accepted(at(event)),
    "withdrawn": lambda event: withdrawn(at(event, REFERENCE, "demo-ref")),
    "all withdrawn": lambda event: withdrawn(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_tenants_and_applications_that_are_not_there(kind: str) -> None:
    event = received(FF, REFERENCE)
    made = life(event)
    made.tenant = None
    assert ("", "tenant-unknown") in codes(made.hear(amended(event, 2, KINDS[kind](event))))
    foreign = amended(event, 2, KINDS[kind](event), tenant_id="other")
    assert codes(life(event).hear(foreign)) == {("", "application-unknown")}


@pytest.mark.parametrize("kind", ["added", "document", "accepted", "withdrawn"])
def test_an_amendment_that_does_not_say_how_the_application_stands(kind: str) -> None:
    event = received(FF, REFERENCE)
    told = life(event).hear(amended(event, 2, KINDS[kind](event), application=None))
    assert codes(told) == {("", "application-missing")}


def test_only_other_content_can_be_a_twin() -> None:
    event = received(FF, REFERENCE)
    for kind, amendment in KINDS.items():
        made = life(event)
        made.earlier = "somebody-else"
        told = made.hear(amended(event, 2, amendment(event)))
        twin = isinstance(told, ApplicationRejected) and ("", "duplicate") in codes(told)
        assert twin == (kind in ("corrected", "refused")), kind


@st.composite
def arrivals(draw: Any) -> tuple[list[Any], list[list[Any]]]:
    """An application's events in their order, and batches in which they arrive: shuffled, some twice."""
    event = received(*draw(st.sampled_from([(FF,), (FF, REFERENCE), ("nobody",)])), **draw(st.sampled_from(CONTENTS)))
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), max_size=6))
    events = [event, *(amended(event, n, KINDS[kind](event)) for n, kind in enumerate(kinds, 2))]
    arriving = draw(st.permutations(events + draw(st.lists(st.sampled_from(events), max_size=4))))
    cuts = sorted(draw(st.sets(st.integers(1, len(arriving)), max_size=4)))
    batches = [arriving[a:b] for a, b in zip([0, *cuts], [*cuts, len(arriving)], strict=True)]
    return events, [list(each) for each in batches]


CONTENTS: list[dict[str, Any]] = [{}, {"consents": []}]


@settings(max_examples=150, deadline=None)
@given(arrivals())
def test_any_order_ends_in_the_same_facts(given_: tuple[list[Any], list[list[Any]]]) -> None:
    events, batches = given_
    straight, mixed = Life(), Life()
    for event in events:
        straight.hear(event)
    for batch in batches:
        mixed.batch(batch)
        told = [each.revision for each in mixed.facts]
        assert told == list(range(1, len(told) + 1)), "n only after n-1"
    assert mixed.facts == straight.facts
    assert mixed.reports == straight.reports
    assert mixed.waits == {}


@settings(max_examples=60, deadline=None)
@given(arrivals(), st.data())
def test_what_waits_for_a_lost_revision_is_not_judged(
    given_: tuple[list[Any], list[list[Any]]], data: st.DataObject
) -> None:
    events, batches = given_
    lost = data.draw(st.sampled_from(events))
    made = Life()
    for batch in batches:
        made.batch([each for each in batch if each.id != lost.id])
    at_ = events.index(lost)
    assert [each.revision for each in made.facts] == list(range(1, at_ + 1))
    assert set(made.waits) == {each.id for each in events[at_ + 1 :]}
