"""`settings.yaml` of the admin's directory: whose control this machine has, and where that keeps things. Every account reads it: no secrets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from jupyter_guardrails.errors import PolicyError, Problem
from jupyter_guardrails.policy.load import read_model
from jupyter_guardrails.policy.yamltree import Node

NAME = "settings.yaml"
OF_SERVICE = ("socket", "state_dir", "records", "records_passfile", "lineage_url", "lineage_token_file")
PATHS = ("socket", "state_dir", "records_passfile", "lineage_token_file")
SOCKET = "/run/jupyter-guardrails/control.sock"
STATE_DIR = "/var/lib/jupyter-guardrails"


class MachineSettings(BaseModel):
    """The file's keys, each of which may be left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    control: Literal["own", "service"] = Field(default="own", description="each person's own control, or one service for all accounts")
    socket: str = Field(default=SOCKET, description="where the service listens, in a folder of its own")
    state_dir: str = Field(default=STATE_DIR, description="where the service keeps records, keys and packages")
    records: str = Field(default="", description="postgresql://user@host/database instead of SQLite in the state directory")
    records_passfile: str | None = Field(default=None, description="a password file of PostgreSQL (.pgpass), for the service's account alone")
    lineage_url: str = Field(
        default="", description="the address of an OpenLineage server that takes events by POST, like https://lineage.example.com/api/v1/lineage"
    )
    lineage_token_file: str | None = Field(default=None, description="a file with the bearer token for it, for the service's account alone")

    @field_validator("lineage_url")
    @classmethod
    def _is_an_address_without_password(cls, value: str) -> str:
        place = urlsplit(value)
        if value and (place.scheme not in ("http", "https") or not place.hostname):
            raise ValueError("must be http://… or https://…")
        if place.username is not None or place.query:
            raise ValueError("must hold no name, password or query: everyone can read this file; put a token into lineage_token_file")
        return value

    @field_validator("records")
    @classmethod
    def _is_a_database_without_password(cls, value: str) -> str:
        return database_url(value, otherwise="everyone can read this file; name a password file in records_passfile") if value else value


def database_url(text: str, *, otherwise: str) -> str:
    """The text, when it is a PostgreSQL database without a password; ValueError with what it must be, and why and what to do `otherwise`."""
    if urlsplit(text).scheme != "postgresql" or not urlsplit(text).path.strip("/"):
        raise ValueError("must be postgresql://user@host/database")
    if urlsplit(text).password is not None or "password=" in unquote(text):
        raise ValueError(f"must hold no password: {otherwise}")
    return text


def read_machine_settings(admin_dir: Path) -> MachineSettings:
    """What the file says, the defaults where there is none; PolicyError with every mistake, since a service that is not seen would be bypassed."""
    path = admin_dir / NAME
    if not os.path.lexists(path):
        return MachineSettings()
    _refuse_passwords(path)
    found, root = read_model(path, MachineSettings)
    problems = [*_relative(found, root), *_pointless(found, root)]
    if problems:
        raise PolicyError(problems)
    return found


def _refuse_passwords(path: Path) -> None:
    """Before anything quotes a line of it: mistakes are shown in logs and to people."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return  # read_model says why it can't be read
    for number, line in enumerate(lines, 1):
        address = line.partition("://")[2]
        if not line.lstrip().startswith("#") and (":" in address.rpartition("@")[0] or "password=" in address):
            hint = "name a password file of PostgreSQL in records_passfile, readable for the service's account alone"
            raise PolicyError([Problem(str(path), number, 0, "the address in this line holds a password, and everyone can read this file", hint)])


def _relative(found: MachineSettings, root: Node) -> list[Problem]:
    values: dict[str, Any] = {name: getattr(found, name) for name in PATHS}
    wrong = [name for name, value in values.items() if value is not None and not value.startswith("/") and name in root.entries]
    return [root.entries[name][1].problem("must be an absolute path") for name in wrong]


def _pointless(found: MachineSettings, root: Node) -> list[Problem]:
    """An own control's places are in each person's home: a key that nothing reads would be believed."""
    said = [] if found.control == "service" else [name for name in OF_SERVICE if name in root.entries]
    return [root.entries[name][1].problem("counts with `control: service` only", hint="add `control: service`, or remove it") for name in said]
