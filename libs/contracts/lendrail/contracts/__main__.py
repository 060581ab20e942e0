"""Write the generated artefacts again: `python -m lendrail.contracts` (in a checkout)."""

from __future__ import annotations

import sys
from pathlib import Path

from lendrail.contracts.asyncapi import asyncapi
from lendrail.contracts.flow import flow
from lendrail.contracts.json_schemas import schemas, text

PACKAGE = Path(__file__).parent
ROOT = PACKAGE.parents[3]


def artefacts() -> dict[Path, str]:
    """Every generated file with its content."""
    files = {PACKAGE / "schemas" / f"{name}.json": text(schema) for name, schema in schemas().items()}
    return files | {PACKAGE / "schemas" / "asyncapi.json": text(asyncapi()), ROOT / "docs" / "flow.md": flow()}


def main() -> int:
    if not (ROOT / "libs" / "contracts").is_dir():
        print("contracts: run this in a checkout of Lendrail, where the files are kept", file=sys.stderr)
        return 1
    for path, content in artefacts().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
