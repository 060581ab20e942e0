"""The rules, pure: each problem, all of them at once, and nothing that quotes what was sent."""

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.make import NOW
from tests.validation.sound import sound, sound_json

from lendrail.contracts.application import Application
from lendrail.contracts.terms import FieldProblem
from lendrail.runtime.directory import PartnerAccount, Tenant
from lendrail.validation.rules import amounts
from lendrail.validation.validate import Facts, Verdict, read, validate

FF = "forward-financing"


def account(**changes: Any) -> PartnerAccount:
    values = {"partner": FF, "credential": "demo-ff", "mode": "test", "webhook_path": "x" * 32}
    return PartnerAccount(**(values | changes))


def judged(application: Application, *accounts: PartnerAccount, **facts: Any) -> Verdict:
    tenant = Tenant(id="demo", name="Demo", mode="test", partners=accounts or (account(),))
    known: dict[str, Any] = {"tenant": tenant, "received_at": NOW} | facts
    return validate(application, (), Facts(**known))


def codes(problems: Any) -> set[tuple[str, str]]:
    return {(each.pointer, each.code) for each in problems}


def reasons(application: Application, *accounts: PartnerAccount) -> dict[str, set[str]]:
    verdict = judged(application, *accounts)
    assert verdict.sound, verdict.problems
    return {each.partner: {reason.code for reason in each.reasons} for each in verdict.candidates}


def test_a_sound_application_has_nothing_against_it() -> None:
    verdict = judged(sound())
    assert verdict.sound
    assert [(each.partner, each.credential, each.reasons) for each in verdict.candidates] == [(FF, "demo-ff", ())]


def broken() -> dict[str, Any]:
    """Something against every backend rule."""
    data = sound_json(mode="live", uploads=[{"id": "u", "kind": "other", "sha256": "0" * 64, "owner": 7}] * 2)
    data["business"] |= {"startDate": "2031-01-01", "formedOn": "2031-01-01", "franchise": {"since": "2031-01-01"}}
    data["financials"] |= {"asOf": "2031-01-01", "annualProfit": {"amount": "1", "currency": "QQQ"}}
    data["owners"][0] |= {"birthDate": "2031-01-01", "ownershipPercent": "61"}
    data["owners"][1] |= {"ownerSince": "1970-01-01"}
    data["owners"][0]["identityDocuments"][0] |= {"expiresOn": "2019-01-01", "uploadId": "elsewhere"}
    data["existingLoans"][0] |= {"endsOn": "2020-01-01", "balance": {"amount": "1", "currency": "XXX"}}
    data["invoices"][0] |= {"dueOn": "2020-01-01", "uploadId": "elsewhere"}
    data["tradeDocuments"][0] |= {"issuedOn": "2031-01-01", "uploadId": "elsewhere"}
    data["riskAssessments"][0]["assessedAt"] = "2026-03-02T10:35:01Z"
    data["consents"] = [data["consents"][1] | {"givenAt": "2026-03-02T10:35:01Z"}]
    return data


BROKEN = {
    ("/mode", "mode-crossing"),
    ("/business/startDate", "in-future"),
    ("/business/formedOn", "in-future"),
    ("/business/franchise/since", "in-future"),
    ("/financials/asOf", "in-future"),
    ("/financials/annualProfit/currency", "currency-unknown"),
    ("/existingLoans/0/balance/currency", "currency-unknown"),
    ("/owners", "ownership-over-100"),
    ("/owners/0/birthDate", "in-future"),
    ("/owners/0/ownerSince", "before-begin"),
    ("/owners/1/ownerSince", "before-begin"),
    ("/owners/0/identityDocuments/0/expiresOn", "before-begin"),
    ("/owners/0/identityDocuments/0/uploadId", "upload-not-listed"),
    ("/existingLoans/0/endsOn", "before-begin"),
    ("/invoices/0/dueOn", "before-begin"),
    ("/invoices/0/uploadId", "upload-not-listed"),
    ("/tradeDocuments/0/issuedOn", "in-future"),
    ("/tradeDocuments/0/uploadId", "upload-not-listed"),
    ("/riskAssessments/0/assessedAt", "in-future"),
    ("/consents/0/givenAt", "in-future"),
    ("/consents", "consent-missing"),
    ("/uploads/0/id", "upload-unknown"),
    ("/uploads/1/id", "upload-unknown"),
    ("/uploads/1/id", "id-repeated"),
    ("/uploads/0/owner", "owner-unknown"),
    ("/uploads/1/owner", "owner-unknown"),
    ("", "duplicate"),
}


def test_every_backend_problem_comes_at_once() -> None:
    verdict = judged(Application.model_validate(broken()), earlier="some-application")
    assert codes(verdict.problems) == BROKEN
    assert {each.phase for each in verdict.problems} == {"backend"}
    assert "some-application" in verdict.problems[-1].message


def test_all_three_phases_at_once() -> None:
    """Unknown fields, an inconsistency and a partner's need: one answer names them all."""
    data = sound_json(shoeSize=44)
    data["owners"][0]["ownershipPercent"] = "90"
    del data["owners"][1]["ssn"]
    application, unfit = read(data)
    tenant = Tenant(id="demo", name="Demo", mode="test", partners=(account(),))
    verdict = validate(application, tuple(unfit), Facts(tenant, NOW))
    assert {(each.pointer, each.code, each.phase, each.partner) for each in verdict.everything()} == {
        ("/shoeSize", "unknown_field", "frontend", None),
        ("/owners", "ownership-over-100", "backend", None),
        ("/owners/1/ssn", "missing", "partner", FF),
    }


