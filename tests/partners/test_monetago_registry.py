"""The registry over real sockets: duplicates between lenders, financing, cancelling, the feed, the header's name."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from tests.partners.monetago.rehearsal import REHEARSALS, application, auth
from tests.partners.rehearsals import Channel, Sandbox, new_reference

from lendrail.contracts.terms import Report, Status
from lendrail.partners.exchange import Accepted, Hint, Outcome, Page, Present, Rejected, Reply, Request, Unknown
from lendrail.partners.monetago import MONETAGO, mapping, profile
from lendrail.partners.monetago.results import compared, stamp

(REHEARSAL,) = REHEARSALS
OPTIONS = {"lender": {"institution": "ZZZZSGS0XXX"}, "other": {"institution": "ZZZZUSS0XXX"}}


class Lender:
    """One of the registry's users."""

    def __init__(self, name: str, channel: Channel) -> None:
        self.options, self.channel = OPTIONS[name], channel

    async def reply(self, request: Request) -> Reply:
        reply = await self.channel.send(request, 10)
        assert isinstance(reply, Reply)
        return reply

    async def send(self, request: Request) -> Outcome:
        return MONETAGO.outcome(request, await self.reply(request))

    async def register(self, data: dict[str, Any], reference: str | None = None) -> str:
        order = REHEARSAL.order(reference or new_reference(), data)
        (request,) = MONETAGO.create(type(order)(**vars(order) | {"options": self.options}))
        came = await self.send(request)
        assert isinstance(came, Accepted)
        assert came.partner_id
        await self.until(came.partner_id, lambda told: told.words != "PNDG")
        return came.partner_id

    async def report(self, request_id: str) -> Report:
        return mapping_report(await self.reply(mapping.read(request_id)))

    async def until(self, request_id: str, good: Any) -> Report:
        for _ in range(200):
            if good(told := await self.report(request_id)):
                return told
            await asyncio.sleep(0.02)
        raise TimeoutError("its status did not change")

    async def finance(self, request_id: str) -> Outcome:
        return await self.send(mapping.finance(request_id, self.options))

    async def cancel(self, request_id: str, ended: str) -> Outcome:
        return await self.send(mapping.withdraw(request_id, ended, self.options))

    async def page(self, cursor: str | None) -> Page:
        assert MONETAGO.feed
        page = MONETAGO.feed.page(await self.reply(MONETAGO.feed.request(cursor, dt.datetime.now(dt.UTC))))
        assert page is not None
        return page


def mapping_report(reply: Reply) -> Report:
    assert MONETAGO.report
    return MONETAGO.report(reply)


@asynccontextmanager
async def lenders(sandbox: Sandbox) -> AsyncIterator[tuple[Lender, Lender]]:
    async with AsyncExitStack() as open_:
        made = [
            Lender(name, await open_.enter_async_context(REHEARSAL.channel(sandbox.url, auth(sandbox.url, client))))
            for name, client in (("lender", "fake-lender"), ("other", "fake-other"))
        ]
        yield made[0], made[1]


def paper(number: str, **changes: Any) -> dict[str, Any]:
    data = application("50000", number)
    data["invoices"][0] |= changes
    return data


async def test_later_registration_by_another_lender_makes_both_duplicates(sandbox: Sandbox) -> None:
    number = new_reference()
    async with lenders(sandbox) as (lender, other):
        ours = await lender.register(paper(number))
        assert (await lender.report(ours)).words == "REGU"
        theirs = await other.register(paper(number.upper(), amount={"amount": "150000.250", "currency": "USD"}))
        told = await lender.until(ours, lambda told: told.words == "REDU")
        assert told.status == Status.DUPLICATE
        (match,) = told.matches
        assert (match.kind, match.status, match.risk) == ("EXCT", "REDU", "CRITICAL_RISK")
        assert match.amount is not None
        assert (str(match.amount.amount), match.amount.currency) == ("50000.00", "USD")
        assert match.at is not None

        assert await other.finance(theirs) == Accepted()
        told = await lender.report(ours)
        assert (told.words, told.status, told.matches[0].status) == ("DFIN", Status.DUPLICATE, "FNCD")
        assert (await other.report(theirs)).status == Status.FUNDED
        assert isinstance(await lender.finance(ours), Rejected), "a duplicate of what is financed"

        assert await other.cancel(theirs, "withdrawn") == Accepted()
        assert (await other.report(theirs)).status == Status.WITHDRAWN
        assert (await lender.report(ours)).words == "REGU", "a cancelled registration matches nothing any more"


