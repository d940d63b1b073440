"""Quality rules of a contract (ODCS `quality:` of a table or a column) as plain values, what they say in words, and whether a number passes.

| metric | what is counted |
| --- | --- |
| nullValues | nulls |
| missingValues | what `arguments.missingValues` lists; without it nulls and empty texts |
| invalidValues | values that are not in `arguments.validValues`, or that `arguments.pattern` does not match as a whole; nulls are not invalid |
| duplicateValues | values that occurred before, nulls left out; of a table: of `arguments.properties` together |
| rowCount | rows of the table |

Rules of type `text` are for people; what `sql` and `custom` ask for is not checked here.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from open_data_contract_standard.model import DataQuality

METRICS = {
    "nullValues": "null values",
    "missingValues": "missing values",
    "invalidValues": "invalid values",
    "duplicateValues": "duplicate values",
    "rowCount": "rows",
}
ARGUMENTS = {"missingValues": {"missingValues"}, "invalidValues": {"validValues", "pattern"}, "duplicateValues": {"properties"}}
OPERATORS = {
    "mustBe": "exactly {}",
    "mustNotBe": "not {}",
    "mustBeGreaterThan": "more than {}",
    "mustBeGreaterOrEqualTo": "at least {}",
    "mustBeLessThan": "less than {}",
    "mustBeLessOrEqualTo": "at most {}",
    "mustBeBetween": "from {} to {}",
    "mustNotBeBetween": "not from {} to {}",
}
TYPES = ("text", "library", "sql", "custom")
UNITS = ("rows", "percent")
MOST_RULES = 1000  # of one contract
MOST_VALUES, MOST_PATTERN = 10_000, 1000
FOREIGN = "{} rules are written for other engines, and are not run here"


@dataclass(frozen=True, slots=True)
class QualityRule:
    """One rule. `column`: path as in Column, empty for the table's; `unchecked`: why it is not measured, empty for one that is."""

    name: str
    column: str = ""
    metric: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    operator: str = ""
    bound: tuple[float, ...] = ()
    unit: str = "rows"
    severity: str = ""
    text: str = ""
    unchecked: str = ""
    shown_only: bool = False  # of type text: a sentence for people

    @property
    def limit(self) -> str:
        """`at most 5 % null values in email`, without its arguments: those may quote values."""
        if not self.metric:
            return self.text
        amount = OPERATORS[self.operator].format(*(f"{value:g}" for value in self.bound)) + (" %" if self.unit == "percent" else "")
        if self.metric == "rowCount":
            return f"{amount} rows"
        properties = self.arguments.get("properties")
        where = self.column or (", ".join(properties) if properties else "")
        return f"{amount} {METRICS[self.metric]} in {where}"

    def passes(self, measured: float) -> bool:
        """Whether a count, or a percentage, is what the rule asks for. Bounds of `between` belong to it."""
        first, last = self.bound[0], self.bound[-1]
        return {
            "mustBe": measured == first,
            "mustNotBe": measured != first,
            "mustBeGreaterThan": measured > first,
            "mustBeGreaterOrEqualTo": measured >= first,
            "mustBeLessThan": measured < first,
            "mustBeLessOrEqualTo": measured <= first,
            "mustBeBetween": first <= measured <= last,
            "mustNotBeBetween": not first <= measured <= last,
        }[self.operator]

    def to_json(self) -> dict[str, Any]:
        """Plain data, for a worker and a cache."""
        return {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> QualityRule:
        """What `to_json` made."""
        return cls(**dict(said) | {"bound": tuple(said["bound"])})


class Mistake(NamedTuple):
    """What is wrong with the rule of this number, at which key."""

    number: int
    key: str
    message: str
    hint: str = ""


def digest_of(rules: Iterable[QualityRule]) -> str:
    """Changes when any rule does: results of other rules say nothing."""
    return hashlib.sha256(json.dumps([rule.to_json() for rule in rules], sort_keys=True, default=str).encode()).hexdigest()


def read_rules(items: Sequence[DataQuality], column: str) -> tuple[list[QualityRule], list[Mistake]]:
    """The rules of a column, or of the table where `column` is empty, and every mistake in them."""
    rules, mistakes = [], []
    for index, item in enumerate(items):
        wrong = [Mistake(index, *said) for said in _complaints(item, column)]
        mistakes += wrong
        if not wrong:
            rules.append(_rule(item, column))
    return rules, mistakes


def _kind(item: DataQuality) -> str:
    guessed = "library" if _metric(item) else "sql" if item.query else "custom" if item.engine or item.implementation else "text"
    return item.type or guessed


def _metric(item: DataQuality) -> str:
    return item.metric or item.rule or ""  # `rule` is what 3.0 called it


def _operators(item: DataQuality) -> list[str]:
    return [name for name in OPERATORS if getattr(item, name) is not None]


def _rule(item: DataQuality, column: str) -> QualityRule:
    kind, text = _kind(item), (item.description or item.name or "").strip()
    same = QualityRule(item.name or item.id or "", column, severity=item.severity or "", text=text)
    if kind != "library":
        return dataclasses.replace(same, unchecked="" if kind == "text" else FOREIGN.format(kind), shown_only=kind == "text")
    (operator,) = _operators(item)
    measured = dataclasses.replace(same, metric=_metric(item), arguments=dict(item.arguments or {}), unit=item.unit or "rows")
    return dataclasses.replace(measured, operator=operator, bound=tuple(_bound(item, operator)))


def _bound(item: DataQuality, operator: str) -> list[Any]:
    """One number, or the two of a `between`."""
    given = getattr(item, operator)
    return given if isinstance(given, list) else [given]


def _complaints(item: DataQuality, column: str) -> list[tuple[str, ...]]:
    """(key, what is wrong, what to write instead) for each mistake."""
    kind = _kind(item)
    if kind not in TYPES:
        return [("type", f"{kind} is not one of {', '.join(TYPES)}")]
    if kind != "library":
        return []
    metric = _metric(item)
    if metric not in METRICS:
        return [("metric", f"the metric {metric or 'is missing and'} is not one of {', '.join(METRICS)}")]
    found = [*_about_place(metric, column, item.arguments or {}), *_about_arguments(metric, item.arguments or {})]
    return [*found, *_about_limit(item, metric)]


def _about_place(metric: str, column: str, arguments: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    if metric == "rowCount" and column:
        yield "metric", "rowCount is of a table, not of a column", "write it under `quality` of the schema's entry"
    elif metric == "duplicateValues" and not column and not arguments.get("properties"):
        yield "arguments", "duplicateValues of a table needs the columns to look at together", "arguments: {properties: [a, b]}"
    elif not column and metric not in ("rowCount", "duplicateValues"):
        yield "metric", f"{metric} is of a column, not of a table", "write it under `quality` of a property"


def _about_arguments(metric: str, arguments: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    known = ARGUMENTS.get(metric, set())
    if odd := sorted(set(arguments) - known):
        yield "arguments", f"{metric} has no argument {odd[0]}", f"known: {', '.join(sorted(known)) or 'none'}"
    if metric == "invalidValues" and not {"validValues", "pattern"} & set(arguments):
        yield "arguments", "invalidValues needs validValues or a pattern", "arguments: {validValues: [a, b]}"
    for key in ("validValues", "missingValues", "properties"):
        if key in arguments and (wrong := _about_list(key, arguments[key])):
            yield "arguments", wrong
    if "pattern" in arguments and not _is_pattern(arguments["pattern"]):
        yield "arguments", f"pattern is no regular expression of at most {MOST_PATTERN} characters", "it has to match values as a whole"


def _about_list(key: str, given: Any) -> str:
    plain = (str,) if key == "properties" else (str, int, float, bool, *((type(None),) if key == "missingValues" else ()))
    right = isinstance(given, list) and 0 < len(given) <= MOST_VALUES and all(isinstance(value, plain) for value in given)
    return "" if right else f"{key} has to be a list of 1 to {MOST_VALUES} {'names' if key == 'properties' else 'texts or numbers'}"


def _is_pattern(text: Any) -> bool:
    try:
        return isinstance(text, str) and 0 < len(text) <= MOST_PATTERN and bool(re.compile(text))
    except re.error:
        return False


def _about_limit(item: DataQuality, metric: str) -> Iterable[tuple[str, ...]]:
    operators = _operators(item)
    if len(operators) != 1:
        yield "", f"{'no' if not operators else 'more than one'} limit is given", f"write one of {', '.join(OPERATORS)}"
        return
    bound = _bound(item, operators[0])
    if not all(map(_is_amount, bound)) or bound != sorted(bound):
        needed = "two numbers, the lower first" if isinstance(getattr(item, operators[0]), list) else "a number"
        yield operators[0], f"{operators[0]} needs {needed}, 0 or more"
    if (item.unit or "rows") not in UNITS:
        yield "unit", f"the unit {item.unit} is not one of {', '.join(UNITS)}"
    elif item.unit == "percent":
        yield from _about_percent(metric, operators[0], bound)


def _is_amount(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def _about_percent(metric: str, operator: str, bound: Sequence[Any]) -> Iterable[tuple[str, ...]]:
    if metric == "rowCount":
        yield "unit", "rowCount has no percent", "leave `unit` out"
    elif any(isinstance(value, (int, float)) and value > 100 for value in bound):
        yield operator, "a percentage is at most 100"
