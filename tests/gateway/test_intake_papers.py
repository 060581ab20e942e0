"""Files in records of the Kafka intake, as they are read: personal values sealed, bounded, nothing quoted."""

import base64
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey
from tests.gateway.papers import NAME, brings
from tests.gateway.process import tenants
from tests.gateway.test_intake_amendments import amendment, record

from lendrail.contracts.intake import MAX_DOCUMENT, FileContent
from lendrail.gateway.amending.intake_amendments import read_change, read_paper
from lendrail.runtime.directory import Tenants


@pytest.fixture
def directory(tmp_path: Path) -> Tenants:
    return Tenants.model_validate({"tenants": tenants(tmp_path)})


def test_bytes_and_name_in_clear_are_refused_in_production(directory: Tenants) -> None:
    tenant = directory.by_id["demo"]
    data = {"kind": "document-added", "document": {"kind": "other", "name": NAME, "content": "JVBERi0="}}
    value = amendment(data, intakeEvent="x")
    assert {each.pointer for each in read_change(record(value), tenant, None, False).problems} == {
        "/document/name",
        "/document/content",
    }
    assert read_change(record(value), tenant, None, True).problems == ()


def test_a_seal_longer_than_any_record_is_too_large(directory: Tenants) -> None:
    key = ECKey.generate_key("P-256")
    value = brings(key, bytes(MAX_DOCUMENT + 200_000), applicationId=str(uuid.uuid4()))
    read = read_change(record(value), directory.by_id["demo"], key, False)
    (told,) = read.problems
    assert told.code == "too-large"
    assert "/v1/applications/{id}/documents" in told.message


@given(st.one_of(st.text(max_size=40), st.binary(max_size=40).map(lambda raw: base64.b64encode(raw).decode())))
def test_text_is_base64_or_a_problem_that_quotes_nothing(text: str) -> None:
    paper, problems = read_paper({"kind": "document-added", "document": {"kind": "other", "content": f"{text}"}})
    if paper is None:
        assert [(each.code, each.pointer) for each in problems] == [("base64", "/document/content")]
        assert len(text) < 3 or text not in problems[0].message
    else:
        assert problems == ()
        assert base64.b64encode(paper.file.content.bytes()).decode().rstrip("=")[:-1] == text.rstrip("=")[:-1]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["kind", "document", "content", "name", "opportunityId", "x"]), inner)
        ),
        max_leaves=12,
    )
)
def test_whatever_stands_for_a_file_is_a_file_or_problems(data: Any) -> None:
    paper, problems = read_paper({"kind": "document-added", "document": data, "opportunityId": data})
    assert (paper is None) == bool(problems)


def test_the_limit_is_one_of_bytes() -> None:
    assert len(FileContent(base64.b64encode(bytes(MAX_DOCUMENT)).decode()).bytes()) == MAX_DOCUMENT == 524_288
