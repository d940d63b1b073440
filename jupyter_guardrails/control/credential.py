"""One entry of `credentials.yaml`: for which places it is, and with what they are opened. It never shows a value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from jupyter_guardrails.catalog.servers import DATABASES, SAME_SCHEME

PORTS = {dialect: port for dialect, port in DATABASES.values() if port}
DIALECTS = {kind: dialect for kind, (dialect, _) in DATABASES.items() if dialect != "sqlite"} | {"mssql": "mssql"}
OF_DATABASES = frozenset(("for", "user", "password", "options", "role_per_person", "roles"))
OF_S3 = frozenset(("for", "endpoint", "key", "secret", "token", "profile", "ambient", "options"))
OF_STORES = frozenset(("for", "endpoint", "ambient", "options"))
ROLE = re.compile(r"[^{}\0]*\{person\}[^{}\0]*")
ROLE_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,62}")
Scalar = str | int | float | bool


class PersonRole(BaseModel):
    """One person's account in a database; the password may be left out where the database asks for none, or for a certificate."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    user: str = Field(description="the account")
    password: str | None = Field(default=None, description="its password")

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        yield "user", self.user

    @field_validator("user")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        if not ROLE_NAME.fullmatch(value):
            raise ValueError("user must be small letters, digits, . _ -")
        return value


class Credential(BaseModel):
    """One entry: for which places, and with what they are opened."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    for_: str = Field(alias="for", description="`s3://bucket/prefix` or `postgresql://host:port/database`; `*` for a part of a name")
    endpoint: str = Field(default="", description="the contract's `endpointUrl`, when it has one")
    user: str | None = Field(default=None, description="the database's account")
    password: str | None = Field(default=None, description="its password")
    key: str | None = Field(default=None, description="S3: access key id")
    secret: str | None = Field(default=None, description="S3: secret access key")
    token: str | None = Field(default=None, description="S3: session token")
    profile: str | None = Field(default=None, description="S3: a profile of the account that control runs as")
    ambient: bool = Field(default=False, description="what the machine itself has (an instance's role, a service account)")
    options: dict[str, Scalar] = Field(default_factory=dict, description="more options of the fsspec file system or the database's driver")
    role_per_person: str | None = Field(default=None, description="PostgreSQL: the role that SQL of a person runs as; holds `{person}`")
    roles: dict[str, PersonRole] = Field(default_factory=dict, description="PostgreSQL: person -> {user, password} that their SQL runs as")

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        yield "for", self.for_

    @field_validator("for_")
    @classmethod
    def _is_apattern_of(cls, value: str) -> str:
        pattern_of(value)
        return value

    @field_validator("endpoint")
    @classmethod
    def _is_plain(cls, value: str) -> str:
        return value.rstrip("/")

    @field_validator("role_per_person")
    @classmethod
    def _names_the_person(cls, value: str | None) -> str | None:
        if value is not None and not ROLE.fullmatch(value):
            raise ValueError("must hold {person}, once: people may not share a role")
        return value

    @model_validator(mode="after")
    def _has_what_its_kind_has(self) -> Credential:
        scheme = pattern_of(self.for_).scheme
        known = OF_DATABASES if scheme in DIALECTS.values() else OF_S3 if scheme == "s3" else OF_STORES
        given = {"for" if name == "for_" else name for name in self.model_fields_set}
        if wrong := sorted(given - known):
            raise ValueError(f"{', '.join(wrong)} means nothing for {scheme}; known there: {', '.join(sorted(known))}")
        if (self.key is None) != (self.secret is None):
            raise ValueError("key and secret go together")
        if "endpoint_url" in self.options or "client_kwargs" in self.options:
            raise ValueError("the address stands under `endpoint`, so that no other one is told the secret")
        if (self.role_per_person or self.roles) and scheme != "postgresql":
            raise ValueError(f"{'role_per_person is' if self.role_per_person else 'roles are'} for postgresql alone")
        users = [role.user for role in self.roles.values()]
        if len(set(users)) < len(users) or self.user in users:
            raise ValueError("two of `roles` have one account, or it is control's own: each person needs one that is theirs alone")
        return self

    def login_of(self, person: str) -> dict[str, Any] | None:
        """`{user, password, options}` of this person's own account; None where they have none."""
        role = self.roles.get(person) or self._by_template(person)
        return role.model_dump() | {"options": dict(self.options)} if role else None

    def _by_template(self, person: str) -> PersonRole | None:
        """By `role_per_person`: None too for a person whose name can't be part of one of an account."""
        user = (self.role_per_person or "").replace("{person}", person)
        taken = {role.user for role in self.roles.values()} | {self.user}
        return PersonRole(user=user) if person and ROLE_NAME.fullmatch(user) and user not in taken else None


@dataclass(frozen=True, slots=True)
class Pattern:
    """A place with wildcards."""

    scheme: str
    authority: str
    parts: tuple[str, ...]

    def fits(self, scheme: str, authority: str, parts: Sequence[str]) -> bool:
        """Whether a place is this one or beneath it."""
        if scheme != self.scheme or len(parts) < len(self.parts):
            return False
        return all(_like(wanted, had) for wanted, had in zip((self.authority, *self.parts), (authority, *parts), strict=False))

    @property
    def exactness(self) -> tuple[int, int]:
        """Of two that fit the greater one counts."""
        whole = self.authority + "".join(self.parts)
        return len(self.parts), len(whole) - whole.count("*")


def _like(wanted: str, had: str) -> bool:
    """`*` stands for letters of one name: a host's dots and port are not among them."""
    return re.fullmatch(r"[^./:@]*".join(map(re.escape, wanted.split("*"))), had) is not None


def pattern_of(text: str) -> Pattern:
    """ValueError for what is no place; it doesn't repeat the text."""
    scheme, found, rest = text.partition("://")
    scheme = DIALECTS.get(scheme, SAME_SCHEME.get(scheme, scheme))
    authority, _, path = rest.partition("/")
    if not found or not scheme or "?" in rest or "#" in rest or (not authority and scheme not in DIALECTS.values()):
        raise ValueError("must be like s3://bucket/prefix or postgresql://host:port/database")
    if "@" in authority and scheme != "abfs":
        raise ValueError("must name no user or password: they have keys of their own")
    if scheme in PORTS and authority and not re.search(r":\d+$", authority):
        authority = f"{authority}:{PORTS[scheme]}"
    return Pattern(scheme, authority.lower() if scheme in PORTS else authority, tuple(filter(None, path.split("/"))))


def parts_of(place: Mapping[str, Any]) -> tuple[str, str, tuple[str, ...]]:
    """A place as patterns see it; a database behind a unix socket of this machine has no authority."""
    if place["kind"] == "database":
        host = str(place["host"]).lower()
        return place["dialect"], "" if host.startswith("/") else f"{host}:{place['port']}", (place["database"],)
    scheme, _, rest = str(place["url"]).partition("://")
    authority, _, path = rest.partition("/")
    return SAME_SCHEME.get(scheme, scheme), authority, tuple(filter(None, path.split("/")))
