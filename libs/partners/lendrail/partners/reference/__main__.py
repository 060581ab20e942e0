"""Write the published schema of the application again: `python -m lendrail.partners.reference` (in a checkout)."""

from __future__ import annotations

import sys
from pathlib import Path

from lendrail.contracts.json_schemas import text
from lendrail.partners.reference.schema import application_schema

ROOT = Path(__file__).parents[5]
PUBLISHED = tuple(
    ROOT / folder / "application.schema.json"
    for folder in ("docs/reference-partner", "services/sandbox/lendrail/sandbox/reference_partner")
)


def artefact() -> str:
    return text(application_schema())


def main() -> int:
    if not all(path.parent.is_dir() for path in PUBLISHED):
        print("partners: run this in a checkout of Lendrail, where the files are kept", file=sys.stderr)
        return 1
    for path in PUBLISHED:
        path.write_text(artefact())
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
