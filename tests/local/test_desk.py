"""`lendrail desk` against a gateway that answers as the real one: what it asks, as whom, and what it prints."""

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.local.door import Answer, Asked, Door, served
from typer.testing import CliRunner

from lendrail.local.setting import app

WORD, ONE, TWO = "Pipeline [4b]", "0c58b4a1-0000-5000-8000-000000000001", "0c58b4a1-0000-5000-8000-000000000002"
MAPPING = {
    "id": "m-1", "partner": "finpace", "word": WORD, "status": "declined", "allTenants": False, "by": "demo-operator",
    "at": "2026-03-02T10:00:00Z", "folding": "done", "looked": 2, "seconds": 0.4,
    "changes": [{"opportunityId": ONE, "applicationId": "a", "before": "in-review", "after": "declined"}],
}  # fmt: skip
SIDE = {"at": "2026-03-02T10:00:00Z", "receivedAt": "2026-03-02T10:00:01Z"}
DEAL = {"applicationId": "a", "partner": "finpace", "credential": "demo-finpace", "status": "approved"}
ANSWERS: dict[str, Any] = {
    "GET /v1/desk": {
        "words": {"count": 500, "more": True, "ageSeconds": 7300.0, "since": "2026-03-02T10:00:00Z"},
        "orphans": {"count": 1, "ageSeconds": 30.0, "since": "2026-03-02T10:00:00Z"},
        "disagreements": {"count": 0},
        "duplicates": {"count": 0},
    },
    "GET /v1/desk/words?allTenants=false": {
        "words": [
            {"partner": "finpace", "word": WORD, "opportunities": 2, "ageSeconds": 7300.0, "opportunityId": ONE}
        ],
        "mapped": [MAPPING],
        "more": False,
    },
    "POST /v1/desk/words": MAPPING,
    "GET /v1/desk/words/m-1": MAPPING,
    "POST /v1/desk/words/m-1/take-back": {name: MAPPING[name] for name in MAPPING if name != "status"},
    "GET /v1/desk/orphans": {
        "orphans": [
            {"id": "o-1", "partner": "finpace", "partnerId": "FAKE.7", "words": WORD, "source": "webhook",
             "proven": True, "ageSeconds": 61},
        ],
        "more": False,
    },
    "POST /v1/desk/orphans/o-1/merge": {
        "orphan": "o-1", "opportunityId": ONE, "heard": "report", "laterCallsFollow": False,
    },
    "POST /v1/desk/orphans/o-1/dismiss": {"orphan": "o-1", "dismissed": True},
    f"POST /v1/opportunities/{ONE}/correct": {"status": "declined", "partnerStatus": "in-review", "flags": []},
    f"POST /v1/opportunities/{ONE}/pin": {"status": "declined", "partnerStatus": "funded", "pin": {}, "flags": []},
    f"POST /v1/opportunities/{ONE}/unpin": {"status": "funded", "flags": []},
    "GET /v1/desk/disagreements": {
        "disagreements": [
            DEAL | {"opportunityId": ONE, "ageSeconds": 90_000.0, "sides": [
                SIDE | {"channel": "webhook", "status": "approved", "words": "Yes"},
                SIDE | {"channel": "look", "status": "in-review"},
            ]}
        ],
        "more": False,
    },
    "GET /v1/desk/duplicates": {
        "duplicates": [
            {"by": "same-wish", "ageSeconds": 5.0, "opportunities": [
                DEAL | {"opportunityId": ONE}, DEAL | {"opportunityId": TWO, "status": "in-review"},
            ]}
        ],
        "more": False,
    },
}  # fmt: skip


def answer(asked: Asked) -> Answer:
    """From the table."""
    assert asked.what.startswith("GET") or asked.headers["Idempotency-Key"]
    if asked.body is not None and asked.body.get("dryRun"):
        told = {"dryRun": True, "opportunities": 7, "lookedAt": 7, "changesElsewhere": 3}
        return 200, told | {"changes": MAPPING["changes"]}
    return 200, ANSWERS[asked.what]


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with served(tmp_path, answer) as door:
        yield door


def desk(folder: Path, *more: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*more, "--state", str(folder)])
    return result.exit_code, result.output


def test_one_look_says_what_waits(tmp_path: Path, door: Door) -> None:
    code, said = desk(tmp_path)
    assert code == 0
    assert "500+" in said
    assert "2 h" in said
    assert "lendrail desk duplicates" in said


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("words", (WORD, "declined", "m-1")),
        ("orphans", ("FAKE.7", WORD, "1 min", "o-1")),
        ("disagreements", ("webhook: approved “Yes”", "look: in-review", "1 d")),
        ("duplicates", ("same applicant, same wish", ONE, TWO)),
    ],
)
def test_each_list(tmp_path: Path, door: Door, command: str, shown: tuple[str, ...]) -> None:
    code, said = desk(tmp_path, command)
    assert code == 0
    for each in shown:
        assert each in said, said


def test_a_list_that_is_cut_says_so(tmp_path: Path, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ANSWERS, "GET /v1/desk/orphans", ANSWERS["GET /v1/desk/orphans"] | {"more": True})
    assert "1 shown, and there are more" in desk(tmp_path, "orphans")[1]


