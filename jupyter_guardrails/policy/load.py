"""Files -> Policy, or all the mistakes in them with file:line:column. The only place of this room that touches files."""

from __future__ import annotations

import os
import stat
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from jupyter_guardrails.errors import PolicyError, Problem
from jupyter_guardrails.policy.compiled import Policy, compile_policy
from jupyter_guardrails.policy.document import API_VERSION, Document
from jupyter_guardrails.policy.merge import merge, references, version
from jupyter_guardrails.policy.problems import explain_errors, nulls
from jupyter_guardrails.policy.yamltree import LARGEST_FILE, MOST_PROBLEMS, Node, read_tree

M = TypeVar("M", bound=BaseModel)
HOW_TO_START = "write a first one: `jupyter guardrails init`; docs/reference/policy.md explains every key"
STARTS_WITH = f"a policy starts with `apiVersion: {API_VERSION}`"
MOST_FILES, TRIES = 500, 20
SUFFIXES = (".yaml", ".yml", ".json")  # the last two are refused: somebody thinks that they are read


class FileState(NamedTuple):
    """What tells one version of a file from another; of a file that can't be looked at only the error counts."""

    name: str
    device: int = 0
    inode: int = 0
    modified_ns: int = 0
    size: int = 0
    error: int = 0


Fingerprint = tuple[FileState, ...]
Content = bytes | OSError


def load(path: Path) -> Policy:
    """The policy of a file, or of a directory's *.yaml in lexical order. PolicyError holds every mistake."""
    return read_policy(path).policy


class Read(NamedTuple):
    """A policy, its tree with the places of everything, and the fingerprint of just the files that it was read from."""

    policy: Policy
    root: Node
    seen: Fingerprint


def read_policy(path: Path) -> Read:
    """Like `load`, with what else reading gives."""
    contents, seen = _snapshot(path)
    readable, problems = _trees(contents)
    merged, twice = merge(readable)
    document, wrong = check(merged, Document)
    problems += [*twice, *(p for root in readable[1:] for p in version(root)), *wrong, *islice(references(merged), MOST_PROBLEMS)]
    if problems or document is None:
        raise PolicyError(_in_order(problems))
    return Read(compile_policy(path, document, merged), merged, seen)


def fingerprint(path: Path) -> Fingerprint:
    """Changes when a file of the policy is written, replaced, added or removed."""
    try:
        return tuple(_state(file) for file in (_entries(path) if path.is_dir() else [path]))
    except OSError as error:
        return (FileState(str(path), error=error.errno or -1),)


def _snapshot(path: Path) -> tuple[dict[Path, Content], Fingerprint]:
    """Every file as it was at one moment: read again until nothing changed meanwhile, so that no mix of two versions is taken for one."""
    for _ in range(TRIES):
        before = fingerprint(path)
        contents = {file: _read(file) for file in policy_files(path)}
        if fingerprint(path) == before:
            return contents, before
    raise PolicyError([Problem(str(path), 0, 0, "changes again and again while it is read", "write the new version beside it, then `mv` it here")])


def _trees(contents: dict[Path, Content]) -> tuple[list[Node], list[Problem]]:
    """The trees of all files and what is wrong with them as YAML; PolicyError if no file is a tree."""
    trees = [_tree(file, content) for file, content in contents.items()]
    problems = [problem for _, found in trees for problem in found]
    readable = [root for root, _ in trees if root is not None]
    if not readable:
        raise PolicyError(problems)
    return readable, problems


def policy_files(path: Path) -> list[Path]:
    """The files that make up the policy; PolicyError if there are none."""
    try:
        if not path.exists():
            raise PolicyError([Problem(str(path), 0, 0, "there is no policy here")], next_step=HOW_TO_START)
        if not path.is_dir():
            return [path]
        entries = _entries(path)
    except OSError as error:
        raise PolicyError([Problem(str(path), 0, 0, f"can't be read: {error.strerror}")]) from error
    return _usable(path, entries)


def _usable(path: Path, entries: list[Path]) -> list[Path]:
    """The entries of a directory if all of them can be parts of a policy."""
    if ignored := [entry for entry in entries if entry.suffix != ".yaml"]:
        raise PolicyError([Problem(str(entry), 0, 0, "would not be read: a policy's files end in .yaml", "rename or move it") for entry in ignored])
    if not entries:
        raise PolicyError([Problem(str(path), 0, 0, "the directory holds no *.yaml file")], next_step=HOW_TO_START)
    if len(entries) > MOST_FILES:
        raise PolicyError([Problem(str(path), 0, 0, f"holds {len(entries)} files, {MOST_FILES} at most", "join some of them")])
    return entries


def _entries(path: Path) -> list[Path]:
    """What in a directory is, or looks like, a part of the policy; names that start with a dot are editors' and Kubernetes' own."""
    return sorted(entry for entry in path.iterdir() if entry.suffix in SUFFIXES and not entry.name.startswith("."))


def _state(file: Path) -> FileState:
    try:
        found = file.stat()
    except OSError as error:
        return FileState(str(file), error=error.errno or -1)
    return FileState(str(file), found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)


def _tree(file: Path, content: Content, begins: str = STARTS_WITH) -> tuple[Node | None, list[Problem]]:
    """The tree of one file, or None; and what is wrong with it as YAML. `begins` tells whoever wrote nothing into it."""
    if isinstance(content, OSError):
        return None, [Problem(str(file), 0, 0, f"can't be read: {content.strerror}")]
    root, problems = read_tree(content, str(file))
    if root is None:
        return None, problems or [Problem(str(file), 0, 0, "is empty", begins)]
    if root.kind != "mapping":
        return None, [*problems, root.problem("must be a mapping of keys to values", hint=begins)]
    return root, problems


def check(root: Node, model: type[M]) -> tuple[M | None, list[Problem]]:
    """The tree as a model, or None; and every mistake in it."""
    problems = list(nulls(root))
    try:
        return model.model_validate(root.plain()), problems
    except ValidationError as error:
        return None, problems + explain_errors(error, model, root)


def read_model(path: Path, model: type[M]) -> tuple[M, Node]:
    """A file of another kind that admins write, like a table of tests, with its tree; PolicyError holds every mistake."""
    begins = f"its keys can be {', '.join(model.model_fields)}"
    root, problems = _tree(path, _read(path), begins) if path.exists() else (None, [Problem(str(path), 0, 0, "there is no such file")])
    found, wrong = check(root, model) if root is not None else (None, [])
    if root is None or found is None or problems or wrong:
        raise PolicyError(_in_order([*problems, *wrong]))
    return found, root


def _read(file: Path) -> Content:
    """At most one byte more than is allowed, or why not; a pipe or device is never waited for."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return OSError(0, "it is not a regular file")
            return stream.read(LARGEST_FILE + 1)
    except OSError as error:
        return error


def _in_order(problems: list[Problem]) -> list[Problem]:
    return sorted(dict.fromkeys(problems), key=lambda problem: (problem.file, problem.line, problem.column))