def test_what_does_not_fit_the_schema_is_told_whole() -> None:
    data = sound_json(shoeSize=44, mode="maybe")
    data["owners"][0]["ssn"] = "12"
    application, unfit = read(data)
    assert application is None
    assert codes(unfit) == {
        ("/mode", "literal_error"),
        ("/owners/0/ssn", "digits_length"),
        ("/shoeSize", "unknown_field"),
    }
    assert validate(None, tuple(unfit), Facts(Tenant(id="d", name="D", mode="test"), NOW)).problems == tuple(unfit)


def test_what_the_intake_handed_over_is_kept() -> None:
    handed = (FieldProblem(pointer="/x", code="unknown_field", message="is not a field of the application"),)
    verdict = validate(sound(), handed, Facts(Tenant(id="d", name="D", mode="test"), NOW))
    assert verdict.problems == handed
    unsound = validate(sound(consents=[]), tuple(judged(sound(consents=[])).problems), Facts(None, NOW))
    again = judged(sound(consents=[]))
    tenant = Tenant(id="d", name="D", mode="test")
    assert validate(sound(consents=[]), again.problems, Facts(tenant, NOW)).problems == again.problems, "told once"
    assert codes(unsound.problems) == {("/consents", "consent-missing"), ("", "tenant-unknown")}


def test_a_tenant_that_is_gone() -> None:
    assert codes(judged(sound(), tenant=None).problems) == {("", "tenant-unknown")}


def test_a_day_that_began_in_the_east_is_not_in_the_future() -> None:
    evening = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
    data = sound_json()
    data["business"]["startDate"] = "2026-03-03"
    application = Application.model_validate(data)
    assert judged(application, received_at=evening).sound
    assert not judged(application, received_at=evening - dt.timedelta(hours=3)).sound


def test_reasons_against_an_account_come_together() -> None:
    data = sound_json()
    data["consents"][0]["partners"] = ["somebody-else"]
    data["owners"][0].pop("ssn")
    application = Application.model_validate(data)
    found = reasons(application, account(enabled=False, mode="live"))
    assert found == {FF: {"partner-disabled", "mode-mismatch", "consent-missing", "missing"}}


def test_partners_asked_for_by_name() -> None:
    application = sound(targetPartners=[FF, "no-such-partner"])
    assert reasons(application) == {FF: set(), "no-such-partner": {"partner-unknown"}}
    elsewhere = account(partner="no-such-partner", credential="other")
    assert reasons(application, elsewhere) == {"no-such-partner": {"partner-unknown"}, FF: {"no-credential"}}
    assert reasons(sound(targetPartners=[])) == {}


def test_all_means_every_account_of_the_tenant() -> None:
    verdict = judged(sound(), account(), account(credential="second"))
    assert [(each.credential, each.eligible) for each in verdict.candidates] == [("demo-ff", True), ("second", True)]


def test_wrong_options_of_an_account_are_a_reason_and_no_crash() -> None:
    assert reasons(sound(), account(options={"revision": "stone-age"})) == {FF: {"account-misconfigured"}}


def test_every_amount_is_found() -> None:
    data = sound_json()
    found = {pointer for pointer, _ in amounts(Application.model_validate(data))}

    def money(value: Any, at: str = "") -> set[str]:
        if isinstance(value, dict) and value.keys() == {"amount", "currency"}:
            return {at}
        parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        return {each for name, inner in parts for each in money(inner, f"{at}/{name}")}

    assert found == money(data)
    assert len(found) > 20


@given(shares=st.lists(st.decimals(0, 100, places=2), min_size=2, max_size=2))
def test_ownership(shares: list[Any]) -> None:
    data = sound_json()
    for owner, share in zip(data["owners"], shares, strict=True):
        owner["ownershipPercent"] = format(share, "f")
    assert judged(Application.model_validate(data)).sound == (sum(shares) <= 100)


@given(start=st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1)), end=st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1)))
def test_spans_and_the_future(start: dt.date, end: dt.date) -> None:
    data = sound_json()
    data["existingLoans"][0] |= {"startedOn": str(start), "endsOn": str(end)}
    found = codes(judged(Application.model_validate(data)).problems)
    assert (("/existingLoans/0/endsOn", "before-begin") in found) == (end < start)
    assert (("/existingLoans/0/startedOn", "in-future") in found) == (start > dt.date(2026, 3, 3))


@pytest.mark.parametrize("place", ["legalName", "phone", "email"])
def test_no_problem_quotes_a_value(place: str) -> None:
    data = broken()
    data["business"][place] = "canary@quoted.example.test" if place == "email" else "6175550199"
    told = judged(Application.model_validate(data), account(options={"vocabulary": "current"})).everything()
    text = " ".join(each.model_dump_json() for each in told)
    assert not any(word in text for word in ("canary", "6175550199", "2031", "900000001", "Fakely", "QQQ"))
