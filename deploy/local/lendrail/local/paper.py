"""A document to upload: one page of a bank that does not exist. Pure."""

from collections.abc import Iterable

_HEAD = b"%PDF-1.4\n"


def bank_statement(of: str) -> bytes:
    """A PDF; `of` is printed on it (letters, digits, hyphens), so that each is another file."""
    words = f"BT /F1 12 Tf 60 760 Td (Bank of Nowhere: a fake statement for {of}) Tj ET".encode("ascii")
    return _pdf(
        (
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
            b"<</Length %d>>stream\n%s\nendstream" % (len(words), words),
            b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        )
    )


def _pdf(objects: Iterable[bytes]) -> bytes:
    """The objects, numbered from 1, and the table of where each begins."""
    body, places = _HEAD, [b"0000000000 65535 f \n"]
    for number, each in enumerate(objects, start=1):
        places.append(b"%010d 00000 n \n" % len(body))
        body += b"%d 0 obj%s\nendobj\n" % (number, each)
    table = b"xref\n0 %d\n%s" % (len(places), b"".join(places))
    return body + table + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(places), len(body))
