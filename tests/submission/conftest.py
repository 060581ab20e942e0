from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from tests.sandbox.process import Sandbox
from tests.submission.callers import Verifier, as_
from tests.submission.desk import Desk, Shelf

from lendrail.submission.app import build
from lendrail.submission.settings import Settings


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One sandbox process for all tests of a module."""
    running = Sandbox(tmp_path_factory.mktemp("sandbox")).start()
    yield running
    running.stop()


@pytest.fixture
async def desk(
    tmp_path: Path, mongo: str, database_prefix: str, shared: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Desk]:
    """Submission with quick settings, the sandbox without dials."""
    monkeypatch.setattr("os.environ", dict(__import__("os").environ))
    shared.reset()
    async with Shelf().open() as shelf:
        made = Desk(tmp_path, mongo, database_prefix, shared, shelf)
        await made.store.prepare()
        yield made
        for name in ("submission", "partners", "keys"):
            await made.client.drop_database(database_prefix + name)
        await made.client.close()
    shared.reset()


@pytest.fixture
async def http(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    """The service's HTTP side, asked by an operator."""
    _, app = build(Settings(), Verifier(), publisher=desk.heard, client=desk.client)  # type: ignore[arg-type]
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=as_("operator")) as client:
        yield client
