"""The judge of applications that went through a whole stack, and what a run with a wiped Kafka must have shown.

The run itself takes more than a minute and has its own command: `python -m proofs.wiped`.
"""

import uuid
from typing import Any

import httpx
import pytest
from proofs.judged import Left, Sent, Verdict, settled, told_nobody
from tests.contracts.test_rebuild import STORED

from proofs import judged, wiped

ASKED = Sent(str(uuid.UUID(int=7)), ("finpace", "reference-partner"), "40001")
GOOD = Verdict(
    accepted=2, lost=(), doubled=(), wrong=(), renumbered=(), untold=(), disordered=(), missing=(), dead=(), unheard=(),
    repeated=0, told=4,
)  # fmt: skip


class Partners:
    """Their books, with the answers that one partner's calls about `ASKED` got."""

    def __init__(self, *answers: int | None, reference: str = "") -> None:
        self._calls = [{"reference": reference or ASKED.reference("finpace"), "status": each} for each in answers]

    def ledger(self, partner: str) -> dict[str, Any]:
        assert partner == "finpace", "the others can be asked"
        return {"webhooks": self._calls}


def shown(**words: str) -> Left:
    known = {"finpace": "declined", "reference-partner": "declined"}
    return Left(ASKED, known | {name.replace("_", "-"): word for name, word in words.items()})


async def deaf(stack: Any, left: Left) -> bool:
    return await told_nobody(stack, [left]) == [left]


@pytest.mark.parametrize(
    ("answers", "left", "nobody"),
    [
        ((None,), shown(finpace="in-review"), True),
        ((503, None), shown(finpace="in-review"), True),
        ((), shown(finpace="in-review"), False),
        ((None, 200), shown(finpace="in-review"), False),
        ((None,), shown(finpace="approved"), False),
        ((None,), shown(finpace="in-review", reference_partner="in-review"), False),
        ((), shown(reference_partner="in-review"), False),
    ],
    ids=["no answer", "no good one", "not called", "heard", "shown otherwise", "another too", "one that can be asked"],
)
async def test_only_a_partner_that_cannot_be_asked_may_have_told_nobody(
    answers: tuple[int | None, ...], left: Left, nobody: bool
) -> None:
    assert await deaf(Partners(*answers), left) is nobody


async def test_a_call_about_another_application_says_nothing() -> None:
    assert not await deaf(Partners(None, reference="another"), shown(finpace="in-review"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judged, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(judged, "ASK_SECONDS", 0.05)


def gateway(*words: dict[str, str]) -> httpx.AsyncClient:
    """Shows one after the other, and the last one for ever."""
    left = list(words)

    def answer(_: httpx.Request) -> httpx.Response:
        now = left.pop(0) if len(left) > 1 else left[0]
        return httpx.Response(200, json={"opportunities": [{"partner": p, "status": s} for p, s in now.items()]})

    return httpx.AsyncClient(base_url="http://gateway.test", transport=httpx.MockTransport(answer))


@pytest.mark.usefixtures("quick")
async def test_what_ends_late_is_waited_for() -> None:
    stack: Any = Partners()
    late = gateway({}, shown(finpace="in-review").shown, shown().shown)
    async with late:
        assert await settled(stack, late, [ASKED], 5) == judged.Settled((), ())


@pytest.mark.usefixtures("quick")
async def test_what_does_not_end_is_wrong_and_what_nobody_heard_is_told_apart() -> None:
    stack: Any = Partners(None)
    async with gateway(shown(finpace="in-review").shown) as client:
        found = await settled(stack, client, [ASKED], 30)
        assert (found.wrong, [each.sent for each in found.unheard]) == ((), [ASKED]), "and it is not waited for"
    heard: Any = Partners(200)
    async with gateway(shown(finpace="in-review").shown) as client:
        found = await settled(heard, client, [ASKED], 0.2)
        assert ([each.differing for each in found.wrong], found.unheard) == ([["finpace"]], ())


def test_every_violation_is_a_promise_that_is_not_kept() -> None:
    assert all(check.kept for check in GOOD.checks())
    for name in judged.MEANING:
        bad = Verdict(**vars(GOOD) | {name: ("here",)})
        assert [(check.what, check.seen) for check in bad.checks() if not check.kept] == [
            (judged.MEANING[name], "1; here")
        ]
        assert bad.bad == {name: ("here",)}
    assert not all(check.kept for check in Verdict(**vars(GOOD) | {"accepted": 0}).checks())


class Run(wiped.Wiped):
    """One that is over."""

    def __init__(self, unread: dict[str, int], resting: set[str], forgotten: int = 0) -> None:
        nothing: Any = None
        super().__init__(nothing, 5)
        self.unread, self.forgotten, self._resting = unread, forgotten, resting

    def holding_events(self) -> set[str]:
        return self._resting


def kept(found: Verdict = GOOD, unread: int = 5, lacking: str = "", forgotten: int = 0) -> bool:
    run = Run(dict.fromkeys(wiped.UNREAD, unread), set(wiped.HOLDING) - {lacking}, forgotten)
    return all(check.kept for check in run.checks(found))


def test_a_loss_of_nothing_proves_nothing() -> None:
    assert kept()
    assert not kept(unread=2)
    assert not kept(lacking="gateway.webhooks")
    assert not kept(forgotten=1)
    assert not kept(Verdict(**vars(GOOD) | {"repeated": 2}))
    assert not kept(Verdict(**vars(GOOD) | {"told": 1}))
    assert not kept(Verdict(**vars(GOOD) | {"lost": ("here",)}))


def test_events_rest_where_they_are_said_to() -> None:
    known = {f"{service}.{name}" for service, names in STORED.items() for name in names if service != "notifications"}
    assert known | {"notifications.notices"} == wiped.HOLDING, "notices follow from what status states again"
