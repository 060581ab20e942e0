"""SOAP 1.1 and 1.2 (document/literal) as values: requests made and replies read by a WSDL in the repository. Pure.

`RestChannel` carries them, and `wsse` adds who calls. zeep knows the schema; it never sees the network, and never the
raw bytes: `xml.parse` reads them, since zeep's own reading repairs what was cut off and lets document types in.
The libraries are the extra `soap` of this member and are imported at the first use.
"""

from __future__ import annotations

import datetime as dt
import io
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property
from importlib.resources.abc import Traversable
from typing import Any, Literal, NoReturn, Protocol

from lendrail.partners.channels import xml
from lendrail.partners.exchange import Reply, Request
from lendrail.partners.reading import Unreadable, words

Version = Literal["1.1", "1.2"]
ENVELOPES: Mapping[Version, str] = {
    "1.1": "http://schemas.xmlsoap.org/soap/envelope/",
    "1.2": "http://www.w3.org/2003/05/soap-envelope",
}
_XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
_XSD = "{http://www.w3.org/2001/XMLSchema}"
_NUMBERS = frozenset({"decimal", "integer", "int", "long", "short", "byte", "nonNegativeInteger", "positiveInteger"})
_NUMBER = re.compile(r"\s*[+-]?[0-9]{0,40}(\.[0-9]{0,40})?\s*", re.ASCII)
_MEDIA_TYPES = frozenset({"text/xml", "application/soap+xml", "application/xml"})


@dataclass(frozen=True)
class SoapBody:
    """What the answer's element holds: texts, Decimal, int, bool, dates, bytes, lists and objects of these; what is
    absent, empty or nil is None."""

    value: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class SoapFault:
    """A refusal or failure, whatever the HTTP status."""

    code: str
    """Without prefix, as sent: `Client` and `Server` in SOAP 1.1, `Sender` and `Receiver` in 1.2, or one of its own."""
    reason: str = field(repr=False)
    name: str = ""
    """Of the detail's element, where the WSDL knows it."""
    detail: Mapping[str, Any] = field(default_factory=dict, repr=False)
    subcode: str = ""
    """The innermost one; SOAP 1.2 only."""


class _Offline:
    """What zeep gets in place of the network."""

    def load(self, url: str) -> NoReturn:
        raise LookupError("a WSDL must hold all it needs")


class _Schema(Protocol):
    def get_element(self, name: str) -> Any: ...


