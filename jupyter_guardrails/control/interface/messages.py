"""The typed requests that control answers, and what it grants to a kernel. Answers are the schemas of server/openapi.yaml."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from jupyter_guardrails.control.interface.jobs import DeclaredInput
from jupyter_guardrails.control.interface.live import LivePlace
from jupyter_guardrails.package.details import Details as Details

CHECK_STATES = ("waiting", "running", "passed", "failed", "warned", "not_checked")
SUBMISSION_STATES = (
    "draft",
    "submitted",
    "checking",
    "checks_failed",
    "in_review",
    "changes_requested",
    "rejected",
    "withdrawn",
    "cancelled",
    "approved",
    "deployed",
    "superseded",
    "retired",
)

ListenerKind = Literal["channel", "proxy", "forward"]


REQUESTS: dict[str, type[Request]] = {}  # op -> its kind


class Request(BaseModel):
    """Base of all requests; unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    op: ClassVar[str]
    timeout_s: ClassVar[float] = 30.0  # how long a client waits for each part of the answer; control gives up a little earlier
    repeatable: ClassVar[bool] = False  # done twice is done once: sent again by itself when control ends before its answer

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Known by its `op` from now on."""
        super().__init_subclass__(**kwargs)
        REQUESTS[cls.op] = cls


class Me(Request):
    """-> Me of openapi.yaml: person, effective policy with rule locations, what is enforced here; `own` is about `notebook`."""

    op = "me"
    repeatable = True
    notebook: str | None = None


class LaunchPaths(Request):
    """-> {read, write, devices, require, observed, shut: [str]}: what this person's kernels may ever reach beside the workspace, or what alone
    they may not: the outer domain must hold it."""

    op = "launch.paths"
    repeatable = True


class LaunchMounter(Request):
    """-> {launch}. fd 0 is the socket on which the launch's mounter takes orders; `launch` names it from then on."""

    op = "launch.mounter"


class KernelRoot(Request):
    """-> {missing: [str]} or {error: str}: a root of its own for the process behind fd 0 (a pidfd), by the launch's mounter.

    The paths are what its sandbox asks to see. It gets what the launch's table holds, what is private to it, and what its lease grants.
    """

    op = "kernel.root"
    lease: str
    launch: str
    read: list[str]
    write: list[str]
    devices: list[str]
    temporary: str | None = None
    covers: list[tuple[str, str]] = Field(default_factory=list)
    terminal: bool = False
    fresh_proc: bool = True


class KernelAdmit(Request):
    """-> Admission. Decision and lease in one transaction; the same `key` gives the same lease."""

    op = "kernel.admit"
    repeatable = True
    kernel_id: str
    kernelspec: str
    workspace: str
    key: str
    kind: Literal["kernel", "terminal", "clean_run", "exec"] = "kernel"
    profile: str | None = None
    notebook: str | None = None
    submission: str | None = None  # clean runs: the submission whose declared datasets bound the grants
    datasets: list[str] | None = Field(default=None, max_length=1000)  # only these are given at the start; None: all that may be read
    inputs: list[DeclaredInput] | None = Field(default=None, max_length=1000)  # exec: a job's, which reads these alone, by path or channel


class KernelStarted(Request):
    """-> {}. The sandbox's report; fds are listeners in the order of `listeners`. A forward's own address says which one it is."""

    op = "kernel.started"
    repeatable = True
    lease: str
    pid: int
    report: dict[str, Any]
    listeners: list[ListenerKind] = Field(default_factory=list)
    live: LivePlace | None = None  # where what it sees of data can be changed


class Beat(BaseModel):
    """One kernel's measured use since it started."""

    lease: str
    cpu_s: float
    memory_bytes: int
    memory_peak_bytes: int
    idle_s: float = 0.0


class KernelBeat(Request):
    """-> {end: [{lease, reason}], tell: [{lease, text}], notices: [{lease, cause, phase, since, text, rule, say}], again_s}.

    `end`: leases that are over; `tell`: what people must hear, where there is any. All kernels of a server, every 10 s or, where a notice is
    near, after `again_s`; 60 s without one end a lease.
    """

    op = "kernel.beat"
    repeatable = True
    beats: list[Beat]


