"""Row filters: `column (=|!=|<|<=|>|>=|in) literal`, joined by `and` / `or`, parentheses allowed. Parsed here, never handed to SQL as text.

A literal is 'text' (a quote inside is doubled), a number, true or false, or {user.attribute}; `in` takes a list in parentheses or one attribute.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from jupyter_guardrails.policy.wording import shown

TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?[0-9]{1,15}(?:\.[0-9]{1,15})?(?![\w.]))|\{user\.(?P<attribute>[a-z][a-z0-9_]*)\}"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<operator><=|>=|!=|=|<|>)|(?P<mark>[(),]))",
    re.ASCII,
)
LONGEST_FILTER, DEEPEST_FILTER = 4000, 20
WORDS = ("and", "or", "in", "true", "false")


@dataclass(frozen=True, slots=True)
class Attribute:
    """`{user.name}`: filled in from what is known about the person."""

    name: str


Literal = str | int | float | bool | Attribute


@dataclass(frozen=True, slots=True)
class Comparison:
    """`column operator literal`; for `in` the literal is a tuple or an attribute that holds several."""

    column: str
    operator: str
    literal: Literal | tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Junction:
    """Two or more terms joined by `and` or `or`."""

    word: str
    terms: tuple[Filter, ...]


Filter = Comparison | Junction


def parse_filter(text: object) -> Filter:
    """The filter as a tree; ValueError, as a sentence, for anything that isn't one."""
    if not isinstance(text, str):
        raise ValueError(f"a row filter must be text, not {shown(text)}")
    parser = _Parser(_tokens(text))
    tree = parser.junction("or", 0)
    if parser.kind:
        raise ValueError(f"{shown(parser.value)} is left over after the row filter: join comparisons by and / or")
    return tree


def render(tree: Filter) -> str:
    """The filter's one canonical spelling; `parse_filter` of it gives the same tree."""
    if isinstance(tree, Junction):
        parts = [f"({render(term)})" if isinstance(term, Junction) else render(term) for term in tree.terms]
        return f" {tree.word} ".join(parts)
    if isinstance(tree.literal, tuple):
        return f"{tree.column} in ({', '.join(_render_literal(item) for item in tree.literal)})"
    return f"{tree.column} {tree.operator} {_render_literal(tree.literal)}"


def all_of(trees: Sequence[Filter]) -> Filter:
    """One filter that keeps only the rows that each of them keeps."""
    terms = tuple(dict.fromkeys(term for tree in trees for term in (tree.terms if isinstance(tree, Junction) and tree.word == "and" else (tree,))))
    return terms[0] if len(terms) == 1 else Junction("and", terms)


def fill(tree: Filter, attributes: Mapping[str, str | tuple[str, ...]]) -> Filter:
    """The filter with each known attribute in its place; an unknown one stays, and `unknown` names it."""
    if isinstance(tree, Junction):
        return Junction(tree.word, tuple(fill(term, attributes) for term in tree.terms))
    if isinstance(tree.literal, tuple):
        return Comparison(tree.column, tree.operator, tuple(_one(item, attributes) for item in tree.literal))
    value = attributes.get(tree.literal.name) if isinstance(tree.literal, Attribute) else None
    if value is None or isinstance(value, tuple) != (tree.operator == "in"):
        return tree
    return Comparison(tree.column, tree.operator, value)


def unknown(tree: Filter) -> tuple[str, ...]:
    """Names of the attributes that nothing filled in."""
    if isinstance(tree, Junction):
        return tuple(dict.fromkeys(name for term in tree.terms for name in unknown(term)))
    items = tree.literal if isinstance(tree.literal, tuple) else (tree.literal,)
    return tuple(item.name for item in items if isinstance(item, Attribute))


def _one(item: Literal, attributes: Mapping[str, str | tuple[str, ...]]) -> Literal:
    value = attributes.get(item.name) if isinstance(item, Attribute) else None
    return value if isinstance(value, str) else item


def _render_literal(literal: Literal) -> str:
    match literal:
        case Attribute(name):
            return f"{{user.{name}}}"
        case bool():
            return str(literal).lower()
        case str():
            return "'" + literal.replace("'", "''") + "'"
        case float():
            return format(Decimal(repr(literal)), "f")
    return str(literal)


def _tokens(text: str) -> list[tuple[str, str]]:
    """(kind, value) pairs; ValueError at the first character that starts none."""
    if len(text) > LONGEST_FILTER:
        raise ValueError(f"a row filter may have {LONGEST_FILTER} characters at most")
    tokens, position, text = [], 0, text.rstrip()
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise ValueError(f"{text[position:].strip()[:20]!r} can't stand in a row filter: column, = != < <= > >= in, 'text', a number, and, or")
        tokens.append((match.lastgroup, match.group(match.lastgroup)))
        position = match.end()
    return tokens


class _Parser:
    """Recursive descent over the tokens, bounded in depth."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = [*tokens, ("", "the end")]
        self._at = 0

    @property
    def kind(self) -> str:
        return self._tokens[self._at][0]

    @property
    def value(self) -> str:
        return self._tokens[self._at][1]

    def junction(self, word: str, depth: int) -> Filter:
        """Terms joined by `or`, each of them terms joined by `and`."""
        if depth > DEEPEST_FILTER:
            raise ValueError("the row filter is nested too deeply")
        terms = [self._operand(word, depth)]
        while self._is("word", word):
            self._next()
            terms.append(self._operand(word, depth))
        return terms[0] if len(terms) == 1 else Junction(word, tuple(terms))

    def _operand(self, word: str, depth: int) -> Filter:
        if word == "or":
            return self.junction("and", depth)
        if not self._is("mark", "("):
            return self._comparison()
        self._next()
        inner = self.junction("or", depth + 1)
        self._expect("mark", ")")
        return inner

    def _comparison(self) -> Comparison:
        if self.kind != "word" or self.value.lower() in WORDS:
            raise ValueError(f"a column's name must stand before {shown(self.value)}")
        column = self._next()
        if self._is("word", "in"):
            self._next()
            return Comparison(column, "in", self._list())
        if self.kind != "operator":
            raise ValueError(f"after {shown(column)} must stand one of = != < <= > >= in, not {shown(self.value)}")
        operator = self._next()
        return Comparison(column, operator, self._literal())

    def _list(self) -> Literal | tuple[Literal, ...]:
        if self.kind == "attribute":
            return self._literal()
        self._expect("mark", "(")
        items: list[Literal] = []
        while not self._is("mark", ")"):
            if items:
                self._expect("mark", ",")
            items.append(self._literal())
        self._expect("mark", ")")
        return tuple(items)

    def _literal(self) -> Literal:
        kind, value = self.kind, self.value
        if kind not in ("text", "number", "attribute") and not (kind == "word" and value.lower() in ("true", "false")):
            raise ValueError(f"{shown(value)} is no literal: write 'text' in single quotes, a number, true, false or {{user.name}}")
        self._next()
        match kind:
            case "text":
                return value[1:-1].replace("''", "'")
            case "number":
                return float(value) if "." in value else int(value)
            case "attribute":
                return Attribute(value)
        return value.lower() == "true"

    def _is(self, kind: str, word: str) -> bool:
        return self.kind == kind and self.value.lower() == word

    def _next(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _expect(self, kind: str, value: str) -> None:
        if not self._is(kind, value):
            raise ValueError(f"{shown(value)} is missing before {shown(self.value)}")
        self._next()
