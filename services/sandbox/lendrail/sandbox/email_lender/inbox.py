"""What a lender's program reads out of a mail. Pure; a mail that it cannot read is kept all the same."""

import csv
import io
import json
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

FOR_PROGRAMS = ("application.json", "application.csv", "documents.json", "documents.csv")
REFERENCE, POSSIBLE_DUPLICATE = "X-Lendrail-Reference", "X-Lendrail-Possible-Duplicate"


def opened(content: bytes) -> EmailMessage:
    return message_from_bytes(content, policy=policy.default)


def reference_of(mail: EmailMessage) -> str | None:
    """The sender's reference: the header it says so in, else what stands before the @ of the Message-ID."""
    stated = str(mail.get(REFERENCE, "")).strip()
    return stated or str(mail.get("Message-ID", "")).strip().strip("<>").partition("@")[0] or None


def answers(mail: EmailMessage) -> str | None:
    """The reference of the mail that it answers: what stands before the @ of that one's Message-ID."""
    return str(mail.get("In-Reply-To", "")).strip().strip("<>").partition("@")[0] or None


def files_in(mail: EmailMessage) -> list[tuple[str, bytes]]:
    """Name and content of each attachment that is for people."""
    named = [(str(part.get_filename()), part.get_payload(decode=True)) for part in mail.iter_attachments()]
    return [(name, each) for name, each in named if isinstance(each, bytes) and name not in FOR_PROGRAMS]


def application_in(mail: EmailMessage) -> dict[str, Any] | None:
    """The attached application, or list of documents, as an object; of a CSV its rows by path. None: there is none that
    can be read.
    """
    for part in mail.iter_attachments():
        name, content = part.get_filename(), part.get_payload(decode=True)
        if not isinstance(content, bytes) or name not in FOR_PROGRAMS:
            continue
        try:
            read = json.loads(content) if name.endswith(".json") else _rows(content)
        except (ValueError, csv.Error):
            return None
        return read if isinstance(read, dict) else None
    return None


def documents_in(application: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Name and link of each document that the application names, in either form."""
    found = application or {}
    listed = found.get("documents")
    if listed is None:
        flat = {path: value for path, value in found.items() if path.startswith("documents.")}
        places = dict.fromkeys(path.split(".")[1] for path in flat)
        listed = [{part: flat.get(f"documents.{place}.{part}") for part in ("name", "link")} for place in places]
    entries = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return [(str(each.get("name")), each["link"]) for each in entries if isinstance(each.get("link"), str)]


def _rows(content: bytes) -> dict[str, Any]:
    header, *rows = list(csv.reader(io.StringIO(content.decode(), newline="")))
    if header != ["field", "value"] or any(len(row) != 2 for row in rows):
        raise ValueError("not the two columns that were agreed")
    return dict(rows)
