"""Documents by link, singly and in bulk: the simulated partner really fetches them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.partners.forward_financing.rehearsal import REHEARSALS
from tests.partners.rehearsals import Sandbox
from tests.partners.stage import Stage

from lendrail.partners.exchange import Accepted, File, PartlyAccepted, Rejected

CONTENT = b"%PDF-1.4 fake"


@asynccontextmanager
async def file_server() -> AsyncIterator[str]:
    """Serves `CONTENT` under /good and nothing elsewhere."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        status, body = (b"200 OK", CONTENT) if b" /good" in head else (b"404 Not Found", b"")
        writer.write(b"HTTP/1.1 %b\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body))
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    listener.close()


async def test_links_are_fetched_and_each_file_has_its_answer(sandbox: Sandbox) -> None:
    stage = Stage(REHEARSALS[1], sandbox)
    document = stage.partner.document
    assert document
    async with file_server() as files, stage.rehearsal.channel(sandbox.url) as channel:
        lead = await stage.bring(channel, stage.requests())
        assert isinstance(lead, Accepted)
        lead_id = lead.partner_id or ""
        good = File(name="statement.pdf", kind="bank-statement", link=f"{files}/good")
        bad = File(name="lost.pdf", kind="other", link=f"{files}/lost")
        assert await stage.send(channel, document(lead_id, (good,), {"attachments": "url"})) == Accepted()
        bulk = {"attachments": "bulk"}
        assert await stage.send(channel, document(lead_id, (good, good), bulk)) == Accepted()
        mixed = await stage.send(channel, document(lead_id, (good, bad), bulk))
        assert isinstance(mixed, PartlyAccepted)
        assert [(each.name, each.accepted) for each in mixed.files] == [("statement.pdf", True), ("lost.pdf", False)]
        assert isinstance(await stage.send(channel, document(lead_id, (bad,), bulk)), Rejected)
    attachments = sandbox.ledger(stage.partner.name, stage.reference)["attachments"]
    assert [(each["how"], each["accepted"], each["size"]) for each in attachments if each["accepted"]] == [
        (how, True, len(CONTENT)) for how in ("url", "bulk", "bulk", "bulk")
    ]
