"""`credentials.yaml` beside the policy: what opens the object stores and databases behind contracts. Control reads it, a worker is told its entry.

Nothing of a value is ever said: not in a mistake, a log, an error, a repr. A file with a mistake, or that another account could read, gives out
nothing at all. Where several entries fit a place, the most exact one counts; an entry with an endpoint fits that endpoint alone.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from jupyter_guardrails.control.company_network import SYSTEM
from jupyter_guardrails.control.credential import OF_DATABASES, OF_S3, Credential, Pattern, parts_of, pattern_of
from jupyter_guardrails.errors import PolicyError, Problem, SourceAway
from jupyter_guardrails.policy.yamltree import LARGEST_FILE, Node, read_tree

log = logging.getLogger("jupyter_guardrails.control")
NAME = "credentials.yaml"
FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
HOW_TO_SHUT = "it holds secrets: chown it to the account that control runs as, and chmod 600 it"
HOW_TO_WRITE = "a text with : # * & ! % @ { } [ ] in it needs quotes"


def problems_of_file(path: Path, uid: int) -> list[Problem]:
    """Why a file must not hold secrets, by its owner and mode alone; empty where there is none, or where it is right."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return []
    except OSError as error:
        return [Problem(str(path), 0, 0, f"can't be looked at: {error.strerror}")]
    return _shut(path, found, uid)


def _shut(path: Path, found: os.stat_result, uid: int) -> list[Problem]:
    if not stat.S_ISREG(found.st_mode):
        return [Problem(str(path), 0, 0, "is no regular file", HOW_TO_SHUT)]
    if found.st_uid != uid:
        return [Problem(str(path), 0, 0, f"belongs to account {found.st_uid}, and control runs as {uid}", HOW_TO_SHUT)]
    if stat.S_IMODE(found.st_mode) & 0o177:
        return [Problem(str(path), 0, 0, f"has mode {stat.S_IMODE(found.st_mode):o}, and others may read or change it", HOW_TO_SHUT)]
    return []


def load(path: Path) -> tuple[Credential, ...]:
    """The entries, none where there is no file; PolicyError with every mistake, without a word of what stands there."""
    try:
        fd = os.open(path, FLAGS)
    except FileNotFoundError:
        return ()
    except OSError as error:
        reason = "is a link" if error.errno == errno.ELOOP else f"can't be read: {error.strerror}"
        raise PolicyError([Problem(str(path), 0, 0, reason, HOW_TO_SHUT)]) from None
    with open(fd, "rb") as file:
        if wrong := _shut(path, os.fstat(fd), os.geteuid()):
            raise PolicyError(wrong)
        return _entries(file.read(LARGEST_FILE + 1), path)


def _entries(data: bytes, path: Path) -> tuple[Credential, ...]:
    nodes = _listed(data, path)
    read = [_entry(node, path) for node in nodes]
    problems = [problem for _, wrong in read for problem in wrong]
    entries = tuple(entry for entry, _ in read if entry is not None)
    problems += _twice(entries, nodes, path) if not problems else []
    if problems:
        raise PolicyError(problems)
    return entries


def _listed(data: bytes, path: Path) -> Sequence[Node]:
    """What stands under `sources`; nothing in an empty file."""
    root, broken = read_tree(data, str(path))
    if broken:  # what a parser says may quote the text, a value that starts with * for one
        raise PolicyError([Problem(str(path), problem.line, problem.column, "is not plain YAML", HOW_TO_WRITE) for problem in broken])
    if root is None or (root.kind == "scalar" and root.scalar is None):
        return ()
    servers = root.entries.get("sources") if root.kind == "mapping" else None
    if servers is None or len(root.entries) > 1 or servers[1].kind != "sequence":
        raise PolicyError([Problem(str(path), 1, 1, "must hold one key, `sources`, with a list", "sources: [{for: s3://bucket, key: …, secret: …}]")])
    return servers[1].items


def _entry(node: Node, path: Path) -> tuple[Credential | None, list[Problem]]:
    try:
        return Credential.model_validate(node.plain()), []
    except ValidationError as error:
        return None, [_problem(node, found, path) for found in error.errors(include_input=False, include_context=False, include_url=False)]


def _problem(node: Node, found: Any, path: Path) -> Problem:
    """The mistake at the nearest key; an unknown key isn't named, since a value may have slipped into its place."""
    key = str(found["loc"][0]) if found["loc"] else ""
    place = node.entries[key][0] if key in node.entries else node
    if found["type"] == "extra_forbidden":
        return Problem(str(path), place.line, place.column, "there is no such key", f"known: {', '.join(sorted(OF_DATABASES | OF_S3))}")
    message = found["msg"].removeprefix("Value error, ")
    hint = "put it in quotes" if found["type"] == "string_type" else ""
    return Problem(str(path), place.line, place.column, f"{key}: {message}" if key in node.entries else message or f"{key} is missing", hint)


