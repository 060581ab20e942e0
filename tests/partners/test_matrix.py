"""Profiles say what is so: the published page, `check`, the functions and the simulated partners agree with them."""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import SecretStr
from tests.partners.cast import REHEARSALS
from tests.partners.rehearsals import PLANNED_AT, Rehearsal, Sandbox
from tests.partners.stage import DEADLINE, Stage

from lendrail.contracts.application import Application
from lendrail.contracts.terms import Report
from lendrail.partners import PARTNERS, abn_lookup
from lendrail.partners.__main__ import PUBLISHED
from lendrail.partners.channels.auth import MemoryTokens
from lendrail.partners.exchange import Accepted, File, Rejected, Reply, Request
from lendrail.partners.matrix import matrix
from lendrail.partners.matrix.words import SCHEMES
from lendrail.partners.partner import Capability, Order, Partner
from lendrail.sandbox.dials import OutcomeName

ONE_OF_EACH = tuple({each.partner_name: each for each in reversed(REHEARSALS)}.values())
NEEDS = [
    pytest.param(each, pointer, id=f"{each.name}{pointer}")
    for each in REHEARSALS
    for pointer in each.partner.facts.required
]
each_partner = pytest.mark.parametrize("rehearsal", ONE_OF_EACH, ids=lambda each: each.partner_name)


def test_page_is_fresh() -> None:
    assert PUBLISHED.read_text() == matrix(PARTNERS.values()), "run python -m lendrail.partners"


def without(data: Any, pointer: str) -> Any:
    *way, last = pointer.strip("/").split("/")
    changed = place = copy.deepcopy(data)
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place[step]
    del place[int(last) if isinstance(place, list) else last]
    return changed


def leads_to(pointer: str, told: str) -> bool:
    """Whether `told` is the same part of the application, or the whole of it."""
    return told == "" or told.split("/")[1] == pointer.split("/")[1]


@pytest.mark.parametrize(("rehearsal", "pointer"), NEEDS)
async def test_what_is_required_is_missed_here_and_there(rehearsal: Rehearsal, pointer: str, sandbox: Sandbox) -> None:
    """`check` complains at the field; past it, the partner itself refuses, and its refusal leads back there."""
    stage = Stage(rehearsal, sandbox)
    sound = stage.requests()
    incomplete = Application.model_validate(without(stage.data, pointer))
    problems = rehearsal.partner.check(incomplete, rehearsal.options)
    assert problems
    assert all((each.pointer + "/").startswith(pointer + "/") for each in problems)
    assert {each.code for each in problems} == {"missing"}
    if spoil := rehearsal.missing.get(pointer):
        requests = tuple(map(spoil, sound))
        assert requests != sound
    else:
        requests = rehearsal.partner.create(
            Order(application=incomplete, reference=stage.reference, options=rehearsal.options, planned_at=PLANNED_AT)
        )
    came = await stage.once(requests)
    if pointer in rehearsal.lenient:
        assert isinstance(came, Accepted), "no exception is needed for what is insisted on"
        return
    assert isinstance(came, Rejected)
    assert came.problems
    assert all(leads_to(pointer, each.pointer) for each in came.problems)
    assert stage.leads == 0


def test_exceptions_are_about_what_is_required() -> None:
    for each in REHEARSALS:
        assert each.lenient | set(each.missing) <= set(each.partner.facts.required)


@each_partner
async def test_every_word_of_the_simulated_partner_is_known(rehearsal: Rehearsal, sandbox: Sandbox) -> None:
    """Whatever its dials can make it decide, and each step of the way there."""
    partner = rehearsal.partner
    if not (partner.read or partner.facts.statuses):
        assert not partner.webhook, "what says nothing has no words"
        return
    told = await asyncio.gather(*(_heard(Stage(rehearsal, sandbox), each) for each in get_args(OutcomeName)))
    sandbox.undial(partner.name)
    reports = [*itertools.chain.from_iterable(told)]
    assert {each.words for each in reports} <= partner.facts.statuses.keys()
    assert all(each.status is not None for each in reports)


SECONDS, LOOKS = 1.5, 5
"""Until the second step of what is decided, which the simulated partners take a second after the first."""


async def _heard(stage: Stage, outcome: str) -> list[Report]:
    requests, partner = stage.requests(), stage.partner
    stage.dial("outcome", requests[-1].operation, outcome=outcome)
    async with stage.rehearsal.channel(stage.sandbox.url) as channel:
        came = await stage.bring(channel, requests)
        assert isinstance(came, Accepted)
        heard = [came.report] if came.report else []
        if not (partner.read and partner.report and came.partner_id):
            return heard
        for _ in range(LOOKS):
            reply = await channel.send(partner.read(came.partner_id), DEADLINE)
            assert isinstance(reply, Reply)
            heard.append(partner.report(reply))
            await asyncio.sleep(SECONDS / LOOKS)
    return heard


