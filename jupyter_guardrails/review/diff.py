"""What differs between two versions of a job: its notebook by cells, its other files, its locks, what job.json says. Texts in, lines out.

Cells are aligned by their sources with difflib: nbdime would bring a server extension and a JupyterLab extension into every governed server.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CONTEXT = 2
MOST_LINES = 2000  # of one change; what is longer is cut, and says so
IGNORED = frozenset({"policy_digest", "outputs"})  # outputs: see there


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not as it was: what, and the lines that say how (`+`, `-`, ` ` at their beginning)."""

    what: str
    lines: tuple[str, ...]


def notebooks(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """The cells that were changed, removed or are new, numbered from 1 as in the newer notebook (removed ones as in the older)."""
    old, new = _cells(before), _cells(now)
    found: list[Change] = []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        both = min(i2 - i1, j2 - j1)
        pairs = [(old[i1 + n], new[j1 + n]) for n in range(both)]
        found += [Change(f"cell {j1 + n + 1} ({b[0]})", _cut(_unified(a[1], b[1]))) for n, (a, b) in enumerate(pairs)]
        found += [Change(f"cell {i + 1} ({old[i][0]}) is gone", _cut(_all(old[i][1], "-"))) for i in range(i1 + both, i2)]
        found += [Change(f"cell {j + 1} ({new[j][0]}) is new", _cut(_all(new[j][1], "+"))) for j in range(j1 + both, j2)]
    return found


def files(before: Mapping[str, bytes], now: Mapping[str, bytes]) -> list[Change]:
    """The other files of `src/`: text line by line, all else by its size."""
    found = []
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        word = "is new" if old is None else "is gone" if new is None else "was changed"
        found.append(Change(f"{name} {word}", _cut(_file_lines(old, new))))
    return found


def locks(before: str, now: str) -> list[Change]:
    """The packages of an environment that are not the same version any more."""
    old, new = _versions(before), _versions(now)
    lines = []
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            lines += [f"-{name} {old[name]}"] if name in old else []
            lines += [f"+{name} {new[name]}"] if name in new else []
    return [Change("environment", tuple(lines))] if lines else []


def jobs(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """Datasets, parameters, resources, network, schedule, account, …: each key of job.json that says something else."""
    found = []
    for key in sorted((before.keys() | now.keys()) - IGNORED):
        if before.get(key) != now.get(key):
            found.append(Change(key, _cut(_unified(_pretty(before.get(key)), _pretty(now.get(key))))))
    return found


def outputs(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """What the job makes: files that it made, or makes only now, and of each the columns that are gone, new or of another type."""
    old, new = _by_path(before), _by_path(now)
    found = []
    for path in sorted(old.keys() | new.keys()):
        a, b = old.get(path), new.get(path)
        if a == b:
            continue
        word = "is new" if a is None else "is no longer made" if b is None else "is another"
        found.append(Change(f"output {path} {word}", _cut(_output_lines(a or {}, b or {}))))
    return found


def _by_path(job: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    said = [one if isinstance(one, dict) else {"name": one, "path": one} for one in job.get("outputs", [])]
    return {str(one.get("path") or one.get("name")): one for one in said}


def _output_lines(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Columns in sentences where both have them, then whatever else is said of it."""
    columns, wanted = new.get("columns") or {}, old.get("columns") or {}
    for name in sorted(columns.keys() | wanted.keys()):
        if columns.get(name) != wanted.get(name):
            yield from ([f"-column {name} ({wanted[name]})"] if name in wanted else [])
            yield from ([f"+column {name} ({columns[name]})"] if name in columns else [])
    for key in sorted((old.keys() | new.keys()) - {"columns", "path"}):
        if old.get(key) != new.get(key):
            yield from ([f"-{key} {old[key]}"] if old.get(key) else [])
            yield from ([f"+{key} {new[key]}"] if new.get(key) else [])


def _cells(notebook: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(str(cell.get("cell_type")), _text(cell.get("source"))) for cell in notebook.get("cells", [])]


def _text(source: Any) -> str:
    return "".join(source) if isinstance(source, list) else str(source or "")


def _unified(old: str, new: str) -> Iterator[str]:
    """Without the three lines of a head that name files."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=CONTEXT)
    return (line for number, line in enumerate(lines) if number > 1)


def _all(text: str, sign: str) -> Iterable[str]:
    return (f"{sign}{line}" for line in text.splitlines())


def _file_lines(old: bytes | None, new: bytes | None) -> Iterable[str]:
    try:
        return _unified((old or b"").decode(), (new or b"").decode())
    except UnicodeDecodeError:
        sizes = [f"{sign}{len(data)} bytes" for sign, data in (("-", old), ("+", new)) if data is not None]
        return [*sizes, "+other bytes"] if old is not None and new is not None and len(old) == len(new) else sizes


def _versions(lock: str) -> dict[str, str]:
    return {str(package["name"]): str(package.get("version", "?")) for package in tomllib.loads(lock).get("packages", [])}


def _pretty(value: Any) -> str:
    return "" if value is None else json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)


def _cut(lines: Iterable[str]) -> tuple[str, ...]:
    found: Sequence[str] = list(lines)
    return tuple(found) if len(found) <= MOST_LINES else (*found[:MOST_LINES], f"… and {len(found) - MOST_LINES} lines more")
