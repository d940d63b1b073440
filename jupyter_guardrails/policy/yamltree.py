"""YAML text -> a tree whose every value knows its file, line and column; or all the mistakes in it. Bounded in size, nodes and depth.

YAML 1.2's plain values: only true/false are booleans (`off` is text), only decimal numbers are numbers. No tags, no merge keys.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from jupyter_guardrails.errors import Problem
from jupyter_guardrails.policy.source import Source, Unreadable, read_source

LARGEST_FILE = 4 * 2**20
MOST_NODES = 500_000
MOST_PROBLEMS = 1000  # of one kind in one file: nobody reads more, and a thousand times as many would take minutes
DEEPEST = 20
TOO_DEEP = f"is nested more than {DEEPEST} deep"
LONGEST_NUMBER = 30
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
CONTENT = (yaml.NodeEvent, yaml.CollectionEndEvent)
STARTS_NUMBER = frozenset("+-.0123456789")
# Without zeros in front: 010 is ten in YAML 1.2 and eight in YAML 1.1, so it stays text.
INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)", re.ASCII)
NUMBER = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?", re.ASCII)
WRONG_INDENT = (
    "the line is indented neither like line {start}, where its part starts, nor like what stands above it; "
    "or a text that holds quotes needs quotes around all of it"
)
# What the parsers say -> what to do; `start` is the line where the part that they were reading began.
SYNTAX_HINTS = {
    "mapping values are not allowed": "a text that holds `: ` needs quotes; or the line is indented too far, or a `:` is missing on the line before",
    "quoted scalar found unexpected end": "the quote that opens on line {start} is not closed",
    "',' or ']'": "the `[` of line {start} is not closed, or a text in it that holds {{ }} [ ] : or a comma needs quotes",
    "',' or '}'": "the `{{` of line {start} is not closed, or a text in it that holds {{ }} [ ] : or a comma needs quotes",
    "expected '-' indicator": "indent it further, or start it with `- ` like the list's first entry on line {start}",
    "did not find expected key": WRONG_INDENT,
    "expected <block end>": WRONG_INDENT,
    "could not find expected ':'": "a `:` is missing, or the line is indented wrongly",
    "sequence entries are not allowed": "start the list on a line of its own, or write it as [a, b]",
    "undefined alias": "an alias (*name) needs its anchor (&name) before it; a pattern that starts with * needs quotes",
    "expected alphabetic or numeric": "a pattern that starts with * needs quotes, and so does a text that starts with &",
    "cannot start any token": "a text that starts with @, % or ` needs quotes",
    "directive": "a text that starts with % needs quotes",
    "escape": "in double quotes \\ has a meaning of its own: use single quotes",
    "hexdecimal": "in double quotes \\ has a meaning of its own: use single quotes",
    "expected <document start>": "the document ends before this line: by a line of three dots, or by brackets around too little",
    "flow": "text that holds {{ }} [ ] or a comma needs quotes in here",
}
PLAIN = (
    dict.fromkeys(("", "~", "null", "Null", "NULL"))
    | dict.fromkeys(("true", "True", "TRUE"), True)
    | dict.fromkeys(("false", "False", "FALSE"), False)
)


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


def read_tree(data: bytes, name: str) -> tuple[Node | None, list[Problem]]:
    """The file's one document, or None with the reason; duplicate keys and tags are all reported."""
    composer = _Composer(Source(name))
    try:
        if len(data) > LARGEST_FILE:
            message = f"is larger than {LARGEST_FILE // 2**20} MiB"
            raise Unreadable(composer.source.problem(0, 0, message, hint="split it into several files in one directory"))
        composer.source, text = read_source(data, name)
        root = composer.compose(text)
    except Unreadable as stop:
        return None, [*composer.problems, stop.problem]
    except yaml.MarkedYAMLError as error:
        return None, [*composer.problems, _syntax_problem(composer.source, error)]
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # PyYAML without libyaml: chr() and int() of what the file says
        return None, [*composer.problems, composer.source.problem(0, 0, f"is not YAML: {error}".splitlines()[0])]
    return root, composer.problems


