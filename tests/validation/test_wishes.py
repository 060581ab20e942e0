"""Which wishes count against twins while applications change, on a real MongoDB."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests import make, support
from tests.validation.amended import LATER, amended, at, corrected, document, withdrawn
from tests.validation.test_amendments import Desk
from tests.validation.test_checks import australian, credentials
from tests.validation.test_handlers import other

from lendrail.contracts.application_rejected import ApplicationRejected
from lendrail.contracts.application_validated import ApplicationValidated


@pytest.fixture
async def make_desk(
    tmp_path: Path, mongo: str, database_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Any]:
    made: list[Desk] = []
    credentials(tmp_path, "http://127.0.0.1:1/")

    def desk(**more: str) -> Desk:
        made.append(Desk(tmp_path, mongo, database_prefix, monkeypatch, **({"abn_credential": ""} | more)))
        return made[-1]

    yield desk
    for each in made:
        await each.close()


async def twin(desk: Desk, n: int = 7, **changes: Any) -> bool:
    """Whether another application for the wish of `other(n)` is refused as a duplicate now."""
    event = make.received(application=other(n), **({"received_at": LATER} | changes))
    await desk.says(event)
    (fact,) = await desk.facts(event, 1)
    return isinstance(fact, ApplicationRejected) and {each.code for each in fact.problems} == {"duplicate"}


async def test_a_wish_that_was_corrected_away_counts_no_more(make_desk: Any) -> None:
    """Whatever else happened to it in between; the wish of now counts, and a refused correction changes none."""
    desk = make_desk()
    event = make.received(application=other(7))
    await desk.says(event, make.received(application=other(9)))
    await desk.says(amended(event, 2, document(), application=other(7)), amended(event, 3, corrected(other(9))))
    assert isinstance((await desk.facts(event, 3))[2], ApplicationRejected)
    assert await twin(desk, 7)
    await desk.says(amended(event, 4, corrected(other(8))), amended(event, 5, document(), application=other(8)))
    assert [await twin(desk, 8), await twin(desk, 7), await twin(desk, 7)] == [True, False, True]


async def test_corrected_away_in_the_same_batch(make_desk: Any) -> None:
    desk = make_desk()
    event, another = make.received(application=other(7)), make.received(application=other(8))
    await desk.says(event, another)
    await desk.says(amended(event, 2, corrected(other(9))), amended(another, 2, corrected(other(7))))
    assert isinstance((await desk.facts(another, 2))[1], ApplicationValidated)
    assert await twin(desk, 7)


async def test_what_was_withdrawn_everywhere_blocks_no_new_application(make_desk: Any) -> None:
    desk = make_desk()
    event, piece = make.received(application=other(7)), make.received(application=other(8))
    await desk.says(event, piece)
    assert await twin(desk, 7)
    await desk.says(amended(event, 2, withdrawn(), application=other(7)))
    await desk.says(amended(event, 3, document(), application=other(7)))
    assert not await twin(desk, 7)
    await desk.says(amended(piece, 2, withdrawn(make.new_id()), application=other(8)))
    assert await twin(desk, 8)
    await desk.says(amended(piece, 3, withdrawn(at(piece)), application=other(8)))
    assert not await twin(desk, 8)


async def test_what_waits_for_the_register_replaces_its_wish_already(make_desk: Any) -> None:
    """A sound correction does as soon as it waits; one that the rules refuse leaves the wish before it."""
    desk = make_desk(abn_credential="register-test", abn_retry_seconds="[0.1]")
    first, again = make.received(application=australian()), make.received(application=australian())
    async with desk.running():
        await desk.says(first)
        await desk.facts(first, 1)
        await support.eventually(desk.nothing_waits)
    seen = await desk.parts.preflight.duplicates.seen([desk.parts.handlers.judge._wish(again)])
    wish = desk.parts.handlers.judge._wish(again)
    assert seen.earlier(wish) == str(first.application_id)
    await desk.says(amended(first, 2, corrected(australian(amount="4321", consents=[]))))
    seen = await desk.parts.preflight.duplicates.seen([wish])
    assert seen.earlier(wish) == str(first.application_id)
    await desk.database["checks"].delete_many({})
    await desk.says(amended(first, 2, corrected(australian(amount="4321"))))
    assert await desk.database["checks"].count_documents({}) == 1
    seen = await desk.parts.preflight.duplicates.seen([wish])
    assert seen.earlier(wish) is None


async def test_an_amendment_does_not_make_a_wish_younger(make_desk: Any) -> None:
    desk = make_desk(duplicate_window_seconds="1800")
    event = make.received(application=other(7))
    await desk.says(event)
    await desk.says(amended(event, 2, document(), application=other(7)))
    assert not await twin(desk, 7)
