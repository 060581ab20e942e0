"""What a partner needs beyond the schema, found by asking its own check: leave a field out, or try each word.

So the published schema cannot say anything else than the check does. It says what is necessary for every entry of a
list; what holds for the first entry only, or for some combination, remains with the check. A field that some rare word
in another field makes needless (an industry code beside the partner's own name of the industry) is called required.
"""

from __future__ import annotations

import copy
import itertools
import json
import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from lendrail.contracts.application import Application
from lendrail.contracts.application_words import OwnerRole
from lendrail.contracts.problems import pointer
from lendrail.contracts.terms import FieldProblem

Json = dict[str, Any]
Steps = tuple[str | int, ...]
Check = Callable[[Application], list[FieldProblem]]
MISSING = "missing"
COUNTRY = "^[A-Z]{2}$"
COUNTRIES = tuple("".join(letters) for letters in itertools.product(string.ascii_uppercase, repeat=2))
A_FEW_COUNTRIES = ("AU", "BR", "DE", "GB", "SG", "US")
"""A partner that takes all of these is taken to have no rule of its own here."""
_NOTHING = object()


def sample() -> Json:
    """An application that says all there is to say; two entries in the lists where entries may differ."""
    text = (files("lendrail.contracts") / "examples" / "application.json").read_text()
    data: Json = json.loads(text)
    for name in ("owners", "existingLoans", "invoices", "tradeDocuments", "equipment"):
        data[name] = [copy.deepcopy(data[name][0]) for _ in range(2)]
    data["business"]["addresses"][1] = data["business"]["addresses"][0] | {"kind": "registered"}
    return data


@dataclass
class Place:
    """What was found out about one object of the schema: its fields, and below them other places."""

    required: set[str] = field(default_factory=set)
    words: dict[str, list[Any]] = field(default_factory=dict)
    below: dict[str, Place] = field(default_factory=dict)
    of_roles: dict[frozenset[str], Place] = field(default_factory=dict)
    """What holds for persons of some roles only."""

    def at(self, steps: tuple[str, ...], roles: frozenset[str] | None = None) -> Place:
        place = self
        for depth, step in enumerate(steps):
            place = place.below.setdefault(step, Place())
            if roles is not None and depth == 1:
                place = place.of_roles.setdefault(roles, Place())
        return place

    def schema(self) -> Json:
        """The overlay that says it in JSON Schema."""
        made: Json = {"required": sorted(self.required)} if self.required else {}
        properties: Json = {name: {"enum": words} for name, words in self.words.items()}
        for name, place in self.below.items():
            if name == "*":
                made["items"] = place.schema()
            else:
                properties[name] = properties.get(name, {}) | place.schema()
        if properties:
            made["properties"] = properties
        if self.of_roles:
            made["allOf"] = [{"if": _has(roles), "then": place.schema()} for roles, place in self.of_roles.items()]
        return made


def _has(roles: frozenset[str]) -> Json:
    """A person who has one of these roles; one without `roles` is an owner."""
    has: Json = {"properties": {"roles": {"contains": {"enum": sorted(roles)}}}}
    return has if OwnerRole.OWNER in roles else has | {"required": ["roles"]}


def narrowed(check: Check, schema: Json) -> Json:
    """The overlay for `check`; `schema` is that of the application."""
    return _Asking(check, schema).ask()


