"""ABN Lookup, pure: the question, what answers mean, and that no odd answer ever speaks against an applicant."""

import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from pydantic import SecretStr

from lendrail.partners.abn_lookup import AUTH, Asked, Finding, meaning, missing, question
from lendrail.partners.abn_lookup.names import alike, folded
from lendrail.partners.channels.auth import MemoryTokens
from lendrail.partners.exchange import NoAnswer, NotSent, Reply
from lendrail.sandbox.abn_lookup import envelope, register

ACTIVE, CANCELLED, TRADER, REPLACED, WITHHELD, ODD = (
    "89000000019",
    "80000000001",
    "61000000002",
    "42000000003",
    "55000000007",
    "36000000008",
)
HEAD = {"content-type": "text/xml; charset=utf-8"}


def reply(number: str) -> Reply:
    return Reply(200, HEAD, envelope.reply({"authenticationGuid": "secret-guid"}, register.search(number)))


def refusal(code: str, text: str) -> Reply:
    return Reply(200, HEAD, envelope.reply({}, register.Refusal(code, text)))


def found(number: str, *names: str) -> str:
    finding = meaning(Asked(abn=number, names=names or ("Fake Bakery Pty Ltd",)), reply(number))
    return f"{finding.result}: {finding.code}"


def test_the_question_holds_no_secret_until_it_is_signed() -> None:
    asked = question(ACTIVE)
    auth = AUTH["guid"]({"guid": SecretStr("a<b&c")}, MemoryTokens())
    assert b"a<b" not in asked.dump()
    assert envelope.arguments(auth.sign(asked).content) == {
        "searchString": ACTIVE,
        "includeHistoricalDetails": "N",
        "authenticationGuid": "a<b&c",
    }
    assert dict(asked.headers)["soapaction"] == f'"{envelope.NAMESPACE}{envelope.METHOD}"'
    assert (asked.path, asked.context, question(ACTIVE)) == ("", (), asked)
    assert "a<b" not in repr(auth)


def test_what_the_register_says() -> None:
    assert found(ACTIVE) == "passed: matches"
    assert found(ACTIVE, "Somebody Else", "fake  buns") == "passed: matches"
    assert found(ACTIVE, "Fake Bread and Cakes") == "passed: matches"
    assert found(ACTIVE, "Old Fake Buns") == "failed: name-differs"
    assert found(CANCELLED, "Fake Closed") == "rejected: abn-cancelled"
    assert found("44000000012") == "rejected: abn-not-found"
    assert found(REPLACED, "Fake Moved") == "failed: abn-replaced"
    assert found("23000000004", "Fake Moved") == "passed: matches"
    for name in ("Testa Fakely", "TESTA QUILL FAKELY", "Fakely, Testa Quill"):
        assert found(TRADER, name) == "passed: matches"
    assert found(TRADER, "Testa Other Fakely") == "failed: name-differs"


def test_what_is_not_checked() -> None:
    assert found(WITHHELD, "Testa Fakely") == "not-checked: name-withheld"
    assert found(ODD) == "not-checked: status-unknown"
    assert found("93000000005") == "not-checked: register-error"
    assert found("74000000006") == "not-checked: register-error"
    other = meaning(Asked(abn=CANCELLED, names=()), reply(ACTIVE))
    assert (other.result, other.code) == ("not-checked", "other-number")


@pytest.mark.parametrize(
    ("code", "text", "means"),
    [
        ("SEARCH", "No records found.", "abn-not-found"),
        ("search", " no  record found ", "abn-not-found"),
        ("SYSTEM", "No records found", "register-error"),
        ("SEARCH", "No records found because the system is down", "register-error"),
        ("WEBSERVICES", "The GUID entered is not recognised as a Registered Party", "refused"),
        ("WEBSERVICES", "Search text is not a valid ABN or ACN", "question-refused"),
        ("WEBSERVICES", "The history flag must be Y or N", "question-refused"),
        ("WEBSERVICES", "A system problem has occurred", "register-error"),
        ("GENERAL", "", "register-error"),
        ("", "", "register-error"),
    ],
)
def test_one_code_covers_what_lasts_and_what_passes(code: str, text: str, means: str) -> None:
    finding = meaning(Asked(abn=ACTIVE, names=()), refusal(code, text))
    assert finding.code == means
    assert (finding.hold is not None) == (means == "refused")
    assert finding.trouble == (means == "register-error")
    assert (finding.result == "rejected") == (means == "abn-not-found")


def test_http_without_an_answer() -> None:
    def of(status: int, content: bytes = b"", after: str = "") -> Finding:
        return meaning(Asked(abn=ACTIVE, names=()), Reply(status, HEAD | {"retry-after": after}, content))

    assert of(429, after="7") == Finding(result="not-checked", code="throttled", hold=7)
    assert of(429, after="soon").hold == 5
    assert (of(503, after="7").hold, of(503).hold) == (7, None)
    assert (of(401).code, of(403).code) == ("refused", "refused")
    assert [of(status).code for status in (204, 302, 404, 500, 503)] == ["unavailable"] * 5
    assert of(500, envelope.fault("Server", "x")).code == "fault"
    assert of(200, envelope.fault("Client", "x")).code == "fault"
    assert missing(NoAnswer("deadline")).code == "too-slow"
    assert (
        missing(NoAnswer("cut"))
        == missing(NotSent("refused"))
        == Finding(result="not-checked", code="unavailable", trouble=True)
    )
    assert not missing(NotSent("invalid-request")).trouble


