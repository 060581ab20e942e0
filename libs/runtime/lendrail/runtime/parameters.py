"""Parameters of a request that its route does not know are refused: one that is misspelt would be left out in silence,
and a file that was sent with `dryrun=true` would be no dry run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant

from lendrail.contracts.terms import FieldProblem
from lendrail.runtime.problem import Problem


def refuse_others(asked: Iterable[str], known: Collection[str]) -> None:
    """Raises `Problem` 422 that names what is known, and quotes nothing of what was asked."""
    if set(asked) <= set(known):
        return
    message = f"has a parameter that is none of {', '.join(known)}" if known else "must be left out"
    fault = FieldProblem(pointer="/query", code="unknown-parameter", message=message)
    raise Problem(422, "invalid-request", "Nothing was done; `errors` says what to change.", errors=[fault])


async def _only_known(request: Request) -> None:
    refuse_others(request.query_params, _names(request.scope["route"].dependant))


def _names(dependant: Dependant) -> list[str]:
    """What a route reads of the query, and what it depends on."""
    inner = [name for each in dependant.dependencies for name in _names(each)]
    return [*(field.alias for field in dependant.query_params), *inner]


ONLY_KNOWN = Depends(_only_known)
"""For the routes of a router that name all parameters in their signatures."""
