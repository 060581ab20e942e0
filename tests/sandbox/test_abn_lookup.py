"""The simulated register as a plain HTTP client meets it: complaints inside a 200, and XML that it does not trust."""

import json
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest
from tests.sandbox.register import GUID, SPACE, Register, request

from lendrail.sandbox.abn_lookup.register import ENTRIES, REFUSALS, passes_the_check


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
    register.set(kind="status", status=503, reference="36000000008", times=1)
    assert register.post(request("36 000 000 008")).status_code == 503
    assert told(register.search("36 000 000 008"), "entityStatusCode") == "Dormant"
    ledger = register.lookups("36000000008")
    assert [each["said"] for each in ledger["lookups"]] == ["Dormant"]
    assert "FAKE ODD" not in json.dumps(ledger)
    register.clear()
