"""Makes `.venv` from what is pinned in this repository; needs only the standard library.

Order: a virtual environment, uv (`deploy/uv.txt`), the locked packages (`requirements.lock`), then every workspace
member, editable. Each download is checked against its committed hash. A stamp makes the next run instant.
Run it with `make setup`; the Makefile has checked by then that the interpreter is new enough.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "lendrail-setup"
INTERPRETER = VENV / "lendrail-interpreter"
UV_PIN = ROOT / "deploy" / "uv.txt"
LOCK = ROOT / "requirements.lock"


class SetupError(Exception):
    """A step failed; the message is the one sentence to show."""


def members() -> list[Path]:
    """The folders of all workspace members, as the root pyproject.toml names them."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
    return sorted(project.parent for pattern in patterns for project in ROOT.glob(f"{pattern}/pyproject.toml"))


def fingerprint() -> str:
    """Changes whenever a set-up environment would have to differ."""
    digest = hashlib.sha256(f"{sys.version}\0{ROOT}\0".encode())
    for file in [Path(__file__), UV_PIN, LOCK, *(member / "pyproject.toml" for member in members())]:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def run(command: list[str | Path], failure: str, *, show: bool = False) -> None:
    """Run one step; its own output is shown only as far as it helps (`show`), and never instead of a sentence.

    Raises SetupError: `failure`, with the last lines of the step in `.venv/lendrail-setup.log` when it was quiet.
    """
    log = VENV / "lendrail-setup.log"
    environment = {**os.environ, "VIRTUAL_ENV": str(VENV), "PYTHONNOUSERSITE": "1"}
    if index := os.environ.get("PIP_INDEX_URL"):
        environment.setdefault("UV_DEFAULT_INDEX", index)  # whoever set a mirror for pip means uv too
    try:
        if show and sys.stderr.isatty():
            subprocess.run(command, check=True, cwd=ROOT, env=environment)
            return
        with log.open("ab") as quiet:
            subprocess.run(command, check=True, cwd=ROOT, env=environment, stdout=quiet, stderr=quiet)
    except (subprocess.CalledProcessError, OSError) as error:
        raise SetupError(f"{failure} (details: {log.relative_to(ROOT)}).") from error


def make_venv() -> None:
    """A fresh one, unless there is one of this interpreter: then its packages are only brought up to date."""
    if INTERPRETER.exists() and INTERPRETER.read_text() == sys.version and (VENV / "bin" / "python").exists():
        return
    shutil.rmtree(VENV, ignore_errors=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True, capture_output=True)
    except (subprocess.CalledProcessError, OSError) as error:
        raise SetupError(
            f"{sys.executable} could not make a virtual environment; install its venv and pip parts "
            "(on Debian and Ubuntu the package python3-venv) or choose another with PYTHON=."
        ) from error
    INTERPRETER.write_text(sys.version)


def install() -> None:
    python, uv = VENV / "bin" / "python", VENV / "bin" / "uv"
    check = "check the network, a proxy or the package index that pip is configured for, then run it again"
    say("1/4 virtual environment .venv")
    make_venv()
    say("2/4 uv, the installer")
    run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", UV_PIN],
        f"The installer uv, pinned in deploy/uv.txt, could not be had or its checksum differs: {check}",
    )
    pip_install: list[str | Path] = [uv, "pip", "install", "--python", python]
    say(f"3/4 {count(LOCK)} locked packages")
    run(
        [*pip_install, "--compile-bytecode", "--require-hashes", "-r", LOCK],  # else eight programs compile at once
        f"The packages of requirements.lock could not be had or a checksum differs: {check}",
        show=True,
    )
    say(f"4/4 {len(members())} members of this workspace")
    editable = [part for member in members() for part in ("--editable", member)]
    run(
        [*pip_install, "--no-deps", "--no-build-isolation", "--offline", *editable],
        "A member of the workspace could not be installed: check its pyproject.toml",
    )


def count(lock: Path) -> int:
    return sum("==" in line for line in lock.read_text().splitlines())


def say(text: str) -> None:
    print(f"setup: {text}", flush=True)


def main() -> int:
    wanted = fingerprint()
    if STAMP.exists() and STAMP.read_text() == wanted:
        return 0
    try:
        install()
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup: stopped; run it again to go on.", file=sys.stderr)
        return 130
    STAMP.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
