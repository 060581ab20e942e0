"""`docs/webhooks.md` against what is built: settings, their defaults, options and fields of mounted files."""

import re
from pathlib import Path

import pytest

from lendrail.gateway.settings import Settings
from lendrail.gateway.store import PATIENCE_SECONDS
from lendrail.gateway.webhooks import door as webhooks
from lendrail.gateway.webhooks import drain
from lendrail.gateway.webhooks.calls import WINDOW_SECONDS
from lendrail.gateway.webhooks.rejected import KEPT_DAYS, REASONS
from lendrail.gateway.webhooks.sources import PUBLISHED
from lendrail.partners import PARTNERS
from lendrail.runtime.directory import AccountSecrets, FormerPath, PartnerAccount


@pytest.fixture(scope="module")
def page(project: Path) -> str:
    return " ".join((project / "docs" / "webhooks.md").read_text().split())


def test_settings_that_are_named_exist_with_their_defaults(page: str) -> None:
    named = set(re.findall(r"`(?:LENDRAIL_)?([A-Z]+(?:_[A-Z]+)+)(?:=[a-z]+)?`", page))
    assert {"WEBHOOK_SPOOL", "TRUSTED_PROXIES", "PROXY_HEADER"} <= named
    assert {name.lower() for name in named} <= set(Settings.model_fields)
    most = Settings.model_fields["webhook_spool_bytes"].default
    assert f"`WEBHOOK_SPOOL_BYTES` | {most // 1024**2} MiB" in page


def test_numbers_are_those_of_the_code(page: str) -> None:
    assert f"longer than {webhooks.MAX_BYTES // 1024} KiB" in page
    assert f"within {PATIENCE_SECONDS:.0f} seconds is sealed" in page
    assert f"up to {drain.LONGEST_WAIT:.0f} seconds, without an end" in page
    assert f"tried again every {'five' if drain.HELD_SECONDS == 300 else '?'} minutes" in page
    assert WINDOW_SECONDS == 300
    assert "one call within five minutes" in page
    assert f"for {KEPT_DAYS} days" in page


def test_names_are_those_of_the_code(page: str) -> None:
    assert f"`{webhooks.SOURCES_OPTION}`" in page
    assert f"`{PUBLISHED}`" in page
    assert "path-expired" in REASONS
    aliases = {
        field.alias for kind in (PartnerAccount, FormerPath, AccountSecrets) for field in kind.model_fields.values()
    }
    for name in ("webhookPath", "formerWebhookPaths", "path", "until", "secrets", "former"):
        assert f'"{name}"' in page
        assert name in aliases


def test_who_names_its_events(page: str) -> None:
    named = {each.title for each in PARTNERS.values() if each.webhook and each.webhook.event_id}
    for title in named:
        assert title.lower() in page.lower(), title
