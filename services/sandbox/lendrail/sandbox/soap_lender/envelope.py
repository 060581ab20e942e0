"""SOAP messages as this lender reads and writes them, in both versions, by lxml alone: no WSDL, no SOAP library."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal
from xml.sax.saxutils import escape

from lxml import etree

Version = Literal["soap11", "soap12"]
SOAP: dict[Version, str] = {
    "soap11": "http://schemas.xmlsoap.org/soap/envelope/",
    "soap12": "http://www.w3.org/2003/05/soap-envelope",
}
MEDIA: dict[Version, str] = {"soap11": "text/xml", "soap12": "application/soap+xml"}
SERVICES = "http://loans.example.test/2030/01/services"
FAULTS = "http://loans.example.test/2030/01/faults"
WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
WSSE, WSU = f"{WSS}wssecurity-secext-1.0.xsd", f"{WSS}wssecurity-utility-1.0.xsd"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
Nodes = Iterable[tuple[str, Any]]
"""Names and values of child elements: texts, numbers, bools, None for nil, or nodes."""


class BadMessage(Exception):
    """Not a SOAP message that this lender can read; `code` is that of the fault."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


@dataclass(frozen=True, slots=True)
class Message:
    version: Version
    header: Any
    payload: Any

    def text(self, name: str) -> str | None:
        """Of a child of the payload."""
        found = self.payload.findtext(f"{{{SERVICES}}}{name}")
        return None if found is None else str(found).strip()

    def element(self, name: str) -> Any:
        return self.payload.find(f"{{{SERVICES}}}{name}")


def read(body: bytes, version: Version) -> Message:
    """Raises BadMessage."""
    parser = etree.XMLParser(
        resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise BadMessage("Client", "the message is not well-formed XML") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise BadMessage("Client", "a document type is not allowed")
    if root.tag != f"{{{SOAP[version]}}}Envelope":
        raise BadMessage("VersionMismatch", "this endpoint speaks another version of SOAP")
    body_element = root.find(f"{{{SOAP[version]}}}Body")
    header = root.find(f"{{{SOAP[version]}}}Header")
    if body_element is None or len(body_element) != 1:
        raise BadMessage("Client", "the body must hold one element")
    return Message(version, header if header is not None else etree.Element("none"), body_element[0])


def canonical(element: Any) -> bytes:
    """The same for the same content, however its attributes and spaces inside tags are written (prefixes count)."""
    return bytes(etree.tostring(element, method="c14n", exclusive=True, with_comments=False))


def payload(name: str, nodes: Nodes, namespace: str = SERVICES) -> str:
    """One element with its children as text."""
    element = etree.Element(f"{{{namespace}}}{name}", nsmap={None: namespace})
    _fill(element, namespace, nodes)
    return str(etree.tostring(element, encoding="unicode"))


def _fill(element: Any, namespace: str, nodes: Nodes) -> None:
    for name, value in nodes:
        child = etree.SubElement(element, f"{{{namespace}}}{name}")
        if value is None:
            child.set(f"{{{XSI}}}nil", "true")
        elif isinstance(value, list | tuple):
            _fill(child, namespace, value)
        else:
            child.text = str(value).lower() if isinstance(value, bool) else str(value)


def message(version: Version, content: str) -> bytes:
    head = f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{SOAP[version]}"><s:Body>'
    return f"{head}{content}</s:Body></s:Envelope>".encode()


def fault(version: Version, code: str, text: str, detail: str = "") -> bytes:
    """`code` is `Client`, `Server`, `VersionMismatch`, `MustUnderstand` or one of WS-Security with its prefix."""
    declared = f' xmlns:wsse="{WSSE}" xmlns:wsu="{WSU}"'
    if version == "soap11":
        known = code if ":" in code else f"s:{code}"
        inside = f"<faultcode>{known}</faultcode><faultstring>{escape(text)}</faultstring>"
        inside += f"<detail>{detail}</detail>" if detail else ""
    else:
        usual = {"Client": "Sender", "Server": "Receiver"}.get(code, code)
        sub = f"<s:Subcode><s:Value>{code}</s:Value></s:Subcode>" if ":" in code else ""
        value = "Sender" if ":" in code else usual
        inside = f"<s:Code><s:Value>s:{value}</s:Value>{sub}</s:Code>"
        inside += f'<s:Reason><s:Text xml:lang="en">{escape(text)}</s:Text></s:Reason>'
        inside += f"<s:Detail>{detail}</s:Detail>" if detail else ""
    return message(version, f"<s:Fault{declared}>{inside}</s:Fault>")
