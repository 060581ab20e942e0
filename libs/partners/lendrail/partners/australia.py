"""How telephone numbers, postcodes and business numbers are written in Australia."""

from __future__ import annotations

import re

from lendrail.partners.fields import Unfit, matching

abn = matching("[0-9]{11}", "must be an ABN of eleven digits", drop=" ")
_postcode = matching("[0-9]{4}", "must be an Australian postcode of four digits", drop=" ")


def phone(value: str) -> str:
    """A landline or mobile number with 0, 61 or +61 before its area digit, or a 1300 or 1800 number."""
    if not re.fullmatch(r"(0|\+?61)[23478][0-9]{8}|1[38]00[0-9]{6}", value):
        raise Unfit("format", "must be an Australian telephone number for this partner")
    return value


def postcode_number(value: str) -> int | str:
    """For those who take an integer. Those of the Northern Territory begin with a zero, which it would lose."""
    text: str = _postcode(value)
    return text if text.startswith("0") else int(text)
