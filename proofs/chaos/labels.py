"""The labelled points that the code has, read from its source: which service can be killed where.

A point in `runtime` belongs to every service that imports its module, directly or not. Where its label is made from a
topic's or a collection's name, there is one for each topic that the service hears and each collection that it names;
a relay's only for the collections that `app.py` gives it.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from pathlib import Path

from lendrail.contracts.topics import TOPICS
from lendrail.local.programs import SERVICES

TOPIC = "{topic.name}"
COLLECTION = ("{collection.name}", "{label}")
RELAY = "relay."


class Unread(Exception):
    """A label is made of something that this module does not know yet."""


@cache
def labels() -> Mapping[str, tuple[str, ...]]:
    """By service, sorted. Raises Unread."""
    return {service: tuple(sorted(set(_of(service)))) for service in SERVICES}


def _of(service: str) -> Iterator[str]:
    modules = [*_own(service), *_runtime(service)]
    heard = [topic.name for topic in TOPICS if service in topic.consumers]
    kept = sorted({name for tree in _own(service) for name in _collections(tree)})
    relayed = sorted({name for tree in _own(service) for name in _relayed(tree)})
    for template in {template for tree in modules for template in _points(tree)}:
        yield from _filled(template, heard, relayed if template.startswith(RELAY) else kept)


def _filled(template: str, topics: list[str], collections: list[str]) -> Iterator[str]:
    used = [(mark, names) for mark, names in _names(topics, collections) if mark in template]
    for chosen in product(*(names for _, names in used)):
        label = template
        for (mark, _), name in zip(used, chosen, strict=True):
            label = label.replace(mark, name)
        if "{" in label:
            raise Unread(template)
        yield label


def _names(topics: list[str], collections: list[str]) -> list[tuple[str, list[str]]]:
    return [(TOPIC, topics), *((mark, collections) for mark in COLLECTION)]


def _points(tree: ast.Module) -> Iterator[str]:
    """The argument of each `point(...)`; what is computed in it stands in braces."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "point":
            yield _text(node.args[0])


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return "{" + ast.unparse(node.value) + "}"
    return "{" + ast.unparse(node) + "}"


def _relayed(tree: ast.Module) -> Iterator[str]:
    """The collections of each `Relay([...])`, whose variables are assigned in the same module."""
    assigned = [node for node in ast.walk(tree) if isinstance(node, ast.Assign)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Relay":
            used = {name.id for name in ast.walk(node.args[0]) if isinstance(name, ast.Name)}
            for each in assigned:
                yield from (found for place in each.targets for found in _given(place, each.value, used))


def _given(place: ast.expr, value: ast.expr, used: set[str]) -> Iterator[str]:
    """The collections that an assignment gives to one of the `used` variables."""
    if isinstance(place, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, its in zip(place.elts, value.elts, strict=True):
            yield from _given(one, its, used)
    elif isinstance(place, ast.Name) and place.id in used:
        yield from list(_collections(value))[:1]


def _collections(tree: ast.AST) -> Iterator[str]:
    """Every name in `...database["name"]`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and node.value.attr == "database":
            name = node.slice
            if isinstance(name, ast.Constant):
                yield str(name.value)


def _own(service: str) -> list[ast.Module]:
    return [_tree(file) for file in sorted(_folder(f"lendrail.{service}").rglob("*.py"))]


def _runtime(service: str) -> list[ast.Module]:
    """The modules of runtime that it uses."""
    found: dict[str, ast.Module] = {}
    waiting = [name for tree in _own(service) for name in _imported(tree)]
    while waiting:
        name = waiting.pop()
        file = _folder("lendrail.runtime") / f"{name}.py"
        if name not in found and file.exists():
            found[name] = _tree(file)
            waiting += _imported(found[name])
    return [found[name] for name in sorted(found)]


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "lendrail.runtime":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lendrail.runtime."):
            yield str(node.module).split(".")[2]


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])
