"""What an uploaded file is, told by its content: its name, and what its sender says of it, count for nothing.

Few types are taken, those that people at lenders open every day. How a file begins names its type, how it ends proves
that it is whole. Nothing is unpacked and nothing is drawn: of a ZIP only the directory is read, and only a small one.

A PDF that asks for a password is taken like one that merely forbids printing, as many banks send them: telling them
apart means opening them.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import struct
import zipfile
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileType:
    media: str
    extension: str


class NotTaken(Exception):
    """A file that is not stored. `detail` says what to do about it and quotes nothing of the file."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code)
        self.code, self.detail = code, detail


_OFFICE = "application/vnd.openxmlformats-officedocument."
PDF = FileType("application/pdf", "pdf")
PNG = FileType("image/png", "png")
JPEG = FileType("image/jpeg", "jpg")
XLSX = FileType(f"{_OFFICE}spreadsheetml.sheet", "xlsx")
DOCX = FileType(f"{_OFFICE}wordprocessingml.document", "docx")
CSV = FileType("text/csv", "csv")
TEXT = FileType("text/plain", "txt")
TYPES = (PDF, PNG, JPEG, XLSX, DOCX, CSV, TEXT)

# Windows; Linux; macOS in both byte orders; macOS for several processors, which is Java too; WebAssembly; scripts
_PROGRAMS = (
    b"MZ", b"\x7fELF", b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe", b"\0asm", b"#!", b"\xef\xbb\xbf#!",
)  # fmt: skip
_BEFORE_PDF = b"\xef\xbb\xbf \t\r\n"
"""What some programs write before the first word of a PDF, and all readers skip."""
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_OFFICE = "EncryptedPackage".encode("utf-16-le")
_LARGEST_DIRECTORY = 512 * 1024
"""Bytes of a ZIP's directory; that of a workbook with a thousand sheets has 100 kB."""
_SAMPLE = 16 * 1024
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")


def file_type(content: bytes) -> FileType:
    """Raises `NotTaken`."""
    if not content:
        raise NotTaken("upload-empty", "The file has no bytes.")
    if content.startswith(_PROGRAMS) and (content[:2] != b"MZ" or _CONTROL.search(content)):
        raise NotTaken("upload-program", "Programs are not taken.")
    if content[:64].lstrip(_BEFORE_PDF).startswith(b"%PDF-"):
        return _whole(PDF, b"%%EOF" in content[-4096:])
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return _whole(PNG, content[12:16] == b"IHDR" and b"IEND\xaeB`\x82" in content[-4096:])
    if content.startswith(b"\xff\xd8\xff"):
        return _whole(JPEG, b"\xff\xd9" in content)
    if content.startswith(b"PK\x03\x04"):
        return _office(content)
    if content.startswith(_OLD_OFFICE):
        raise _encrypted() if _ENCRYPTED_OFFICE in content else _unknown()
    return _text(content)


def _whole(type: FileType, whole: bool) -> FileType:
    if not whole:
        raise _damaged()
    return type


def _office(content: bytes) -> FileType:
    entries = _directory(content)
    if any(each.flag_bits & 1 for each in entries):
        raise _encrypted()
    names = {each.filename for each in entries}
    if any(name.endswith("vbaProject.bin") or "/macrosheets/" in name for name in names):
        raise NotTaken("upload-macros", "Files with macros are not taken; save it without them.")
    if "[Content_Types].xml" in names:
        for type, part in ((XLSX, r"xl/workbook\d*\.xml"), (DOCX, r"word/document\d*\.xml")):
            if any(re.fullmatch(part, name) for name in names):
                return type
    raise _unknown()


def _directory(content: bytes) -> list[zipfile.ZipInfo]:
    """The entries of a ZIP. Its reader believes whatever size the end states, so that is looked at before."""
    tail = content[-(65_535 + 22 + 20) :]
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) - end < 22:
        raise _damaged()
    if int.from_bytes(tail[end + 12 : end + 16], "little") > _LARGEST_DIRECTORY or b"PK\x06\x07" in tail:
        raise _unknown()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, OSError, EOFError, struct.error):
        raise _damaged() from None


def _text(content: bytes) -> FileType:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for at in range(0, len(content), 1 << 20):  # piece by piece: a text with one rare character takes fourfold
            decoder.decode(content[at : at + (1 << 20)])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise _unknown() from None
    if _CONTROL.search(content):
        raise _unknown()
    if content.lstrip(b"\xef\xbb\xbf").isspace() or not content.lstrip(b"\xef\xbb\xbf"):
        raise NotTaken("upload-empty", "The file has nothing but blanks.")
    return CSV if _is_table(content) else TEXT


def _is_table(content: bytes) -> bool:
    """Whether its first lines fall into the same number of columns."""
    sample = content[:_SAMPLE].decode("utf-8-sig", "ignore")
    lines = sample.splitlines(keepends=True)[: None if len(content) <= _SAMPLE else -1]
    return any(_columns(lines, delimiter) > 1 for delimiter in ",;\t|")


def _columns(lines: list[str], delimiter: str) -> int:
    try:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
    except csv.Error:
        return 0
    return widths[0] if len(widths) > 1 and len(set(widths)) == 1 else 0


def _damaged() -> NotTaken:
    return NotTaken("upload-damaged", "The file is cut or damaged.")


def _encrypted() -> NotTaken:
    return NotTaken("upload-encrypted", "The file is locked with a password; save it without one.")


def _unknown() -> NotTaken:
    return NotTaken("upload-type", "Send PDF, PNG, JPEG, XLSX, DOCX, CSV or plain text in UTF-8.")
