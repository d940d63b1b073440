"""One rule of the policy file: for whom it is, and what it gives, limits, masks and denies."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from jupyter_guardrails.policy import fields as f
from jupyter_guardrails.policy.fields import People, Short, Strict
from jupyter_guardrails.policy.hosts import NetworkEntry, check_host, check_port, parse_entry


class Selector(Short, People):
    """`everyone`, or people: one of the users or groups matches, and none of `not`."""

    text_schema: ClassVar[dict[str, Any]] = {"const": "everyone"}
    exclude: People = Field(default=People(), alias="not", description="People that the rule is not for, though they match.")

    @classmethod
    def _from_text(cls, text: str) -> dict[str, Any]:
        if text != "everyone":
            raise ValueError(f"must be everyone, or {{users: [...], groups: [...]}}, not {text!r}")
        return {"users": ("**",)}

    @model_validator(mode="after")
    def _somebody(self) -> Selector:
        if not (self.users or self.groups):
            raise ValueError("selects nobody: write everyone, or users: [...] or groups: [...]; all but some is users: ['**'] with not")
        return self


class Place(Short):
    """`host:port`, or a mapping of both."""

    host: Annotated[str, BeforeValidator(lambda host: check_host(f.need_text(host)))] = Field(
        description="A host's name, a pattern over names (`*` stays inside one label, `**` doesn't), or one address."
    )
    port: Annotated[
        int | None,
        BeforeValidator(lambda port: None if port in ("*", None) else check_port(port)),
        WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, {"const": "*"}]}),
    ] = Field(description="1 to 65535, or `*` for any.")

    @classmethod
    def _from_text(cls, text: str) -> dict[str, Any]:
        entry = parse_entry(text)
        return {"host": entry.host, "port": entry.port}

    @property
    def entry(self) -> NetworkEntry:
        """The entry as a plain value."""
        return NetworkEntry(self.host, self.port)


class Approved(Place):
    """A place that may be connected to; a mapping when its name may resolve into private addresses."""

    private: f.Ranges = Field(default=(), description="Private address ranges that the name may resolve into.")

    @property
    def entry(self) -> NetworkEntry:
        """The entry as a plain value."""
        return NetworkEntry(self.host, self.port, self.private)


class DataEntry(Short):
    """Datasets by name and by the labels in their contracts; all keys given must match."""

    name: f.Glob | None = Field(default=None, description="The dataset's name; patterns allowed.")
    classification: f.Text | None = Field(default=None, description="The contract's classification.")
    domain: f.Text | None = Field(default=None, description="The contract's domain.")
    tag: f.Text | None = Field(default=None, description="One of the contract's tags.")

    @classmethod
    def _from_text(cls, text: str) -> dict[str, Any]:
        return {"name": text}

    @model_validator(mode="after")
    def _something(self) -> DataEntry:
        if not self.model_fields_set:
            raise ValueError("matches every dataset: write name: '**' if that is meant")
        return self

    @property
    def text(self) -> str:
        """The entry in one line: `hr/*`, or `classification: restricted, domain: hr`."""
        given = self.model_dump(exclude_none=True)
        return self.name if self.name and len(given) == 1 else ", ".join(f"{key}: {value}" for key, value in given.items())


class Kernels(Strict):
    """Which kernels may be started, and how many."""

    profiles: tuple[f.Name, ...] = Field(default=(), description="Profiles that may be chosen; lists of several rules add up.")
    default: f.Name | None = Field(default=None, description="The profile of a kernel for which none was chosen.")
    max: Annotated[int, Field(ge=0, le=10_000)] | None = Field(default=None, description="Kernels at the same time; 0: none may start.")
    terminals: f.Name | None = Field(default=None, description="The profile of terminals.")


class NetworkRules(Strict):
    """Where kernels may connect to."""

    allow: tuple[Approved, ...] = Field(default=(), description="Hosts and ports; lists of several rules add up. What nothing allows is refused.")


class Workspace(Strict):
    """The person's own files."""

    size: f.BytesOrOff = Field(default=None, description="Size of the workspace; `off`: no limit of ours.")


class Budget(Strict):
    """Processor, memory and GPUs over time. Each key is a single value: the last matching rule wins."""

    cpu_hours: f.Amount | None = Field(default=None, description="Measured processor time in the window.")
    memory_gib_hours: f.Amount | None = Field(default=None, description="Measured memory over time in the window.")
    gpu_hours: f.Amount | None = Field(default=None, description="GPUs of the profile times the time that a kernel runs, in the window.")
    per: f.Window = Field(default=7 * 86400, description="Length of the rolling window, or `month`: the calendar month in UTC.")
    share: Literal["person", "group"] = Field(
        default="person", description="`person`: each person has the budget; `group`: the people of the rule that says so have it together."
    )
    warn_at: f.Share = Field(default=0.8, description="Share of the budget at which people are warned.")
    grace: f.Duration = Field(default=15 * 60, description="Time to save work between 100% and the end of kernels.")


