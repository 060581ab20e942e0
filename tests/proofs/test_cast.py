"""The applications of a chaos run: sound, unlike one another, and for every partner and class."""

from __future__ import annotations

from collections import Counter

from proofs.chaos.books import SEATS, reference
from proofs.chaos.cast import AUDIT, LIVES, cast

from lendrail.local.fit import fits
from lendrail.partners import PARTNERS

COUNT = 150


def test_each_has_a_mark_of_its_own_in_its_name_and_every_partner_could_take_it() -> None:
    planned = cast(COUNT, 60, 7)
    names = [each.body["business"]["legalName"] for each in planned]
    assert len(set(names)) == COUNT
    assert all(each.mark in name for each, name in zip(planned, names, strict=True))
    for each in planned:
        assert set(each.body["targetPartners"]) <= set(each.wanted)
        known = {name: PARTNERS[name] for name in each.body["targetPartners"] if name in PARTNERS}
        found = fits([each.body], known)
        assert found.unsound == 0, found.reasons
        assert {name: fit.takes for name, fit in found.partners.items()} == dict.fromkeys(known, 1), [
            fit.reasons for fit in found.partners.values()
        ]


def test_the_same_seed_gives_the_same_ones_and_another_seed_others() -> None:
    said = [[(each.mark, each.at, each.door, each.wanted) for each in cast(40, 60, seed)] for seed in (1, 1, 2)]
    assert said[0] == said[1] != said[2]


def test_every_partner_every_door_and_every_way_to_live_on_comes() -> None:
    planned = cast(COUNT, 60, 7)
    at_partners = Counter(partner for each in planned for partner in each.wanted)
    assert set(at_partners) == {*PARTNERS, "acme-lending", AUDIT}
    assert set(SEATS) == set(at_partners)
    assert {each.door for each in planned} == {"rest", "kafka"}
    assert {each.life for each in planned} - {None} == {life for _, life in LIVES.values()}
    assert any(each.withheld for each in planned)
    assert any(len(each.wanted) > 3 for each in planned)


def test_references_are_unlike_one_another() -> None:
    """By them the partners' records are known."""
    named = [
        reference(f"00000000-0000-7000-8000-{number:012d}", partner, each.mark)
        for number, each in enumerate(cast(40, 60, 7))
        for partner in each.wanted
    ]
    assert len(set(named)) == len(named)
