"""The lists in the public API's description: their parameters are told where they are read."""

from __future__ import annotations

from lendrail.gateway.description.bodies import Json
from lendrail.gateway.description.operations import READ, Operation
from lendrail.gateway.lists.asked import OF_APPLICATIONS, OF_OPPORTUNITIES, Filter

_ORDER = (
    "Newest receipt first; while new ones arrive, none is shown twice and none is left out. With `changedFrom` or "
    "`changedTo` the oldest change comes first, up to the moment of the first page, and `changedTo` in the answer is "
    "where the next walk begins; times are those at which the news was stated, so let walks overlap by some minutes. "
    "All that you name must fit. `system` goes together with a partner or credential only where you name `reference`."
)
_PROBLEMS = ("400", "401", "403", "422", "503")


def _parameters(filters: tuple[Filter, ...]) -> tuple[Json, ...]:
    return tuple({"name": f.name, "in": "query", "description": f.says, "schema": f.schema} for f in filters)


LISTS: dict[tuple[str, str], Operation] = {
    ("get", "/v1/applications"): Operation(
        "List applications, or search them",
        f"{_ORDER} A partner, credential or partner's id is that of one of the application's opportunities.",
        READ,
        answer="ApplicationPage",
        problems=_PROBLEMS,
        parameters=_parameters(OF_APPLICATIONS),
    ),
    ("get", "/v1/opportunities"): Operation(
        "List opportunities, or search them",
        f"{_ORDER} An opportunity is one application at one partner. Of its status each entry says what its own view "
        "says, under the same names. But lists do not hear of looks that bring nothing new: `ageSeconds` counts from "
        "`observedAt`, and `nextCheckAt` is there only where an outcome is unknown or a registry is waited for. When a "
        "partner was looked at last and is looked at next is known to `GET /v1/opportunities/{id}`.",
        READ,
        answer="OpportunityPage",
        problems=_PROBLEMS,
        parameters=_parameters(OF_OPPORTUNITIES),
    ),
}
