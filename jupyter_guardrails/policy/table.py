"""The admin's own tests of a policy, as a table: who, action, resource, expect; or who, value, equals. Run by `policy test`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from jupyter_guardrails.policy.compiled import Policy
from jupyter_guardrails.policy.decision import Decision, Resource
from jupyter_guardrails.policy.explain import Line, lines
from jupyter_guardrails.policy.fields import Mode, Principal, Short, Strict, Text
from jupyter_guardrails.policy.keys import similar
from jupyter_guardrails.policy.person import EffectivePolicy
from jupyter_guardrails.policy.resolve import effective
from jupyter_guardrails.policy.verdict import decide

Action = Literal["data.read", "data.request", "network.connect", "kernel.start", "promotion.submit", "promotion.review", "package.use"]
Plain = str | int | float | bool
Find = Callable[[str], Resource | None]


class Subject(Short):
    """What is acted on: a name, labels from the catalogue; or a mapping with the labels written out."""

    name: Text
    classification: str | None = None
    domain: str | None = None
    tags: tuple[str, ...] = ()
    owner: str | None = None
    columns: dict[str, str] = Field(default={}, description="Column to its classification.")

    text_schema: ClassVar[dict[str, Any]] = {"type": "string"}

    @classmethod
    def _from_text(cls, text: str) -> dict[str, Any]:
        return {"name": text}

    @property
    def resource(self) -> Resource:
        """The subject with the labels that are written out."""
        return Resource(self.name, self.classification or "", self.domain or "", self.tags, self.owner or "", self.columns)


class Row(Strict):
    """One test: `action`, `resource` and `expect`, or `value` and `equals`."""

    who: Principal
    groups: tuple[Principal, ...] | None = Field(default=None, description="Replaces the groups that the file puts the person in.")
    action: Action | None = None
    resource: Subject | None = None
    expect: Literal["allow", "deny"] | None = None
    mode: Mode | None = Field(default=None, description="What a refusal means: `observe` and `warn` don't carry it out.")
    masks: dict[str, str] | None = Field(default=None, description="Column to mask of an allowed read.")
    row_filter: str | None = Field(default=None, description="Row filter of an allowed read.")
    value: Text | None = Field(default=None, description="A key as `policy explain` prints it.")
    equals: Plain | tuple[Plain, ...] | None = None
    rule: Text | None = Field(default=None, description="Name of the rule that must have decided.")
    because: Text | None = Field(default=None, description="Why it must be so, for the reader of a failure.")

    @model_validator(mode="after")
    def _one_kind(self) -> Row:
        question = [self.action, self.resource, self.expect]
        if self.value is None and None in question:
            raise ValueError("needs action, resource and expect, or value and equals")
        if self.value is not None and (self.equals is None or question != [None] * 3):
            raise ValueError("needs value and equals, and then no action, resource or expect")
        return self


class Table(Strict):
    """A file of tests; paths are relative to it."""

    policy: Text
    catalog: Text | None = None
    tests: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """A row whose answer isn't the expected one."""

    position: int
    question: str
    expected: str
    got: str
    because: str = ""


def run_table(table: Table, policy: Policy, find: Find, now: datetime) -> list[Failure]:
    """The rows that fail. `find` tells a dataset's labels, None where it isn't known."""
    people: dict[tuple[str, tuple[str, ...] | None], EffectivePolicy] = {}
    failures = []
    for position, row in enumerate(table.tests):
        who = (row.who, row.groups)
        person = people[who] = people.get(who) or effective(policy, *who)
        if failure := run_row(row, position, person, find=find, now=now):
            failures.append(failure)
    return failures


def run_row(row: Row, position: int, person: EffectivePolicy, *, find: Find, now: datetime) -> Failure | None:
    """What is wrong with one row, None if nothing."""
    if row.value is not None:
        expected, got, question = _value(person, row)
    else:
        expected, got, question = _answer(person, row, find, now)
    return None if expected == got else Failure(position, f"{row.who}: {question}", expected, got, row.because or "")


def _by_rule(row: Row, text: str) -> str:
    return f"{text} by {row.rule}" if row.rule else text


def _plain(value: Any) -> Any:
    """Lists as lists, whole floats as whole numbers: 4 equals 4.0."""
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _value(person: EffectivePolicy, row: Row) -> tuple[str, str, str]:
    """Expected and given value, and the key. A list is compared with a list, as the file writes it or as `explain` prints it."""
    known = lines(person)
    found = [line for line in known if line.key == row.value]
    given = [line for line in found if line.value is not None or not line.listed]
    raw: Any = [line.value for line in given]
    text: Any = [line.text for line in given]
    if not isinstance(row.equals, tuple) and len(given) == 1:
        raw, text = raw[0], text[0]
    wanted = _plain(row.equals)
    got = wanted if wanted in (_plain(raw), text) else text if found else _absent(str(row.value), known)
    return _by_rule(row, str(wanted)), _shown_rule(row, given, str(got)), str(row.value)


def _absent(key: str, known: Sequence[Line]) -> str:
    """What a key has that `explain` doesn't print: nothing, for names that the policy may or may not hold; else it is a typing error."""
    if key.startswith(("mask.", "rows.", "profiles.", "environment.set.", "promotion.engines.", "budget.")):
        return "nothing"
    close = similar(key, [line.key for line in known])
    return f"there is no value {key}" + (f": did you mean {close}?" if close else "")


def _shown_rule(row: Row, given: list[Line], text: str) -> str:
    names = [line.rule.name for line in given]
    return text if row.rule is None else f"{text} by {row.rule if row.rule in names else ', '.join(names)}"


def _answer(person: EffectivePolicy, row: Row, find: Find, now: datetime) -> tuple[str, str, str]:
    """Expected and given answer to a question, and the question, in words."""
    assert row.action is not None
    assert row.resource is not None
    question = f"{row.action} {row.resource.name}"
    labelled = row.resource.model_fields_set != {"name"} or not row.action.startswith("data.")
    resource = row.resource.resource if labelled else find(row.resource.name)
    if resource is None:
        return str(row.expect), "the dataset is not in the catalogue", question
    decision = decide(person, row.action, resource, now)
    return _by_rule(row, f"{row.expect}{_bounds(row, row.masks, row.row_filter, row.mode)}"), _given(row, decision), question


def _given(row: Row, decision: Decision) -> str:
    """The decision, written as the row writes what it expects; the reason where it differs."""
    verdict = "allow" if decision.allowed else "deny"
    bound = decision.obligations
    text = f"{verdict}{_bounds(row, bound.masks, bound.row_filter, decision.mode)}" + (f" by {decision.rule.name}" if row.rule else "")
    return text if verdict == row.expect else f"{text}: {decision.reason} ({decision.rule})"


def _bounds(row: Row, masks: dict[str, str] | None, row_filter: str | None, mode: str | None) -> str:
    """What the row asks about beside the verdict, with these answers."""
    parts = [f"masks {dict(sorted(masks.items()))}"] if row.masks is not None and masks is not None else []
    parts += [f"rows {row_filter}"] if row.row_filter is not None else []
    parts += [f"mode {mode}"] if row.mode is not None else []
    return f" with {' and '.join(parts)}" if parts else ""
