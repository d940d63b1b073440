"""What the files are that a clean run wrote: the columns of those that are tables, and whether they are what was declared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from jupyter_guardrails.package import tables
from jupyter_guardrails.package.details import Output
from jupyter_guardrails.promotion.results import Finding, many

MOST_FILES, MOST_COLUMNS = 200, 2000  # of one job: job.json is for people, too
MOST_COUNTED_BYTES = 64 << 20  # of text, whose rows are counted by reading it
MOST_NAMED = 3  # in a sentence
FIX = "write it as it is declared, or declare it as it is written"


def look_at(folder: Path, written: Iterable[str]) -> dict[str, tables.Found]:
    """Path -> columns, rows and bytes of each table among the files that were written; those of very many are passed over."""
    found: dict[str, tables.Found] = {}
    left, columns = MOST_COUNTED_BYTES, MOST_COLUMNS
    for name in sorted(written)[:MOST_FILES]:
        one = tables.look(folder / name, counted_bytes=min(left, tables.COUNTED_BYTES))
        if one is None or len(one["columns"]) > columns:
            continue
        found[name] = one
        left = max(0, left - one["size_bytes"]) if one["format"] in tables.TEXTUAL and one["rows"] is not None else left
        columns -= len(one["columns"])
    return found


def described(declared: Sequence[Output], written: Iterable[str], found: Mapping[str, tables.Found]) -> list[Output]:
    """The outputs of job.json: what was declared, whatever else was written, and of tables the columns; said ones as they were said."""
    seen = {path: one["columns"] for path, one in found.items()}
    outputs = {path: Output(name=path, path=path, columns=seen.get(path, {})) for path in written}
    outputs |= {one.path: one if one.columns else one.model_copy(update={"columns": seen.get(one.path, {})}) for one in declared}
    return [output for _, output in sorted(outputs.items())]


def unlike(declared: Iterable[Output], found: Mapping[str, tables.Found]) -> list[Finding]:
    """A finding for each way in which a table isn't what was declared."""
    return [Finding(f"{one.path}: {text}", fix=FIX, kind="other_columns") for one in declared if one.columns for text in _unlike(one, found)]


def _unlike(one: Output, found: Mapping[str, tables.Found]) -> list[str]:
    seen = found.get(one.path)
    if seen is None or seen["problem"]:
        return [f"its columns are declared, and can't be told: {seen['problem'] if seen else 'it is no table that is known here'}"]
    return tables.differences(one.columns, seen["columns"], form=seen["format"], extra=True)


def words(found: Mapping[str, tables.Found]) -> str:
    """`: a.csv (2 columns, 3 rows)`, of the first few tables; empty where there are none."""
    told = [f"{path} ({_size(one)})" for path, one in sorted(found.items()) if one["columns"]]
    more = f" and {len(told) - MOST_NAMED} more" if len(told) > MOST_NAMED else ""
    return f": {', '.join(told[:MOST_NAMED])}{more}" if told else ""


def _size(one: tables.Found) -> str:
    return f"{many(len(one['columns']), 'column')}, {'many rows' if one['rows'] is None else many(one['rows'], 'row')}"


def evidence(found: Mapping[str, tables.Found]) -> list[tables.Found]:
    """evidence/outputs.json: what is another thing each day (rows, bytes) beside what keeps job.json from naming columns."""
    return [{"path": path} | {key: one[key] for key in ("format", "size_bytes", "rows", "problem")} for path, one in sorted(found.items())]
