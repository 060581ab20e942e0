"""What a file is, told by its content: whatever the bytes, an answer or a refusal with a code, and never a crash."""

import io
import random
import struct
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook
from tests import make
from tests.documents.bench import pdf

from lendrail.documents.content import CSV, DOCX, JPEG, PDF, PNG, TEXT, TYPES, XLSX, FileType, NotTaken, file_type
from lendrail.documents.sheet import Facts, Sheet
from lendrail.documents.workbook import render


def png() -> bytes:
    def part(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(b"\0\0")) + part(b"IEND", b"")


def archive(*names: str, locked: bool = False) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name in names:
            made.writestr(name, f"<part name='{name}'/>" * 20)
    content = bytearray(file.getvalue())
    if locked:  # bit 0 of the flags, in every entry of the directory
        at = content.find(b"PK\x01\x02")
        while at >= 0:
            content[at + 8] |= 1
            at = content.find(b"PK\x01\x02", at + 4)
    return bytes(content)


def workbook() -> bytes:
    file = io.BytesIO()
    Workbook().save(file)
    return file.getvalue()


TYPE_LIST = "[Content_Types].xml"
JPG = b"\xff\xd8\xff\xe0\x00\x10JFIF\0" + bytes(range(256)) * 4 + b"\xff\xd9"
SHEET = Sheet("t", "s", make.NOW.replace(tzinfo=None), (Facts("h", (("l", "v"),)),))
GOOD: dict[str, tuple[bytes, FileType]] = {
    "pdf": (pdf(), PDF),
    "pdf after blanks": (b"\xef\xbb\xbf\r\n" + pdf(), PDF),
    "png": (png(), PNG),
    "jpeg": (JPG, JPEG),
    "jpeg with more behind it": (JPG + b"film", JPEG),
    "xlsx of ours": (render(SHEET), XLSX),
    "xlsx of others": (workbook(), XLSX),
    "docx": (archive(TYPE_LIST, "word/document.xml"), DOCX),
    "docx from the web": (archive(TYPE_LIST, "word/document2.xml"), DOCX),
    "csv": (b"date,amount\n2026-01-02,100.00\n2026-01-03,-5\n", CSV),
    "csv of Excel": ('\ufeffDatum;Betrag;Wem\r\n2026-01-02;1,00;"a;b"\r\n'.encode(), CSV),
    "long csv": (b"a,b,c\n" + b"1,2,3\n" * 20_000, CSV),
    "text": ("Größe\n\tüber: 5 €\n".encode(), TEXT),
    "one line": (b"a,b", TEXT),
    "text of a programmer": (b"MZ is how programs of Windows begin\n", TEXT),
}
BAD = {
    "nothing": (b"", "upload-empty"),
    "blanks": (b" \r\n\t", "upload-empty"),
    "a mark of order only": (b"\xef\xbb\xbf", "upload-empty"),
    "windows": (b"MZ\x90\0" + bytes(200), "upload-program"),
    "linux": (b"\x7fELF\x02\x01\x01" + bytes(200), "upload-program"),
    "macos": (b"\xcf\xfa\xed\xfe" + bytes(200), "upload-program"),
    "java": (b"\xca\xfe\xba\xbe" + bytes(200), "upload-program"),
    "script": (b"#!/bin/sh\nrm -rf /\n", "upload-program"),
    "junk": (random.Random(1).randbytes(5000), "upload-type"),
    "latin-1": ("Größe".encode("latin-1"), "upload-type"),
    "text with a null": (b"ab\0cd", "upload-type"),
    "gif": (b"GIF89a" + bytes(20), "upload-type"),
    "old office": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "upload-type"),
    "locked office": (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512) + "EncryptedPackage".encode("utf-16-le"),
        "upload-encrypted",
    ),
    "zip": (archive("a.txt"), "upload-type"),
    "zip with a word of Word": (archive("word/document.xml"), "upload-type"),
    "locked zip": (archive(TYPE_LIST, "xl/workbook.xml", locked=True), "upload-encrypted"),
    "macros": (archive(TYPE_LIST, "xl/workbook.xml", "xl/vbaProject.bin"), "upload-macros"),
    "old macros": (archive(TYPE_LIST, "xl/workbook.xml", "xl/macrosheets/sheet1.xml"), "upload-macros"),
    "cut pdf": (pdf()[:-10], "upload-damaged"),
    "cut png": (png()[:-6], "upload-damaged"),
    "cut jpeg": (JPG[:-2], "upload-damaged"),
    "cut xlsx": (workbook()[:-30], "upload-damaged"),
    "a directory too large to read": (
        b"PK\x03\x04" + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, 2**30, 4, 0),
        "upload-type",
    ),
}


def told(content: bytes) -> FileType | str:
    """What it is, or why it is not taken."""
    try:
        return file_type(content)
    except NotTaken as fault:
        return fault.code


@pytest.mark.parametrize("name", GOOD)
def test_types_that_are_taken(name: str) -> None:
    content, type = GOOD[name]
    assert file_type(content) == type


@pytest.mark.parametrize("name", BAD)
def test_files_that_are_not_taken(name: str) -> None:
    content, code = BAD[name]
    with pytest.raises(NotTaken) as fault:
        file_type(content)
    assert fault.value.code == code
    assert fault.value.detail


CODES = {code for _, code in BAD.values()}
BEGINNINGS = [content[:n] for content, _ in [*GOOD.values(), *BAD.values()] for n in (0, 2, 4, 12, 64, len(content))]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(BEGINNINGS), st.binary(max_size=300), st.sampled_from(BEGINNINGS))
def test_whatever_comes_there_is_an_answer(begin: bytes, middle: bytes, end: bytes) -> None:
    assert told(begin + middle + end) in {*TYPES, *CODES}


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["pdf", "png", "xlsx of others", "docx", "jpeg"]), st.data())
def test_a_cut_file_is_never_taken_for_whole(name: str, data: st.DataObject) -> None:
    content, _ = GOOD[name]
    part = content[: data.draw(st.integers(0, len(content) - 8))]
    assert told(part) in {CSV, TEXT, *CODES}


@settings(max_examples=200, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(64, 4096))
def test_bytes_without_a_form_are_refused(source: random.Random, size: int) -> None:
    with pytest.raises(NotTaken):
        file_type(source.randbytes(size))


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1))
def test_any_text_is_text(text: str) -> None:
    content = ("x" + text).encode()
    assert file_type(content) in (TEXT, CSV)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_garbled_office_file_is_refused_or_read(data: st.DataObject) -> None:
    content = bytearray(GOOD["docx"][0])
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(4, len(content) - 1))] = data.draw(st.integers(0, 255))
    assert told(bytes(content)) in {DOCX, XLSX, *CODES}
