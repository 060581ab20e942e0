"""What an upstream system does before it publishes: personal values leave the application and travel in one JWE.

Which values are personal is read from the published JSON Schema (`x-sensitive`), so any client can do the same.
"""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from joserfc import jwe
from joserfc.jwk import ECKey

from lendrail.contracts.application import Application

ALGORITHM, ENCRYPTION = "ECDH-ES+A256KW", "A256GCM"


def sealed(application: dict[str, Any], key: ECKey) -> tuple[dict[str, Any], str | None]:
    """The application without its personal values, and the JWE that holds them by JSON pointer, if it has any."""
    personal = dict(_personal(_schema(), _schema(), application, ""))
    if not personal:
        return application, None
    header = {"alg": ALGORITHM, "enc": ENCRYPTION, "kid": key.kid, "typ": "JWE"}
    token = jwe.encrypt_compact(header, json.dumps(personal).encode(), key)
    return _without(application, set(personal), ""), token


@cache
def _schema() -> dict[str, Any]:
    return Application.model_json_schema(by_alias=True)


def _personal(root: dict[str, Any], schema: Any, value: Any, at: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(schema, dict) or value is None:
        return
    if reference := schema.get("$ref"):
        yield from _personal(root, root["$defs"][reference.rpartition("/")[2]], value, at)
    if schema.get("x-sensitive") and not isinstance(value, dict | list):
        yield at, value
    for branch in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from _personal(root, branch, value, at)
    if isinstance(value, dict):
        known, others = schema.get("properties", {}), _of_any_name(schema)
        for name, inner in value.items():
            yield from _personal(root, known.get(name, others), inner, f"{at}/{_step(name)}")
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _personal(root, schema.get("items"), inner, f"{at}/{index}")


def _of_any_name(schema: dict[str, Any]) -> Any:
    """The schema of a map's values; a name that fits no pattern is treated alike, since it may hold the same."""
    return next(iter(schema.get("patternProperties", {}).values()), schema.get("additionalProperties"))


def _without(value: Any, pointers: set[str], at: str) -> Any:
    if isinstance(value, dict):
        kept = {name: inner for name, inner in value.items() if f"{at}/{_step(name)}" not in pointers}
        return {name: _without(inner, pointers, f"{at}/{_step(name)}") for name, inner in kept.items()}
    if isinstance(value, list):
        return [_without(inner, pointers, f"{at}/{index}") for index, inner in enumerate(value)]
    return value


def _step(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
