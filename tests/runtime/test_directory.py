"""Mounted files that change under us, as editors, deployments and accidents change them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from lendrail.runtime.directory import Credentials, Mounted


def content(key: str, base_url: str = "http://127.0.0.1:1") -> str:
    entry = {"id": "one", "tenant": "demo", "partner": "fake", "mode": "test", "baseUrl": base_url}
    return json.dumps({"credentials": [entry | {"auth": {"scheme": "api-key", "key": key}}]})


def key(mounted: Mounted[Credentials]) -> str:
    return mounted.current.by_id["one"].auth["key"].get_secret_value()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "credentials.json"
    path.write_text(content("old-key-aaaa"))
    return path


def test_follows_a_file_that_is_written_again(file: Path) -> None:
    mounted = Mounted(file, Credentials)
    first = mounted.current
    assert mounted.current is first, "what did not change is not read again"
    file.write_text(content("new-key-bbbbbb"))
    assert key(mounted) == "new-key-bbbbbb"


def test_follows_a_file_of_the_same_size_and_time(file: Path) -> None:
    """As a mounted secret is replaced: another file under the same name, its times copied."""
    mounted = Mounted(file, Credentials)
    new = file.with_name("new")
    new.write_text(content("new-key-bbbb"))
    stamp = file.stat()
    os.utime(new, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert new.stat().st_size == stamp.st_size
    new.rename(file)
    assert key(mounted) == "new-key-bbbb"


def test_follows_a_link_that_is_turned(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "credentials.json").write_text(content(f"{name}-key"))
    (tmp_path / "data").symlink_to("old")
    mounted = Mounted(tmp_path / "data" / "credentials.json", Credentials)
    (tmp_path / "turned").symlink_to("new")
    (tmp_path / "turned").rename(tmp_path / "data")
    assert key(mounted) == "new-key"


@pytest.mark.parametrize(
    "wreck",
    [
        "",
        content("new-key-bbbb")[:-20],
        "<html>",
        '{"credentials": [{"id": "one"}]}',
        content("new-key-bbbb").replace('"test"', '"tset"'),
    ],
)
def test_half_a_file_keeps_the_last_good_content_until_the_whole_one_is_there(
    file: Path, wreck: str, capfd: pytest.CaptureFixture[str]
) -> None:
    mounted = Mounted(file, Credentials)
    file.write_text(wreck)
    assert [key(mounted) for _ in range(3)] == ["old-key-aaaa"] * 3
    said = capfd.readouterr().out
    assert said.count("cannot be read") == 1, "it is said once"
    assert "-key-" not in said
    file.write_text(content("new-key-bbbb"))
    assert key(mounted) == "new-key-bbbb"


def test_a_file_that_is_gone_or_not_ours_keeps_the_last_good_content(file: Path) -> None:
    mounted = Mounted(file, Credentials)
    file.unlink()
    assert key(mounted) == "old-key-aaaa"
    file.mkdir()
    assert key(mounted) == "old-key-aaaa"
    file.rmdir()
    file.write_text(content("new-key-bbbb"))
    assert key(mounted) == "new-key-bbbb"


def test_a_file_that_is_completed_while_it_is_read_is_read_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer ends right after we read the first half."""
    mounted = Mounted(file, Credentials)
    whole = content("new-key-bbbb")
    file.write_text(whole[:30])
    read = Path.read_bytes

    def interrupted(self: Path) -> bytes:
        half = read(self)
        monkeypatch.undo()
        self.write_text(whole)
        return half

    monkeypatch.setattr(Path, "read_bytes", interrupted)
    assert key(mounted) == "old-key-aaaa"
    assert key(mounted) == "new-key-bbbb"


def test_a_service_does_not_start_on_a_bad_file_and_says_no_secret(file: Path) -> None:
    broken: dict[str, Any] = json.loads(content("old-key-aaaa"))
    broken["credentials"][0]["mode"] = "old-key-aaaa"
    file.write_text(json.dumps(broken))
    with pytest.raises(ValueError) as refused:
        Mounted(file, Credentials)
    assert "old-key" not in str(refused.value)
