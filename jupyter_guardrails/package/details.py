"""What a person says about a job when they submit it: when it runs, as whom, whom to ask, what it makes, which secrets it is given."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

CRON_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("day of the week", 0, 7))
CRON_PART = re.compile(r"(\*|\d{1,2}(?:-\d{1,2})?)(?:/(\d{1,2}))?")
DATASET = r"^[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)+$"
RESERVED = ("PATH", "HOME", "TMPDIR", "LANG")  # run.py and the sandbox set these
RESERVED_PREFIXES = ("PYTHON", "JUPYTER", "GUARDRAILS", "LD_", "IPYTHON")

Plain = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=200)]


def check_schedule(text: str) -> str:
    """Five fields as crontab(5) has them, in numbers; ValueError, as a sentence, for anything else. Empty: no schedule."""
    fields = text.split()
    if fields and len(fields) != len(CRON_FIELDS):
        raise ValueError(f"{text!r} is no schedule: write five fields, minute hour day month weekday, like `0 6 * * 1`")
    for field, (name, least, most) in zip(fields, CRON_FIELDS, strict=False):
        for part in field.split(","):
            _check_part(part, name, least, most)
    return " ".join(fields)


def _check_part(part: str, name: str, least: int, most: int) -> None:
    matched = CRON_PART.fullmatch(part)
    if not matched:
        raise ValueError(f"{part!r} is no {name}: write *, 5, 1-5, */15 or several of them with commas")
    bounds = [] if matched[1] == "*" else [int(number) for number in matched[1].split("-")]
    if any(not least <= number <= most for number in bounds) or bounds != sorted(bounds) or matched[2] in ("0", "00"):
        raise ValueError(f"{part!r} is no {name}: {least} to {most}")


def schedule_values(schedule: str) -> list[list[int]]:
    """Five fields as the numbers that they mean, ascending; nothing for no schedule, ValueError for what is none."""
    return [_values(word, lowest, highest) for word, (_, lowest, highest) in zip(check_schedule(schedule).split(), CRON_FIELDS, strict=False)]


def _values(word: str, lowest: int, highest: int) -> list[int]:
    found: set[int] = set()
    for part in word.split(","):
        span, _, step = part.partition("/")
        first, _, last = (str(lowest), "", str(highest)) if span == "*" else span.partition("-")
        end = int(last) if last else highest if step else int(first)
        found |= set(range(int(first), end + 1, int(step or 1)))
    return sorted(found)


def check_secret(name: str) -> str:
    """The name of an environment variable that an engine binds; ValueError for one that steers the interpreter."""
    if not re.fullmatch(r"[A-Z][A-Z0-9_]{0,63}", name):
        raise ValueError(f"{name!r} is no name of a secret: capital letters, digits and _, at most 64; never its value")
    if name in RESERVED or name.startswith(RESERVED_PREFIXES):
        raise ValueError(f"{name} is set by what runs the job: call the secret something else")
    return name


def check_path(path: str) -> str:
    """A plain relative path; ValueError for one that leads out or is written another way."""
    pure = PurePosixPath(path)
    if not path or path != str(pure) or pure.is_absolute() or ".." in pure.parts or not path.isprintable() or "\\" in path or path == ".":
        raise ValueError(f"{path!r} is no plain path beneath the notebook's folder")
    return path


def check_notebook(path: str) -> str:
    """A plain path of a notebook."""
    if not check_path(path).endswith(".ipynb"):
        raise ValueError(f"{path!r} is no notebook")
    return path


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Output(_Part):
    """One thing that the job makes: a file (`path`, relative to the notebook), which may be meant as a dataset; `columns`: name -> type."""

    name: Plain = Field(min_length=1)
    path: Annotated[str, AfterValidator(check_path)] = Field(max_length=1000)
    dataset: str = Field(default="", max_length=200, pattern=rf"^$|{DATASET}")
    columns: dict[str, str] = Field(default_factory=dict, max_length=2000)

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, value: Any) -> Any:
        """A bare path, as people write it, is an output of that name."""
        return {"name": value, "path": value} if isinstance(value, str) else value

    def same_as(self, found: Output) -> bool:
        """Whether what was found is this one; columns count where they were said."""
        return found == self or (not self.columns and found.model_copy(update={"columns": {}}) == self)


class Details(_Part):
    """All that a submission may say beside its notebook and parameters. Everything has a default, and nothing gives a right."""

    description: str = Field(default="", max_length=2000)
    contact: Plain = ""
    run_as: str = Field(default="", pattern=r"^([a-z_][a-z0-9_.-]{0,63}\$?)?$")
    schedule: Annotated[str, AfterValidator(check_schedule)] = Field(default="", max_length=200)
    retries: int = Field(default=0, ge=0, le=10)
    labels: dict[Plain, Plain] = Field(default_factory=dict, max_length=50)
    secrets: list[Annotated[str, AfterValidator(check_secret)]] = Field(default_factory=list, max_length=50)
    network: list[Plain] = Field(default_factory=list, max_length=100)
    outputs: list[Output] = Field(default_factory=list, max_length=200)
    # datasets of one file whose very bytes, as the clean run read them, the job needs: it refuses any others
    pinned: list[Annotated[str, StringConstraints(pattern=DATASET)]] = Field(default_factory=list, max_length=100)
    # notebooks that run after the first one, in this order, from the same folder; named as that is
    then: list[Annotated[str, AfterValidator(check_notebook)]] = Field(default_factory=list, max_length=20)

    @model_validator(mode="after")
    def _once(self) -> Details:
        """Each secret, output, pinned dataset and notebook is named once."""
        outputs = [output.path for output in self.outputs]
        for what, names in (("secret", self.secrets), ("output", outputs), ("dataset", self.pinned), ("notebook", self.then)):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"the {what} {twice[0]} is named twice")
        return self
