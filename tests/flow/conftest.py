"""Whole stacks for the flow tests; one is shared by the tests that leave it as they found it."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.flow.stack import Stack


@contextmanager
def stacks() -> Iterator[Callable[[], Stack]]:
    """Folders for stacks; each is stopped and deleted at the end."""
    made: list[Stack] = []

    def make() -> Stack:
        made.append(Stack(Path(tempfile.mkdtemp(prefix="lendrail-"))))
        return made[-1]

    try:
        yield make
    finally:
        for stack in made:
            stack.down()
            shutil.rmtree(stack.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def new_stack() -> Iterator[Callable[[], Stack]]:
    """Stacks that end with their file: each costs the other tests a third of a core."""
    with stacks() as make:
        yield make


@pytest.fixture(scope="package")
def shared_stack() -> Iterator[Stack]:
    with stacks() as make:
        yield make().up("--no-rate-limit")


@pytest.fixture
def stack(shared_stack: Stack) -> Iterator[Stack]:
    """The shared stack with the partner's dials off."""
    shared_stack.dials_off()
    yield shared_stack
    shared_stack.dials_off()


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with stack.client() as client:
        yield client
