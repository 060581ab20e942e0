from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sandbox.process import Sandbox


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One process for all tests of a module."""
    running = Sandbox(tmp_path_factory.mktemp("sandbox")).start()
    yield running
    running.stop()


@pytest.fixture
def sandbox(shared: Sandbox) -> Iterator[Sandbox]:
    """The shared process, without the dials another test set."""
    shared.reset()
    yield shared
    shared.reset()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Sandbox]:
    """A process of this test's own, to be killed."""
    running = Sandbox(tmp_path).start()
    yield running
    running.stop()
