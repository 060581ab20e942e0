"""New keys and addresses in the credentials file take effect in working lanes; half a file does no harm."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import support
from tests.frontdesk import FrontDesk, front_desk
from tests.status.bench import Bench, Deal
from tests.status.conftest import MakeBench

pytestmark = pytest.mark.asyncio
OLD, NEW = "old-secret-aaaaaaaa", "new-secret-bbbbbbbb"
WORKING = b'{"stage": "Working"}'


@pytest.fixture
def quiet(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Neither secret is ever printed or logged, at the noisiest level."""
    caplog.set_level(logging.DEBUG)
    yield
    out, err = capfd.readouterr()
    assert OLD not in out + err + caplog.text
    assert NEW not in out + err + caplog.text


def entry(partner: FrontDesk, key: str) -> str:
    fixed = {"id": support.CREDENTIAL, "tenant": support.TENANT, "partner": "forward-financing", "mode": "test"}
    told = fixed | {"baseUrl": partner.url, "auth": {"scheme": "api-key", "key": key}, "rate": None}
    return json.dumps({"credentials": [told]})


async def asked(bench: Bench, partner: FrontDesk) -> str:
    """The key with which the next look came to `partner`."""
    before = len(partner.keys)
    deal = Deal()
    await bench.deliver(deal.validated())
    await bench.deliver(deal.ack())
    await bench.deliver(deal.webhook())

    async def came() -> bool:
        return len(partner.keys) > before

    await support.eventually(came)
    return partner.keys[before]


async def test_rotation(make_bench: MakeBench, tmp_path: Path, quiet: None) -> None:
    async with front_desk("200 OK", WORKING) as first, front_desk("200 OK", WORKING) as second:
        bench = await make_bench(base_url=first.url, fetch_lanes="1", recheck_seconds="100")
        file = tmp_path / "credentials.json"
        file.write_text(entry(first, OLD))
        bench.work()
        assert await asked(bench, first) == OLD
        file.write_text(entry(second, NEW)[:150])
        assert await asked(bench, first) == OLD
        file.write_text(entry(second, NEW))
        assert await asked(bench, second) == NEW
        file.unlink()
        assert await asked(bench, second) == NEW
        assert set(first.keys) == {OLD}
