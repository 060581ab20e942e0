"""What is wrong with a piece of JSON, told field by field and without quoting it."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

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
        template = _MESSAGES.get(each["type"])
        message = template.format(**each.get("ctx", {})) if template else _own_words(each["type"], each["msg"])
        steps = [step for step in each["loc"] if step != "[key]"]
        if "[key]" in each["loc"]:
            steps, message = steps[:-1], "has a key that is not allowed: " + message
        found.append(FieldProblem(pointer=pointer(steps), code=each["type"].replace(".", "_"), message=message[:1000]))
    return found


def _own_words(kind: str, message: str) -> str:
    """pydantic's sentence, except where a plain ValueError wrote it: that one may quote anything."""
    return "is not valid" if kind in ("value_error", "assertion_error") else message


def unknown_fields(model: type[BaseModel], data: Any) -> list[str]:
    """Pointers to all fields of `data` that `model` does not know by their wire (alias) names, at every depth."""
    return [pointer(steps) for steps in _unknown_in_model(model, data, ())]


_Steps = tuple[str | int, ...]


def _unknown_in_model(model: type[BaseModel], data: Any, at: _Steps) -> Iterator[_Steps]:
    if not isinstance(data, dict):
        return
    known = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
    for name, value in data.items():
        if name in known:
            yield from _unknown_in(known[name], value, (*at, name))
        else:
            yield (*at, name)


def _unknown_in(annotation: Any, data: Any, at: _Steps) -> Iterator[_Steps]:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        yield from _unknown_in(inner[0], data, at)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from _unknown_in_model(annotation, data, at)
    elif origin in (typing.Union, types.UnionType):
        readings = [list(_unknown_in(each, data, at)) for each in inner if each is not type(None)]
        yield from min(readings, key=len, default=[])
    elif origin in (tuple, list) and isinstance(data, list):
        for index, each in enumerate(data):
            yield from _unknown_in(inner[0], each, (*at, index))
    elif origin is dict and isinstance(data, dict):
        for name, each in data.items():
            yield from _unknown_in(inner[1], each, (*at, name))
