"""Which answers count against a partner."""

from typing import get_args

import pytest

from lendrail.partners.exchange import NoAnswer, NoAnswerReason, NotSent, NotSentReason, Reply, Request
from lendrail.partners.health import OURS, healthy

POST = Request(operation="create", method="POST", path="/lead")
MAIL = Request(operation="create", method="MAIL", path="")


@pytest.mark.parametrize("status", [200, 201, 302, 400, 401, 404, 409, 422, 429, 499])
def test_any_complete_word_shows_that_it_is_there(status: int) -> None:
    assert healthy(POST, Reply(status, {}, b"")) is True


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
def test_trouble_counts_against_it(status: int) -> None:
    assert healthy(POST, Reply(status, {}, b"")) is False


@pytest.mark.parametrize(("status", "expected"), [(250, True), (421, False), (451, True), (535, True), (550, True)])
def test_mail_servers_refuse_messages_by_numbers_of_five_hundred(status: int, expected: bool) -> None:
    assert healthy(MAIL, Reply(status, {}, b"")) is expected


def test_every_reason_is_somebodys() -> None:
    assert set(get_args(NotSentReason)) > OURS
    for reason in get_args(NotSentReason):
        assert healthy(POST, NotSent(reason)) is (None if reason in OURS else False)
    for silence in get_args(NoAnswerReason):
        assert healthy(POST, NoAnswer(silence)) is False
