"""The start of every service that looks partners up: those of a file are known before anything is built."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from lendrail.local import programs
from lendrail.local.accounts import ACCOUNTS, DECLARED, Where
from lendrail.local.configure import write_files
from lendrail.local.state import State
from lendrail.partners import PARTNERS
from lendrail.partners.channels.auth import MemoryTokens
from lendrail.partners.declared import read
from lendrail.partners.reference.profile import AUTH
from lendrail.runtime.directory import Credential, PartnerAccount, WebhookSecrets


def looks_partners_up(project: Path, service: str) -> bool:
    told = tomllib.loads((project / "services" / service / "pyproject.toml").read_text())
    return any(each.startswith("lendrail-partners") for each in told["project"]["dependencies"])


def test_only_notifications_knows_no_partner(project: Path) -> None:
    assert [each for each in programs.SERVICES if not looks_partners_up(project, each)] == ["notifications"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, dict[str, str]]:
    """What the local stack tells each service."""
    state = State(tmp_path)
    state.prepare()
    files = write_files(state, Where("http://127.0.0.1:1", "127.0.0.1:1", tmp_path / "tls-cert.pem"), rate_limit=True)
    addresses = programs.Addresses("127.0.0.1:1", "mongodb://127.0.0.1:1", dict.fromkeys(programs.PORTS, 1))
    return {name: programs.environment(name, state, files, addresses) for name in programs.SERVICES}


def test_the_stack_has_an_account_at_a_partner_that_only_the_file_knows(
    environment: dict[str, dict[str, str]],
) -> None:
    """All services are told the same file."""
    (file,) = {told["LENDRAIL_PARTNERS_FILE"] for told in environment.values()}
    tenants = json.loads(Path(environment["gateway"]["LENDRAIL_TENANTS_FILE"]).read_text())["tenants"]
    accounts = {each["partner"] for tenant in tenants for each in tenant["partners"]}
    assert accounts - set(PARTNERS) == set(read(Path(file)))


def test_the_manual_says_what_the_stack_does_and_what_is_read(project: Path) -> None:
    text = (project / "docs/reference-partner/README.md").read_text()
    blocks = [json.loads(each) for each in re.findall(r"^ {4}(\{.*?\})\n\n", text, re.DOTALL | re.MULTILINE)]
    _, declared, account, credential, secrets = blocks
    assert declared == json.loads(json.dumps({"partners": DECLARED}))
    account, credential = PartnerAccount.model_validate(account), Credential.model_validate(credential)
    (acme,) = (each for each in ACCOUNTS if each.partner == account.partner)
    assert (account.credential, credential.id, secrets["credential"]) == (acme.credential,) * 3
    assert account.options == acme.options
    AUTH[credential.auth["scheme"].get_secret_value()](credential.auth, MemoryTokens())
    WebhookSecrets.model_validate({"secrets": [secrets]})


@pytest.mark.parametrize("service", [each for each in programs.SERVICES if each != "notifications"])
def test_a_bad_file_stops_the_start_with_a_sentence(
    service: str, environment: dict[str, dict[str, str]], project: Path
) -> None:
    told = environment[service]
    file = told["LENDRAIL_PARTNERS_FILE"]
    Path(file).write_text(json.dumps({"partners": [{"name": "finpace", "title": "Somebody else"}]}))
    command = programs.command(service, State(project), programs.Addresses("", "", {}))
    done = subprocess.run(command, env=told, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert (said["event"], said["service"], said["level"]) == ("cannot start", service, "critical")
    assert said["reason"] == f"{file}: finpace is the name of a partner that Lendrail brings"
    assert "Traceback" not in done.stdout + done.stderr
