"""SOAP 1.1 by hand: reading one flat request without trusting its XML, and writing replies as the register does."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import NoReturn
from xml.parsers import expat
from xml.sax.saxutils import escape

from lendrail.sandbox.abn_lookup.register import NO_DATE, Entry, Person, Refusal

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
NAMESPACE = "http://abr.business.gov.au/ABRXMLSearch/"
METHOD = "SearchByABNv202001"
_DEEPEST = 8
_WAY = [f"{SOAP} Envelope", f"{SOAP} Body", f"{NAMESPACE} {METHOD}"]


class BadEnvelope(ValueError):
    """Not a request for the method; the text names what is wrong and quotes nothing."""


class _Reader:
    """Collects the texts of the elements one level below the method's."""

    def __init__(self) -> None:
        self.way: list[str] = []
        self.values: dict[str, str] = {}
        self.found = False

    def start(self, name: str, _attributes: Mapping[str, str]) -> None:
        self.way.append(name)
        if len(self.way) > _DEEPEST:
            raise BadEnvelope("too deep")
        if self.way[0] != _WAY[0]:
            raise BadEnvelope("no SOAP 1.1 envelope")
        self.found = self.found or self.way == _WAY
        if (argument := self._argument()) is not None:
            if argument in self.values:
                raise BadEnvelope("an argument is given twice")
            self.values[argument] = ""

    def end(self, _name: str) -> None:
        self.way.pop()

    def text(self, text: str) -> None:
        if (argument := self._argument()) is not None:
            self.values[argument] += text

    def _argument(self) -> str | None:
        namespace, _, local = self.way[-1].rpartition(" ") if len(self.way) == 4 else ("", "", "")
        return local if self.way[:3] == _WAY and namespace == NAMESPACE else None


def _no_declarations(*_: object) -> NoReturn:
    raise BadEnvelope("document types are not read")


def arguments(body: bytes) -> dict[str, str]:
    """The method's arguments. Raises `BadEnvelope`. Entities other than the five of XML cannot be declared."""
    reader, parser = _Reader(), expat.ParserCreate("utf-8", " ")
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _no_declarations
    try:
        parser.Parse(body.decode("utf-8"), True)
    except (expat.ExpatError, UnicodeDecodeError):
        raise BadEnvelope("not well-formed XML") from None
    if not reader.found:
        raise BadEnvelope(f"no {METHOD} in the body")
    return {name: value.strip() for name, value in reader.values.items()}


def fault(code: str, text: str) -> bytes:
    return _envelope(f"<soap:Fault><faultcode>soap:{code}</faultcode>{_element('faultstring', text)}</soap:Fault>")


def reply(asked: Mapping[str, str], answer: Entry | Refusal) -> bytes:
    """The whole answer. Like the register, it repeats the request, the caller's GUID included."""
    echo = {
        "authenticationGUID": asked.get("authenticationGuid", ""),
        "identifierType": "ABN",
        "identifierValue": asked.get("searchString", ""),
        "history": asked.get("includeHistoricalDetails", ""),
    }
    now = datetime.now(UTC)
    response = (
        _element("usageStatement", "Simulated data. Nothing in it is a real business.")
        + _element("dateRegisterLastUpdated", f"{now:%Y-%m-%d}")
        + _element("dateTimeRetrieved", now.isoformat())
        + (_refusal(answer) if isinstance(answer, Refusal) else _entity(answer))
    )
    results = _wrap("request", _wrap("identifierSearchRequest", _all(echo))) + _wrap("response", response)
    payload = _wrap("ABRPayloadSearchResults", results)
    return _envelope(f'<{METHOD}Response xmlns="{NAMESPACE}">{payload}</{METHOD}Response>')


def _refusal(answer: Refusal) -> str:
    told = {"exceptionDescription": answer.description, "exceptionCode": answer.code}
    return _wrap("exception", _all(told))


def _entity(entry: Entry) -> str:
    return _wrap("businessEntity202001", "".join(_parts(entry)))


def _parts(entry: Entry) -> Iterator[str]:
    yield _element("recordLastUpdatedDate", "2026-01-02")
    yield _wrap("ABN", _number(entry))
    status = {"entityStatusCode": entry.status, "effectiveFrom": entry.since, "effectiveTo": entry.until}
    yield _wrap("entityStatus", _all(status))
    yield _element("ASICNumber", entry.acn)
    yield _wrap("entityType", _all({"entityTypeCode": entry.kind[0], "entityDescription": entry.kind[1]}))
    yield _wrap("goodsAndServicesTax", _all({"effectiveFrom": "2015-07-01", "effectiveTo": NO_DATE}))
    if isinstance(entry.name, Person):
        name = {"givenName": entry.name.given, "otherGivenName": entry.name.other, "familyName": entry.name.family}
        yield _wrap("legalName", _all(name | {"effectiveFrom": "2015-07-01", "effectiveTo": NO_DATE}))
    elif entry.name is not None:
        yield _wrap("mainName", _all({"organisationName": entry.name, "effectiveFrom": "2015-07-01"}))
    for kind, names in (("mainTradingName", entry.trading_names), ("businessName", entry.business_names)):
        for name_, ended in names:
            told = {"organisationName": name_, "effectiveFrom": "2015-07-01", "effectiveTo": ended}
            yield _wrap(kind, _all(told))
    address = {"stateCode": "NSW", "postcode": "0000", "effectiveFrom": "2015-07-01", "effectiveTo": NO_DATE}
    yield _wrap("mainBusinessPhysicalAddress", _all(address))


def _number(entry: Entry) -> str:
    parts = _all({"identifierValue": entry.abn, "isCurrentIndicator": "Y"})
    if entry.replaces:
        return parts + _all({"replacedIdentifierValue": entry.replaces, "replacedFrom": "2020-01-01"})
    nil = '<replacedIdentifierValue xsi:nil="true" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"/>'
    return parts + (nil if entry.replaced_value == "nil" else "") + _element("replacedFrom", NO_DATE)


def _all(values: Mapping[str, str]) -> str:
    return "".join(_element(name, value) for name, value in values.items())


def _element(name: str, text: str) -> str:
    return _wrap(name, escape(text))


def _wrap(name: str, inner: str) -> str:
    return f"<{name}>{inner}</{name}>" if inner else f"<{name} />"


def _envelope(body: str) -> bytes:
    head = f'<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="{SOAP}">'
    return f"{head}<soap:Body>{body}</soap:Body></soap:Envelope>".encode()