async def test_steps_that_are_refused(sandbox: Sandbox) -> None:
    async with lenders(sandbox) as (lender, other):
        ours = await lender.register(paper(new_reference()))
        assert await lender.finance(ours) == Accepted()
        for again in (await lender.finance(ours), await other.finance(ours), await other.cancel(ours, "declined")):
            assert isinstance(again, Rejected)
        assert await lender.cancel(ours, "funded") == Accepted()
        assert isinstance(await lender.cancel(ours, "funded"), Rejected)
        assert isinstance(await lender.finance(ours), Rejected)
        assert (await other.report(ours)).status is None, "nobody sees another lender's registration"


async def test_reason_of_a_cancellation_comes_from_how_it_ended(sandbox: Sandbox) -> None:
    ends = {"declined": "NTFD", "withdrawn": "WITH", "expired": "EXNB", "failed": "RJCT", "funded": "OBSA"}
    ends |= {"duplicate": "DFIN", "ineligible": "UKWN"}
    async with lenders(sandbox) as (lender, _):
        for ended, reason in ends.items():
            reference = new_reference()
            ours = await lender.register(paper(reference), reference)
            assert await lender.cancel(ours, ended) == Accepted()
            (cancelled,) = sandbox.ledger("monetago", reference)["cancellations"]
            assert cancelled["reasons"] == [reason]


@pytest.mark.parametrize(
    ("changes", "kind", "flag"),
    [({"amount": {"amount": "1", "currency": "USD"}}, "PART", "partial-match"), ({}, "PART", None)],
)
async def test_partial_match_stays_unique_and_is_shown(
    sandbox: Sandbox, changes: dict[str, Any], kind: str, flag: str | None
) -> None:
    number = new_reference()
    issuer = paper(number)["invoices"][0]["issuer"] | ({} if changes else {"name": "Another Fake Seller"})
    async with lenders(sandbox) as (lender, other):
        await other.register(paper(number))
        told = await lender.report(await lender.register(paper(number, issuer=issuer, **changes)))
    assert told.status == Status.APPROVED
    assert [each.kind for each in told.matches] == ([kind] if flag else [])
    assert told.flags == ((flag,) if flag else ())


async def test_same_paper_of_another_applicant_stays_unique_and_is_shown(sandbox: Sandbox) -> None:
    number = new_reference()
    data = paper(number)
    data["business"] = data["business"] | {"legalName": "Fake Imports Inc"}
    async with lenders(sandbox) as (lender, other):
        await other.register(data)
        told = await lender.report(await lender.register(paper(number)))
    assert (told.status, told.flags) == (Status.APPROVED, ("exact-match-of-another-applicant",))


async def test_several_invoices_are_one_at_the_gate(sandbox: Sandbox) -> None:
    reference, data = new_reference(), paper(new_reference())
    (first,) = data["invoices"]
    part = {"requested": {"amount": "100", "currency": "USD"}}
    data["invoices"] = [first | part | {"number": f"{first['number']}{n}"} for n in range(3)]
    async with lenders(sandbox) as (lender, other):
        ours = await lender.register(data, reference)
        assert (await lender.report(ours)).status == Status.APPROVED
        await other.register(paper(new_reference()) | {"invoices": data["invoices"][2:]})
        told = await lender.report(ours)
        assert (told.status, told.words, len(told.matches)) == (Status.DUPLICATE, "REGU, REDU", 1)
        search = mapping.search(reference, lender.options)
        assert MONETAGO.found
        assert MONETAGO.found(search, await lender.reply(search)) == Present(ours)
    assert len(sandbox.ledger("monetago", reference)["leads"]) == 1


