"""What control hands to its worker, and what the checks share while they run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from jupyter_guardrails.control.interface import ControlClient
from jupyter_guardrails.package.details import Details
from jupyter_guardrails.package.job import Input, Resources
from jupyter_guardrails.package.tables import Found
from jupyter_guardrails.promotion.advisories import Told
from jupyter_guardrails.promotion.interpreter import Interpreter
from jupyter_guardrails.promotion.notebook import Notebook
from jupyter_guardrails.promotion.results import many
from jupyter_guardrails.promotion.traces import Traced

Progress = Callable[[int, int, str], None]  # done, total, one sentence


class WorkOrder(BaseModel):
    """One submission for one worker, read from an inherited descriptor: the token never shows in an argument list."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    socket: str
    token: str = Field(repr=False)
    submission: str
    folder: str  # ours: frozen/ in it holds the frozen notebook, package/ will hold what is built
    environments: str
    workspace: str
    notebook: str  # relative to the workspace
    kernelspec: str | None
    parameters: dict[str, Any]
    checks: dict[str, str]  # name -> require | warn | off
    name: str
    version: int
    owner: str
    submitted_on: str  # ISO date
    reason: str
    draft: bool = False
    sample_s: int | None = None  # a draft's clean run ends after so long: feedback, and no evidence
    sample_rows: int | None = None  # or it sees so many rows of each dataset
    policy_digest: str
    profile: str
    resources: Resources
    details: Details = Details()
    uploads: bool = False  # control is another account: what was built goes to it in parts
    denied_licenses: tuple[str, ...] = ()  # SPDX names, patterns allowed
    places: dict[str, str]  # where the contracts that this person may know of say that data is -> dataset's name

    @property
    def sample(self) -> str:
        """What its clean run is short of, in words; empty where it runs whole."""
        time = f"{self.sample_s} s" if self.sample_s else ""
        rows = f"the first {many(self.sample_rows, 'row')} of each dataset" if self.sample_rows else ""
        return " and ".join(filter(None, (time, rows)))

    @property
    def frozen(self) -> Path:
        """The frozen workspace files."""
        return Path(self.folder, "frozen", "src")


@dataclass
class Work:
    """The order and what the checks have found out so far; a later check uses what an earlier one left here."""

    order: WorkOrder
    control: ControlClient
    notebook: Notebook
    then: tuple[Notebook, ...] = ()  # the job's others
    schema: dict[str, Any] = field(default_factory=dict)  # JSON Schema of the parameters
    interpreter: Interpreter | None = None
    locks: dict[str, str] = field(default_factory=dict)  # "kernel", "runner" -> text of the lock
    wheels: list[Path] = field(default_factory=list)  # of what no index has: they go along
    inputs: list[Input] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    tables: dict[str, Found] = field(default_factory=dict)  # which of them are tables, with their columns
    executed: list[Path] = field(default_factory=list)  # as its clean run left each notebook
    traced: list[Traced] = field(default_factory=list)  # what the clean run of each opened
    asked: Future[Told] | None = None  # what the index of advisories says, while other checks look
    threads: ThreadPoolExecutor = field(default_factory=ThreadPoolExecutor)  # for what need not be waited for

    @property
    def notebooks(self) -> tuple[str, ...]:
        """The names of all notebooks of the job; this one's first."""
        return tuple(one.path.relative_to(self.order.frozen).as_posix() for one in (self.notebook, *self.then))

    def each(self) -> Iterator[Work]:
        """This work as each notebook's, in order: what is found out about one is found out for all."""
        everything = (self.notebook, *self.then)
        for name, one in zip(self.notebooks, everything, strict=True):
            others = tuple(other for other in everything if other is not one)
            yield replace(self, notebook=one, then=others, order=self.order.model_copy(update={"notebook": name}))

    @property
    def scratch(self) -> Path:
        """A folder of this worker alone."""
        path = Path(self.order.folder, "scratch")
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    @property
    def probing(self) -> Path:
        """A folder beside what this worker writes, for tools under which the author's interpreter runs: it may leave links in there."""
        path = self.scratch / "probe"
        path.mkdir(exist_ok=True)
        return path

    @property
    def wheelhouse(self) -> Path | None:
        """The folder of `wheels`; None where there are none."""
        return self.wheels[0].parent if self.wheels else None


def named(notebook: str, progress: Progress) -> Progress:
    """A progress that says which notebook it is about."""
    return lambda done, total, detail: progress(done, total, f"{notebook}: {detail}" if detail else notebook)


def read_order(fd: int) -> WorkOrder:
    """The order from an inherited descriptor, read once and closed."""
    with os.fdopen(fd, encoding="utf-8") as pipe:
        return WorkOrder.model_validate(json.load(pipe))
