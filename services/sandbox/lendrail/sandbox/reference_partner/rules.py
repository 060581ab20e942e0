"""What the simulated partner takes: what the published schema takes. Texts repeat nothing that was sent."""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from typing import Any, cast

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError

from lendrail.sandbox.outbound import is_web_url

Fault = dict[str, str]
"""`pointer`, `code`, `message`."""
_KIND = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@cache
def _schema() -> Draft202012Validator:
    text = (files("lendrail.sandbox.reference_partner") / "application.schema.json").read_text()
    return Draft202012Validator(json.loads(text), format_checker=FormatChecker())


def application(body: Any) -> list[Fault]:
    """Every fault at once."""
    return [fault for error in _schema().iter_errors(body) for fault in _faults(error)]


def _faults(error: ValidationError) -> Iterator[Fault]:
    at = _pointer(error.absolute_path)
    if error.validator == "required":
        wanted: Any = error.validator_value
        missing = [name for name in wanted if name not in cast(dict[str, Any], error.instance)]
        yield from (fault(f"{at}/{name}", "required", "is required") for name in missing)
    else:
        yield fault(at, "invalid", "is invalid")


def _pointer(path: Iterable[str | int]) -> str:
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def document(body: Any) -> list[Fault]:
    """A name, a kind, and either its bytes in Base64 with their hash, or a link to them."""
    if not isinstance(body, dict):
        return [fault("", "invalid", "is invalid")]
    faults = [fault(f"/{name}", "required", "is required") for name in ("name", "kind") if not body.get(name)]
    if body.get("name") and not isinstance(body["name"], str):
        faults.append(fault("/name", "invalid", "is invalid"))
    if body.get("kind") and not (isinstance(body["kind"], str) and _KIND.fullmatch(body["kind"])):
        faults.append(fault("/kind", "invalid", "is invalid"))
    if ("content" in body) is ("link" in body):
        return [*faults, fault("/content", "invalid", "is invalid")]
    if "link" in body:
        return faults if is_web_url(body["link"]) else [*faults, fault("/link", "invalid", "is not a valid url")]
    data = content(body)
    if data is None or hashlib.sha256(data).hexdigest() != body.get("sha256"):
        faults.append(fault("/content", "invalid", "is invalid"))
    return faults


def content(body: dict[str, Any]) -> bytes | None:
    try:
        return binascii.a2b_base64(body["content"].encode("ascii"), strict_mode=True)
    except (ValueError, AttributeError):
        return None


def acceptance(body: Any) -> list[Fault]:
    given = body if isinstance(body, dict) else {}
    faults = [] if _text(given.get("offerId"), 500) else [fault("/offerId", "invalid", "is invalid")]
    if "variant" in given and not _text(given["variant"], 80):
        faults.append(fault("/variant", "invalid", "is invalid"))
    return faults


def _text(value: Any, longest: int) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= longest


def webhook(body: Any) -> list[Fault]:
    """The secret is Base64, perhaps with `whsec_` before it, as Standard Webhooks writes one."""
    given = body if isinstance(body, dict) else {}
    faults = [] if is_web_url(given.get("url")) else [fault("/url", "invalid", "is not a valid url")]
    if "secret" in given and key(given["secret"]) is None:
        faults.append(fault("/secret", "invalid", "is invalid"))
    return faults


def key(secret: Any) -> bytes | None:
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True) or None
    except (ValueError, AttributeError, TypeError):
        return None


def fault(pointer: str, code: str, message: str) -> Fault:
    return {"pointer": pointer, "code": code, "message": message}
