"""A client of a long run has a token whenever it asks, and is not kept from asking when there is none to be had."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest
from proofs.signed_in import SignedIn

OAUTH = {"token_url": "http://gateway.test/oauth/token", "client_id": "fake", "client_secret": "fake-secret"}


class Gateway:
    def __init__(self, lives: float) -> None:
        self.lives, self.given, self.answers = lives, 0, 200
        self.heard: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            self.given += 1
            said = {"access_token": f"token-{self.given}", "expires_in": self.lives}
            return httpx.Response(self.answers, content=_piecewise(json.dumps(said)))
        self.heard.append(request.headers["Authorization"])
        return httpx.Response(200)


async def _piecewise(text: str) -> AsyncIterator[bytes]:
    """As it comes over a socket: nothing of it is there before it is read."""
    yield text.encode()


def client(gateway: Gateway) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url="http://gateway.test", auth=SignedIn(OAUTH), transport=httpx.MockTransport(gateway)
    )


@pytest.mark.parametrize(("lives", "tokens"), [(600, ["token-1"] * 3), (0, ["token-1", "token-2", "token-3"])])
async def test_it_signs_in_again_when_its_token_ends(lives: float, tokens: list[str]) -> None:
    gateway = Gateway(lives)
    async with client(gateway) as signed_in:
        for _ in tokens:
            await signed_in.get("/v1/applications/1")
    assert gateway.heard == [f"Bearer {token}" for token in tokens]


async def test_the_old_token_serves_while_no_new_one_is_given() -> None:
    gateway = Gateway(lives=0)
    async with client(gateway) as signed_in:
        await signed_in.get("/v1/applications/1")
        gateway.answers = 503
        assert (await signed_in.get("/v1/applications/1")).status_code == 200
    assert gateway.heard == ["Bearer token-1"] * 2
