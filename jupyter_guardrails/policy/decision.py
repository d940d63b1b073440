"""The answer to "may this person do that?": a value with a reason and a place, never a bare bool."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

T_co = TypeVar("T_co", covariant=True)
Mode = Literal["observe", "warn", "enforce"]


@dataclass(frozen=True, slots=True)
class RuleRef:
    """Where a value came from: `guardrails.yaml:31 restricted-stays-shut`; line 0 is a built-in default."""

    file: str
    line: int
    name: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.name}" if self.line else f"built-in {self.name}"


@dataclass(frozen=True, slots=True)
class Value(Generic[T_co]):
    """One effective value and the rule that gave it."""

    value: T_co
    rule: RuleRef


@dataclass(frozen=True, slots=True)
class Resource:
    """What is acted on: a dataset, a `host:port`, a profile, a package; labels come from the dataset's contract."""

    name: str
    classification: str = ""
    domain: str = ""
    tags: tuple[str, ...] = ()
    owner: str = ""
    columns: dict[str, str] = field(default_factory=dict)  # column name -> classification, for masks


@dataclass(frozen=True, slots=True)
class Obligations:
    """What an allowed read is bound to: masks by column, and a row filter in the policy's grammar."""

    masks: dict[str, str] = field(default_factory=dict)
    row_filter: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict with its reason, the rule that gave it and what the person can do next."""

    allowed: bool
    reason: str
    rule: RuleRef
    next_step: str = ""
    obligations: Obligations = field(default_factory=Obligations)
    mode: Mode = "enforce"  # what a refusal means here: only recorded, warned about, or done

    @property
    def blocks(self) -> bool:
        """True if the action must not happen; a refusal that policy only observes or warns about doesn't block."""
        return not self.allowed and self.mode == "enforce"
