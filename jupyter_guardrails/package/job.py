"""What a package says about itself: job.json as typed values. Nothing in it depends on when or where it was built."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jupyter_guardrails.errors import PackageError
from jupyter_guardrails.package import canonical
from jupyter_guardrails.package.details import Details, Output

JOB = "job.json"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Python(_Part):
    """The interpreter that both environments need, and where their wheels run."""

    version: str = Field(pattern=r"^\d+\.\d+$")
    implementation: str
    system: str
    machine: str


class Parameters(_Part):
    """`json_schema` types every parameter and gives the notebook's defaults; `values` are the ones submitted."""

    json_schema: dict[str, Any]
    values: dict[str, Any] = Field(default_factory=dict)


class Resources(_Part):
    """What the production profile gives; an engine asks its scheduler for this."""

    memory_bytes: int
    cpus: float
    tasks: int
    wall_s: int


class Input(_Part):
    """A dataset that the notebook reads; `path` is where its contract says it is (None for what has none, or is masked).

    `masks`: those that its clean run saw it with; `rows`: the digest of the row filter then, empty for all rows. `sha256` and `size_bytes`: of the
    file that its clean run read, where it is one file that lies at `path`. `counts`: of the file that its contract said counts; no other is read.
    `promised`: the columns of its contract then.
    """

    name: str
    version: str = ""
    path: str | None = None
    masks: dict[str, str] = Field(default_factory=dict)
    rows: str = ""
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    size_bytes: int | None = Field(default=None, ge=0)
    counts: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    promised: dict[str, str] = Field(default_factory=dict, max_length=2000)
    columns: dict[str, str] = Field(default_factory=dict, max_length=2000)  # name -> type, as the clean run was given them, where it is a table
    in_some_files: list[str] = Field(default_factory=list, max_length=2000)  # of these columns: those that not all files of its folder had


class Job(Details):
    """The whole of job.json: what was said when it was submitted, and what was found out about it."""

    apiVersion: Literal["guardrails/v1"] = "guardrails/v1"
    kind: Literal["NotebookJob"] = "NotebookJob"
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    entry: str  # the notebook, relative to src/
    owner: str
    python: Python
    parameters: Parameters
    resources: Resources
    inputs: list[Input] = Field(default_factory=list)
    modules: list[str] = Field(default_factory=list)  # Python files that go along, relative to src/
    outputs: list[Output] = Field(default_factory=list)  # declared ones, and all other files that the clean run wrote
    policy_digest: str

    @property
    def details(self) -> Details:
        """What its submitter said, as one value; `outputs` are all that it has."""
        return Details(**{name: getattr(self, name) for name in Details.model_fields})

    @property
    def notebooks(self) -> tuple[str, ...]:
        """All its notebooks in the order in which they run, relative to src/."""
        return (self.entry, *self.then)

    def to_text(self) -> str:
        """The file's text: the same job, the same bytes. A job of one notebook says nothing of others, one that pins nothing nothing of that."""
        return canonical.dumps(self.model_dump(mode="json", exclude={name for name in ("then", "pinned") if not getattr(self, name)}))


def numbered(name: str, number: int) -> str:
    """A file of evidence about each notebook: `executed.ipynb` of the first one (0), `executed-2.ipynb` of the next."""
    stem, _, suffix = name.partition(".")
    return f"{stem}-{number + 1}.{suffix}" if number else name


def read_job(folder: Path) -> Job:
    """The job of an unpacked package; PackageError that names what is wrong."""
    try:
        return Job.model_validate(canonical.loads((folder / JOB).read_bytes()))
    except (OSError, ValidationError) as error:
        raise PackageError(f"{JOB} can't be used: {error}", next_step="get the package again from who built it") from error
