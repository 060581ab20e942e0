"""Whether a reader of one version understands whatever a writer of another version may say, by their JSON Schemas.

Readers ignore fields that they do not know and need those that they require; a word outside of a closed list, a longer
text or another type makes a record a dead letter. What is compared is every place that both know.

`python -m tests.contracts.readable` keeps the schemas of this version as those of the previous one: do so when a
version is released, and run `python -m proofs.mixed` against it first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lendrail.contracts.json_schemas import schemas

Schema = dict[str, Any]
FROZEN = Path(__file__).parent / "previous" / "schemas.json"
NOTES = ("title", "description", "default", "x-sensitive")
UPPER, LOWER = ("maxLength", "maxItems", "maximum", "maxProperties"), ("minLength", "minItems", "minimum")


class Side:
    """A schema with the definitions that it refers to."""

    def __init__(self, root: Schema) -> None:
        self._definitions: dict[str, Schema] = root.get("$defs", {})
        self.root = root

    def options(self, node: Schema) -> list[Schema]:
        """What may stand here: the node itself, or one of its alternatives."""
        if "$ref" in node:
            return self.options(self._definitions[node["$ref"].rpartition("/")[2]])
        alternatives = node.get("anyOf") or node.get("oneOf")
        return [option for each in alternatives for option in self.options(each)] if alternatives else [node]


class Comparison:
    """Finds what a reader would not understand."""

    def __init__(self, reader: Schema, writer: Schema) -> None:
        self._reader, self._writer = Side(reader), Side(writer)
        self._open: set[tuple[int, int]] = set()

    def problems(self) -> list[str]:
        return list(self._compare(self._reader.root, self._writer.root, ""))

    def _compare(self, reader: Schema, writer: Schema, at: str) -> Iterator[str]:
        """Each alternative of the writer needs one of the reader's."""
        readers = self._reader.options(reader)
        for written in self._writer.options(writer):
            found = [list(self._one(option, written, at)) for option in readers]
            if all(found):
                yield from min(found, key=len)

    def _one(self, reader: Schema, writer: Schema, at: str) -> Iterator[str]:
        pair = (id(reader), id(writer))
        if pair in self._open:  # a model inside itself
            return
        self._open.add(pair)
        try:
            yield from _plain(reader, writer, at)
            yield from self._members(reader, writer, at)
        finally:
            self._open.discard(pair)

    def _members(self, reader: Schema, writer: Schema, at: str) -> Iterator[str]:
        if "properties" in reader:
            written = writer.get("properties", {})
            for name in sorted(set(reader.get("required", ())) - set(writer.get("required", ()))):
                yield f"{at}/{name}: is needed and may be left out"
            for name in sorted(reader["properties"].keys() & written.keys()):
                yield from self._compare(reader["properties"][name], written[name], f"{at}/{name}")
        for inner in ("items", "additionalProperties"):
            if isinstance(reader.get(inner), dict) and isinstance(writer.get(inner), dict):
                yield from self._compare(reader[inner], writer[inner], f"{at}/*")


def _plain(reader: Schema, writer: Schema, at: str) -> Iterator[str]:
    if "type" in reader and reader["type"] != writer.get("type"):
        yield f"{at}: is {writer.get('type')} and not {reader['type']}"
        return
    known, said = _words(reader), _words(writer)
    if known is not None and (said is None or not said <= known):
        yield f"{at}: may say {sorted(said - known) if said else 'anything'}"
    if known is None and said is None and "pattern" in reader and reader["pattern"] != writer.get("pattern"):
        yield f"{at}: has another form"
    for bounds, wider in ((UPPER, 1), (LOWER, -1)):
        for name in bounds:
            if name in reader and (name not in writer or (writer[name] - reader[name]) * wider > 0):
                yield f"{at}: {name} is {writer.get(name)} and not {reader[name]}"


def _words(node: Schema) -> set[str] | None:
    """The closed list of a place, if it has one."""
    if "const" in node:
        return {node["const"]}
    return set(node["enum"]) if "enum" in node else None


def bare(node: Any, names: bool = False) -> Any:
    """Without what only people read. `names`: the keys here are names of fields."""
    if isinstance(node, list):
        return [bare(each) for each in node]
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in node.items() if names or key not in NOTES}
    return {key: bare(value, key in ("properties", "$defs") and not names) for key, value in kept.items()}


def main() -> None:
    FROZEN.write_text(json.dumps(bare(schemas()), separators=(",", ":"), sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
