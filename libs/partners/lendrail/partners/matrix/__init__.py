"""docs/partners.md: what each partner can do and needs, read from the same profiles that the services obey."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files

from lendrail.partners.matrix.chapter import chapter
from lendrail.partners.matrix.overview import overview
from lendrail.partners.matrix.register import register
from lendrail.partners.partner import Partner

HEAD = """# Partners

Generated from the profiles, `lendrail.partners`, by `python -m lendrail.partners`; do not edit. The last part,
[How to add a partner](#how-to-add-a-partner), is written by hand in `libs/partners/lendrail/partners/matrix/adding.md`.

## At a glance

A letter is the class of the operation: what makes a repeat safe after a call whose outcome nobody knows. An empty cell:
the partner has no such operation, or we do not do it; its chapter says which. A *proven* webhook is signed or holds a
secret; a *hint* only makes us look. Each operation of each credential has a circuit breaker of its own.
"""
CHAPTERS = """## One by one

*Deadline* is the time for one call in all. *Processing* is the longest time that the partner may go on with it: before
that is over an unknown outcome is not decided. *Repeats*: how often a program may then send the same bytes again. What
a partner needs is named by JSON pointers into the canonical application.
"""


def matrix(partners: Iterable[Partner]) -> str:
    known = sorted(partners, key=lambda each: each.title.casefold())
    lines = [HEAD, *overview(known), CHAPTERS]
    for each in known:
        lines += chapter(each)
    adding = files("lendrail.partners.matrix").joinpath("adding.md").read_text()
    return "\n".join([*lines, *register(), adding])
