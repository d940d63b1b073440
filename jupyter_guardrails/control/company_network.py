"""What a company's network asks for: a proxy of its own between this machine and the world, and its certificates.

Read from `network.yaml` beside the policy (so /etc/jupyter/guardrails/network.yaml where an admin decides). A file with a mistake is never
taken for none: then no kernel starts, and the mistake is said with its place.
"""

from __future__ import annotations

import base64
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, field_validator

from jupyter_guardrails.errors import PolicyError, Problem
from jupyter_guardrails.policy.hosts import check_port, normal_host
from jupyter_guardrails.policy.load import read_model
from jupyter_guardrails.policy.yamltree import Node

NAME = "network.yaml"
COMMENT = re.compile(r"(^|\s)#.*")
PASSWORD = re.compile(r"(://|upstream_proxy).*@")  # also one with a slash or a blank in it
SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/var/cache/fontconfig")  # what every kernel reads, see kernels/plan.py
CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS")


class CompanyNetwork(BaseModel):
    """The file's keys, each of which may be left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    upstream_proxy: str | None = None  # http://host:port
    upstream_credentials: str | None = None  # a file with `name:password`, for its owner alone
    direct: tuple[str, ...] = ()  # hosts that are reached without it; `*` matches one label, `**` several
    ca_bundle: str | None = None  # a PEM file that kernels may read

    @field_validator("upstream_proxy")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is not None:
            place_of(value)
        return value

    @field_validator("direct")
    @classmethod
    def _are_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(normal_host(host, patterns=True) for host in value)

    def variables(self) -> dict[str, str]:
        """By which programs in kernels find the certificates."""
        return dict.fromkeys(CERTIFICATES, self.ca_bundle) if self.ca_bundle else {}

    def paths(self) -> list[str]:
        """What kernels must be able to read."""
        return [self.ca_bundle] if self.ca_bundle else []


def place_of(text: str) -> tuple[str, int]:
    """Host and port of `http://host:port`; ValueError with what is wrong."""
    url = urlsplit(text)
    if url.scheme != "http" or not url.hostname or url.path not in ("", "/") or url.query or url.fragment or "@" in url.netloc:
        raise ValueError("must be http://host:port, without a path")
    return normal_host(url.hostname), check_port(80 if url.port is None else url.port)


def file_of(policy_path: Path) -> Path:
    """Where the file is looked for."""
    return policy_path.parent / NAME


def read(policy_path: Path, reach: Sequence[str] = ()) -> CompanyNetwork:
    """What the file beside the policy says, nothing where there is none; PolicyError with every mistake.

    `reach`: what a kernel may read beside the system. Kernels run as control's own account: no mode keeps a file in it from them.
    """
    path = file_of(policy_path)
    if not os.path.lexists(path):
        return CompanyNetwork()
    _refuse_passwords(path)
    found, root = read_model(path, CompanyNetwork)
    problems = [*_unreadable(root, "ca_bundle", found.ca_bundle), *_unreadable(root, "upstream_credentials", found.upstream_credentials)]
    if not problems and found.upstream_credentials:
        problems += _open_to_others(root, found.upstream_credentials)
        problems += _within_reach(root, found.upstream_credentials, (*SYSTEM, *reach))
    if problems:
        raise PolicyError(problems)
    return found


def _refuse_passwords(path: Path) -> None:
    """Before anything quotes a line of it: mistakes are shown in logs and to people."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    if any(PASSWORD.search(COMMENT.sub("", line)) for line in lines):
        hint = "put name:password into a file of its own, for its owner alone, and name it in upstream_credentials"
        raise PolicyError([Problem(str(path), 0, 0, "an address in it holds a name or password", hint)])


def secrets(policy_path: Path) -> tuple[str, ...]:
    """Files that stay shut to kernels in every mode."""
    credentials = read(policy_path).upstream_credentials
    return (credentials,) if credentials else ()


def upstream(network: CompanyNetwork) -> dict[str, Any] | None:
    """What the worker needs of it, with the credentials; None without an upstream proxy."""
    if network.upstream_proxy is None:
        return None
    host, port = place_of(network.upstream_proxy)
    told: dict[str, Any] = {"host": host, "port": port, "direct": list(network.direct), "authorization": ""}
    if network.upstream_credentials:
        secret = Path(network.upstream_credentials).read_text(encoding="utf-8").strip()
        told["authorization"] = "Basic " + base64.b64encode(secret.encode()).decode()
    return told


def _unreadable(root: Node, key: str, path: str | None) -> list[Problem]:
    if path is None:
        return []
    place = root.entries[key][1]
    if not path.startswith("/"):
        return [place.problem("must be an absolute path")]
    try:
        with open(path, "rb") as file:
            file.read(1)
    except OSError as error:
        return [place.problem(f"can't be read: {error.strerror}", hint="name a file that this account can read")]
    return []


def _open_to_others(root: Node, path: str) -> list[Problem]:
    if not stat.S_IMODE(os.stat(path).st_mode) & 0o077:
        return []
    return [root.entries["upstream_credentials"][1].problem("others may read it", hint=f"chmod 600 {path}")]


def _within_reach(root: Node, path: str, reach: Sequence[str]) -> list[Problem]:
    real = Path(os.path.realpath(path))
    place = next((place for place in reach if real.is_relative_to(os.path.realpath(place))), None)
    if place is None:
        return []
    hint = "keep it in a folder that no kernel reads: in control's state directory, or in the home folder beside the workspace"
    return [root.entries["upstream_credentials"][1].problem(f"kernels run as this account and may read {place}", hint=hint)]
