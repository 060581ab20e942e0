"""A parameter that a route does not know is refused, and nothing of it is quoted."""

from __future__ import annotations

from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Query

from lendrail.runtime import http
from lendrail.runtime.parameters import ONLY_KNOWN


def page_size(size: Annotated[int, Query(alias="pageSize", ge=1)] = 5) -> int:
    return size


@pytest.fixture
def client() -> httpx.AsyncClient:
    app, router = FastAPI(), APIRouter(prefix="/v1/things", dependencies=[ONLY_KNOWN])
    http.install(app, 1024)

    @router.get("")
    async def several(
        size: Annotated[int, Depends(page_size)], dry: Annotated[bool, Query(alias="dryRun")] = False
    ) -> str:
        return f"{size} {dry}"

    @router.get("/one")
    async def one() -> str:
        return "one"

    app.include_router(router)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://things.example.test")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("?dryrun=true", "has a parameter that is none of dryRun, pageSize"),
        ("?dry=true", "has a parameter that is none of dryRun, pageSize"),
        ("?pageSize=5&Testa=900-00-1001", "has a parameter that is none of dryRun, pageSize"),
        ("/one?dryRun=true", "must be left out"),
    ],
)
async def test_what_is_known_is_told(client: httpx.AsyncClient, path: str, said: str) -> None:
    answer = await client.get(f"/v1/things{path}")
    assert answer.status_code == 422
    assert [each["message"] for each in answer.json()["errors"]] == [said]
    assert "Testa" not in answer.text
    assert "900" not in answer.text


async def test_what_is_known_goes_through(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/things?pageSize=7&dryRun=true")).json() == "7 True"
    assert (await client.get("/v1/things/one")).json() == "one"


async def test_a_value_that_is_none_is_told_in_words(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/v1/things?dryRun=Testa")).json()
    (fault,) = answer["errors"]
    assert fault["pointer"] == "/query/dryRun"
    assert fault["message"].startswith("Input should be a valid boolean")
    assert "Testa" not in str(answer)
