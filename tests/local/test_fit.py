"""`lendrail fit`: who would take applications, without a stack; a check that promises too much is seen."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from lendrail.contracts.application import Application
from lendrail.local import fit
from lendrail.local.cli import app
from lendrail.local.fit import fits, why
from lendrail.local.sample import HOMES, applications, at_home
from lendrail.partners import PARTNERS
from lendrail.partners.partner import Order

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def loans(project: Path) -> list[dict[str, Any]]:
    return list(applications(project / "examples" / "sba-7a-sample.csv", 40))


@pytest.fixture
def run() -> Run:
    return lambda *words: CliRunner().invoke(app, ["fit", *map(str, words)])


def test_every_partner_tells_why(loans: list[dict[str, Any]]) -> None:
    without_code = [each for each in loans if "industry" not in each["business"]]
    found = fits(without_code)
    assert list(found.partners) == list(PARTNERS)
    assert found.partners["reference-partner"].takes == len(without_code) > 0
    refused = found.partners["forward-financing"]
    assert refused.takes == 0
    assert refused.reasons["/business/industry/naics", "missing"] == len(without_code)


def test_a_reason_is_counted_once_for_each_application(loans: list[dict[str, Any]]) -> None:
    both = loans[0] | {"owners": loans[0]["owners"] * 2, "requestedFinance": {}}
    found = fits([both, both])
    assert (found.asked, found.unsound) == (2, 2)
    assert dict(found.reasons) == {("/requestedFinance/amount", "missing"): 2}
    assert not any(each.takes or each.reasons for each in found.partners.values())


def test_what_passes_a_check_and_cannot_be_put_into_calls_is_a_defect(
    loans: list[dict[str, Any]], run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def create(order: Order) -> Any:
        raise KeyError(order.application.owners[0].last_name.reveal())

    broken = {"finpace": dataclasses.replace(PARTNERS["finpace"], create=create)}
    found = fits(loans[:3], broken)
    assert (found.partners["finpace"].takes, dict(found.partners["finpace"].broken)) == (0, {"KeyError": 3})
    assert fits(loans[:3], broken, calls=False).partners["finpace"].takes == 3
    monkeypatch.setitem(PARTNERS, "finpace", broken["finpace"])
    said = run("--sample", 1)
    assert said.exit_code == 1
    assert "{'finpace': {'KeyError': 1}}" in said.output
    assert loans[0]["owners"][0]["lastName"] not in said.output


def test_most_frequent_reasons_come_first() -> None:
    many = {(f"/a{place}", "missing"): place for place in range(1, 8)}
    assert why(fit.Reasons(many)).startswith("`/a7` missing: 7, `/a6` missing: 6")
    assert "/a2" not in why(fit.Reasons(many))
    assert why(fit.Reasons({("", "refused"): 12_345})) == "(whole) refused: 12 345"


def test_command_reads_a_file(loans: list[dict[str, Any]], run: Run, tmp_path: Path) -> None:
    file = tmp_path / "applications.json"
    file.write_text(json.dumps([*loans[:2], {}]))
    said = run(file)
    assert said.exit_code == 0
    assert "1 of 3 are no applications" in said.output
    assert "2 of 3" in said.output
    assert all(name in said.output for name in PARTNERS)


def test_command_says_what_it_needs(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "applications.json"
    file.write_text("not JSON")
    for words in ((), (file,), (tmp_path / "absent",), (file, "--sample", 1)):
        assert run(*words).exit_code == 1


@pytest.mark.parametrize("country", HOMES)
def test_a_loan_at_home_is_the_same_loan_with_nobodys_numbers(loans: list[dict[str, Any]], country: str) -> None:
    for made in loans[:10]:
        there = at_home(made, country)
        application = Application.model_validate(there)
        assert application.business.country == country
        assert {each.country for each in application.business.addresses} == {country}
        for same in ("industry", "startDate", "employees", "legalName"):
            assert there["business"].get(same) == made["business"].get(same)
        wish, wished = there["requestedFinance"], made["requestedFinance"]
        assert wish["amount"] == {"amount": wished["amount"]["amount"], "currency": HOMES[country].currency}
        assert wish.get("term") == wished.get("term")
        assert ("ssn" in there["owners"][0]) == (country == "US")
    assert loans[0]["business"]["country"] == "US", "the one it was made of is left as it was"
