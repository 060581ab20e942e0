"""Secret paths and secrets that were replaced: valid until the time that is stated beside them, and no longer."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lendrail.runtime.directory import Secrets, Tenants

NOW = dt.datetime(2030, 1, 2, 3, 4, tzinfo=dt.UTC)
SOON = NOW + dt.timedelta(hours=1)
NEW, OLD = "n" * 32, "o" * 32


def account(**changes: Any) -> dict[str, Any]:
    usual = {"partner": "fake", "credential": "fake-1", "mode": "test", "webhookPath": NEW}
    return usual | {"formerWebhookPaths": [{"path": OLD, "until": SOON.isoformat()}]} | changes


def tenants(*accounts: dict[str, Any]) -> Tenants:
    one = {"id": "demo", "name": "Demo", "mode": "test", "partners": list(accounts)}
    return Tenants.model_validate_json(json.dumps({"tenants": [one]}))


def test_both_paths_lead_to_the_account() -> None:
    read = tenants(account())
    assert read.by_webhook_path["fake", NEW][1].credential == "fake-1"
    _, found, until = read.by_former_webhook_path["fake", OLD]
    assert (found.credential, until) == ("fake-1", SOON)
    assert ("fake", OLD) not in read.by_webhook_path
    assert ("other", OLD) not in read.by_former_webhook_path


@pytest.mark.parametrize(
    "accounts",
    [
        [account(formerWebhookPaths=[{"path": NEW, "until": SOON.isoformat()}])],
        [account(), account(credential="fake-2", webhookPath=OLD)],
        [account(), account(credential="fake-2", webhookPath="x" * 32)],
    ],
    ids=["its own", "another's", "twice"],
)
def test_a_path_that_would_mean_two_accounts_is_refused(accounts: list[dict[str, Any]]) -> None:
    with pytest.raises(ValidationError) as caught:
        tenants(*accounts)
    assert OLD not in str(caught.value)
    assert NEW not in str(caught.value)


@pytest.mark.parametrize("until", ["2030-01-02T03:04:05", "soon", None])
def test_a_time_without_its_zone_is_no_time(until: str | None) -> None:
    with pytest.raises(ValidationError):
        tenants(account(formerWebhookPaths=[{"path": OLD, "until": until}]))


def test_former_secrets_end_at_their_time(tmp_path: Path) -> None:
    file = tmp_path / "webhook-secrets.json"
    former = [{"secret": "fake-old", "until": SOON.isoformat()}]
    file.write_text(json.dumps({"secrets": [{"credential": "fake-1", "secrets": ["fake-new"], "former": former}]}))
    secrets = Secrets(file)

    def valid(now: dt.datetime) -> list[str]:
        return [each.get_secret_value() for each in secrets.of("fake-1", now)]

    assert valid(NOW) == ["fake-new", "fake-old"]
    assert valid(SOON) == ["fake-new"]
    assert secrets.of("nobody", NOW) == ()
    assert "fake-old" not in repr(secrets.of("fake-1", NOW))
