"""Whether a contract's place is one that can be granted: there, absolute, without symlinks, nobody else's."""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import replace
from itertools import takewhile
from pathlib import PurePosixPath

from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.errors import Problem

FILE_FORMATS = ("parquet", "csv", "json", "arrow")
FORMATS = (*FILE_FORMATS, "directory")
Complaint = tuple[str, str]  # what is wrong, and what to write instead


def complaint_about(path: str) -> Complaint | None:
    """Why a place cannot be granted, or None. A symlink is refused: it can be turned to another place later."""
    malformed = _malformed(path)
    if malformed:
        return malformed
    try:
        mode = os.lstat(path).st_mode
    except OSError as error:
        return f"{path} cannot be reached: {error.strerror}", "put the data there, or correct the path"
    real = os.path.realpath(path)
    if real != path:
        return f"{path} leads over a symlink", f"write the real place: {real}"
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return f"{path} is neither a file nor a folder", ""
    return None


def _malformed(path: str) -> Complaint | None:
    if not path.startswith("/") or "\0" in path:
        return f"{path!r} is not an absolute path", "write the whole path, from /"
    if os.path.normpath(path) != path or path.startswith("//"):
        return f"{path} is not in plain form", f"write {os.path.normpath('/' + path.lstrip('/'))}"
    if path == "/":
        return "the whole machine is not a dataset", "write the folder of the data"
    if set(path) & set("*?["):
        return f"{path} has a wildcard, and a folder is granted as a whole", f"write {_before_wildcard(path)}, and keep other files out of it"
    return None


def _before_wildcard(path: str) -> str:
    return str(PurePosixPath(*takewhile(lambda part: not set(part) & set("*?["), PurePosixPath(path).parts)))


def guess_format(path: str, declared: str) -> str:
    """The format that a contract declares, else the one that the file's name says, else `directory` for a folder."""
    if declared:
        return declared.lower()
    suffix = PurePosixPath(path).suffix.lstrip(".").lower()
    if os.path.isdir(path):
        return "directory"
    return {"feather": "arrow", "ipc": "arrow", "jsonl": "json", "ndjson": "json"}.get(suffix, suffix)


def without_conflicts(contracts: Iterable[Contract]) -> list[Contract]:
    """The contracts, each with a problem more for every other one that claims its name or its place."""
    contracts = list(contracts)
    found: dict[str, list[Problem]] = defaultdict(list)
    for contract, message, hint in (*_same_name(contracts), *_same_place(contracts), *_nested(contracts)):
        found[contract.file].append(Problem(contract.file, contract.path_line, 1, message, hint))
    return [replace(contract, problems=(*contract.problems, *found[contract.file])) for contract in contracts]


def _groups(contracts: Iterable[Contract], key: Callable[[Contract], Hashable]) -> Iterator[list[Contract]]:
    groups: dict[Hashable, list[Contract]] = defaultdict(list)
    for contract in contracts:
        groups[key(contract)].append(contract)
    yield from (group for identity, group in groups.items() if identity is not None and len(group) > 1)


def _others(group: list[Contract], contract: Contract) -> str:
    return ", ".join(other.file for other in group if other.file != contract.file)


def _same_name(contracts: list[Contract]) -> Iterator[tuple[Contract, str, str]]:
    for group in _groups(contracts, lambda contract: contract.name):
        for contract in group:
            yield contract, f"{contract.name} is also the name in {_others(group, contract)}", "one contract a dataset: remove or rename one"


def _same_place(contracts: list[Contract]) -> Iterator[tuple[Contract, str, str]]:
    for group in _groups(contracts, _identity):
        for contract in group:
            yield contract, f"{contract.path} is also the place of {_others(group, contract)}", "one contract a place: remove one, or split the data"


def _identity(contract: Contract) -> tuple[int, int] | None:
    """Device and inode: hard links and bind mounts of one place are that place."""
    try:
        found = os.stat(contract.path) if contract.path else None
    except OSError:
        return None  # reported by complaint_about
    return (found.st_dev, found.st_ino) if found else None


def _nested(contracts: list[Contract]) -> Iterator[tuple[Contract, str, str]]:
    """The outer of two nested places is broken: who is granted it would read the inner one too."""
    by_path = {contract.path: contract for contract in contracts if contract.path}
    for contract in by_path.values():
        for folder in map(str, PurePosixPath(contract.path).parents):
            if folder in by_path:
                yield by_path[folder], f"{folder} holds the place of {contract.file} ({contract.name})", "give each dataset a folder of its own"