class KernelLimits(Request):
    """-> {version, limits: [LiveLimits], workspace_bytes, workspace_rule}. Every second; no `limits` while `version` is that of the last answer."""

    op = "kernel.limits"
    repeatable = True
    leases: list[str]
    version: str = ""


class Seen(BaseModel):
    """Something that a traced kernel named and enforcement would refuse: a real path, or `host:port`; `stopped`: it is shut in every mode."""

    kind: Literal["read", "write", "connect"]
    what: str = Field(max_length=8192)
    stopped: bool = False


class KernelWouldRefuse(Request):
    """-> {refused: [{action, resource, reason, rule, next_step, mode}]}, those that were recorded. `lost`: how many more were not kept."""

    op = "kernel.would_refuse"
    lease: str
    seen: list[Seen] = Field(max_length=256)
    lost: int = Field(default=0, ge=0)


class KernelSettle(Request):
    """-> {}. The kernel has ended (or never started: `reason` says so); the lease is charged and closed."""

    op = "kernel.settle"
    repeatable = True
    lease: str
    reason: str
    cpu_s: float = 0.0
    memory_peak_bytes: int = 0


class Kernels(Request):
    """-> Kernels of openapi.yaml, as control knows them (leases with their last beat)."""

    op = "kernels"
    repeatable = True


class ProfileSet(Request):
    """-> {profile, notebook}. Applies at the next start of a kernel, for one notebook or for all; None: what was chosen there is forgotten."""

    op = "profile.set"
    repeatable = True
    profile: str | None
    notebook: str | None = None


class Budget(Request):
    """-> Budget of openapi.yaml."""

    op = "budget"
    repeatable = True


class DatasetsSearch(Request):
    """-> Datasets of openapi.yaml."""

    op = "datasets.search"
    repeatable = True
    q: str = ""
    scope: Literal["all", "granted", "requestable"] = "all"
    order: Literal["name", "usable"] = "name"
    limit: int = Field(default=200, ge=1, le=1000)
    offset: int = Field(default=0, ge=0, le=1_000_000)


class DatasetShow(Request):
    """-> DatasetDetail of openapi.yaml."""

    op = "datasets.show"
    repeatable = True
    name: str


class DatasetCheck(Request):
    """-> {contracts: [{file, name, problems: [str]}]}: every contract of the catalogue, for `data check`."""

    op = "datasets.check"
    repeatable = True


class RequestsList(Request):
    """-> Requests of openapi.yaml."""

    op = "requests.list"
    repeatable = True


class RequestCreate(Request):
    """-> AccessRequest of openapi.yaml."""

    op = "requests.create"
    repeatable = True
    dataset: str
    purpose: str = Field(min_length=3, max_length=2000)
    days: int = Field(default=30, ge=1, le=365)
    kind: Literal["access"] = "access"


class SubmissionCreate(Request):
    """-> Submission of openapi.yaml, state `submitted` (202) and its worker started. `draft`: check only."""

    op = "submissions.create"
    timeout_s = 120.0
    repeatable = True
    notebook: str  # relative to the workspace, "/" between parts
    workspace: str
    kernelspec: str | None = None  # None: the notebook's own
    parameters: dict[str, Any] = Field(default_factory=dict)
    draft: bool = False
    sample_s: int | None = Field(default=None, ge=1, le=3600)  # of a draft: its clean run ends after so long, and counts for nothing
    sample_rows: int | None = Field(default=None, ge=1, le=1_000_000)  # of a draft: its clean run sees so many rows of each dataset
    reason: str = ""
    details: Details = Details()
    key: str


class SubmissionsList(Request):
    """-> Submissions of openapi.yaml, newest first. `words`: whose notebook's path has them."""

    op = "submissions.list"
    repeatable = True
    words: str = Field(default="", max_length=200)
    limit: int = Field(default=200, ge=1, le=1000)


class SubmissionShow(Request):
    """-> Submission of openapi.yaml."""

    op = "submissions.show"
    repeatable = True
    id: str