def _syntax_problem(source: Source, error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    text = source.lines[line - 1] if 0 < line <= len(source.lines) else ""
    if "\t" in (indent := text[: len(text) - len(text.lstrip(" \t-"))]):
        return source.problem(line, indent.index("\t") + 1, "a tab can't indent YAML", hint="use spaces")
    what = " ".join(part for part in (error.context, error.problem) if part)
    if "nesting depth" in what:  # libyaml 0.2.6 counts flow levels itself, ahead of its events
        return source.problem(line, column, TOO_DEEP)
    start = (error.context_mark or mark).line + 1 if mark else 0
    return source.problem(line, column, f"is not YAML: {what}", hint=_syntax_hint(what, start))


def _syntax_hint(what: str, start: int) -> str:
    return next((hint.format(start=start) for part, hint in SYNTAX_HINTS.items() if part in what), "")


NO_ITEMS: list[Node] = []
NO_ENTRIES: dict[str, tuple[Node, Node]] = {}


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
            elif node.raw or node.scalar is not None or node.kind != "scalar":  # else the document's start is all there is
                root = node
        return root

    def _content(self, text: str) -> Iterator[Any]:
        """The events of one document; a second one is a mistake."""
        documents = 0
        for event in yaml.parse(text, Loader=LOADER):
            if isinstance(event, CONTENT):
                yield event
            elif isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise Unreadable(self._problem(event, "a second document starts here", hint="remove the line, or make it a file of its own"))

    def _descend(self, stack: list[tuple[Node, list[Node], str | None]], event: Any) -> None:
        if len(stack) >= DEEPEST:
            raise Unreadable(self._problem(event, TOO_DEEP))
        kind = "mapping" if isinstance(event, yaml.MappingStartEvent) else "sequence"
        if event.anchor:
            self._anchors[event.anchor] = None  # until it is complete: an alias inside itself is seen
        stack.append((self._node(event, kind), [], event.anchor))

    def _leaf(self, event: Any) -> Node:
        if isinstance(event, yaml.AliasEvent):
            target = self._anchors.get(str(event.anchor))
            if target is None:
                what = "refers to itself" if event.anchor in self._anchors else "has no anchor before it"
                raise Unreadable(self._problem(event, f"the alias *{event.anchor} {what}", hint="a pattern that starts with * needs quotes"))
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
                self._report(key.problem("a key must be plain text", hint="text with { } [ ] in it needs quotes"))
            elif key.raw == "<<":
                self._report(key.problem("merge keys (<<) are not read here", hint="write the keys out"))
            elif key.raw in node.entries:
                first = node.entries[key.raw][0].line
                self._report(key.problem(f"the key `{key.raw}` is here twice, first on line {first}", hint="remove one of them"))
            else:
                node.entries[key.raw] = (key, value)

    def _report(self, problem: Problem) -> None:
        """Keeps a mistake after which reading goes on, unless there are too many."""
        self.problems.append(problem)
        if len(self.problems) >= MOST_PROBLEMS:
            raise Unreadable(self.source.problem(problem.line, problem.column, f"has {MOST_PROBLEMS:,} mistakes up to here; the rest is not read"))

    def _node(self, event: Any, kind: str) -> Node:
        if event.tag is not None and not (event.tag == "!" and kind == "scalar"):
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._report(self._problem(event, f"the tag {tag} is not allowed", hint="remove it: plain values are enough"))
        self._grow(1, event)
        mark = event.start_mark
        if kind == "scalar":  # most nodes are: a list and a mapping of its own for each would double the time
            return Node(self.source, mark.line + 1, mark.column + 1, kind, items=NO_ITEMS, entries=NO_ENTRIES)
        return Node(self.source, mark.line + 1, mark.column + 1, kind)

    def _resolve(self, event: Any) -> Any:
        """A plain scalar's meaning; quoted text stays text."""
        text: str = event.value
        if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
            raise Unreadable(self._problem(event, "half a surrogate pair can't stand in text"))
        if event.style or not event.implicit[0]:
            return text
        if text in PLAIN:
            return PLAIN[text]
        if text[0] not in STARTS_NUMBER or len(text) > LONGEST_NUMBER:
            return text
        if INTEGER.fullmatch(text):
            return int(text)
        number = float(text) if NUMBER.fullmatch(text) else math.inf
        return number if math.isfinite(number) else text  # 1e999 is more than a number can be

    def _grow(self, size: int, event: Any) -> None:
        self._count += size
        if self._count > MOST_NODES:
            raise Unreadable(self._problem(event, f"holds more than {MOST_NODES:,} values (aliases counted out)"))

    def _problem(self, event: Any, message: str, *, hint: str = "") -> Problem:
        mark = event.start_mark
        return self.source.problem(mark.line + 1, mark.column + 1, message, hint=hint)
