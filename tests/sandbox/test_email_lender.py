"""The simulated lender by mail, spoken to by Python's own SMTP client."""

import asyncio
import hashlib
import json
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.sandbox.process import Sandbox, listening, wait_for

from lendrail.local.servers.ports import free_port

INBOX, SENDER = "applications@lender.example.test", "broker@demo.example.test"


@pytest.fixture(scope="module")
def lender(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    sandbox = Sandbox(tmp_path_factory.mktemp("lender"))
    settings = {"username": "demo", "password": "fake-password", "inbox": INBOX}
    users = [{"partner": "email-lender", "user": "demo", "settings": settings}]
    (sandbox.folder / "config.json").write_text(json.dumps({"users": users}))
    sandbox.environment["LENDRAIL_SANDBOX_SMTP_PORT"] = str(free_port())
    yield sandbox.start()
    sandbox.stop()


def ledger(lender: Sandbox, reference: str) -> dict[str, Any]:
    page = httpx.get(f"{lender.url}/_ledger/email-lender", params={"reference": reference}, trust_env=False)
    return dict(page.json())


def dial(lender: Sandbox, **dial: Any) -> None:
    reply = httpx.post(f"{lender.url}/_dials/email-lender", json=dial | {"times": 1}, trust_env=False)
    assert reply.status_code == 201, reply.text


def page(lender: Sandbox) -> dict[str, Any]:
    return dict(httpx.get(f"{lender.url}/email-lender/", trust_env=False).json())


@contextmanager
def signed_in(lender: Sandbox, password: str = "fake-password", tls: bool = True) -> Iterator[smtplib.SMTP]:
    told = page(lender)
    client = smtplib.SMTP("127.0.0.1", int(told["smtp"].rpartition(":")[2]), timeout=10)
    try:
        if tls:
            client.starttls(context=ssl.create_default_context(cadata=told["certificate"]))
        client.login("demo", password)
        yield client
    finally:
        client.close()


def mail(reference: str, attached: bytes | None = None, form: str = "json") -> bytes:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = f"Application {reference}", SENDER, INBOX
    message["Message-ID"] = f"<{reference}@demo.example.test>"
    message.set_content("Please see the attachment.\n.a line with a dot\n")
    if attached is not None:
        message.add_attachment(attached, "application", form, filename=f"application.{form}")
    return message.as_bytes().replace(b"\n", b"\r\n")


def test_message_is_on_the_books_as_it_came(lender: Sandbox) -> None:
    sent = mail("taken-1", b'{"documents": []}')
    with signed_in(lender) as client:
        assert client.sendmail(SENDER, INBOX, sent) == {}
        assert client.sendmail(SENDER, INBOX, sent) == {}
    (first, second) = ledger(lender, "taken-1")["leads"]
    assert first["sha256"] == hashlib.sha256(sent).hexdigest() == second["sha256"], "blind: taken twice"
    assert first["messageId"] == "<taken-1@demo.example.test>"
    assert (first["to"], first["readable"], first["possibleDuplicate"]) == ([INBOX], True, False)
    assert first["body"].encode() == sent
    assert ledger(lender, "taken-1")["duplicates"] == []


@pytest.mark.parametrize("attached", [None, b"", b"{", b"[]", b"\xff\xfe", b"NaN"])
def test_mail_that_the_program_cannot_read_is_kept_for_people(lender: Sandbox, attached: bytes | None) -> None:
    reference = f"unread-{hashlib.sha256(repr(attached).encode()).hexdigest()[:8]}"
    with signed_in(lender) as client:
        client.sendmail(SENDER, INBOX, mail(reference, attached))
    (lead,) = ledger(lender, reference)["leads"]
    assert lead["readable"] is False


@pytest.mark.parametrize("form", ["json", "csv"])
async def test_documents_are_fetched_from_their_links(lender: Sandbox, form: str) -> None:
    reference = f"linked-{form}"
    async with listening() as files:
        files.files["/token"] = b"%PDF-fake"
        link = f"{files.url}/token"
        attached = json.dumps({"documents": [{"name": "a.pdf", "link": link}, {"name": "b.pdf", "link": "file:///x"}]})
        if form == "csv":
            attached = f"field,value\r\ndocuments.0.name,a.pdf\r\ndocuments.0.link,{link}\r\n"

        def send() -> list[Any]:
            with signed_in(lender) as client:
                client.sendmail(SENDER, INBOX, mail(reference, attached.encode(), form))
            return wait_for(lambda: list(ledger(lender, reference)["attachments"]))

        (attachment,) = await asyncio.to_thread(send)
    assert (attachment["filename"], attachment["accepted"]) == ("a.pdf", True)
    assert attachment["sha256"] == hashlib.sha256(b"%PDF-fake").hexdigest()


def test_only_who_signs_in_writes_and_only_to_the_inbox(lender: Sandbox) -> None:
    with pytest.raises(smtplib.SMTPAuthenticationError) as wrong, signed_in(lender, "fake-wrong-password"):
        pass
    assert wrong.value.smtp_code == 535
    port = int(page(lender)["smtp"].rpartition(":")[2])
    with smtplib.SMTP("127.0.0.1", port) as stranger, pytest.raises(smtplib.SMTPSenderRefused) as refused:
        stranger.sendmail(SENDER, INBOX, mail("stranger"))
    assert refused.value.smtp_code == 530
    with signed_in(lender) as client, pytest.raises(smtplib.SMTPRecipientsRefused) as nobody:
        client.sendmail(SENDER, "nobody@lender.example.test", mail("nobody"))
    assert nobody.value.recipients["nobody@lender.example.test"][0] == 550
    assert ledger(lender, "stranger")["leads"] == ledger(lender, "nobody")["leads"] == []


def test_dials(lender: Sandbox) -> None:
    for kind, more, taken in (
        ("status", {"status": 451}, 0),
        ("status", {"status": 554, "recorded": True}, 1),
        ("drop_reply", {}, 1),
        ("refuse", {}, 0),
        ("truncated", {}, 1),
    ):
        reference = f"dial-{kind}-{taken}"
        dial(lender, kind=kind, reference=reference, **more)
        with signed_in(lender) as client, pytest.raises((smtplib.SMTPDataError, smtplib.SMTPServerDisconnected)):
            client.sendmail(SENDER, INBOX, mail(reference))
        assert len(ledger(lender, reference)["leads"]) == taken, reference
    dial(lender, kind="require_tls")
    with signed_in(lender, tls=False) as client, pytest.raises(smtplib.SMTPSenderRefused):
        client.sendmail(SENDER, INBOX, mail("in-clear"))
    with signed_in(lender, tls=False) as client:
        client.sendmail(SENDER, INBOX, mail("in-clear"))
    calls = [(each["status"], each["reply"], each["answered"]) for each in ledger(lender, "dial-status-0")["calls"]]
    assert calls == [(0, "status", 451)]


def test_what_was_taken_survives_a_kill(lender: Sandbox) -> None:
    with signed_in(lender) as client:
        client.sendmail(SENDER, INBOX, mail("kept"))
    lender.kill()
    lender.start()
    assert len(ledger(lender, "kept")["leads"]) == 1
    with signed_in(lender) as client:
        client.sendmail(SENDER, INBOX, mail("kept"))
    assert len(ledger(lender, "kept")["leads"]) == 2
    assert "fake-password" not in lender.log()


def test_without_a_port_no_mail_is_taken(tmp_path: Path) -> None:
    plain = Sandbox(tmp_path).start()
    try:
        assert page(plain)["smtp"] is None
    finally:
        plain.stop()


def test_an_answer_is_filed_with_the_mail_that_it_answers(lender: Sandbox) -> None:
    answer = EmailMessage()
    answer["Subject"], answer["From"], answer["To"] = "Re: Application thread-1", SENDER, INBOX
    answer["Message-ID"], answer["In-Reply-To"] = "<later-1@demo.example.test>", "<thread-1@demo.example.test>"
    answer.set_content("Here is another document.\n")
    answer.add_attachment(b"%PDF-fake", "application", "pdf", filename="quote.pdf")
    with signed_in(lender) as client:
        client.sendmail(SENDER, INBOX, mail("thread-1"))
        for _ in range(2):
            client.sendmail(SENDER, INBOX, answer.as_bytes())
    books = ledger(lender, "thread-1")
    assert [each["messageId"] for each in books["followUps"]] == ["<later-1@demo.example.test>"] * 2, "taken twice"
    assert [each["inReplyTo"] for each in books["followUps"]] == ["<thread-1@demo.example.test>"] * 2
    assert len(books["leads"]) == 1
    assert [(each["filename"], each["how"], each["size"]) for each in books["attachments"]] == [
        ("quote.pdf", "attached", 9)
    ] * 2