async def test_careless_repeat_registers_a_duplicate_of_ourselves(sandbox: Sandbox) -> None:
    reference, data = new_reference(), paper(new_reference())
    async with lenders(sandbox) as (lender, _):
        first, second = await lender.register(data, reference), await lender.register(data, reference)
        assert first != second
        assert [(await lender.report(each)).words for each in (first, second)] == ["REDU", "REDU"]
        search = mapping.search(reference, lender.options)
        assert MONETAGO.found
        assert MONETAGO.found(search, await lender.reply(search)) == Unknown("registered-twice")
    ledger = sandbox.ledger("monetago", reference)
    assert (len(ledger["leads"]), len(ledger["duplicates"])) == (2, 1)


async def test_pending_stays_in_review(sandbox: Sandbox) -> None:
    async with lenders(sandbox) as (lender, _):
        (request,) = MONETAGO.create(REHEARSAL.order(new_reference(), application("50003", new_reference())))
        came = await lender.send(request)
        assert isinstance(came, Accepted)
        told = await lender.report(came.partner_id or "")
        assert (told.status, told.words) == (Status.IN_REVIEW, "PNDG")
        assert isinstance(await lender.finance(came.partner_id or ""), Rejected)


async def test_inquiries(sandbox: Sandbox) -> None:
    number = new_reference()
    async with lenders(sandbox) as (lender, other):
        ours = await lender.register(paper(number))
        await other.register(paper(number, dueOn="2031-01-01"))
        (match,) = (await lender.report(ours)).matches
        asked = MONETAGO.inquiries["document-matches"].request(match.id, lender.options)
        assert await lender.send(asked) == Accepted()
        (line,) = compared(await lender.reply(asked)) or ()
        assert (line.id, line.kind) == (match.id, match.kind)
        assert (line.fields["number"], line.fields["date"]) == (True, True)
        came = await lender.send(MONETAGO.inquiries["status-request"].request(ours, lender.options))
        assert isinstance(came, Accepted)
        assert came.partner_id is None
        assert (await lender.report(came.given["statusRequest"])).words == "REDU"


@pytest.mark.parametrize("size", [1, 2, 1000])
async def test_feed_tells_of_every_change_whatever_the_page(
    sandbox: Sandbox, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three invoices of one call make three events of one moment. `after` excludes its own moment for one of the
    lenders and includes it for the other.
    """
    monkeypatch.setattr(profile, "PAGE", size)
    async with lenders(sandbox) as both:
        for lender in both:
            reference, data = new_reference(), paper(new_reference())
            part = {"requested": {"amount": "100", "currency": "USD"}}
            data["invoices"] = [data["invoices"][0] | part | {"number": new_reference()} for _ in range(3)]
            cursor, seen = f"{stamp(dt.datetime.now(dt.UTC))} {size}", set[Hint]()
            ours = await lender.register(data, reference)
            for _ in range(20):
                page = await lender.page(cursor)
                seen |= set(page.hints)
                cursor = page.cursor or cursor
            mine = [each for each in seen if each.partner_id == ours]
            assert {each.reference for each in mine} == {reference}
            said = {each.word.rsplit(" ", 1)[0] for each in mine}
            assert said == {"REGISTRATION_RECEIVED PNDG", "STATUS_CHANGED REGU"}


@pytest.mark.parametrize("header", ["Authorization", "Authentication"])
async def test_header_is_a_setting_and_the_partner_says_which_it_got(sandbox: Sandbox, header: str) -> None:
    reference = new_reference()
    settings = auth(sandbox.url, header=header)
    async with REHEARSAL.channel(sandbox.url, settings) as channel:
        await Lender("lender", channel).register(paper(new_reference()), reference)
    (lead,) = sandbox.ledger("monetago", reference)["leads"]
    assert lead["header"] == header.lower()


async def test_wrong_institution_is_refused(sandbox: Sandbox) -> None:
    order = REHEARSAL.order(new_reference(), paper(new_reference()))
    (request,) = MONETAGO.create(type(order)(**vars(order) | {"options": OPTIONS["other"]}))
    async with lenders(sandbox) as (lender, _):
        refusal = await lender.send(request)
    assert isinstance(refusal, Rejected)
    assert [each.pointer for each in refusal.problems] == [""]
