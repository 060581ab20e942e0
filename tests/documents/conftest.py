from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.documents.bench import Bench


@pytest.fixture
async def bench(
    request: pytest.FixtureRequest, tmp_path: Path, mongo: str, database_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Bench]:
    """Its settings may be given as the indirect parameter."""
    made = Bench(tmp_path, mongo, database_prefix, monkeypatch, **getattr(request, "param", {}))
    await made.files.prepare()
    await made.links.prepare()
    yield made
    for name in ("documents", "keys"):
        await made.service.client.drop_database(database_prefix + name)
    await made.http.aclose()
    await made.service.client.close()
