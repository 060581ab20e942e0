"""Reading XML from outside: one plain UTF-8 document of bounded size, without DTD, entities and network.

What a parser does with a document type, with entities and with other encodings is where XML is attacked. SOAP forbids
the first two and every partner sends UTF-8, so all of it is refused before the parser sees it.
"""

from __future__ import annotations

import re
from typing import Any

from lendrail.partners.reading import Unreadable

MOST_BYTES = 1_000_000
MOST_ELEMENTS = 10_000
MOST_NAMESPACES = 1_000
"""Declarations in the whole document."""
DEEPEST = 32
MOST_ATTRIBUTES = 32
"""Of one element."""
LONGEST_ATTRIBUTE = 4_096

_DECLARED = re.compile(r"<\?xml\s[^>]{0,200}?encoding\s*=\s*[\"']([^\"'>]{0,40})[\"']")
_DECLARATION = re.compile(r"<!(?!--|\[CDATA\[)")
"""DOCTYPE, ENTITY and their kin; a text in CDATA that looks like one is refused as well."""
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
        root = etree.fromstring(content.removeprefix(b"\xef\xbb\xbf"), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Unreadable(type(error).__name__) from None
    _bounded_after(root)
    return root


def utf_8(charset: str) -> bool:
    return charset.strip().casefold() in _UTF_8


def _bounded_before(content: bytes) -> None:
    if len(content) > MOST_BYTES or content.count(b"<") > 2 * MOST_ELEMENTS:
        raise Unreadable("too large")
    if content.count(b"xmlns") > MOST_NAMESPACES:
        raise Unreadable("too many namespaces")
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
