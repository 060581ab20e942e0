"""What is wrong with a piece of JSON, told field by field and without quoting it."""

from __future__ import annotations

import functools
import types
import typing
from typing import Any

from pydantic import BaseModel, ValidationError

from lendrail.contracts.sensitive import Sensitive
from lendrail.contracts.terms import FieldProblem

_LONGEST_STEP = 80
_MESSAGES = {
    "missing": "is required",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "string_type": "must be a string",
    "string_pattern_mismatch": "must have the form {pattern}",
    "json_invalid": "must be valid JSON",
    "recursion_loop": "must not contain itself",
}


def pointer(steps: typing.Iterable[str | int]) -> str:
    """RFC 6901 pointer. A step that is overlong is cut, since a key may be anything a caller typed."""
    return "".join("/" + str(step)[:_LONGEST_STEP].replace("~", "~0").replace("/", "~1") for step in steps)[:500]


def problems_of(error: ValidationError) -> list[FieldProblem]:
    """Every problem of a failed validation, in the model's order; the values themselves are left out."""
    found = []
    for each in error.errors(include_url=False, include_input=False):
        message = message_of(each)
        steps = [step for step in each["loc"] if step != "[key]"]
        if "[key]" in each["loc"]:
            steps, message = steps[:-1], "has a key that is not allowed: " + message
        found.append(FieldProblem(pointer=pointer(steps), code=each["type"].replace(".", "_"), message=message[:1000]))
    return found


def message_of(error: typing.Mapping[str, Any]) -> str:
    """What to change, of one of pydantic's errors: in pydantic's words where we have none, except where a plain
    ValueError wrote them: those may quote anything.
    """
    kind: str = error["type"]
    if kind in _MESSAGES:
        return _MESSAGES[kind].format(**error.get("ctx", {}))
    return "is not valid" if kind in ("value_error", "assertion_error") else str(error["msg"])


def unknown_fields(model: type[BaseModel], data: Any) -> list[str]:
    """Pointers to all fields of `data` that `model` does not know by their wire (alias) names, at every depth."""
    return [pointer(steps) for steps, kind in leaves(model, data) if kind is None]


def sensitive_fields(model: type[BaseModel], data: Any) -> list[Steps]:
    """Where `data` holds values that `model` declares as `Sensitive`; absent and null ones left out."""
    return [steps for steps, kind in leaves(model, data) if isinstance(kind, type) and issubclass(kind, Sensitive)]


Steps = tuple[str | int, ...]
Leaf = tuple[Steps, Any]
"""A place in the data, and the type that the model gives to it; None where the model knows no such field."""


def leaves(model: type[BaseModel], data: Any) -> list[Leaf]:
    """Walk `data` along `model` to everything that is no object or list of the model. Nulls are passed over."""
    found: list[Leaf] = []
    _in_model(model, data, (), found)
    return found


@functools.lru_cache(maxsize=512)
def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


@functools.lru_cache(maxsize=2048)
def _shape(annotation: Any) -> tuple[str, tuple[Any, ...]]:
    """What the walk has to know of a type; looked up once for each type."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _shape(inner[0])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "model", (annotation,)
    if origin in (typing.Union, types.UnionType):
        some = tuple(each for each in inner if each is not type(None))
        return _shape(some[0]) if len(some) == 1 else ("union", some)
    if origin in (tuple, list):
        return "list", inner[:1]
    return ("dict", inner[1:2]) if origin is dict else ("leaf", (annotation,))


def _in_model(model: type[BaseModel], data: Any, at: Steps, found: list[Leaf]) -> None:
    if not isinstance(data, dict):
        return
    known = _fields(model)
    for name, value in data.items():
        if name in known:
            _in(known[name], value, (*at, name), found)
        else:
            found.append(((*at, name), None))


def _in(annotation: Any, data: Any, at: Steps, found: list[Leaf]) -> None:
    shape, inner = _shape(annotation)
    if data is None:
        return
    if shape == "leaf":
        found.append((at, inner[0]))
    elif shape == "model":
        _in_model(inner[0], data, at, found)
    elif shape == "union":
        found.extend(_best_reading(inner, data, at))
    elif shape == "list" and isinstance(data, list):
        for index, each in enumerate(data):
            _in(inner[0], each, (*at, index), found)
    elif shape == "dict" and isinstance(data, dict):
        for name, each in data.items():
            _in(inner[0], each, (*at, name), found)


def _best_reading(kinds: tuple[Any, ...], data: Any, at: Steps) -> list[Leaf]:
    """Of several kinds that the data may be, the one that knows most of its fields."""
    readings: list[list[Leaf]] = []
    for kind in kinds:
        readings.append([])
        _in(kind, data, at, readings[-1])
    return min(readings, key=lambda reading: sum(kind is None for _, kind in reading), default=[])