def made(rehearsal: Rehearsal, order: Order, partner_id: str) -> Iterator[Request]:
    """One request by each function that the partner has, the creation aside; what ends it comes last."""
    partner, options = rehearsal.partner, rehearsal.options
    file = File(name="statement.pdf", kind="bank-statement", content=b"fake", link="https://files.example.test/1")
    if partner.read:
        yield partner.read(partner_id)
    if partner.index:
        yield partner.index(None)
    if partner.search:
        yield partner.search(order.reference, options)
    if partner.document:
        yield partner.document(partner_id, (file,), options)
    if partner.thread:
        yield partner.thread.document(partner.create(order)[0], file, "LATER-1", options, PLANNED_AT)
    if partner.update:
        yield partner.update(partner_id, order)
    yield from (each.request(partner_id, options) for each in partner.inquiries.values())
    if partner.lists:
        yield partner.lists.request(partner.lists.names[0])
    if partner.webhook and partner.webhook.register:
        yield partner.webhook.register("https://gateway.example.test/w", SecretStr(rehearsal.webhook_secret))
    if partner.feed:
        yield partner.feed.request(None, PLANNED_AT)
    if partner.feed and partner.feed.acknowledge:
        yield partner.feed.acknowledge(("fake-entry",))
    if partner.accept:
        yield partner.accept(partner_id, "offer-1", None, options)
    if partner.finance:
        yield partner.finance(partner_id, options)
    if partner.withdraw:
        yield partner.withdraw(partner_id, "withdrawn", options)


@each_partner
def test_operations_are_those_that_there_are_functions_for(rehearsal: Rehearsal) -> None:
    order = rehearsal.order("REF-1", rehearsal.application(rehearsal.amounts["approve"], "REF-1"))
    requests = [*rehearsal.partner.create(order), *made(rehearsal, order, "ID-1")]
    assert {each.operation for each in requests} == set(rehearsal.partner.operations)
    assert set(rehearsal.operations) == set(rehearsal.partner.operations), "and the suite can trouble each of them"


@pytest.mark.parametrize("rehearsal", REHEARSALS, ids=lambda each: each.name)
async def test_each_operation_is_served(rehearsal: Rehearsal, sandbox: Sandbox) -> None:
    """And how the application stands after all of them is a status that we know. What needs an id of something that is
    not there yet (a match, an entry of a feed) has a test beside its partner's others.
    """
    stage, partner = Stage(rehearsal, sandbox), rehearsal.partner
    requests = stage.requests()
    later = {name for name, each in partner.inquiries.items() if each.about == "match"} | {"acknowledge"}
    async with rehearsal.channel(sandbox.url) as channel:
        brought = await stage.bring(channel, requests)
        assert isinstance(brought, Accepted)
        partner_id = brought.partner_id or ""
        for request in made(rehearsal, rehearsal.order(stage.reference, stage.data), partner_id):
            came = await stage.send(channel, request)
            assert isinstance(came, Accepted) or request.operation in later, request.operation
        if partner.read and partner.report:
            reply = await channel.send(partner.read(partner_id), DEADLINE)
            assert isinstance(reply, Reply)
            assert partner.report(reply).status is not None


PAIRS = (("read", "report"), ("search", "found"), ("index", "listed"))


@each_partner
def test_functions_come_in_pairs(rehearsal: Rehearsal) -> None:
    """What asks has what reads; what searches is searched for; what lies about its class is found out."""
    partner = rehearsal.partner
    for asks, reads in PAIRS:
        assert (getattr(partner, asks) is None) is (getattr(partner, reads) is None), asks
    assert partner.delivery or not partner.document
    assert bool(partner.facts.documents) is (partner.delivery is not None)
    searched = {Capability.SEARCHABLE, Capability.ASYNCHRONOUS}
    assert partner.search or not searched & {each.capability for each in partner.operations.values()}
    for name, operation in partner.operations.items():
        assert operation.key_life is None or operation.capability == Capability.KEYED, name
    assert len(partner.facts.required) == len(set(partner.facts.required))


def test_schemes_need_what_the_page_says() -> None:
    """With everything named a scheme signs in; without any one of it, it says what is missing."""
    used = {name: scheme for each in PARTNERS.values() for name, scheme in each.auth.items()} | dict(abn_lookup.AUTH)
    assert used.keys() == SCHEMES.keys()
    for name, scheme in used.items():
        needs = SCHEMES[name].needs
        may = {"version": "1.1", "starttls": "true"}
        full = {each: SecretStr(may.get(each, "fake")) for each in (*needs, *SCHEMES[name].may)}
        scheme(full, MemoryTokens())
        scheme({each: full[each] for each in needs}, MemoryTokens())
        for each in needs:
            with pytest.raises(KeyError, match=each):
                scheme({other: value for other, value in full.items() if other != each}, MemoryTokens())


def test_each_partner_has_a_chapter_and_a_row() -> None:
    page = PUBLISHED.read_text()
    for each in PARTNERS.values():
        assert page.count(f"\n### {each.title}\n") == 1
        assert page.count(f"| [{each.title}](#") == 1
        assert all(f"| `{operation}` |" in _chapter(page, each) for operation in each.operations)


def _chapter(page: str, partner: Partner) -> str:
    return page.partition(f"\n### {partner.title}\n")[2].partition("\n### ")[0]
