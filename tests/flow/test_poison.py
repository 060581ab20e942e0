"""Spoilt records of every kind onto every topic: each is a letter of each reader, and good ones go their way."""

import httpx
from proofs.poison.attack import Attack
from tests.flow.stack import Stack

SEED = 6
"""`python -m proofs.poison` draws another one each time, and many more records."""


async def test_poison_on_every_topic_stops_nothing(stack: Stack, client: httpx.AsyncClient) -> None:
    verdict = await Attack(stack, SEED).run(client, records=300, good=8)
    assert not verdict.bad, verdict.bad
    assert (verdict.sent + verdict.calls, verdict.calls > 300) == (3600, True)
    assert (verdict.good, verdict.too_long > 0) == (8, True)
    assert len(verdict.kinds) >= 37
    listed = stack.lendrail("dlq", "list", "--topic", "submit", "--topic", "notify")
    assert [line.split(": 3")[0] for line in listed.splitlines() if not line.startswith(" ")] == ["notify", "submit"]
    told = stack.lendrail("dlq", "replay", "--topic", "notify", "--dry-run").splitlines()
    assert told[-1].startswith("0 would be put back; 0 were before; "), "what nobody can read stays where it is"
