"""Contracts as JSON, for the cache and for what reading processes answer. What products are made of is found anew each time, and not kept."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from jupyter_guardrails.catalog.model import Column, Contract
from jupyter_guardrails.catalog.quality import QualityRule
from jupyter_guardrails.errors import Problem

CONTRACT_FIELDS = [field.name for field in dataclasses.fields(Contract) if field.name != "made_from"]
COLUMN_FIELDS = [field.name for field in dataclasses.fields(Column)]
RULE_FIELDS = [field.name for field in dataclasses.fields(QualityRule)]
PROBLEM_FIELDS = [field.name for field in dataclasses.fields(Problem)]
LAYOUT = [CONTRACT_FIELDS, COLUMN_FIELDS, RULE_FIELDS, PROBLEM_FIELDS]  # another version of this program may have another


def encoded(contract: Contract) -> str:
    """One line of text."""
    return json.dumps([getattr(contract, name) for name in CONTRACT_FIELDS], default=_part)


def _part(part: Any) -> Any:
    if isinstance(part, QualityRule):
        return part.to_json()
    return [getattr(part, name) for name in (COLUMN_FIELDS if isinstance(part, Column) else PROBLEM_FIELDS)]


class Decoder:
    """Gives contracts back. Columns that are alike in many of them, as they are in a big catalogue, become one object."""

    def __init__(self) -> None:
        self._columns: dict[tuple[str, ...], Column] = {}

    def decoded(self, text: str | bytes) -> Contract:
        """ValueError for what is no contract."""
        try:
            values: dict[str, Any] = dict(zip(CONTRACT_FIELDS, json.loads(text), strict=True))
            values["columns"] = tuple(map(self._column, values["columns"]))
            values["quality"] = tuple(map(QualityRule.from_json, values["quality"]))
            values["problems"] = tuple(Problem(*problem) for problem in values["problems"])
            values |= {key: tuple(values[key]) for key in ("tags", "purposes")}
            return Contract(**values)
        except (TypeError, KeyError) as error:
            raise ValueError("what was kept is no contract") from error

    def _column(self, values: list[str]) -> Column:
        key = tuple(values)
        return self._columns.get(key) or self._columns.setdefault(key, Column(*key))