def _twice(entries: Sequence[Credential], nodes: Sequence[Node], path: Path) -> list[Problem]:
    seen: dict[tuple[Pattern, str], int] = {}
    problems = []
    for entry, node in zip(entries, nodes, strict=True):
        line = seen.setdefault((pattern_of(entry.for_), entry.endpoint.lower()), node.line)
        if line != node.line:
            problems.append(Problem(str(path), node.line, node.column, f"is for the same place as line {line}", "remove one of them"))
    return problems


class CredentialsFile:
    """Follows the file: what it says now counts, and nothing where it has a mistake. `path` None: a control without any."""

    def __init__(self, path: Path | None = None, *, shared_account: bool = True) -> None:
        self.path = path
        self._shared_account = shared_account  # kernels run as control's own account: no mode keeps the file from them
        self._seen: object = None
        self._entries: tuple[Credential, ...] = ()
        self._problems: tuple[Problem, ...] = ()

    def __repr__(self) -> str:
        return f"<credentials {self.path}>"

    def for_place(self, place: Mapping[str, Any]) -> dict[str, Any] | None:
        """What the worker needs to open a place, as plain data; None when no entry is for it. SourceAway when the file has a mistake."""
        if place.get("kind") not in ("objects", "database") or place.get("dialect") == "sqlite":
            return None
        self._refresh()
        if self._problems:
            message = "the credentials of object stores and databases can't be used now"
            raise SourceAway(message, next_step="tell your admin: control's log and `jupyter guardrails doctor` say what is wrong")
        entry = self._best(place)
        return entry.model_dump(by_alias=True, exclude_none=True, exclude={"for_", "endpoint", "role_per_person", "roles"}) if entry else None

    def for_person(self, place: Mapping[str, Any], person: str) -> dict[str, Any] | None:
        """`{user, password, options}` of a person's own account in a database; None when they have none there. SourceAway as `for_place`."""
        if self.for_place(place) is None:
            return None
        entry = self._best(place)
        return entry.login_of(person) if entry else None

    def problems(self, reach: Sequence[str] = ()) -> tuple[Problem, ...]:
        """Every mistake of the file as it is now. `reach`: what a kernel that is about to start may read."""
        self._refresh()
        return (*self._problems, *self._within(reach)) if self.path else ()

    def files(self) -> tuple[str, ...]:
        """What stays shut to kernels in every mode."""
        return (str(self.path),) if self.path and os.path.lexists(self.path) else ()

    def keep_from(self, reach: Sequence[str]) -> None:
        """Called before a kernel starts that reads `reach`; PolicyError where it could read the file, as control's own account."""
        if wrong := self._within(reach):
            raise PolicyError(wrong)

    def _within(self, reach: Sequence[str]) -> list[Problem]:
        if not self.path or not self._shared_account or not os.access(self.path, os.R_OK):  # what this account can't read, its kernels can't
            return []
        real = Path(os.path.realpath(self.path))
        place = next((place for place in (*SYSTEM, *reach) if real.is_relative_to(os.path.realpath(place))), None)
        hint = "run control as a service, with an account of its own; or keep policy and credentials where no kernel reads"
        return [Problem(str(self.path), 0, 0, f"kernels run as control's account here, and may read {place}", hint)] if place else []

    def _best(self, place: Mapping[str, Any]) -> Credential | None:
        endpoint, parts = str(place.get("endpoint", "")).lower(), parts_of(place)
        fitting = [entry for entry in self._entries if entry.endpoint.lower() == endpoint and pattern_of(entry.for_).fits(*parts)]
        return max(fitting, key=lambda entry: pattern_of(entry.for_).exactness, default=None)

    def _refresh(self) -> None:
        seen = self._state()
        if seen == self._seen:
            return
        self._seen, before = seen, self._problems
        try:
            self._entries, self._problems = load(self.path) if self.path else (), ()
        except PolicyError as error:
            self._entries, self._problems = (), error.problems
        self._problems = (*self._problems, *self._within(()))
        if self._problems != before:
            for problem in self._problems:
                log.error("credentials: %s", problem)

    def _state(self) -> object:
        try:
            found = os.lstat(self.path) if self.path else None
        except OSError as error:
            return error.errno
        return found and (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_mode, found.st_uid)
