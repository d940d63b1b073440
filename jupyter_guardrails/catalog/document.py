"""One YAML file read safely, with the place of every value: bounded, UTF-8, no aliases, no duplicate keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from jupyter_guardrails.errors import CatalogError, Problem

MAX_BYTES = 1 << 20
MAX_NODES = 20_000
MAX_DEPTH = 40

Trail = tuple[str | int, ...]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # libyaml where PyYAML was built with it
    """YAML's safe types without dates: a contract's dates are texts to the contract standard."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


@dataclass
class Document:
    """The data of a file and where each value stands: `places[("servers", 0, "path")] == (line, column)`, from 1."""

    file: str
    lines: list[str]
    data: Any = None
    places: dict[Trail, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, trail: Trail) -> int:
        """The line of a value, or of the nearest value around it."""
        return self._place(trail)[0]

    def problem(self, trail: Trail, message: str, hint: str = "") -> Problem:
        """A mistake at a value, or at the nearest value around it."""
        return self._problem_at(*self._place(trail), message, hint)

    def _place(self, trail: Trail) -> tuple[int, int]:
        while trail and trail not in self.places:
            trail = trail[:-1]
        return self.places.get(trail, (1, 1))

    def _problem_at(self, line: int, column: int, message: str, hint: str = "") -> Problem:
        source = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        return Problem(self.file, line, column, message, hint, source)


def read_document(file: Path) -> Document:
    """The file's data with places; CatalogError with its problems when it is no plain, bounded YAML mapping."""
    document = Document(str(file), [])
    try:
        text = _text(file)
        document.lines = text.splitlines()
        _check_bounds(document, text)
        document.data = _Builder(document).build(yaml.compose(text, Loader=_Loader), ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        document.problems.append(document._problem_at(*place, f"not readable as YAML: {error.problem or error.context}"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        document.problems.append(Problem(str(file), 0, 0, f"cannot be read: {error}"))
    if not document.problems and not isinstance(document.data, dict):
        document.problems.append(document.problem((), "a contract is a mapping of keys and values"))
    if document.problems:
        raise CatalogError(document.problems)
    return document


def _text(file: Path) -> str:
    with file.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES} bytes")
    return data.decode("utf-8-sig")


def _check_bounds(document: Document, text: str) -> None:
    """Refuse aliases, floods of values and deep nesting before anything is built from them."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        mark: Any = event.start_mark  # the stubs know two Mark types, and MarkedYAMLError takes one of them
        if isinstance(event, yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="aliases (*name) are not allowed in a contract", problem_mark=mark)
        if count > MAX_NODES or depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=f"more than {MAX_NODES} values or {MAX_DEPTH} levels", problem_mark=mark)


class _Builder:
    """Turns YAML nodes into plain data and notes the place of each."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.constructor = yaml.constructor.SafeConstructor()

    def build(self, node: Any, trail: Trail) -> Any:
        """The node's value; mistakes go to the document's problems."""
        if node is None:
            return None
        self.document.places.setdefault(trail, (node.start_mark.line + 1, node.start_mark.column + 1))
        if isinstance(node, yaml.MappingNode):
            return dict(self._items(node, trail))
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*trail, index)) for index, child in enumerate(node.value)]
        return self.constructor.construct_object(node, deep=True)

    def _items(self, node: Any, trail: Trail) -> Iterator[tuple[str, Any]]:
        seen: dict[str, int] = {}
        for key, value in node.value:
            name, place = key.value, (key.start_mark.line + 1, key.start_mark.column + 1)
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                self.document.problems.append(self.document._problem_at(*place, f"a key has to be a text, not {name!s:.40}"))
                continue
            if name in seen:
                self.document.problems.append(self.document._problem_at(*place, f"the key {name} stands twice, first in line {seen[name]}"))
            seen.setdefault(name, place[0])
            self.document.places[(*trail, name)] = place
            yield name, self.build(value, (*trail, name))
