"""What is known of the business register that validation asks. It is no partner, so it has a chapter of its own."""

from __future__ import annotations

from collections.abc import Iterator

from lendrail.partners import abn_lookup
from lendrail.partners.matrix.chapter import lacks, operations
from lendrail.partners.matrix.markdown import code, table
from lendrail.partners.matrix.words import sign_in

MEANS = {
    "passed": "the check is kept with the application",
    "failed": "the application goes on, and the check is shown",
    "rejected": "the application comes back with this fault",
}
"""By the result of a finding."""


def register() -> Iterator[str]:
    facts = abn_lookup.FACTS
    yield from (f"### {abn_lookup.TITLE}", "")
    yield f"{code(abn_lookup.NAME)}, a check inside validation, country: {facts.country}. Facts from {facts.source}."
    yield from ("", f"- Signs in by {'; or by '.join(map(sign_in, abn_lookup.AUTH))}.")
    yield from ("- Asked about the first sound ABN in `/business/registrations` of an Australian business.", "")
    yield from operations(abn_lookup.OPERATIONS)
    rows = [[code(each.code), each.result, MEANS[each.result]] for each in abn_lookup.FINDINGS]
    rows.append(["any other", "not-checked", "the application goes on: the register's trouble is not the applicant's"])
    yield from table(["it says", "result", "what follows"], rows)
    yield from lacks(facts)
