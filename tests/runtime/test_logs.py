"""What a process writes about a failure holds no personal data and no secret, whoever says it: we or a library."""

import json
import subprocess
import sys

import pytest

CANARY, SECRET = "Zelda-Canary", "fake-secret-000000"
PROGRAM = f"""
import logging, structlog
from lendrail.runtime.logs import configure

configure("test", "test-1", "DEBUG")
log = structlog.get_logger()
try:
    raise ValueError("{CANARY} of 900-00-0001")
except ValueError as error:
    log.error("ours failed", exc_info=error)
    log.error("ours failed too", exc_info=True)
    logging.getLogger("fake.library").exception("theirs failed")
logging.getLogger("fake.library").warning("a record of %s was refused", "{CANARY}")
for second in (0, 1, 2, 9, 11, 12, 30):
    said = logging.LogRecord("fake.client", logging.WARNING, "", 0, "unable to reach %s", ("{CANARY}",), None)
    said.created = 1_000.0 + second
    logging.getLogger("fake.client").handle(said)
log.info("signed in", api_key="{SECRET}", Authorization="{SECRET}", access_token="{SECRET}", partner="fake-lender")
"""
"""In a process of its own: logs are set up once for a whole process."""


@pytest.fixture(scope="module")
def written() -> str:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout + done.stderr


def test_every_line_is_one_json_object(written: str) -> None:
    lines = [json.loads(line) for line in written.splitlines()]
    assert len(lines) == 8
    assert {each["service"] for each in lines} == {"test"}


def test_an_exception_is_told_by_its_kind_and_place_only(written: str) -> None:
    failures = [each for each in map(json.loads, written.splitlines()) if "at" in each]
    assert CANARY not in json.dumps(failures)
    assert [each["exception"] for each in failures] == ["ValueError"] * 3
    assert all(each["at"] for each in failures)


def test_what_a_library_says_is_told_without_its_arguments(written: str) -> None:
    (said,) = [each for each in map(json.loads, written.splitlines()) if "refused" in each.get("template", "")]
    assert CANARY not in json.dumps(said)
    assert said["template"] == "a record of %s was refused"


def test_what_a_library_says_again_and_again_is_told_once_in_a_while_and_counted(written: str) -> None:
    said = [each for each in map(json.loads, written.splitlines()) if each.get("logger") == "fake.client"]
    assert [each.get("repeated", 0) for each in said] == [0, 3, 1]


def test_what_goes_by_a_secrets_name_is_masked(written: str) -> None:
    (said,) = [each for each in map(json.loads, written.splitlines()) if each.get("event") == "signed in"]
    assert SECRET not in json.dumps(said)
    assert (said["api_key"], said["Authorization"], said["partner"]) == ("***", "***", "fake-lender")


def test_nothing_of_it_is_anywhere(written: str) -> None:
    assert CANARY not in written
    assert SECRET not in written
