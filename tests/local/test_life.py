"""The demo's longer scenes: a life up to the money, and a withdrawal. What a lender's ledger denies stops the demo."""

import io
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.local.world import APPLICATION, World, playing

from lendrail.contracts.application import Application
from lendrail.documents.content import PDF, file_type
from lendrail.local.accounts import ACCOUNTS
from lendrail.local.life import REASON, judge_life, judge_withdrawal, play_life, play_withdrawal
from lendrail.local.paper import bank_statement
from lendrail.local.scenes import Ending, Life, life, withdrawal
from lendrail.local.stage import Missed, Stage
from lendrail.partners import PARTNERS

SHA256 = "ab" * 32
Play = Callable[[Stage, Life], Awaitable[Ending]]


@pytest.fixture(scope="module")
def loans(project: Path) -> Path:
    return project / "examples" / "sba-7a-sample.csv"


async def played(world: World, folder: Path, play: Play, scene: Life) -> tuple[Ending, str]:
    """How it ended, and what a terminal of 100 columns showed."""
    out = io.StringIO()
    console = Console(file=out, width=100, highlight=False, soft_wrap=True)
    with playing(world, folder) as state:
        stage = Stage(state, console, hurried=True, told=world.told)
        async with stage.open():
            return await play(stage, scene), out.getvalue()


def in_order(shown: str, steps: list[str]) -> bool:
    """Raises ValueError: a step is missing after the one before."""
    place = 0
    for step in steps:
        place = shown.index(step, place)
    return True


def test_each_lender_takes_the_application_and_can_do_what_is_asked_of_it(loans: Path) -> None:
    options = {account.partner: dict(account.options) for account in reversed(ACCOUNTS)}
    for scene in (life(loans), withdrawal(loans)):
        application = Application.model_validate(scene.application)
        assert PARTNERS[scene.partner].check(application, options[scene.partner]) == []
        assert scene.application["targetPartners"] == [scene.partner]
    assert PARTNERS[life(loans).partner].accept
    assert "bank-statement" in PARTNERS[life(loans).partner].facts.documents
    assert PARTNERS[withdrawal(loans).partner].withdraw


def test_the_paper_is_a_pdf_of_its_own_for_each_application() -> None:
    assert file_type(bank_statement("a")) is PDF
    assert bank_statement("a") != bank_statement("b")
    assert b"fake" in bank_statement("a")


async def test_a_whole_life_is_told_step_by_step(loans: Path, tmp_path: Path) -> None:
    scene = life(loans)
    world = World(scene.partner, "info-required")
    ending, shown = await played(world, tmp_path, play_life, scene)
    assert ending.view["status"] == "funded"
    assert world.asked == ["applications", "documents", "documents", "accept", "accept"]
    assert world.dials[0] == scene.dial
    (sent,) = (each["sha256"] for each in world.ledger["attachments"] if each["sha256"] != "0" * 64)
    steps = [
        "info-required",
        "asks for bank-statement: last two months",
        f"/documents   bank-statement.pdf, {len(bank_statement(APPLICATION))} bytes, SHA-256 {sent[:12]}",
        "approved",
        "offers 40000.00 USD over 12 months",
        "/accept   offer-1",
        "accepted",
        "funded",
        f"ledger has the application once, the document {sent[:12]}… once, offer-1",
    ]
    assert in_order(shown, steps)
    assert max(map(len, shown.splitlines())) <= 100


async def test_a_withdrawal_is_told_with_its_reason(loans: Path, tmp_path: Path) -> None:
    scene = withdrawal(loans)
    world = World(scene.partner, "submitted")
    ending, shown = await played(world, tmp_path, play_withdrawal, scene)
    assert ending.view["status"] == "withdrawn"
    assert world.asked == ["applications", "withdraw", "withdraw"]
    steps = ["submitted", f"/withdraw   reason: {REASON}", "withdrawn", "one withdrawal, reason Withdrawn"]
    assert in_order(shown, steps)
    assert max(map(len, shown.splitlines())) <= 100


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        ("nothing-named", "does not say which document the lender wants"),
        ("documents", "/documents answered 409"),
        ("accept", "/accept answered 409"),
        ("no-keys", "under the same key was not answered as before"),
    ],
)
async def test_what_does_not_happen_stops_the_demo(loans: Path, tmp_path: Path, spoilt: str, said: str) -> None:
    scene = life(loans)
    with pytest.raises(Missed, match=said):
        await played(World(scene.partner, "info-required", spoilt), tmp_path, play_life, scene)


def lived(**changed: Any) -> dict[str, Any]:
    """A sound ledger: beside the upload it has a document of ours that went with the application."""
    documents = [{"sha256": each, "accepted": True} for each in ("00" * 32, SHA256)]
    decisions = [{"outcome": each} for each in ("missing", "approve", "fund")]
    whole = {"leads": [{}], "attachments": documents, "acceptances": [{"offerId": "offer-1"}], "decisions": decisions}
    return whole | changed


def test_a_sound_ledger_passes(loans: Path) -> None:
    judge_life(life(loans), lived(), SHA256, "offer-1")
    assert judge_withdrawal(withdrawal(loans), withdrawn()) == "Withdrawn"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"leads": []}, "has the application 0 times"),
        ({"leads": [{}, {}]}, "has the application 2 times"),
        ({"attachments": [{"sha256": SHA256, "accepted": False}]}, "has the document that was uploaded 0 times"),
        ({"attachments": [{"sha256": SHA256, "accepted": True}] * 2}, "has the document that was uploaded 2 times"),
        ({"attachments": [{"sha256": "cd" * 32, "accepted": True}]}, "has the document that was uploaded 0 times"),
        ({"acceptances": [{"offerId": "offer-1"}] * 2}, "has offer-1 accepted 2 times"),
        ({"acceptances": [{"offerId": "offer-2"}]}, "has another offer accepted"),
        ({"acceptances": []}, "has offer-1 accepted 0 times"),
        ({"decisions": [{"outcome": "approve"}]}, "has the payout 0 times"),
    ],
)
def test_a_ledger_that_denies_the_life_stops_the_demo(loans: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(Missed, match=said):
        judge_life(life(loans), lived(**changed), SHA256, "offer-1")


def withdrawn(**changed: Any) -> dict[str, Any]:
    return {"leads": [{}], "withdrawals": [{"reason": "Withdrawn"}], "decisions": []} | changed


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"leads": [{}, {}]}, "has the application 2 times"),
        ({"withdrawals": []}, "has the withdrawal 0 times"),
        ({"withdrawals": [{"reason": "Withdrawn"}] * 2}, "has the withdrawal 2 times"),
        ({"decisions": [{"outcome": "approve"}]}, "has decided"),
    ],
)
def test_a_ledger_that_denies_the_withdrawal_stops_the_demo(loans: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(Missed, match=said):
        judge_withdrawal(withdrawal(loans), withdrawn(**changed))
