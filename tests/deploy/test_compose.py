"""docker-compose.yml and the Dockerfile, checked offline against the code: programs, variables, ports, files."""

import importlib
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_settings import BaseSettings
from typer.testing import CliRunner

from lendrail.local import programs
from lendrail.local.accounts import Where
from lendrail.local.cli import app
from lendrail.local.configure import write_files
from lendrail.local.state import State

OURS = (*programs.SERVICES, programs.SANDBOX)
FROM_IMAGE = {"kafka", "mongo", "smtp"}
ONCE = ("configure", "topics")
ONLY_LOCAL = {"LENDRAIL_SMTP_CA_FILE"}
"""The mail sink of the images speaks no TLS inside its own network."""


@pytest.fixture(scope="module")
def compose(project: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((project / "docker-compose.yml").read_text())
    return loaded


@pytest.fixture(scope="module")
def dockerfile(project: Path) -> str:
    return (project / "deploy" / "docker" / "Dockerfile").read_text()


def test_every_program_is_there(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {*OURS, *FROM_IMAGE, *ONCE}


@pytest.mark.parametrize("name", [*OURS, *ONCE])
def test_build_arguments_name_a_member(name: str, compose: dict[str, Any], project: Path) -> None:
    build = compose["services"][name]["build"]
    assert (project / build["dockerfile"]).exists()
    assert (project / build["args"]["MEMBER"] / "pyproject.toml").exists()


@pytest.mark.parametrize("name", OURS)
def test_the_same_variables_as_the_local_stack(name: str, compose: dict[str, Any], tmp_path: Path) -> None:
    state = State(tmp_path)
    state.prepare()
    files = write_files(state, Where("http://sandbox:8080", "sandbox:2525", tmp_path / "tls-cert.pem"), rate_limit=True)
    addresses = programs.Addresses("kafka", "mongo", dict.fromkeys(programs.PORTS, 1))
    local = set(programs.environment(name, state, files, addresses)) - set(os.environ)
    expected = {each for each in local if not each.startswith("PYTHON")} - ONLY_LOCAL
    assert set(compose["services"][name]["environment"]) == expected


@pytest.mark.parametrize("name", OURS)
def test_settings_know_every_variable_and_miss_none(name: str, compose: dict[str, Any]) -> None:
    settings = _settings(name)
    told = {variable.lower() for variable in compose["services"][name]["environment"]}
    known = {_variable(settings, field) for field in settings.model_fields}
    needed = {_variable(settings, field) for field, info in settings.model_fields.items() if info.is_required()}
    assert told <= known
    assert needed <= told


@pytest.mark.parametrize("name", OURS)
def test_named_files_are_those_that_configure_writes(name: str, compose: dict[str, Any], tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["configure", "--sandbox-url", "http://sandbox:8080", "--state", str(tmp_path)])
    assert done.exit_code == 0
    for value in compose["services"][name]["environment"].values():
        if value.startswith("/lendrail/"):
            file = tmp_path / value.removeprefix("/lendrail/")
            assert file.exists(), value
            assert file.stat().st_mode & 0o077 == 0, value


@pytest.mark.parametrize("name", OURS)
def test_addresses_lead_to_a_service_and_its_port(name: str, compose: dict[str, Any]) -> None:
    listening = {each: compose["services"][each]["environment"]["LENDRAIL_PORT"] for each in OURS}
    for variable, value in compose["services"][name]["environment"].items():
        if found := re.match(r"http://([a-z]+):([0-9]+)", value):
            assert listening.get(found[1]) == found[2], variable


def test_topics_are_applied_before_services_start(compose: dict[str, Any]) -> None:
    assert compose["services"]["topics"]["command"] == ["topics", "apply"]
    for name in programs.SERVICES:
        after = compose["services"][name]["depends_on"]
        assert after["topics"] == {"condition": "service_completed_successfully"}, name


def test_topics_are_those_of_the_tenants_file_that_services_read(compose: dict[str, Any]) -> None:
    topics, notifications = compose["services"]["topics"], compose["services"]["notifications"]
    named = topics["environment"]["LENDRAIL_TENANTS_FILE"]
    assert named == notifications["environment"]["LENDRAIL_TENANTS_FILE"]
    assert any(volume.startswith("config:/lendrail") for volume in topics["volumes"])


def test_only_loopback_ports_are_published(compose: dict[str, Any]) -> None:
    published = [port for service in compose["services"].values() for port in service.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_the_commands_that_run_once_exist(compose: dict[str, Any]) -> None:
    for name in ONCE:
        words = [word for word in compose["services"][name]["command"] if re.fullmatch(r"[a-z]+", word)]
        assert CliRunner().invoke(app, [*words, "--help"]).exit_code == 0


def test_the_image_is_built_from_the_lock_and_runs_without_privileges(dockerfile: str, project: Path) -> None:
    assert "--require-hashes -r deploy/uv.txt" in dockerfile
    assert dockerfile.count("--constraints requirements.lock") == dockerfile.count("uv pip install")
    assert re.search(r"^USER lendrail$", dockerfile, re.MULTILINE)
    assert "HEALTHCHECK" in dockerfile
    assert "/live" in (project / "deploy/docker/live.py").read_text()
    for copied in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE):
        assert all((project / source).exists() for source in copied.split()), copied


def test_the_docker_context_holds_what_is_copied(dockerfile: str, project: Path) -> None:
    allowed = {line[1:] for line in (project / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for copied in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE):
        assert all(source.split("/")[0] in allowed for source in copied.split()), copied


def _settings(name: str) -> type[BaseSettings]:
    module = importlib.import_module(f"lendrail.{name}.settings")
    own = [each for each in vars(module).values() if isinstance(each, type) and issubclass(each, BaseSettings)]
    return next(each for each in own if each.__module__ == module.__name__)


def _variable(settings: type[BaseSettings], field: str) -> str:
    alias = settings.model_fields[field].validation_alias
    named = getattr(alias, "choices", [alias])[0] if alias else None
    return str(named).lower() if named else f"{settings.model_config.get('env_prefix', '')}{field}".lower()
