"""The story of a desk in the terminal: `lendrail desk` on the routes of the service and a real MongoDB."""

import asyncio
import datetime as dt
import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from tests import make
from tests.status.bench import PARTNER, Bench, Deal
from tests.status.deskwork import application, call, desk_of, reporting, unknown, use
from tests.status.reading import bearer
from typer.testing import CliRunner

from lendrail.contracts.terms import Reference, Report, Status
from lendrail.local.cli import app as command
from lendrail.local.servers.ports import free_port
from lendrail.runtime.clock import utc_now
from lendrail.runtime.tasks import end

pytestmark = pytest.mark.asyncio
LOG = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[")
"""What the service says in the same process."""
WORD = "Stips out to merchant"


@pytest.fixture
async def stack(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    """The folder of a stack whose gateway is the status service itself."""
    use(reporting(), monkeypatch.setitem)
    served: FastAPI = application(bench)

    @served.post("/oauth/token")
    async def token() -> dict[str, object]:
        return {"access_token": bearer("operator")["Authorization"].partition(" ")[2], "expires_in": 300}

    port = free_port()
    server = uvicorn.Server(uvicorn.Config(served, port=port, log_config=None, access_log=False))
    tasks = [asyncio.create_task(server.serve()), asyncio.create_task(desk_of(bench).refolding.worker.run())]
    while not server.started:
        await asyncio.sleep(0.02)
    gateway = f"http://127.0.0.1:{port}"
    oauth = {"token_url": f"{gateway}/oauth/token", "client_id": "demo-operator", "client_secret": "fake"}
    (tmp_path / "endpoints.json").write_text(json.dumps({"gateway": gateway, "oauth": oauth}))
    yield tmp_path
    server.should_exit = True
    await tasks[0]
    await end(tasks)


async def desk(folder: Path, *more: str) -> str:
    arguments = ["desk", *more, "--state", str(folder)]
    result = await asyncio.to_thread(CliRunner().invoke, command, arguments)
    assert result.exit_code == 0, result.output
    said = "\n".join(line for line in result.output.splitlines() if not LOG.match(line))
    if os.environ.get("SHOW_TERMINAL"):
        print("$ lendrail desk", *(f'"{each}"' if " " in each else each for each in more))
        print(said, end="\n\n")
    return said


async def test_a_morning_at_the_desk(bench: Bench, stack: Path) -> None:
    held, silent, twins = [Deal() for _ in range(3)], Deal(), [Deal(), Deal()]
    await bench.deliver(*(unknown(each, WORD) for each in held))
    loan = (Reference(system="crm", kind="loan", value="L-77"),)
    for each in twins:
        others = make.application().model_copy(update={"owners": (), "external_references": loan})
        business = others.business.model_copy(update={"registrations": ()})
        await bench.deliver(each.validated(application=others.model_copy(update={"business": business})))
    await bench.deliver(silent.ack("accepted-id-unknown", reason="no-id"))
    early = utc_now() - dt.timedelta(hours=3)
    await bench.deliver(call(silent, "approved", "FAKE-2231", received_at=early, words="Approved"))
    asked = utc_now() - dt.timedelta(hours=1)
    odd, no = Deal(), Report(status=Status.DECLINED, words="Declined - credit", partner_time=asked)
    await bench.deliver(odd.ack(report=no, asked_at=asked))
    await bench.deliver(*(Deal().webhook() for _ in range(120)))
    await bench.deliver(call(odd, "in-review", odd.partner_id))

    said = await desk(stack)
    assert [line.split()[0] for line in said.splitlines()[1:]] == ["1", "121", "1", "1"]
    assert "120 calls would leave the list." in await desk(stack, "dismiss-many", "--partner", PARTNER, "--dry-run")
    said = await desk(stack, "dismiss-many", "--partner", PARTNER, "--reason", "forged: their firewall was open")
    assert "120 calls left the list." in said
    assert "No call waits." in await desk(stack, "orphans", "--unproven")
    assert WORD in await desk(stack, "words")
    said = await desk(stack, "map", PARTNER, WORD, "info-required", "--dry-run")
    assert "3 opportunities hold this word; 3 would change" in said
    said = await desk(stack, "map", PARTNER, WORD, "info-required", "--reason", "their manual, page 12")
    assert said.count("in-review") == said.count("info-required") - 1 == 3
    for each in held:
        assert (await bench.told(each.id))[-1].status is Status.INFO_REQUIRED

    said = await desk(stack, "orphans")
    assert "FAKE-2231" in said
    orphan = said.split()[-1]
    said = await desk(stack, "merge", orphan, str(silent.id), "--reason", "the lender's mail names both")
    assert "taken at its word" in said
    assert (await bench.told(silent.id))[-1].status is Status.APPROVED
    assert "ack: declined “Declined - credit”" in await desk(stack, "disagreements")
    assert "same reference of yours" in await desk(stack, "duplicates")

    said = await desk(stack, "words")
    mapping = said.split()[-1]
    assert "means nothing of ours any more" in await desk(stack, "take-back", mapping, "--reason", "asked them again")
    said = await desk(stack)
    assert [line.split()[0] for line in said.splitlines()[1:]] == ["1", "0", "1", "1"]
