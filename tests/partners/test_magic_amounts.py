"""The table of `docs/test-and-live.md`, field by field: what the simulated partners do is what it says."""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.partners.cast import REHEARSALS
from tests.partners.rehearsals import Channel, Rehearsal, Sandbox
from tests.partners.stage import Came, Stage

from lendrail.contracts.terms import Status
from lendrail.partners import PARTNERS
from lendrail.partners.exchange import Accepted, Duplicate, File, NoAnswer, Present, Rejected, Reply
from lendrail.partners.partner import Capability

DOC = Path(__file__).parents[2] / "docs" / "test-and-live.md"
REHEARSED: Mapping[str, Rehearsal] = {each.partner_name: each for each in reversed(REHEARSALS)}
"""The first rehearsal of each partner."""
OTHER = ("000", "010", "092", "123", "999")
SILENT_SECONDS = 1.0
SETTLED = 0.4
"""Seconds after which a decision that falls at once has fallen."""
FILE = File(name="statement.pdf", kind="bank-statement", content=b"%PDF-1.4 fake")


def table() -> dict[tuple[str, str], str]:
    """(partner, ending) → the field."""
    _, _, rest = DOC.read_text().partition("<!-- outcomes:")
    lines = re.findall(r"^\|(.*)\|$", rest, re.MULTILINE)
    head, _, *rows = [[field.strip() for field in line.split("|")] for line in lines]
    return {(name, row[0]): field for row in rows for name, field in zip(head[1:], row[1:], strict=True)}


TABLE = table()
FIELDS = [
    pytest.param(name, ending, field, id=f"{name}-{ending}")
    for (name, row), field in TABLE.items()
    for ending in (OTHER if row == "any other" else (row,))
]


def test_the_table_has_every_simulated_partner_and_every_outcome() -> None:
    assert {name for name, _ in TABLE} == set(PARTNERS) == set(REHEARSED)
    fields = set(TABLE.values())
    statuses = {each.value for each in Status}
    assert fields <= statuses | {"time-out", "lost", "refused"}
    wanted = {"approved", "declined", "referred", "info-required", "in-review", "duplicate", "funded"}
    assert fields >= wanted | {"time-out", "lost", "refused"}
    assert len(FIELDS) == len(REHEARSED) * (10 + len(OTHER))


def staged(sandbox: Sandbox, partner: str, ending: str) -> tuple[Stage, Any]:
    """A stage, and the calls that bring an application with this ending."""
    stage = Stage(REHEARSED[partner], sandbox)
    amount = stage.rehearsal.amounts["approve"][:-3] + ending
    stage.data = stage.rehearsal.application(amount, stage.reference)
    return stage, stage.partner.create(stage.rehearsal.order(stage.reference, stage.data))


async def now(stage: Stage, channel: Channel, came: Came) -> str:
    """The status as the partner tells it now."""
    assert isinstance(came, Accepted)
    if stage.partner.read is None or came.partner_id is None or stage.partner.report is None:
        return str(came.report.status if came.report else Status.SUBMITTED)
    reply = await channel.send(stage.partner.read(came.partner_id), 5)
    assert isinstance(reply, Reply)
    return str(stage.partner.report(reply).status)


async def until(stage: Stage, channel: Channel, came: Came, wanted: str, seconds: float) -> str:
    """The status once it is the wanted one; else what it is in the end."""
    for _ in range(int(seconds / 0.05)):
        if (status := await now(stage, channel, came)) == wanted:
            return status
        await asyncio.sleep(0.05)
    return status


@pytest.mark.parametrize(("partner", "ending", "field"), FIELDS)
async def test_a_field(sandbox: Sandbox, partner: str, ending: str, field: str) -> None:
    stage, requests = staged(sandbox, partner, ending)
    async with stage.rehearsal.channel(sandbox.url) as channel:
        came = await stage.bring(channel, requests, SILENT_SECONDS if field == "time-out" else 10)
        if field in ("time-out", "lost"):
            assert came == NoAnswer("deadline" if field == "time-out" else "cut")
        elif field == "refused":
            assert isinstance(came, Rejected)
        elif field == "funded":
            assert await now(stage, channel, came) == "approved"
            assert await until(stage, channel, came, field, 3) == field
        elif field in ("in-review", "submitted"):
            await asyncio.sleep(SETTLED)
            assert await now(stage, channel, came) == field
        else:
            assert await until(stage, channel, came, field, 3) == field
    assert stage.leads == (0 if field == "refused" else 1)


@pytest.mark.parametrize(
    ("partner", "ending"),
    [key for key, field in TABLE.items() if field == "info-required"],
)
async def test_what_misses_information_is_approved_once_a_document_came(
    sandbox: Sandbox, partner: str, ending: str
) -> None:
    stage, requests = staged(sandbox, partner, ending)
    async with stage.rehearsal.channel(sandbox.url) as channel:
        came = await stage.bring(channel, requests)
        assert await until(stage, channel, came, "info-required", 3) == "info-required"
        assert isinstance(came, Accepted)
        assert came.partner_id
        assert stage.partner.document
        sent = stage.partner.document(came.partner_id, (FILE,), stage.rehearsal.options)
        assert isinstance(await stage.send(channel, sent), Accepted)
        assert await until(stage, channel, came, "approved", 3) == "approved"


@pytest.mark.parametrize(
    ("partner", "ending"),
    [k for k, f in TABLE.items() if f in ("time-out", "lost")],
)
async def test_what_follows_lost_words_is_what_the_partner_guarantees(
    sandbox: Sandbox, partner: str, ending: str
) -> None:
    """The same bytes again where the partner knows a repeat; its list where it has one; else nothing is done."""
    stage, requests = staged(sandbox, partner, ending)
    capability = stage.partner.operations["create"].capability
    async with stage.rehearsal.channel(sandbox.url) as channel:
        assert isinstance(await stage.bring(channel, requests, SILENT_SECONDS), NoAnswer)
        if capability == Capability.KEYED:
            assert isinstance(await stage.bring(channel, requests), Accepted)
        elif capability == Capability.UNIQUE_REFERENCE:
            assert isinstance(await stage.bring(channel, requests), Duplicate)
        elif stage.partner.search is not None:
            assert isinstance(await stage.search(channel), Present)
        else:
            assert capability == Capability.BLIND
    assert stage.leads == 1


async def test_a_dial_wins_over_the_amount(sandbox: Sandbox) -> None:
    stage, requests = staged(sandbox, "forward-financing", "091")
    stage.dial("html", times=1)
    assert not isinstance(await stage.once(requests), NoAnswer)
    assert stage.leads == 1
