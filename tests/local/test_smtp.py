"""The mail sink, over a real socket."""

import smtplib
import ssl
import sys
import time
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path

import pytest

from lendrail.local.servers.ports import free_port, listening
from lendrail.local.servers.process import Process


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    port, mail = free_port(), tmp_path / "mail"
    mail.mkdir()
    process = Process(
        "smtp", [sys.executable, "-m", "lendrail.local.smtp", str(port), str(mail), str(tmp_path)], tmp_path / "log"
    )
    process.start()
    end = time.monotonic() + 10
    while not listening(port):
        process.must_live()
        assert time.monotonic() < end
        time.sleep(0.02)
    yield port, tmp_path
    process.stop()


def test_each_message_becomes_a_file(sink: tuple[int, Path]) -> None:
    port, folder = sink
    with smtplib.SMTP("127.0.0.1", port) as client:
        for number in range(2):
            client.sendmail("a@example.test", ["b@example.test"], f"Subject: note {number}\r\n\r\nHello\r\n")
    mails = [message_from_bytes(file.read_bytes()) for file in sorted((folder / "mail").glob("*.eml"))]
    assert [mail["Subject"] for mail in mails] == ["note 0", "note 1"]
    assert mails[0]["X-Envelope-To"] == "b@example.test"


def test_starttls_with_the_stack_s_certificate_and_auth(sink: tuple[int, Path]) -> None:
    port, folder = sink
    trusted = ssl.create_default_context(cafile=str(folder / "smtp.pem"))
    with smtplib.SMTP("localhost", port) as client:
        client.starttls(context=trusted)
        client.login("anyone", "anything")
        client.sendmail("a@example.test", ["b@example.test"], "Subject: sealed\r\n\r\nHello\r\n")
    assert len(list((folder / "mail").glob("*.eml"))) == 1
