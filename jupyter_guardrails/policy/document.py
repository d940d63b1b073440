"""The policy file as a whole: every key that it may hold, with its meaning, default and check."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from jupyter_guardrails.policy import fields as f
from jupyter_guardrails.policy.fields import People, Short, Strict
from jupyter_guardrails.policy.rule import DataEntry, Rule

API_VERSION = "guardrails/v1"
CHECKS = {
    "clean_run": "require",
    "data": "require",
    "environment": "require",
    "secrets": "require",
    "order": "warn",
    "paths": "warn",
    "imports": "require",
    "packages": "require",
    "licenses": "require",
    "vulnerabilities": "warn",
    "personal_data": "warn",
    "size": "warn",
    "parameters": "warn",
}
ENGINES = ("local", "slurm", "airflow", "kubernetes")
Setting = Annotated[
    Any,
    BeforeValidator(f.plain_setting),
    WithJsonSchema({"type": ["string", "number", "boolean", "array"], "items": {"type": ["string", "number", "boolean"]}}),
]


def _known(*names: str) -> Any:
    """A check that a key is a known one; a plug-in's name holds a dot, so that a typing error can't pass for one."""

    def validate(key: str) -> str:
        if key not in names and "." not in key:
            raise f.UnknownName(f"is not known; the name of a plug-in holds a dot, like acme.{key}", names)
        return key

    return AfterValidator(validate)


class ProfileSpec(Strict):
    """What one kernel may use."""

    memory: f.Bytes = Field(default=4 * 2**30, description="Memory of the kernel and all its children.")
    cpus: f.Amount = Field(default=1.0, description="Processors; 1.5 is one and a half.")
    tasks: Annotated[int, Field(ge=16, le=1_000_000)] = Field(default=4096, description="Processes and threads.")
    shm: f.Bytes | None = Field(default=None, description="Size of `/dev/shm`, part of the memory; left out: half of it, as Linux does.")
    file_size: f.BytesOrOff = Field(default=None, description="Largest file that can be written; left out or `off`: no limit.")
    gpus: Annotated[int, Field(ge=0, le=64)] = Field(default=0, description="Number of GPUs.")
    idle: f.DurationOrOff = Field(default=8 * 3600, description="A kernel without activity for so long is ended, with a notice; `off`: never.")
    lifetime: f.DurationOrOff = Field(default=None, description="A kernel is ended after so long; left out or `off`: never.")


class Environment(Strict):
    """Environment variables of kernels, beside the built-in list."""

    pass_: tuple[f.Variable, ...] = Field(default=(), alias="pass", description="Variables that are passed on from the server.")
    set_: dict[f.Variable, f.Text] = Field(default={}, alias="set", description="Variables with their values.")


class Paths(Strict):
    """Paths that kernels may reach, beside system, environment and workspace."""

    read: tuple[f.ReadPath, ...] = Field(default=(), description="Readable trees; `{user}` becomes the person's name.")
    write: tuple[f.WritePath, ...] = Field(default=(), description="Writable trees; `{user}` becomes the person's name.")


class DataReviewers(Short, People):
    """`owner`, or a group, or people."""

    owner: bool = Field(default=False, description="The dataset's owner, as its contract says.")

    @classmethod
    def _from_text(cls, text: str) -> dict[str, Any]:
        return {"owner": True} if text == "owner" else {"groups": (text,)}


class Data(Strict):
    """Who decides requests for datasets."""

    reviewers: DataReviewers = Field(default=DataReviewers(owner=True), description="`owner` of the dataset, a group's name, or `{users, groups}`.")


class Packages(Strict):
    """Python packages that a job may hold; names in any spelling, patterns allowed, deny wins."""

    allow: tuple[f.Glob, ...] = Field(default=("*",), description="Packages that a job may hold.")
    deny: tuple[f.Glob, ...] = Field(default=(), description="Packages that no job may hold.")
    deny_licenses: tuple[f.Glob, ...] = Field(default=(), description="Licences that no package of a job may be under: SPDX names, patterns allowed.")


class Promotion(Strict):
    """The bar that a notebook must clear to become a production job. Always enforced, whatever the mode."""

    reviewers: People = Field(default=People(), description="Who may review jobs; never the submitter's own.")
    approvals: Annotated[int, Field(ge=1, le=10)] = Field(default=1, description="Distinct reviewers that must approve.")
    sign_off: tuple[DataEntry, ...] = Field(
        default=(), description="Data whose owners must approve what was made of it, too: by classification, tag, domain or name."
    )
    production_profile: f.Name | None = Field(default=None, description="Profile of clean runs and jobs; left out: the person's default profile.")
    run_as: f.Principal | None = Field(default=None, description="Account that jobs run as; it must be allowed to read every input.")
    engines: dict[Annotated[f.Text, _known(*ENGINES)], dict[f.Text, Setting]] = Field(
        default={"local": {}},
        description="Engines that jobs may be deployed to, with their settings: local, slurm, airflow (url, dags, workers), "
        "kubernetes (namespace, claim, image, user, group).",
    )
    checks: dict[Annotated[f.Text, _known(*CHECKS)], Literal["require", "warn", "off"]] = Field(
        default={}, description="Check to `require`, `warn` or `off`; a check that is left out keeps its built-in level."
    )
    packages: Packages = Field(default=Packages(), description="Packages that a job may hold.")
    review_every: f.DurationOrOff = Field(default=None, description="An approval lapses after so long; left out or `off`: never.")
    on_lapse: Literal["continue", "stop"] = Field(default="continue", description="Whether scheduled runs go on after an approval lapsed.")


class Witness(Short):
    """Somebody of another account or host who is told what the audit log holds."""

    to: f.WitnessAddress = Field(
        description="`journald`, `syslog`, `udp://host:port`, `tcp://host:port` (syslog), or an OTLP collector's `https://…`."
    )
    required: bool = Field(default=False, description="Nothing is permitted that it can't be told of, where the mode is `enforce`.")
    records: bool = Field(default=False, description="It gets every record; else only the signed anchors.")

    @classmethod
    def _from_text(cls, text: str) -> dict[str, Any]:
        return {"to": text}

    @model_validator(mode="after")
    def _answers(self) -> Witness:
        if self.required and self.to.startswith("udp:"):
            raise ValueError("can't be required over udp, where nobody knows what arrives: use tcp, or OTLP")
        return self


class Audit(Strict):
    """What the audit record holds of code, for how long it is kept, and who else is told."""

    cells: Literal["off", "digest", "code"] = Field(default="digest", description="What is recorded of each cell that runs.")
    keep: f.DurationOrOff = Field(default=None, description="How long records are kept; left out or `off`: for ever.")
    anchor_every: f.Duration = Field(
        default=300, description="How often the head of the log is signed when something was written; beside each 1000 records."
    )
    witness: tuple[Witness, ...] = Field(default=(), description="Who else is told, so that cutting the log back shows: an address, or a mapping.")


class Notify(Strict):
    """Where requests, reviews, failed jobs, suspensions and break-glass are announced."""

    webhook: f.Url | None = Field(default=None, description="Address that gets a JSON message by POST; redirects are not followed.")
    smtp: f.HostPort | None = Field(default=None, description="Mail server as host:port; needs `from` and `to`.")
    from_: f.MailAddress | None = Field(default=None, alias="from", description="Who mails come from.")
    to: tuple[f.MailAddress, ...] = Field(default=(), description="Who gets the mails: the admins.")
    starttls: bool = Field(default=True, description="Mails only over TLS; `false`: in the clear, for a server on this machine.")
    credentials: f.SecretPath | None = Field(
        default=None, description="File with `webhook_secret=…` (signs messages) and `smtp_login=name:password`, readable for control alone."
    )

    @model_validator(mode="after")
    def _mail_is_whole(self) -> Notify:
        if self.smtp and not (self.from_ and self.to):
            raise ValueError("smtp needs from: and to: [...], addresses like guardrails@example.com")
        return self


class Document(Strict):
    """The policy file. One file, or a directory of them in lexical order."""

    api_version: Literal["guardrails/v1"] = Field(alias="apiVersion", description="The format of this file.")
    mode: f.Mode = Field(
        default="enforce",
        description="`observe` records would-be refusals of files, data, network and limits, `warn` also shows them, `enforce` refuses.",
    )
    require: tuple[Literal["files", "network", "processes", "memory", "sockets"], ...] = Field(
        default=("files", "network"), description="Guarantees without which no kernel starts."
    )
    admins: People = Field(default=People(), description="Who sees everybody's use and audit records.")
    groups: dict[f.Principal, tuple[f.Principal, ...]] = Field(default={}, description="Group to its people, where no Hub or operating system tells.")
    environment: Environment = Field(default=Environment(), description="Environment variables of kernels.")
    paths: Paths = Field(default=Paths(), description="Paths that kernels may reach.")
    profiles: dict[f.Name, ProfileSpec] = Field(default={}, description="Profile to what one kernel of it may use.")
    rules: tuple[Rule, ...] = Field(default=(), description="The rules, read in order.")
    data: Data = Field(default=Data(), description="Requests for datasets.")
    promotion: Promotion = Field(default=Promotion(), description="From notebook to production job.")
    audit: Audit = Field(default=Audit(), description="The audit record.")
    notify: Notify = Field(default=Notify(), description="Announcements.")
