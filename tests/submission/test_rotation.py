"""New keys and addresses in the credentials file take effect in working lanes; files on their way there do no harm."""

import asyncio
import json
import logging
import uuid
from collections.abc import Iterator

import pytest
from tests.frontdesk import FrontDesk, front_desk
from tests.submission.desk import Desk, credential

pytestmark = pytest.mark.asyncio
OLD, NEW = "old-secret-aaaaaaaa", "new-secret-bbbbbbbb"


def entry(partner: FrontDesk, key: str) -> dict[str, object]:
    return credential(partner.url, auth={"scheme": "api-key", "key": key})


@pytest.fixture
def quiet(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Neither secret is ever printed or logged, at the noisiest level."""
    caplog.set_level(logging.DEBUG)
    yield
    out, err = capfd.readouterr()
    assert OLD not in out + err + caplog.text
    assert NEW not in out + err + caplog.text


async def taken(desk: Desk, partner: FrontDesk) -> str:
    """The key with which the next application came to `partner`."""
    before = len(partner.keys)
    event = await desk.submit()
    await desk.until(event, "acked")
    (key,) = partner.keys[before:]
    return key


def body() -> bytes:
    return json.dumps({"id": f"FAKE.{uuid.uuid4().hex}"}).encode()


async def test_a_new_key_and_a_new_address_take_effect_without_a_restart(desk: Desk, quiet: None) -> None:
    async with front_desk("201 Created", body()) as first, front_desk("201 Created", body()) as second:
        desk.credentials(entry(first, OLD))
        async with desk.lanes(lanes="1"):
            assert await taken(desk, first) == OLD
            desk.credentials(entry(second, NEW))
            assert await taken(desk, second) == NEW
            assert first.keys == [OLD]


@pytest.mark.parametrize("cut", [0, 1, 40, 120, -3])
async def test_half_a_file_keeps_the_old_key_at_work(desk: Desk, quiet: None, cut: int) -> None:
    file = desk.folder / "credentials.json"
    async with front_desk("201 Created", body()) as first, front_desk("201 Created", body()) as second:
        desk.credentials(entry(first, OLD))
        async with desk.lanes(lanes="1"):
            await asyncio.sleep(0.1)
            desk.credentials(entry(second, NEW))
            whole = file.read_text()
            file.write_text(whole[:cut])
            assert await taken(desk, first) == OLD
            file.write_text(whole)
            assert await taken(desk, second) == NEW


async def test_a_file_that_is_gone_keeps_the_old_key_at_work(desk: Desk, quiet: None) -> None:
    file = desk.folder / "credentials.json"
    async with front_desk("201 Created", body()) as first, front_desk("201 Created", body()) as second:
        desk.credentials(entry(first, OLD))
        async with desk.lanes(lanes="1"):
            await asyncio.sleep(0.1)
            file.unlink()
            assert await taken(desk, first) == OLD
            desk.credentials(entry(second, NEW))
            assert await taken(desk, second) == NEW