class AutoGrant(Strict):
    """Bounds inside which a request is granted without a reviewer."""

    classification: Annotated[tuple[f.Text, ...], Field(min_length=1)] = Field(description="Classifications that are granted at once.")
    max_days: Annotated[int, Field(ge=1, le=365)] = Field(default=30, description="Longest grant in days.")


class DataRules(Strict):
    """Datasets that may be read or asked for. What nothing allows is refused."""

    read: tuple[f.Glob, ...] = Field(default=(), description="Names of datasets that may be read; patterns allowed, lists add up.")
    request: tuple[f.Glob, ...] = Field(default=(), description="Names of datasets that may be asked for; patterns allowed, lists add up.")
    auto_grant: AutoGrant | None = Field(default=None, description="Requests that are granted at once; the last matching rule wins as a whole.")
    browse: Literal["all", "allowed"] | None = Field(
        default=None,
        description="`all`: the catalogue shows that other datasets exist; `allowed` (the default): only what may be read or asked for.",
    )


class Publish(Strict):
    """Derived data that a person may publish; the last matching rule wins as a whole."""

    to: Annotated[tuple[f.Principal, ...], Field(min_length=1)] = Field(description="Groups that data may be published to.")
    review: bool = Field(default=True, description="Whether another person must agree.")


class Uploads(Strict):
    """Files that a person brings along; each key is a single value."""

    max_size: f.Bytes | None = Field(default=None, description="Largest file, of uploads and of what is published.")
    types: Annotated[tuple[Literal["parquet", "csv", "json", "arrow"], ...], Field(min_length=1)] | None = Field(
        default=None, description="Kinds of files, of uploads and of what is published; left out: all four."
    )
    label: f.Text | None = Field(default=None, description="Classification that uploads get, and the lowest of what is published.")


class Deny(Strict):
    """What is refused whatever else is allowed; lists of several rules add up."""

    data: tuple[DataEntry, ...] = Field(default=(), description="Datasets by name or by the labels in their contracts.")
    network: tuple[Place, ...] = Field(
        default=(),
        description="Hosts and ports. An address matches that address only, a name never an address; `**` alone everything.",
    )


class Rule(Strict):
    """One rule. Rules are read in order: lists add up, of single values the last wins, a deny always wins."""

    name: f.Name = Field(description="The rule's name, shown to whom it concerns; unique.")
    who: Selector = Field(alias="for", description="`everyone`, or `{users: [...], groups: [...], not: {users: [...], groups: [...]}}`.")
    mode: f.Mode | None = Field(
        default=None,
        description="The mode for the rule's people, the last matching rule wins; in a rule with nothing but `deny`: of these denies.",
    )
    allow_soft_deny: bool = Field(default=False, description="Permits a mode softer than enforce in a rule that denies.")
    kernels: Kernels = Field(default=Kernels(), description="Kernels and terminals.")
    network: NetworkRules = Field(default=NetworkRules(), description="Network access of kernels.")
    workspace: Workspace = Field(default=Workspace(), description="The person's own files.")
    budget: Budget = Field(default=Budget(), description="Processor, memory and GPUs over time.")
    data: DataRules = Field(default=DataRules(), description="Access to datasets.")
    mask: dict[f.Text, f.MaskKind] = Field(
        default={}, description="Column classification to mask; the strictest wins: blank, constant, hash, partial."
    )
    unmask: tuple[f.Text, ...] = Field(default=(), description="Column classifications whose masks by earlier rules are lifted.")
    rows: dict[f.Glob, f.RowFilter] = Field(default={}, description="Dataset (patterns allowed) to row filter; several are joined by `and`.")
    publish: Publish | None = Field(default=None, description="Publishing derived data.")
    uploads: Uploads = Field(default=Uploads(), description="Bringing own files along.")
    deny: Deny = Field(default=Deny(), description="What is refused whatever else is allowed.")

    @model_validator(mode="after")
    def _consistent(self) -> Rule:
        if both := sorted(set(self.mask) & set(self.unmask)):
            raise ValueError(f"masks and unmasks {both[0]!r} in the same rule")
        if self.denies and self.mode in ("observe", "warn") and not self.allow_soft_deny:
            raise ValueError(f"mode {self.mode} would soften this rule's deny: remove mode, or add allow_soft_deny: true if that is meant")
        return self

    @property
    def denies(self) -> bool:
        """True if the rule holds a deny."""
        return bool(self.deny.data or self.deny.network)

    @property
    def only_denies(self) -> bool:
        """True if the rule does nothing but deny: its mode is then the mode of these denies."""
        return self.denies and self.model_fields_set <= {"name", "who", "mode", "allow_soft_deny", "deny"}