@dataclass(frozen=True)
class SoapService:
    """One WSDL, read at the first use."""

    wsdl: Traversable | bytes = field(repr=False)
    tolerant: bool = False
    """Elements that the WSDL does not know are skipped and missing ones are None; otherwise the reply is `Unreadable`
    (zeep overlooks missing ones at the end). What is cut off, not well-formed or repeated always is.
    """

    def request(
        self,
        operation: str,
        arguments: Mapping[str, Any],
        *,
        name: str,
        version: Version = "1.1",
        headers: tuple[tuple[str, str], ...] = (),
        path: str = "",
        context: tuple[tuple[str, str], ...] = (),
    ) -> Request:
        """The WSDL's `operation` as our operation `name`. `headers` are SOAP headers: `{namespace}name` and text.

        Raises what zeep raises when `arguments` do not fit the WSDL.
        """
        from lxml import etree

        described = self._operation(operation, version)
        envelope = described.create(**xml.carried(dict(arguments))).content
        header = etree.Element(f"{{{ENVELOPES[version]}}}Header")
        for tag, text in headers:
            etree.SubElement(header, tag).text = xml.carried(text)
        envelope.insert(0, header)
        content = etree.tostring(envelope, xml_declaration=True, encoding="utf-8")
        return Request(
            operation=name, method="POST", path=path, headers=_http(version, described.soapaction),
            content=content, context=context,
        )  # fmt: skip

    def read(self, operation: str, reply: Reply) -> SoapBody | SoapFault:
        """What `reply` to the WSDL's `operation` says. Raises `Unreadable` for anything but one sound SOAP message."""
        _media_type(reply)
        version, payload = _payload(xml.parse(reply.content))
        if payload.tag == f"{{{ENVELOPES[version]}}}Fault":
            return self._fault(version, payload)
        if not 200 <= reply.status < 300:
            raise Unreadable("an error that is no fault")
        try:
            expected = self._operation(operation, version).output.body
        except LookupError:
            raise Unreadable("another version of SOAP than the WSDL's") from None
        if payload.tag != expected.qname:
            raise Unreadable("another element than the WSDL names")
        return SoapBody(self._values(expected, payload, self.tolerant))

    @cached_property
    def _document(self) -> Any:
        from zeep.settings import Settings
        from zeep.wsdl import Document

        logging.getLogger("zeep").setLevel(logging.CRITICAL)  # it logs values that it cannot convert
        content = self.wsdl if isinstance(self.wsdl, bytes) else self.wsdl.read_bytes()
        settings = Settings(forbid_dtd=True, forbid_external=True)
        return Document(io.BytesIO(content), _Offline(), settings=settings)  # type: ignore[arg-type]

    @cached_property
    def _known(self) -> Mapping[str, bool]:
        """Names of all elements, as they are written in a message, and whether they hold a number."""
        content = self.wsdl if isinstance(self.wsdl, bytes) else self.wsdl.read_bytes()
        root = xml.parse(content)
        simple = {each.get("name"): each for each in root.iter(_XSD + "simpleType") if each.get("name")}
        known: dict[str, bool] = {}
        for schema in root.iter(_XSD + "schema"):
            for name, kind in _names(schema):
                known[name] = known.get(name, True) and _is_number(kind, simple)
        return known

    def _operation(self, operation: str, version: Version) -> Any:
        for binding in self._document.bindings.values():
            if binding.nsmap.get("soap-env") == ENVELOPES[version] and operation in binding.all():
                return binding.get(operation)
        raise LookupError(f"the WSDL has no {operation} in SOAP {version}")

    def _values(self, element: Any, payload: Any, tolerant: bool) -> Mapping[str, Any]:
        _sound(payload, self._known, tolerant)
        try:
            with self._document.settings(strict=not tolerant):
                parsed = element.parse(payload, self._document.types)
        except Exception as error:  # whatever foreign values bring about in it
            raise Unreadable(type(error).__name__) from None
        plain = _plain(parsed)
        return plain if isinstance(plain, dict) else {}

    def _fault(self, version: Version, fault: Any) -> SoapFault:
        env = f"{{{ENVELOPES[version]}}}"
        if version == "1.1":
            code, reason, subcode = fault.findtext("faultcode"), fault.findtext("faultstring"), ""
            details = fault.findall("detail/*")
        else:
            code, reason = fault.findtext(f"{env}Code/{env}Value"), fault.findtext(f"{env}Reason/{env}Text")
            subcode = ([each.findtext(f"{env}Value") for each in fault.iter(f"{env}Subcode")] or [""])[-1]
            details = fault.findall(f"{env}Detail/*")
        if _local(code) == "":
            raise Unreadable("a fault without code")
        name, detail = self._detail(details[0]) if len(details) == 1 else ("", {})
        return SoapFault(_local(code), words(reason, 2_000) or "", name, detail, _local(subcode))

    def _detail(self, detail: Any) -> tuple[str, Mapping[str, Any]]:
        from zeep.exceptions import Error

        try:
            element = self._document.types.get_element(detail.tag)
        except Error:
            return "", {}
        return _local(element.qname.localname), self._values(element, detail, True)


def _http(version: Version, action: str) -> tuple[tuple[str, str], ...]:
    if version == "1.1":
        return (("content-type", "text/xml; charset=utf-8"), ("soapaction", f'"{action}"'), ("accept", "text/xml"))
    kind = f'application/soap+xml; charset=utf-8; action="{action}"'
    return (("content-type", kind), ("accept", "application/soap+xml"))


def in_version(request: Request, version: Version) -> Request:
    """A request of `SoapService.request` as one of the other version: only the envelope's namespace and the HTTP
    headers differ. The version belongs to the address that a credential names, which is known when the request leaves.
    """
    if ("soapaction" in dict(request.headers)) is (version == "1.1"):
        return request
    told = " ".join(value for name, value in request.headers if name in ("content-type", "soapaction"))
    action = re.search(r"\"([^\"]*)\"", told)
    other: Version = "1.1" if version == "1.2" else "1.2"
    content = request.content.replace(ENVELOPES[other].encode(), ENVELOPES[version].encode(), 1)
    return replace(request, headers=_http(version, action[1] if action else ""), content=content)


