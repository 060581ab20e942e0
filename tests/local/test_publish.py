"""What an upstream system puts on its intake topic: a CloudEvent whose personal values only the tenant can open."""

import json
from pathlib import Path

from joserfc.jwk import ECKey

from lendrail.contracts.event import read_envelope
from lendrail.contracts.intake import Intake
from lendrail.local.publish import SOURCE, record
from lendrail.local.sample import applications
from lendrail.runtime.jose import open_sensitive

KEY = ECKey.generate_key("P-256", auto_kid=True)


def test_nothing_personal_stands_in_clear_and_the_tenant_reads_it_all(project: Path) -> None:
    for application in applications(project / "examples" / "sba-7a-sample.csv", 30):
        body, headers, _ = record(application, dict(KEY.as_dict(private=False)))
        owner = application["owners"][0]
        for value in (owner["ssn"], owner["lastName"], owner["email"], owner["birthDate"], owner["address"]["line1"]):
            assert value.encode() not in body
        intent = Intake.model_validate_json(body).intent
        assert intent.sensitive is not None
        assert open_sensitive(intent.application, intent.sensitive, KEY) == application
        assert not any(owner["lastName"].encode() in value for _, value in headers)


def test_it_is_a_cloud_event_with_an_id_of_its_own() -> None:
    seen = set()
    for _ in range(3):
        body, headers, event_id = record({"mode": "test"}, dict(KEY.as_dict(private=False)))
        assert dict(headers)["ce_id"].decode() == event_id
        envelope = read_envelope(headers, Intake.type)
        assert envelope.source == SOURCE
        assert json.loads(body)["intent"]["kind"] == "application"
        seen.add(event_id)
    assert len(seen) == 3
