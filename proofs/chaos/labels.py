"""The labelled points that the code has, as a run draws them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from lendrail.local.programs import SERVICES
from proofs import points


@cache
def labels() -> Mapping[str, tuple[str, ...]]:
    """By service, sorted."""
    return {service: tuple(sorted(points.labels(service))) for service in SERVICES}
