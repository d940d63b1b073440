"""Row filters that readers give, and filters on their way to the broker: structured data, never text of a query language.

A reader's filter is text of the policy's grammar (`delay > 10 and origin = 'JFK'`), a list of `[column, operator, literal]` that all must hold,
or `{"and": [...]}` / `{"or": [...]}` of those; lists take column names that the grammar has no words for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.policy.rowfilter import Comparison, Filter, Junction, parse_filter, unknown

OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "in")
MAX_TERMS, MAX_DEPTH, MAX_ITEMS, MAX_TEXT = 200, 20, 1000, 4000
HOW = "write text like \"delay > 10 and origin = 'JFK'\", or a list of [column, operator, value]"


def read_filter(given: Any) -> Filter | None:
    """The tree of a reader's filter, None for none; BadRequest, as a sentence, for anything that isn't one."""
    if given is None or given == [] or given == "":
        return None
    try:
        tree = parse_filter(given) if isinstance(given, str) else _tree(given, 0)
    except ValueError as error:
        raise BadRequest(f"the filter is not understood: {error}", next_step=HOW) from error
    if open_names := unknown(tree):
        raise BadRequest(f"the filter names {{user.{open_names[0]}}}, which only policies may", next_step="write the value itself")
    if sum(1 for _ in comparisons(tree)) > MAX_TERMS:
        raise BadRequest(f"the filter has more than {MAX_TERMS} comparisons", next_step="use `in`, or filter in your own code")
    return tree


def comparisons(tree: Filter) -> Iterator[Comparison]:
    """Every comparison in a filter."""
    if isinstance(tree, Comparison):
        yield tree
        return
    for term in tree.terms:
        yield from comparisons(term)


def columns_of(tree: Filter | None) -> tuple[str, ...]:
    """Names of the columns that a filter compares."""
    return tuple(dict.fromkeys(one.column for one in comparisons(tree))) if tree is not None else ()


def to_json(tree: Filter | None) -> Any:
    """Plain data from which `from_json` makes the same tree."""
    if tree is None:
        return None
    if isinstance(tree, Junction):
        return {tree.word: [to_json(term) for term in tree.terms]}
    literal = list(tree.literal) if isinstance(tree.literal, tuple) else tree.literal
    return [tree.column, tree.operator, literal]


def from_json(data: Any) -> Filter | None:
    """The tree that `to_json` wrote; ValueError for anything else."""
    return None if data is None else _tree(data, 0)


def _tree(data: Any, depth: int) -> Filter:
    if depth > MAX_DEPTH:
        raise ValueError("it is nested too deeply")
    if isinstance(data, dict):
        if len(data) != 1 or not set(data) <= {"and", "or"}:
            raise ValueError("an object in it has one key, `and` or `or`")
        word, terms = next(iter(data.items()))
        return _joined(word, terms, depth)
    if isinstance(data, (list, tuple)) and len(data) == 3 and isinstance(data[0], str):
        return _comparison(*data)
    return _joined("and", data, depth)


def _joined(word: str, terms: Any, depth: int) -> Filter:
    if not isinstance(terms, (list, tuple)) or not 1 <= len(terms) <= MAX_TERMS:
        raise ValueError(f"`{word}` takes a list of 1 to {MAX_TERMS} terms")
    found = tuple(_tree(term, depth + 1) for term in terms)
    return found[0] if len(found) == 1 else Junction(word, found)


def _comparison(column: Any, operator: Any, literal: Any) -> Comparison:
    if operator not in OPERATORS:
        raise ValueError(f"{str(operator)[:20]!r} is not one of {' '.join(OPERATORS)}")
    if operator != "in":
        return Comparison(column, operator, _literal(literal))
    if not isinstance(literal, (list, tuple)) or len(literal) > MAX_ITEMS:
        raise ValueError(f"`in` takes a list of at most {MAX_ITEMS} values")
    return Comparison(column, operator, tuple(map(_literal, literal)))


def _literal(value: Any) -> str | int | float | bool:
    if not isinstance(value, (str, int, float, bool)) or (isinstance(value, str) and len(value) > MAX_TEXT):
        raise ValueError(f"a value is a text of at most {MAX_TEXT} characters, a number, true or false")
    if isinstance(value, float) and value - value != 0:
        raise ValueError("a number is finite")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("a number has at most 64 bits")
    return value


def names(given: Sequence[str] | None) -> tuple[str, ...] | None:
    """A reader's list of columns without repeats; None for all."""
    return None if given is None else tuple(dict.fromkeys(given))