def test_a_word_is_mapped_and_the_change_is_shown(tmp_path: Path, door: Door) -> None:
    code, said = desk(tmp_path, "map", "finpace", WORD, "declined", "--reason", "asked them")
    assert code == 0
    assert "2 opportunities folded again in 0.4 s, by demo-operator" in said
    assert ONE in said
    assert door.asked[0].what == "POST /v1/desk/words"
    assert door.asked[0].body == {
        "partner": "finpace", "word": WORD, "status": "declined", "reason": "asked them", "allTenants": False,
        "dryRun": False,
    }  # fmt: skip
    assert desk(tmp_path, "map", "finpace", WORD, "declined")[0] == 1, "without a reason nothing is asked"
    assert len(door.asked) == 2
    code, said = desk(tmp_path, "map", "finpace", WORD, "declined", "--dry-run")
    assert (code, "7 opportunities hold this word; 1 would change" in said) == (0, True)
    assert "and 3 of other tenants" in said
    code, said = desk(tmp_path, "take-back", "m-1", "--reason", "was wrong")
    assert code == 0
    taken_back = door.asked[-2]
    assert (taken_back.what, taken_back.body) == ("POST /v1/desk/words/m-1/take-back", {"reason": "was wrong"})
    assert "m-1" in desk(tmp_path, "mapping", "m-1")[1]


def test_calls_are_merged_and_dismissed(tmp_path: Path, door: Door) -> None:
    code, said = desk(tmp_path, "merge", "o-1", ONE, "--reason", "their mail says so")
    assert (code, "taken at its word" in said, "do not follow" in said) == (0, True, True)
    assert door.asked[0].body == {"opportunityId": ONE, "reason": "their mail says so"}
    assert desk(tmp_path, "dismiss", "o-1", "--reason", "a test of theirs")[0] == 0
    assert desk(tmp_path, "dismiss", "o-1")[0] == 2, "a reason is needed"


def test_many_calls_are_looked_for_and_dismissed(tmp_path: Path, door: Door) -> None:
    by_table, left = door.answers, [{"count": 5000, "more": True}, {"count": 17, "more": False}]

    def answers(asked: Asked) -> Answer:
        if asked.path == "/v1/desk/orphans/dismiss":
            counted = {"dryRun": True, "count": 100_000, "more": True}
            return 200, counted if asked.body.get("dryRun") else {"id": "d-1"} | left.pop(0)
        return by_table(asked) if "?" not in asked.what else (200, {"orphans": [], "more": False})

    door.answers = answers
    wanted = ("--partner", "finpace", "--source", "webhook", "--from", "2026-03-02T10:00:00Z")
    assert desk(tmp_path, "orphans", *wanted, "--unproven") == (0, "No call waits.\n")
    stated = {"partner": "finpace", "source": "webhook", "receivedFrom": "2026-03-02T10:00:00Z"}
    assert door.asked[0].query == {name: [value] for name, value in stated.items()} | {"proven": ["false"]}
    assert desk(tmp_path, "dismiss-many", *wanted)[0] == 1, "without a reason nothing is asked"
    code, said = desk(tmp_path, "dismiss-many", *wanted, "--dry-run")
    assert (code, said) == (0, "100000+ calls would leave the list.\n")
    code, said = desk(tmp_path, "dismiss-many", *wanted, "--reason", "forged")
    assert (code, said.splitlines()) == (
        0, ["5000 calls left the list, and there are more.", "5017 calls left the list."]
    )  # fmt: skip
    looked, *sent = [each.body for each in door.asked[1:]]
    assert looked.pop("dryRun") is True
    until = dt.datetime.fromisoformat(sent[0]["receivedTo"])
    assert abs(dt.datetime.now(dt.UTC) - until) < dt.timedelta(minutes=1), "what comes meanwhile was not meant"
    assert sent == [stated | {"receivedTo": sent[0]["receivedTo"], "proven": False, "reason": "forged"}] * 2
    assert len({each.headers["Idempotency-Key"] for each in door.asked[1:]}) == 3
    left.append({"count": 1, "more": False})
    assert desk(tmp_path, "dismiss-many", "--proven", "--to", "2026-03-02T11:00:00Z", "--reason", "their test")[0] == 0
    assert door.asked[-1].body == {"proven": True, "receivedTo": "2026-03-02T11:00:00Z", "reason": "their test"}


def test_a_status_is_set(tmp_path: Path, door: Door) -> None:
    why = ("--reason", "told by phone")
    code, said = desk(tmp_path, "correct", ONE, "declined", *why)
    assert (code, said) == (0, "declined; by the partner's words alone in-review\n")
    ends = ("--until", "2026-03-09T11:00:00Z", "--until-partner-says", "funded", "--until-partner-says", "expired")
    code, said = desk(tmp_path, "pin", ONE, *why, "--status", "declined", *ends)
    assert (code, said) == (0, "pinned, declined; by the partner's words alone funded\n")
    assert desk(tmp_path, "pin", ONE, *why)[0] == 0
    assert desk(tmp_path, "unpin", ONE, *why) == (0, "funded\n")
    reason = {"reason": "told by phone"}
    pinned = reason | {"status": "declined", "until": ends[1], "untilPartnerSays": ["funded", "expired"]}
    assert [each.body for each in door.asked] == [reason | {"status": "declined"}, pinned, reason, reason]
    assert desk(tmp_path, "unpin", ONE)[0] == 2, "a reason is needed"


def test_the_operators_own_client_asks_where_there_is_one(tmp_path: Path, door: Door) -> None:
    desk(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "secrets.json").write_text(json.dumps({"operator": "also-fake"}))
    desk(tmp_path)
    assert len(set(door.clients)) == 2


def test_what_is_refused_is_told(tmp_path: Path, door: Door) -> None:
    door.answers = lambda _: (409, {"code": "word-mapped", "detail": "Take that back first."})
    code, said = desk(tmp_path, "map", "finpace", WORD, "declined", "--reason", "asked them")
    assert (code, "word-mapped: Take that back first." in said) == (1, True)
    code, said = desk(tmp_path / "nowhere")
    assert (code, "The stack is down" in said) == (1, True)
