"""Write the published matrix of partners again: `python -m lendrail.partners` (in a checkout)."""

from __future__ import annotations

import sys
from pathlib import Path

from lendrail.partners import PARTNERS
from lendrail.partners.matrix import matrix

ROOT = Path(__file__).parents[4]
PUBLISHED = ROOT / "docs" / "partners.md"


def main() -> int:
    if not (ROOT / "libs" / "partners").is_dir():
        print("partners: run this in a checkout of Lendrail, where the file is kept", file=sys.stderr)
        return 1
    PUBLISHED.write_text(matrix(PARTNERS.values()))
    print(PUBLISHED.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
