"""Quality rules measured in the broker's worker: one pass over a source, raw values in, counts and percentages out; no value ever leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from jupyter_guardrails.catalog.measures import Measure, NotMeasurable, measure_of, paths_of, top_of, values_at
from jupyter_guardrails.catalog.quality import QualityRule
from jupyter_guardrails.catalog.sources import Source
from jupyter_guardrails.catalog.spill import Spill, SpillFull

Opener = Callable[["Sequence[str] | None"], Source]
TOO_MANY = "too many different values to be counted here"


def measured(rules: Sequence[QualityRule], opened: Opener, spill: int, look_up: Callable[[], None]) -> dict[str, Any]:
    """`{rows, results: [{state, count, percent, reason}]}` in the order of the rules. `look_up` is called often, and may end it.

    `opened` gives a source of these columns; `spill` is a descriptor of an empty file.
    """
    first = opened(None)
    schema = first.schema
    first.close()
    asked = [rule for rule in rules if rule.metric]
    pool = Spill(spill, counts=sum(rule.metric == "duplicateValues" for rule in asked))
    running = {id(rule): _Running(rule, schema, pool) for rule in asked}
    rows = _passed_over(list(running.values()), opened, schema, look_up) if asked else 0
    return {"rows": rows, "results": [_result(rule, running.get(id(rule))) for rule in rules]}


def _passed_over(running: Sequence[_Running], opened: Opener, schema: pa.Schema, look_up: Callable[[], None]) -> int:
    wanted = {name for one in running if not one.reason for name in one.columns}
    columns = [name for name in schema.names if name in wanted] or list(schema.names[:1])
    source, rows = opened(columns), 0
    try:
        for batch in source.batches():
            look_up()
            rows += batch.num_rows
            for one in running:
                one.see(batch)
    finally:
        source.close()
    for one in running:
        one.end(rows)
    return rows


class _Running:
    """One rule while data passes; `reason` says why it is not checked."""

    def __init__(self, rule: QualityRule, schema: pa.Schema, spill: Spill) -> None:
        self.rule = rule
        self.reason = ""
        self.count = 0
        self.total = 0
        paths = paths_of(rule)
        self.columns = [name for path in paths if (name := top_of(path, schema))]
        self._measure: Measure | None = None
        nothing = pa.RecordBatch.from_pylist([], schema=schema)
        try:
            if len(self.columns) < len(paths):
                missing = next(path for path in paths if not top_of(path, schema))
                raise NotMeasurable(f"the data has no column {missing}")
            if len(paths) > 1 and any("[]" in path for path in paths):
                raise NotMeasurable("items of lists can't be looked at together with other columns")
            self._measure = measure_of(rule, [values_at(nothing, path).type for path in paths], spill)
        except NotMeasurable as error:
            self.reason = str(error)

    def see(self, batch: pa.RecordBatch) -> None:
        if self.reason or self._measure is None:
            return
        try:
            self.total += self._measure.see(batch)
        except SpillFull:
            self.reason = TOO_MANY

    def end(self, rows: int) -> None:
        if self._measure is not None and not self.reason:
            self.count = self._measure.count()
            self.total = rows if self.rule.metric == "rowCount" else self.total


def _result(rule: QualityRule, done: _Running | None) -> dict[str, Any]:
    reason = rule.unchecked if done is None else done.reason
    if done is None or reason:
        return {"state": "text" if rule.shown_only else "not_checked", "count": None, "percent": None, "reason": reason}
    percent = 100.0 * done.count / done.total if done.total else 0.0
    passed = rule.passes(percent if rule.unit == "percent" else done.count)
    return {"state": "passed" if passed else "failed", "count": done.count, "percent": None if rule.metric == "rowCount" else percent, "reason": ""}