class SubmissionCancel(Request):
    """-> Submission of openapi.yaml, state `cancelled`; its worker and clean run are ended."""

    op = "submissions.cancel"
    id: str


class SubmissionPackage(Request):
    """-> {name, size_bytes, content_digest, evidence_digest} and one read-only fd on the package's zip."""

    op = "submissions.package"
    repeatable = True
    id: str


class WorkerProgress(Request):
    """Worker only -> {cancelled: bool}. One check's state; `check` is its name, `findings` [{cell, line, message, fix}]."""

    op = "worker.progress"
    repeatable = True
    submission: str
    check: str
    title: str
    state: Literal["waiting", "running", "passed", "failed", "warned", "not_checked"]
    detail: str = ""
    findings: list[dict[str, Any]] = Field(default_factory=list)
    progress: dict[str, int] | None = None  # {done, total}: cells of the clean run
    seconds: float | None = None


class WorkerFinish(Request):
    """Worker only -> Submission. `folder` holds the unpacked package: control recomputes digests, signs and freezes it."""

    op = "worker.finish"
    timeout_s = 900.0  # the package is read, signed and packed
    submission: str
    state: Literal["checks_failed", "built"]
    folder: str | None = None
    error: str = ""


class PackageVerify(Request):
    """-> {name, version, content_digest, evidence_digest, signed_by: [keyid], trusted, self_test, problems: [str]}; fd 0: the zip."""

    op = "package.verify"
    timeout_s = 300.0


class Audit(Request):
    """-> {records: [AuditRecord], next: int}. Own records; everybody's for admins."""

    op = "audit"
    repeatable = True
    after: int = Field(default=0, ge=0, lt=1 << 63)  # what SQLite can count
    limit: int = Field(default=200, ge=1, le=1000)


class Forward(BaseModel):
    """An approved place that doesn't speak HTTP: in the kernel's own network `address:port` leads to `host:port`."""

    address: str
    host: str
    port: int


class Admission(BaseModel):
    """What control grants to one kernel, terminal or clean run: everything that its sandbox is made from."""

    lease: str
    principal: str
    policy_digest: str
    profile: str
    rule: str
    mode: Literal["observe", "warn", "enforce"]
    memory_bytes: int
    cpus: float
    tasks: int
    shm_bytes: int
    file_size_bytes: int | None = None
    idle_s: int | None = None
    lifetime_s: int | None = None
    devices: list[str] = Field(default_factory=list)
    read_paths: list[str] = Field(default_factory=list)  # the policy's
    write_paths: list[str] = Field(default_factory=list)
    datasets: dict[str, str] = Field(default_factory=dict)  # name -> path, of direct deliveries granted at start
    env_pass: list[str] = Field(default_factory=list)
    env_set: dict[str, str] = Field(default_factory=dict)
    network_allow: list[str] = Field(default_factory=list)
    forwards: list[Forward] = Field(default_factory=list)
    require: list[str] = Field(default_factory=list)
    observed: list[str] = Field(default_factory=list)  # "files", "network": not refused, recorded
    shut: list[str] = Field(default_factory=list)  # real paths that stay shut though files are observed
    softly: list[str] = Field(default_factory=list)  # those of `datasets` that enforcement would refuse
    declared: list[DeclaredInput] | None = None  # a job's inputs, and no more is read on its channel; None: whatever its person may read

    @property
    def required(self) -> list[str]:
        """The guarantees without which it may not start: none where the policy only observes."""
        return [] if self.observed else self.require


class LiveLimits(BaseModel):
    """What a running kernel may use from now on; `stays` is why it keeps what it has, and then there are no numbers."""

    lease: str
    rule: str
    memory_bytes: int = 0
    cpus: float = 0.0
    tasks: int = 0
    shm_bytes: int = 0
    file_size_bytes: int | None = None
    idle_s: int | None = None
    lifetime_s: int | None = None
    stays: str = ""
    notice: str = ""  # what its person is told, whatever the numbers: an admin has suspended them, and it ends soon
