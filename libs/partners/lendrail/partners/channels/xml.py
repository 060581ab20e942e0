"""Reading XML from outside: one plain UTF-8 document of bounded size, without DTD, entities and network.

What a parser does with a document type, with entities and with other encodings is where XML is attacked. SOAP forbids
the first two and every partner sends UTF-8, so all of it is refused before the parser sees it.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Any

from lendrail.partners.reading import Unreadable

MOST_BYTES = 1_000_000
MOST_ELEMENTS = 5_000
"""Reading them all takes a quarter of a second; an answer has some dozens, a page of a list some hundreds."""
MOST_NAMESPACES = 1_000
"""Declarations in the whole document."""
MOST_VALUES = 5_000
"""Attributes in the whole document: the parser's time grows with the square of those of one element."""
DEEPEST = 32
MOST_ATTRIBUTES = 32
"""Of one element."""
LONGEST_ATTRIBUTE = 4_096

_DECLARED = re.compile(r"<\?xml\s[^>]{0,200}?encoding\s*=\s*[\"']([^\"'>]{0,40})[\"']")
_DECLARATION = re.compile(r"<!(?!--|\[CDATA\[)")
"""DOCTYPE, ENTITY and their kin; a text in CDATA that looks like one is refused as well."""
_VALUE = re.compile(rb"=\s*[\"']")
_MARK = b"\xef\xbb\xbf"
_UTF_8 = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


def parse(content: bytes) -> Any:
    """The root element of `content`, free of comments and processing instructions. Raises `Unreadable`."""
    _bounded_before(content)
    from lxml import etree  # here, so that what never reads XML needs no XML library

    parser = etree.XMLParser(
        encoding="utf-8",
        recover=False,
        resolve_entities=False,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    try:
        root = etree.fromstring(content.removeprefix(_MARK), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Unreadable(type(error).__name__) from None
    _bounded_after(root)
    return root


def utf_8(charset: str) -> bool:
    return charset.strip().casefold() in _UTF_8


def _bounded_before(content: bytes) -> None:
    if len(content) > MOST_BYTES or content.count(b"<") - content.count(b"</") > MOST_ELEMENTS:
        raise Unreadable("too large")
    if content.count(b"xmlns") > MOST_NAMESPACES:
        raise Unreadable("too many namespaces")
    if sum(1 for _ in islice(_VALUE.finditer(content), MOST_VALUES + 1)) > MOST_VALUES:
        raise Unreadable("too many attributes")
    if content.startswith(_MARK * 2):
        raise Unreadable("two byte order marks")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("not UTF-8") from None
    declared = _DECLARED.match(text)
    if (declared and not utf_8(declared[1])) or "\0" in text:
        raise Unreadable("not UTF-8")
    if _DECLARATION.search(text):
        raise Unreadable("a document type or another declaration")


def _bounded_after(root: Any) -> None:
    level, depth = [root], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise Unreadable("too deep")
        for element in level:
            values = element.attrib.values()
            if len(values) > MOST_ATTRIBUTES or any(len(value) > LONGEST_ATTRIBUTE for value in values):
                raise Unreadable("too many or too long attributes")
        level = [child for element in level for child in element]


_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def carried(value: Any) -> Any:
    """`value` (texts, lists, objects of them) without the characters that no XML document can hold."""
    if isinstance(value, str):
        return _NO_XML.sub("", value)
    if isinstance(value, list | tuple):
        return [carried(each) for each in value]
    return {name: carried(each) for name, each in value.items()} if isinstance(value, dict) else value