def mutations(content: bytes) -> Iterator[bytes]:
    """Every element taken away, doubled, renamed, emptied, filled with something else, nested in itself."""
    count = len(list(etree.fromstring(content).iter()))
    for at in range(count):
        for change in ("away", "twice", "renamed", "empty", "other", "nested", "foreign"):
            root = etree.fromstring(content)
            element = list(root.iter())[at]
            parent = element.getparent()
            if parent is None:
                continue
            if change == "away":
                parent.remove(element)
            elif change == "twice":
                parent.append(etree.fromstring(etree.tostring(element)))
            elif change == "renamed":
                element.tag = "{urn:other}x"
            elif change == "foreign":
                etree.SubElement(element, "{urn:other}extra").text = "x"
            else:
                inner = etree.fromstring(etree.tostring(element))
                element.clear()
                if change == "other":
                    element.text = "17"
                elif change == "nested":
                    element.append(inner)
            yield etree.tostring(root)


@pytest.mark.parametrize("number", [*register.ENTRIES, *register.REFUSALS, "44000000012"])
def test_no_mutation_of_an_answer_invents_a_rejection(number: str) -> None:
    asked = Asked(abn=number, names=("Fake Bakery Pty Ltd",))
    sound = meaning(asked, reply(number))
    for content in mutations(reply(number).content):
        finding = meaning(asked, Reply(200, HEAD, content))
        if finding.result == "rejected":
            assert finding == sound
        if finding.result == "passed":
            assert sound.result == "passed"


HOSTILE = [
    b"",
    b"\x00",
    b"<html><body>We will be back soon</body></html>",
    b"{}",
    b"<!DOCTYPE x [<!ENTITY y 'z'>]>" + reply(ACTIVE).content.partition(b"?>")[2],
    b"<!DOCTYPE x SYSTEM 'file:///etc/hostname'><x/>",
    reply(ACTIVE).content[:-40],
    reply(CANCELLED).content[: len(reply(CANCELLED).content) // 2],
    reply(CANCELLED).content.replace(b"ABRXMLSearch/", b"ABRXMLSearch"),
    reply(CANCELLED).content.decode().encode("utf-16"),
    reply(CANCELLED).content.replace(b"Cancelled", b"Cancelled" * 200_000),
    b"<a>" * 100_000,
    reply(CANCELLED).content.replace(b"<soap:Body>", b"<soap:Body><x/>"),
    reply(CANCELLED).content.replace(b"Cancelled", b"&cancelled;"),
]


@pytest.mark.parametrize("content", HOSTILE)
def test_hostile_replies_are_not_checked(content: bytes) -> None:
    finding = meaning(Asked(abn=CANCELLED, names=("Fake Closed",)), Reply(200, HEAD, content))
    assert (finding.result, finding.trouble) == ("not-checked", True)


@given(st.integers(0, len(reply(CANCELLED).content) - 2))
@settings(max_examples=150, deadline=None)
def test_a_cut_reply_is_not_checked(length: int) -> None:
    cut = reply(CANCELLED).content[:length]
    assert meaning(Asked(abn=CANCELLED, names=()), Reply(200, HEAD, cut)).result == "not-checked"


@given(st.binary(max_size=200), st.sampled_from([100, 200, 204, 301, 400, 404, 418, 429, 500, 503]))
def test_anything_is_read_without_an_exception(content: bytes, status: int) -> None:
    assert meaning(Asked(abn=ACTIVE, names=()), Reply(status, {}, content)).result == "not-checked"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Fake Bakery Pty Ltd", "FAKE BAKERY PROPRIETARY LIMITED"),
        ("Fake Bakery Pty. Ltd.", "Fake  Bakery (PTY) LTD"),
        ("Fake Bakery P/L", "FAKE BAKERY PTY LIMITED"),
        ("Fake Bakery", "FAKE BAKERY PTY LTD"),
        ("F.A.K.E. & Sons", "Fake and Sons"),
        ("O'Fake's Café", "OFAKES CAFE"),
        ("Fake-Bakery", "Fakebakery"),
        ("Fake Trading Company", "Fake Trading Co."),
        ("ﬁne fakes", "FINE FAKES"),
    ],
)
def test_names_that_are_the_same(one: str, other: str) -> None:
    assert alike([one], [other])
    assert alike(["x", other], ["y", one])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Fake Bakery Ltd", "Fake Bakery Pty Ltd"),
        ("Fake Bakery", "Fake Bakeries"),
        ("Fake Bakery 1", "Fake Bakery 2"),
        ("Limited", "Pty Ltd"),
        ("...", "..."),
        ("", "Fake"),
    ],
)
def test_names_that_are_not(one: str, other: str) -> None:
    assert not alike([one], [other])


WORDS = st.lists(st.text(alphabet="abcxyz12", min_size=1, max_size=6), min_size=1, max_size=4)


@given(WORDS, st.sampled_from(["", " pty ltd", " ltd"]), st.sampled_from([" ", "  ", "-", ". ", ", ", "\u00a0"]))
def test_folding_forgets_case_space_and_punctuation_only(words: list[str], form: str, gap: str) -> None:
    plain = " ".join(words) + form
    assert folded(plain) == folded(f" {gap.join(words).upper()}{form.title()}. ")
    assert folded(plain) != folded(plain.replace(words[0], words[0] + "q", 1))


@given(st.text(max_size=80), st.text(max_size=80))
def test_likeness_is_mutual_and_never_fails(one: str, other: str) -> None:
    assert alike([one], [other]) == alike([other], [one])
    if re.search(r"[a-zA-Z0-9]", one):
        assert alike([one], [one.lower()])
