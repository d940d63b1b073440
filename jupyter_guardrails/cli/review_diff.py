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
IGNORED = frozenset({"policy_digest"})


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
    """Datasets, parameters, resources, network, outputs, schedule, account, …: each key of job.json that says something else."""
    found = []
    for key in sorted((before.keys() | now.keys()) - IGNORED):
        if before.get(key) != now.get(key):
            found.append(Change(key, _cut(_unified(_pretty(before.get(key)), _pretty(now.get(key))))))
    return found


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
