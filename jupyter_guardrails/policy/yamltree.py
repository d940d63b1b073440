"""YAML text -> a tree whose every value knows its file, line and column; or all the mistakes in it. Bounded in size, nodes and depth.

YAML 1.2's plain values: only true/false are booleans (`off` is text), only decimal numbers are numbers. No tags, no merge keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from jupyter_guardrails.errors import Problem

LARGEST_FILE = 4 * 2**20
MOST_NODES = 500_000
DEEPEST = 20
TOO_DEEP = f"is nested more than {DEEPEST} deep"
LONGEST_NUMBER = 30
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
INTEGER = re.compile(r"[-+]?[0-9]+", re.ASCII)
NUMBER = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)([eE][-+]?[0-9]+)?", re.ASCII)
PLAIN = (
    dict.fromkeys(("", "~", "null", "Null", "NULL"))
    | dict.fromkeys(("true", "True", "TRUE"), True)
    | dict.fromkeys(("false", "False", "FALSE"), False)
)


@dataclass(frozen=True, slots=True)
class Source:
    """One file's name, as shown to the admin, and its lines."""

    name: str
    lines: tuple[str, ...]

    def problem(self, line: int, column: int, message: str, *, hint: str = "") -> Problem:
        """A problem at a place of this file, with that line; a very long line isn't shown."""
        text = self.lines[line - 1].replace("\t", " ") if 0 < line <= len(self.lines) else ""
        return Problem(self.name, line, column, _visible(message), _visible(hint), text if len(text) <= 240 else "")


