"""Sealing personal values for the way over the Kafka intake: one JWE (RFC 7516) beside the clear application.

Which values are personal is not a list of its own: it is read from the `Application` model. The plain text of the JWE
is a JSON object from RFC 6901 pointer to value, so that the receiver puts each value back where it was.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from lendrail.contracts import strict_json
from lendrail.contracts.application import Application
from lendrail.contracts.problems import Steps, sensitive_fields

ALGORITHMS = ["ECDH-ES+A256KW", "A256GCM"]
"""Key agreement with the tenant's P-256 key and content encryption. `zip` is not among them: no decompression."""
MAX_JWE = 512 * 1024
MAX_VALUES = 5_000


class _Roomy(jwe.JWERegistry):
    """The library's own bound, 64 KiB of cipher text, is below what one application may hold."""

    def __init__(self, most: int) -> None:
        super().__init__(algorithms=ALGORITHMS)
        self.max_ciphertext_length = most


class BadSeal(Exception):
    """A JWE that cannot be opened, or does not fit the application; `code` is stable, the text quotes nothing."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def seal_sensitive(application: dict[str, Any], public_jwk: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """The application without its personal values, and the JWE that holds them; None where there are none."""
    clear = copy.deepcopy(application)
    values = {_pointer(steps): _take(clear, steps) for steps in sensitive_fields(Application, application)}
    if not values:
        return clear, None
    key = ECKey.import_key(public_jwk)
    header = {"alg": ALGORITHMS[0], "enc": ALGORITHMS[1], **({"kid": key.kid} if key.kid else {})}
    return clear, jwe.encrypt_compact(header, json.dumps(values).encode(), key, algorithms=ALGORITHMS)


def open_sensitive(clear: dict[str, Any], token: str, private_jwk: ECKey, most: int = MAX_JWE) -> dict[str, Any]:
    """The application with its personal values back in place; `most` characters the JWE may have. Raises `BadSeal`."""
    application = copy.deepcopy(clear)
    for pointer, value in _values(token, private_jwk, most).items():
        if isinstance(value, dict | list):
            raise BadSeal("sensitive-not-simple", "a sealed value must be text, a number or a flag")
        _put(application, _steps(pointer), value)
    return application


def _values(token: str, private_jwk: ECKey, most: int) -> dict[str, Any]:
    if len(token) > most or not token.isascii():
        raise BadSeal("sensitive-too-large", f"the JWE must be ASCII text of at most {most} characters")
    try:
        plain = jwe.decrypt_compact(token, private_jwk, registry=_Roomy(most)).plaintext
        values = strict_json.loads(plain or b"")
    except strict_json.BadJson:
        raise BadSeal("sensitive-unreadable", "the JWE does not hold JSON") from None
    except (JoseError, ValueError, TypeError, KeyError):
        raise BadSeal("sensitive-unreadable", "the JWE cannot be opened with the tenant's intake key") from None
    if not isinstance(values, dict) or len(values) > MAX_VALUES:
        raise BadSeal("sensitive-unreadable", f"the JWE must hold an object of at most {MAX_VALUES} values")
    return values


def _pointer(steps: Steps) -> str:
    """RFC 6901, uncut: this one must find its place again."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def _steps(pointer: str) -> list[str]:
    if not pointer.startswith("/"):
        raise BadSeal("sensitive-misplaced", "a sealed value must be addressed by a JSON pointer")
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/")]


def _take(application: dict[str, Any], steps: Steps) -> Any:
    """Remove one value; in a list a null keeps the places of the others."""
    parent: Any = application
    for step in steps[:-1]:
        parent = parent[step]
    if isinstance(parent, list):
        place = int(steps[-1])
        value, parent[place] = parent[place], None
        return value
    return parent.pop(steps[-1])


def _put(application: dict[str, Any], steps: list[str], value: Any) -> None:
    parent: Any = application
    for step in steps[:-1]:
        parent = _child(parent, step)
    last = steps[-1]
    if isinstance(parent, list):
        parent[_index(parent, last)] = value
    elif isinstance(parent, dict) and parent.get(last) is None:
        parent[last] = value
    else:
        raise BadSeal("sensitive-misplaced", "a sealed value stands in clear too, or has no object to stand in")


def _child(parent: Any, step: str) -> Any:
    if isinstance(parent, list):
        return parent[_index(parent, step)]
    if isinstance(parent, dict) and step in parent:
        return parent[step]
    raise BadSeal("sensitive-misplaced", "a sealed value points into nothing")


def _index(items: list[Any], step: str) -> int:
    if not (step.isascii() and step.isdigit() and len(step) < 6 and int(step) < len(items)):
        raise BadSeal("sensitive-misplaced", "a sealed value points outside of a list")
    return int(step)