class _Asking:
    def __init__(self, check: Check, schema: Json) -> None:
        self._check, self._schema = check, schema
        self._sample = sample()
        self._usual = self._told(self._sample)

    def ask(self) -> Json:
        root = Place()
        for steps, names in _objects(self._sample):
            for name in names:
                self._required(root, steps, name)
                self._allowed(root, steps, name)
        return root.schema()

    def _required(self, root: Place, steps: Steps, name: str) -> None:
        places = self._twins(steps)
        if name in self._object_schema(steps).get("required", ()):
            return
        if not all(name in _find(self._sample, place) for place in places):
            return
        if all(self._missed(self._sample, place, name) for place in places):
            roles = self._roles(steps, lambda data: self._missed(data, places[-1], name))
            root.at(_pattern(steps), roles).required.add(name)

    def _allowed(self, root: Place, steps: Steps, name: str) -> None:
        """Which words the partner takes here; noted when it takes some and refuses others."""
        choices, places = self._choices(steps, name), self._twins(steps)
        if choices is COUNTRIES and not self._refuses_all(places, name, A_FEW_COUNTRIES):
            return
        refused = [word for word in choices if self._refuses_all(places, name, [word])]
        if 0 < len(refused) < len(choices):
            roles = self._roles(steps, lambda data: self._refused(data, places[-1], name, refused[0]))
            root.at(_pattern(steps), roles).words[name] = [word for word in choices if word not in refused]

    def _roles(self, steps: Steps, holds: Callable[[Json], bool]) -> frozenset[str] | None:
        """For which roles of the second person it holds; None where it does not depend on roles."""
        if steps[:1] != ("owners",) or len(steps) < 2:
            return None
        found = [role for role in OwnerRole if holds(_changed(self._sample, ("owners", 1, "roles"), [role]))]
        return None if len(found) == len(OwnerRole) else frozenset(found)

    def _refuses_all(self, places: list[Steps], name: str, words: Sequence[Any]) -> bool:
        """Whether one of `words` is refused in every entry."""
        return any(all(self._refused(self._sample, place, name, word) for place in places) for word in words)

    def _refused(self, data: Json, place: Steps, name: str, word: Any) -> bool:
        told = self._told(_changed(data, (*place, name), word))
        return any(at == pointer((*place, name)) for at, _ in told - self._usual)

    def _missed(self, data: Json, place: Steps, name: str) -> bool:
        at = pointer((*place, name))
        new = self._told(_changed(data, (*place, name), _NOTHING)) - self._usual
        return any(code == MISSING and (where == at or where.startswith(at + "/")) for where, code in new)

    def _told(self, data: Json) -> set[tuple[str, str]]:
        return {(each.pointer, each.code) for each in self._check(Application.model_validate(data))}

    def _twins(self, steps: Steps) -> list[Steps]:
        """The same place in every entry of the lists on the way to it."""
        found: list[Steps] = [()]
        for step in steps:
            found = [(*way, each) for way in found for each in self._entries(way, step)]
        return found

    def _entries(self, way: Steps, step: str | int) -> Iterable[str | int]:
        return range(len(_find(self._sample, way))) if isinstance(step, int) else (step,)

    def _choices(self, steps: Steps, name: str) -> Sequence[Any]:
        declared = self._resolve(self._object_schema(steps).get("properties", {}).get(name, {}))
        if declared.get("type") == "boolean":
            return [False, True]
        if declared.get("pattern") == COUNTRY and name == "country":
            return COUNTRIES
        words: Sequence[Any] = declared.get("enum", ())
        return words

    def _object_schema(self, steps: Steps) -> Json:
        schema = self._schema
        for step in steps:
            inner = schema.get("items", {}) if isinstance(step, int) else schema.get("properties", {}).get(step, {})
            schema = self._resolve(inner)
        return schema

    def _resolve(self, schema: Json) -> Json:
        while "$ref" in schema or "anyOf" in schema:
            if "$ref" in schema:
                schema = self._schema["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
            else:
                schema = next((each for each in schema["anyOf"] if each.get("type") != "null"), {})
        return schema


def _objects(data: Any, steps: Steps = ()) -> Iterator[tuple[Steps, list[str]]]:
    """Every object with its field names; of a list only the first entry, the others are its twins."""
    if isinstance(data, dict):
        if steps[:1] != ("metadata",):
            yield steps, list(data)
        for name, value in data.items():
            yield from _objects(value, (*steps, name))
    elif isinstance(data, list) and data:
        yield from _objects(data[0], (*steps, 0))


def _pattern(steps: Steps) -> tuple[str, ...]:
    return tuple("*" if isinstance(step, int) else step for step in steps)


def _find(data: Any, steps: Steps) -> Any:
    for step in steps:
        data = data[step]
    return data


def _changed(data: Any, steps: Steps, value: Any) -> Any:
    """A copy with another value at `steps`; only what lies on the way is copied."""
    copied = data.copy()
    if len(steps) > 1:
        copied[steps[0]] = _changed(copied[steps[0]], steps[1:], value)
    elif value is _NOTHING:
        del copied[steps[0]]
    else:
        copied[steps[0]] = value
    return copied
