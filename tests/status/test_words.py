"""What unknown words mean where a person said so: pure rules, and the fold that is told of them."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.status.test_fold import ack, histories, report, validated

from lendrail.contracts.terms import Report, Status
from lendrail.status.folding.fold import fold
from lendrail.status.folding.observation import Observation
from lendrail.status.folding.words import MEANINGS, held, is_general, read_with, report_of

SAID = {"Pipeline 4b": Status.DECLINED}


def test_a_mapped_word_decides_as_if_the_table_had_it() -> None:
    unknown = report(10, None, "Pipeline 4b")
    assert fold([validated(), unknown]).flags == ("unmapped-words",)
    mapped = fold([validated(), unknown], SAID)
    known = fold([validated(), report(10, Status.DECLINED, "Pipeline 4b")])
    assert (mapped.status, mapped.partner_words, mapped.flags) == (Status.DECLINED, "Pipeline 4b", ("word-mapped",))
    assert mapped == known.model_copy(update={"flags": ("word-mapped",)})


def test_it_holds_for_answers_too_and_for_no_other_word() -> None:
    told = ack(5, "accepted", report=Report(status=None, words="Pipeline 4b"))
    assert fold([told], SAID).status is Status.DECLINED
    assert fold([report(10, None, "pipeline 4b")], SAID).status is Status.IN_REVIEW, "words are taken to the letter"
    assert fold([report(10, Status.APPROVED, "Pipeline 4b")], SAID).status is Status.APPROVED, "its own table counts"


def test_what_a_report_says_of_its_word_goes_with_the_mapping() -> None:
    unknown = report(10, None, "Pipeline 4b", flags=("unmapped-word", "odd"))
    assert "partner:unmapped-word" in fold([unknown]).flags
    assert fold([unknown], SAID).flags == ("partner:odd", "word-mapped")


def test_a_later_word_says_that_the_mapped_one_is_over() -> None:
    later = fold([report(10, None, "Pipeline 4b"), report(20, Status.FUNDED, "Paid")], SAID)
    assert (later.status, "word-mapped" in later.flags) == (Status.FUNDED, False)
    assert "alarm:funded-after-declined" in later.flags, "the mapped word counted in its time"


def test_words_that_are_held() -> None:
    first, again = report(10, None, "Pipeline 4b"), report(30, None, "Pipeline 4b")
    heard = [again, first, report(20, Status.APPROVED, "Yes"), report(5, None, "")]
    assert held(heard) == {"Pipeline 4b": first.received_at}, "no word at all is an unreadable reply, and none to map"


@pytest.mark.parametrize(
    ("word", "general"),
    [
        ("Pipeline 4b", True),
        ("Prüfung läuft (2. Stufe)", True),
        ("審査中", True),
        ("", False),
        ("call testa@example.test", False),
        ("SSN 900-12-3456", False),
        ("Declined 2026-03-02", False),
        ("x" * 121, False),
        ("two\nlines", False),
    ],
)
def test_what_can_be_a_word_for_many_deals(word: str, general: bool) -> None:
    assert is_general(word) is general


MAPPINGS = st.dictionaries(st.sampled_from(["a", "b", "Word", "c"]), st.sampled_from(sorted(MEANINGS)), max_size=3)


@given(histories(), MAPPINGS, st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_give_the_same_state(
    heard: list[Observation], words: dict[str, Status], chance: random.Random
) -> None:
    again = heard + chance.choices(heard, k=3)
    chance.shuffle(again)
    assert fold(again, words) == fold(heard, words)


@given(histories(), MAPPINGS)
def test_a_mapping_only_reads_what_no_table_knows(heard: list[Observation], words: dict[str, Status]) -> None:
    read, mapped = read_with(words, heard)
    for before, after in zip(heard, read, strict=True):
        known = report_of(before)
        if known is not None and known.status is None and known.words in words:
            assert before.id in mapped
            assert report_of(after) == known.model_copy(update={"status": words[known.words]})
        else:
            assert after == before
    assert held(read).keys() == held(heard).keys() - words.keys()
    assert fold(heard, dict.fromkeys(["never said"], Status.FUNDED)) == fold(heard)
