"""Every error that a person can meet, with its HTTP status, exit code and next step.

GuardrailsError
├── BadRequest        400, exit 2   what was asked makes no sense
├── Refused           403, exit 1   policy says no
├── NotFound          404, exit 1
├── Conflict          409, exit 1   the state it is in doesn't allow that
├── LimitReached      429, exit 1   a limit on kernels or budget is used up
│   └── BudgetUsedUp                nothing is left of a budget
├── WorkspaceFull     507, exit 1   a file can't grow: the workspace holds what it may
├── PolicyError       503, exit 2   the admin's file has mistakes: all of them, with places
├── CatalogError      503, exit 2   a dataset contract has mistakes
├── PackageError      422, exit 1   a job package that can't be trusted or read
├── GroupsUnknown     503, exit 1   nobody can tell a person's groups
├── ControlAway       503, exit 1   the authority doesn't answer
├── RecordsUnwritable 503, exit 1   the disk of the records is full or fails, or their database is away
├── AuditAway         503, exit 1   what must be recorded can't be: a sink of the audit log fails
├── SourceAway        503, exit 1   what holds a dataset doesn't answer, or lets nobody in
├── CatalogBusy       503, exit 1   a big catalogue is read for the first time
├── MounterAway       503, exit 1   what gives kernels their roots has ended
└── HostCannotEnforce 503, exit 3   this machine can't give what the policy requires
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class GuardrailsError(Exception):
    """Base of all our errors: `message`, `next_step` and `rule` are sentences for a reader."""

    status = 500
    exit_code = 1
    code = "error"

    def __init__(self, message: str, *, next_step: str = "", rule: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.rule = rule

    def to_json(self) -> dict[str, Any]:
        """The body of an HTTP or control answer: `{code, message, next_step, rule}`."""
        return {"code": self.code, "message": self.message, "next_step": self.next_step, "rule": self.rule}

    def __str__(self) -> str:
        rule = f" [{self.rule}]" if self.rule else ""
        next_step = f"\n  next: {self.next_step}" if self.next_step else ""
        return f"{self.message}{rule}{next_step}"


class BadRequest(GuardrailsError):
    """What was asked is malformed; `fields`: place in it (`details.schedule`) -> what is wrong there, for a form."""

    status, exit_code, code = 400, 2, "bad_request"

    def __init__(self, message: str, *, next_step: str = "", rule: str = "", fields: Mapping[str, str] | None = None) -> None:
        super().__init__(message, next_step=next_step, rule=rule)
        self.fields = dict(fields or {})

    def to_json(self) -> dict[str, Any]:
        """The body of an answer, with `fields` where something is wrong with some."""
        return super().to_json() | ({"fields": self.fields} if self.fields else {})


class Refused(GuardrailsError):
    """Policy says no; `rule` is `file:line name`."""

    status, code = 403, "refused"


class NotFound(GuardrailsError):
    """No such thing, or none that this person may know of."""

    status, code = 404, "not_found"


class Conflict(GuardrailsError):
    """The thing is in a state that doesn't allow this."""

    status, code = 409, "conflict"


class LimitReached(GuardrailsError):
    """A limit on kernels or budget is used up."""

    status, code = 429, "limit_reached"


class BudgetUsedUp(LimitReached):
    """Nothing is left of a budget: admins are told, too."""


class WorkspaceFull(GuardrailsError):
    """A file can't grow: the workspace holds what the policy allows."""

    status, code = 507, "workspace_full"


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file that an admin wrote; `line` and `column` count from 1, 0 = the whole file."""

    file: str
    line: int
    column: int
    message: str
    hint: str = ""
    source: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        caret = f"\n    {self.source}\n    {' ' * _cells(self.source[: self.column - 1])}^" if self.source and self.line else ""
        hint = f"\n    {self.hint}" if self.hint else ""
        return f"{place}: {self.message}{caret}{hint}"


def _cells(text: str) -> int:
    """Columns of a terminal: two for wide letters, none for marks that combine."""
    return sum(
        0 if unicodedata.category(letter) in ("Mn", "Me", "Cf") else 2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text
    )


class FileError(GuardrailsError):
    """A file has mistakes: `problems` holds all of them."""

    status, exit_code, code = 503, 2, "file_error"

    def __init__(self, problems: Sequence[Problem], *, next_step: str = "") -> None:
        super().__init__("\n".join(str(problem) for problem in problems), next_step=next_step)
        self.problems = tuple(problems)


class PolicyError(FileError):
    """The policy file has mistakes; the policy before it stays in force."""

    code = "policy_error"


class CatalogError(FileError):
    """A dataset contract has mistakes; it is listed with them and offers nothing."""

    code = "catalog_error"


class PackageError(GuardrailsError):
    """A job package that is altered, unsafe or unreadable."""

    status, code = 422, "package_error"


class GroupsUnknown(GuardrailsError):
    """Nobody can tell a person's groups, so nobody can tell which rules are for them."""

    status, code = 503, "groups_unknown"


class ControlAway(GuardrailsError):
    """Control, the authority, doesn't answer: nothing new starts."""

    status, code = 503, "control_away"


class RecordsUnwritable(GuardrailsError):
    """The disk that holds the records is full, over its quota or failing, or their database is away: nothing that must be recorded can be done."""

    status, code = 503, "records_unwritable"


class AuditAway(GuardrailsError):
    """The audit log, or a witness that the policy requires, can't be written: what must be recorded isn't done."""

    status, code = 503, "audit_away"


class CatalogBusy(GuardrailsError):
    """Control has just started and reads a big catalogue: no dataset is given out before it knows all of them."""

    status, code = 503, "catalog_busy"


class MounterAway(GuardrailsError):
    """The process that gives kernels their roots has ended: nothing starts under that launch any more."""

    status, code = 503, "mounter_away"


class SourceAway(GuardrailsError):
    """The bucket or database behind a dataset doesn't answer, breaks off, or refuses control's credentials."""

    status, code = 503, "source_away"


class HostCannotEnforce(GuardrailsError):
    """This machine can't give a guarantee that the policy requires."""

    status, exit_code, code = 503, 3, "host_cannot_enforce"


def from_json(body: Mapping[str, Any]) -> GuardrailsError:
    """The error that another process sent as `to_json`; an unknown code is a plain GuardrailsError."""
    kinds = {
        kind.code: kind
        for kind in (
            BadRequest,
            Refused,
            NotFound,
            Conflict,
            LimitReached,
            WorkspaceFull,
            PackageError,
            GroupsUnknown,
            ControlAway,
            RecordsUnwritable,
            AuditAway,
            SourceAway,
            CatalogBusy,
            MounterAway,
            HostCannotEnforce,
        )
    }
    code = body.get("code", "")
    error = kinds.get(code, GuardrailsError)(body.get("message", "unknown error"), next_step=body.get("next_step", ""), rule=body.get("rule", ""))
    if isinstance(error, BadRequest):
        error.fields = dict(body.get("fields", {}))
    if code in (PolicyError.code, CatalogError.code):  # the places of its problems are in the message already
        error.code, error.status, error.exit_code = code, FileError.status, FileError.exit_code
    return error