def _media_type(reply: Reply) -> None:
    """XML in UTF-8, compressed by nobody."""
    kind, _, parameters = reply.headers.get("content-type", "text/xml").partition(";")
    if kind.strip().casefold() not in _MEDIA_TYPES:
        raise Unreadable("not XML")
    charset = re.search(r"charset\s*=\s*\"?([^\";\s]*)", parameters, re.IGNORECASE)
    if charset and not xml.utf_8(charset[1]):
        raise Unreadable("not UTF-8")


def _payload(envelope: Any) -> tuple[Version, Any]:
    """The one element in the one body; anything beside it might be meant to be read in its place."""
    version = next((each for each, namespace in ENVELOPES.items() if envelope.tag == f"{{{namespace}}}Envelope"), None)
    if version is None:
        raise Unreadable("no SOAP envelope")
    namespace = ENVELOPES[version]
    tags = [each.tag for each in envelope]
    body = f"{{{namespace}}}Body"
    if tags not in ([body], [f"{{{namespace}}}Header", body]):
        raise Unreadable("not one header and one body")
    if len(envelope[-1]) != 1:
        raise Unreadable("not one element in the body")
    return version, envelope[-1][0]


def _names(schema: Any) -> Iterator[tuple[str, str]]:
    """Names of a schema's elements and what they name as their types."""
    namespace = schema.get("targetNamespace", "")
    qualified_inside = schema.get("elementFormDefault") == "qualified"
    for element in schema.iter(_XSD + "element"):
        name = element.get("name")
        form = element.get("form")
        qualified = element.getparent() is schema or form == "qualified" or (qualified_inside and form is None)
        if name:
            yield f"{{{namespace}}}{name}" if qualified and namespace else name, element.get("type", "")


def _is_number(kind: str, simple: Mapping[str, Any]) -> bool:
    for _ in range(8):  # restrictions of restrictions
        name = _local(kind)
        restriction = simple[name].find(_XSD + "restriction") if name in simple else None
        if restriction is None:
            return name in _NUMBERS
        kind = restriction.get("base", "")
    return False


def _sound(payload: Any, known: Mapping[str, bool], tolerant: bool) -> None:
    """Every element known, or taken out; none says its own type; no text beside elements, nothing in what is nil; and
    numbers as XML Schema writes them (Python's own reading takes `1_7`, `NaN` and the digits of every script).
    """
    waiting = [payload]
    while waiting:
        element = waiting.pop()
        children = [*element]
        beside = [element.text, *(each.tail for each in children)] if children else []
        if any(text and text.strip() for text in beside):
            raise Unreadable("text beside elements")
        if element.get(_XSI + "type") is not None:
            raise Unreadable("a type that is not the WSDL's")
        if element.get(_XSI + "nil", "false").strip() not in ("false", "0") and (element.text or children):
            raise Unreadable("nil with content")
        if known.get(element.tag) and not _NUMBER.fullmatch(element.text or "0"):
            raise Unreadable("not a number")
        for child in children:
            if child.tag in known:
                waiting.append(child)
            elif tolerant:
                element.remove(child)
            else:
                raise Unreadable("an element that the WSDL does not name")


_PLAIN = (str, bool, int, bytes, dt.date, dt.time, dt.timedelta)


def _plain(value: Any) -> Any:
    """zeep's values as plain ones. Raises `Unreadable` for what it left over and what it could not type."""
    if value is None or isinstance(value, _PLAIN):
        return value
    if isinstance(value, Decimal) and value.is_finite():
        return value
    if isinstance(value, list):
        return [_plain(each) for each in value]
    fields: dict[str, Any] | None = value if isinstance(value, dict) else getattr(value, "__values__", None)
    if fields is None or "_raw_elements" in fields:
        raise Unreadable("an element out of its place")
    return {name: _plain(each) for name, each in fields.items()}


def _local(name: str | None) -> str:
    found = re.fullmatch(r"\s*(?:[\w.-]{1,80}:)?([A-Za-z_][\w.-]{0,80})\s*", name or "", re.ASCII)
    return found[1] if found else ""
