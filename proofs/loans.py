"""Real loans as a load: of the sample that the project has, made acceptable to every partner."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

from lendrail.local.sample import applications

SAMPLE = Path(__file__).parent.parent / "examples" / "sba-7a-sample.csv"
ROWS = 5_000


def loans(count: int, start: int) -> list[dict[str, Any]]:
    """Real loans that the partner can take: one identity and the same industry and approving amount for each."""
    found = []
    rows = list(applications(SAMPLE, ROWS))
    for number in range(start, start + count):
        loan = deepcopy(rows[number % ROWS])
        loan["business"]["registrations"][0]["number"] = f"00-{number:07d}"
        loan["business"]["legalName"] = f"Example Venture {number:07d} LLC"
        loan["business"]["startDate"] = "2014-05-01"
        loan["business"].setdefault("industry", {"naics": "722511"})
        loan["business"]["industry"]["naics"] = "722511"
        loan["owners"][0]["ssn"] = f"9{number:08d}"
        loan["requestedFinance"]["amount"] = {"amount": "30000", "currency": "USD"}
        loan["requestedFinance"]["term"] = {"value": 12, "unit": "months"}
        for address in (*loan["business"]["addresses"], loan["owners"][0]["address"]):
            address["region"] = "MA"
        found.append(loan)
    return found