def _visible(text: str) -> str:
    """The text with control characters and the like written out: what a file holds can't steer a terminal."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


@dataclass(slots=True)
class Node:
    """A value: `items` of a sequence, `entries` of a mapping (key -> (key's node, value)), else `scalar`."""

    source: Source
    line: int
    column: int
    kind: str
    scalar: Any = None
    raw: str = ""  # the scalar as it is written
    items: list[Node] = field(default_factory=list)
    entries: dict[str, tuple[Node, Node]] = field(default_factory=dict)
    size: int = 1

    def plain(self) -> Any:
        """The value as dicts, tuples and scalars."""
        if self.kind == "mapping":
            return {key: value.plain() for key, (_, value) in self.entries.items()}
        return tuple(item.plain() for item in self.items) if self.kind == "sequence" else self.scalar

    def problem(self, message: str, *, hint: str = "") -> Problem:
        """A problem at this value's place."""
        return self.source.problem(self.line, self.column, message, hint=hint)


class _Stop(Exception):
    """Reading can't go on after this problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def read_tree(data: bytes, name: str) -> tuple[Node | None, list[Problem]]:
    """The file's one document, or None with the reason; duplicate keys and tags are all reported."""
    composer = _Composer(Source(name, ()))
    try:
        text = _decode(data, name)
        composer.source = Source(name, tuple(LINE_BREAK.split(text)))
        _refuse_unprintable(composer.source)
        root = composer.compose(text)
    except _Stop as stop:
        return None, [*composer.problems, stop.problem]
    except yaml.MarkedYAMLError as error:
        return None, [*composer.problems, _syntax_problem(composer.source, error)]
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # PyYAML without libyaml: chr() and int() of what the file says
        return None, [*composer.problems, composer.source.problem(0, 0, f"is not YAML: {error}".splitlines()[0])]
    return root, composer.problems


def _decode(data: bytes, name: str) -> str:
    source = Source(name, ())
    if len(data) > LARGEST_FILE:
        raise _Stop(source.problem(0, 0, f"is larger than {LARGEST_FILE // 2**20} MiB", hint="split it into several files in one directory"))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise _Stop(Problem(name, line, column, "the file is not UTF-8 text", "save it as UTF-8")) from error


def _refuse_unprintable(source: Source) -> None:
    for number, line in enumerate(source.lines, start=1):
        if found := UNPRINTABLE.search(line):
            message = f"the character U+{ord(found.group()):04X} can't stand in YAML"
            raise _Stop(Problem(source.name, number, found.start() + 1, message, "remove it"))


def _syntax_problem(source: Source, error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    text = source.lines[line - 1] if 0 < line <= len(source.lines) else ""
    if "\t" in text[: max(column, 1)]:
        return source.problem(line, text.index("\t") + 1, "a tab can't indent YAML", hint="use spaces")
    what = " ".join(part for part in (error.context, error.problem) if part)
    if "nesting depth" in what:  # libyaml 0.2.6 counts flow levels itself, ahead of its events
        return source.problem(line, column, TOO_DEEP)
    return source.problem(line, column, f"is not YAML: {what}", hint=_syntax_hint(what))


def _syntax_hint(what: str) -> str:
    hints = {
        "mapping values are not allowed": "a text that holds `: ` needs quotes; or the line is indented too far",
        "could not find expected ':'": "a `:` is missing, or the line is indented wrongly",
        "expected <block end>": "the line is indented differently from its neighbours",
        "undefined alias": "an alias (*name) needs its anchor (&name) before it; a pattern that starts with * needs quotes",
        "did not find expected alphabetic or numeric": "a pattern that starts with * needs quotes",
        "cannot start any token": "quote the text",
        "flow": "text that holds { } [ ] or a comma needs quotes in here",
    }
    return next((hint for part, hint in hints.items() if part in what), "")


class _Composer:
    """Builds the tree from YAML's events without recursion, so depth and aliases can't hurt."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self._anchors: dict[str, Node | None] = {}
        self._count = 0

    def compose(self, text: str) -> Node | None:
        """The root of the one document, None for an empty file."""
        stack: list[tuple[Node, list[Node], str | None]] = []
        root: Node | None = None
        for event in self._content(text):
            if isinstance(event, yaml.CollectionStartEvent):
                self._descend(stack, event)
                continue
            if isinstance(event, yaml.CollectionEndEvent):
                node, children, anchor = stack.pop()
                self._close(node, children, anchor)
            else:
                node = self._leaf(event)
            if stack:
                stack[-1][1].append(node)
            else:
                root = node
        return root

    def _content(self, text: str) -> Iterator[Any]:
        """The events of one document; a second one is a mistake."""
        documents = 0
        for event in yaml.parse(text, Loader=LOADER):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Stop(self._problem(event, "a second document starts here", hint="write one document a file"))
            elif isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
                yield event

    def _descend(self, stack: list[tuple[Node, list[Node], str | None]], event: Any) -> None:
        if len(stack) >= DEEPEST:
            raise _Stop(self._problem(event, TOO_DEEP))
        kind = "mapping" if isinstance(event, yaml.MappingStartEvent) else "sequence"
        if event.anchor:
            self._anchors[event.anchor] = None  # until it is complete: an alias inside itself is seen
        stack.append((self._node(event, kind), [], event.anchor))

    def _leaf(self, event: Any) -> Node:
        if isinstance(event, yaml.AliasEvent):
            target = self._anchors.get(str(event.anchor))
            if target is None:
                what = "refers to itself" if event.anchor in self._anchors else "has no anchor before it"
                raise _Stop(self._problem(event, f"the alias *{event.anchor} {what}", hint="a pattern that starts with * needs quotes"))
            self._grow(target.size, event)
            return target
        node = self._node(event, "scalar")
        node.scalar, node.raw = self._resolve(event), event.value
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _close(self, node: Node, children: list[Node], anchor: str | None) -> None:
        node.size = 1 + sum(child.size for child in children)
        if node.kind == "sequence":
            node.items = children
        else:
            self._enter(node, children)
        if anchor:
            self._anchors[anchor] = node

    def _enter(self, node: Node, children: list[Node]) -> None:
        for key, value in zip(children[::2], children[1::2], strict=True):
            if key.kind != "scalar" or key.scalar is None:
                self.problems.append(key.problem("a key must be plain text"))
            elif key.raw == "<<":
                self.problems.append(key.problem("merge keys (<<) are not read here", hint="write the keys out"))
            elif key.raw in node.entries:
                first = node.entries[key.raw][0].line
                self.problems.append(key.problem(f"the key `{key.raw}` is here twice, first on line {first}", hint="remove one of them"))
            else:
                node.entries[key.raw] = (key, value)

    def _node(self, event: Any, kind: str) -> Node:
        if event.tag is not None and not (event.tag == "!" and kind == "scalar"):
            self.problems.append(self._problem(event, f"the tag {event.tag} is not allowed", hint="remove it: plain values are enough"))
        self._grow(1, event)
        return Node(self.source, event.start_mark.line + 1, event.start_mark.column + 1, kind)

    def _resolve(self, event: Any) -> Any:
        """A plain scalar's meaning; quoted text stays text."""
        text: str = event.value
        if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
            raise _Stop(self._problem(event, "half a surrogate pair can't stand in text"))
        if event.style or not event.implicit[0]:
            return text
        if text in PLAIN:
            return PLAIN[text]
        if len(text) > LONGEST_NUMBER:
            return text
        if INTEGER.fullmatch(text):
            return int(text)
        return float(text) if NUMBER.fullmatch(text) else text

    def _grow(self, size: int, event: Any) -> None:
        self._count += size
        if self._count > MOST_NODES:
            raise _Stop(self._problem(event, f"holds more than {MOST_NODES:,} values (aliases counted out)"))

    def _problem(self, event: Any, message: str, *, hint: str = "") -> Problem:
        mark = event.start_mark
        return self.source.problem(mark.line + 1, mark.column + 1, message, hint=hint)
