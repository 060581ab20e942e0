"""What is known of one partner."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from lendrail.partners.matrix.markdown import code, duration, listed, table, wrapped
from lendrail.partners.matrix.words import CLASSES, proof, sign_in
from lendrail.partners.partner import Facts, Feed, Operation, Partner, Rate, Webhook
from lendrail.partners.polling import DAY, Polling

SHOWN = 6
"""Words of a closed list that stand on the page."""


def chapter(partner: Partner) -> Iterator[str]:
    facts = partner.facts
    yield from (f"### {partner.title}", "")
    yield from wrapped(f"{code(partner.name)}, {partner.kind}, country: {facts.country}. Facts from {facts.source}.")
    yield ""
    for point in _points(partner):
        yield from wrapped(f"- {point}.")
    yield ""
    yield from operations(partner.operations)
    yield from _statuses(facts)
    yield from table(
        ["closed list", "words"], ([code(name), _some(words)] for name, words in facts.vocabularies.items())
    )
    yield from lacks(facts)


def _points(partner: Partner) -> Iterator[str]:
    yield f"Signs in by {'; or by '.join(map(sign_in, partner.auth))}"
    yield f"Rate: {_rate(partner.rate)}"
    yield f"Needs, beside what every application has: {listed(map(code, partner.facts.required), 'nothing')}"
    yield f"Documents: {_documents(partner)}"
    yield f"Webhook: {_webhook(partner.webhook)}"
    yield f"Feed: {_feed(partner.feed)}"
    yield f"Looks while there is no news: {_poll(partner)}"
    if partner.poll.turnaround:
        yield f"Says that it usually answers: {_turnaround(partner.poll)}"
    if partner.lists:
        yield f"Lists fetched every {duration(partner.lists.lifetime)}: {listed(map(code, partner.lists.names))}"
    if partner.inquiries:
        yield f"Operators may ask: {listed(map(code, partner.inquiries))}"
    yield f"After a lost answer: {'our reference is looked for' if partner.search else 'no look-up by our reference'}"


def operations(known: Mapping[str, Operation]) -> Iterator[str]:
    head = ["operation", "class", "deadline", "processing", "repeats", "key lives"]
    yield from table(head, ([code(name), *_operation(each)] for name, each in known.items()))


def _operation(known: Operation) -> list[str]:
    named = f"{code(known.capability.value)} {CLASSES[known.capability][0]}"
    if known.capability.value == CLASSES[known.capability][0]:
        named = code(known.capability.value)
    key = duration(known.key_life) or ("for ever" if known.capability.value == "A" else "")
    return [named, duration(known.deadline), duration(known.processing), str(known.repeats), key]


def lacks(facts: Facts) -> Iterator[str]:
    yield from table(["not done", "why, or what follows"], facts.lacks.items())


def _rate(rate: Rate | None) -> str:
    if rate is None:
        return "none published"
    return f"{rate.requests} call{'s' if rate.requests > 1 else ''} in {duration(rate.seconds)} for each credential"


def _documents(partner: Partner) -> str:
    if partner.delivery is None:
        return "takes none"
    way = "by calls of their own" if partner.document else "named by the creation"
    way += ", later ones by an answer to it" if partner.thread else ""
    return f"{way}: {listed(map(code, partner.facts.documents), 'of any kind')}"


def _webhook(webhook: Webhook | None) -> str:
    if webhook is None:
        return "none"
    worth = "what it says counts" if webhook.report else "it only makes us look"
    way = f"registered by {code('register-webhook')}" if webhook.register else "registered by hand"
    named = "; a repeat is known by its event id" if webhook.event_id else ""
    return f"{proof(webhook)}; {worth}{named}; {way}"


def _feed(feed: Feed | None) -> str:
    if feed is None:
        return "none"
    return f"read every {duration(feed.every)}" + (", entries acknowledged once stored" if feed.acknowledge else "")


def _poll(partner: Partner) -> str:
    if partner.read is None:
        return "never, it cannot be asked"
    known = partner.poll
    first = f"after {listed(map(duration, known.waits))}, and so on" if known.waits else "as the status service is set"
    stages = (f"while {code(each)} after {listed(map(duration, waits))}" for each, waits in known.stages.items())
    slower = listed(f"every {duration(wait)} from {_days(age)} on" for age, wait in known.aging)
    return "; ".join((first, *stages, f"at most {slower}; none from {known.ends_after / DAY:g} days without news on"))


def _turnaround(polling: Polling) -> str:
    return listed(f"{code(status)} within {duration(usual)}" for status, usual in polling.turnaround.items())


def _days(seconds: float) -> str:
    return f"day {seconds / DAY:g}"


def _statuses(facts: Facts) -> Iterator[str]:
    """One line where the partner's words are ours."""
    if facts.statuses and all(theirs == ours.value for theirs, ours in facts.statuses.items()):
        yield from (*wrapped(f"Its statuses are ours: {listed(map(code, facts.statuses))}."), "")
        return
    yield from table(["its status", "ours"], ([code(theirs), ours.value] for theirs, ours in facts.statuses.items()))


def _some(words: Collection[str]) -> str:
    """In the partner's order where it has one."""
    known = sorted(words) if isinstance(words, set | frozenset) else list(words)
    shown = listed(map(code, known[:SHOWN]))
    return shown if len(known) <= SHOWN else f"{len(known)}: {shown}, …"
