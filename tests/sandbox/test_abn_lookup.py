"""The simulated register as a plain HTTP client meets it: complaints inside a 200, and XML that it does not trust."""

import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import httpx
import pytest
from tests.sandbox.process import Sandbox

from lendrail.sandbox.abn_lookup.register import ENTRIES, REFUSALS, passes_the_check

GUID = "00000000-0000-4000-8000-000000000000"
SPACE = "http://abr.business.gov.au/ABRXMLSearch/"
ACTION = f'"{SPACE}SearchByABNv202001"'


class Register(Sandbox):
    """A sandbox with one caller of the register."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        user = {"partner": "abn-lookup", "user": "caller", "settings": {"guid": GUID}}
        (folder / "config.json").write_text(json.dumps({"users": [user]}))
        self.asmx = f"{self.url}/abn-lookup/AbrXmlSearch/AbrXmlSearch.asmx"

    def post(self, body: str | bytes, action: str = ACTION) -> httpx.Response:
        head = {"content-type": "text/xml; charset=utf-8", "soapaction": action}
        return httpx.post(self.asmx, content=body, headers=head, trust_env=False)

    def search(self, number: str, guid: str = GUID, history: str = "N") -> tuple[int, ElementTree.Element]:
        reply = self.post(request(number, guid, history))
        return reply.status_code, ElementTree.fromstring(reply.content)


def request(number: str, guid: str = GUID, history: str = "N", head: str = "") -> str:
    return (
        f'{head}<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        f'<SearchByABNv202001 xmlns="{SPACE}"><searchString>{number}</searchString>'
        f"<includeHistoricalDetails>{history}</includeHistoricalDetails>"
        f"<authenticationGuid>{guid}</authenticationGuid></SearchByABNv202001></s:Body></s:Envelope>"
    )


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Register]:
    running = Register(tmp_path_factory.mktemp("register"))
    running.start()
    yield running
    running.stop()


def told(answer: tuple[int, ElementTree.Element], name: str) -> str | None:
    status, envelope = answer
    assert status == 200
    return envelope.findtext(f".//{{{SPACE}}}{name}")


def test_all_numbers_of_the_table_pass_the_check() -> None:
    assert all(passes_the_check(number) for number in (*ENTRIES, *REFUSALS))
    assert not passes_the_check("89000000018")


def test_an_active_business(register: Register) -> None:
    answer = register.search("89 000 000 019")
    assert told(answer, "entityStatusCode") == "Active"
    assert told(answer, "organisationName") == "FAKE BAKERY PTY LTD"
    assert told(answer, "authenticationGUID") == GUID
    nil = answer[1].find(f".//{{{SPACE}}}replacedIdentifierValue")
    assert nil is not None
    assert nil.attrib == {"{http://www.w3.org/2001/XMLSchema-instance}nil": "true"}


def test_oddities_of_real_replies(register: Register) -> None:
    trader = register.search("61000000002")
    assert told(trader, "replacedIdentifierValue") is None
    assert told(trader, "effectiveFrom") == "0001-01-01"
    assert (told(trader, "givenName"), told(trader, "familyName")) == ("Testa", "FAKELY")
    moved = register.search("42000000003")
    assert (told(moved, "identifierValue"), told(moved, "replacedIdentifierValue")) == ("42000000003", "42000000003")
    assert told(register.search("80000000001"), "entityStatusCode") == "Cancelled"


@pytest.mark.parametrize(
    ("number", "guid", "history", "code", "words"),
    [
        ("44000000012", GUID, "N", "SEARCH", "No records found"),
        ("44000000013", GUID, "N", "WEBSERVICES", "Search text"),
        ("89000000019", GUID[:-1] + "1", "N", "WEBSERVICES", "GUID"),
        ("89000000019", GUID, "X", "WEBSERVICES", "history flag"),
        ("93000000005", GUID, "N", "WEBSERVICES", "system problem"),
    ],
)
def test_complaints_come_inside_a_200(
    register: Register, number: str, guid: str, history: str, code: str, words: str
) -> None:
    answer = register.search(number, guid, history)
    assert told(answer, "exceptionCode") == code
    assert words in (told(answer, "exceptionDescription") or "")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not xml",
        b"<a/>",
        request("89000000019").encode()[:-9],
        request("89000000019").replace(SPACE, SPACE[:-1]).encode(),
        request("&x;", head='<!DOCTYPE s [<!ENTITY x "89000000019">]>').encode(),
        request("&x;", head='<!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/hostname">]>').encode(),
        request("<searchString>1</searchString></searchString><searchString>").encode(),
        b"<a>" * 50 + b"</a>" * 50,
        request("8").encode("utf-16"),
    ],
)
def test_what_is_no_request_gets_a_fault(register: Register, body: bytes) -> None:
    reply = register.post(body)
    assert reply.status_code == 500
    assert b"<faultcode>soap:Client</faultcode>" in reply.content
    assert b"root:" not in reply.content


def test_wrong_action_and_too_much(register: Register) -> None:
    assert register.post(request("89000000019"), action='""').status_code == 500
    assert register.post(request(" " * 20_000 + "1")).status_code == 413


def test_dials_by_number_and_ledger_without_names(register: Register) -> None:
    url = f"{register.url}/_dials/abn-lookup"
    dial = {"kind": "status", "status": 503, "reference": "36000000008", "times": 1}
    assert httpx.post(url, json=dial, trust_env=False).status_code == 201
    assert register.post(request("36 000 000 008")).status_code == 503
    assert told(register.search("36 000 000 008"), "entityStatusCode") == "Dormant"
    ledger = httpx.get(f"{register.url}/_ledger/abn-lookup?reference=36000000008", trust_env=False).json()
    assert [each["said"] for each in ledger["lookups"]] == ["Dormant"]
    assert "FAKE ODD" not in json.dumps(ledger)
    httpx.delete(url, trust_env=False)
