"""Advisories about packages by name and version, as an index tells pip-audit; what it told is kept for a day, in the worker's own place."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.kernels.kernelspecs import interpreter_folders
from jupyter_guardrails.promotion.confine import index_environ, index_files, run_confined
from jupyter_guardrails.promotion.locks import canonical_name, tail
from jupyter_guardrails.promotion.package_facts import default_index, json_api

SERVICE, OSV_URL = "PIP_AUDIT_VULNERABILITY_SERVICE", "PIP_AUDIT_OSV_URL"  # pip-audit's own settings, of whoever runs this machine
PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
CONNECT_S, ANSWER_S, ALL_S = 3.0, 10, 90.0
KEPT_S = 24 * 3600.0
UNKNOWN_KEPT_S = 3600.0  # that the index has never heard of a package, as of a company's own: it may have tomorrow
FORMAT = 2


@dataclass(frozen=True, slots=True)
class Told:
    """What the index told: an entry of pip-audit for each package that it knows, and when it was asked first for any of them (seconds since 1970)."""

    entries: tuple[dict[str, Any], ...]
    asked_at: float


def find(packages: Mapping[str, str], *, store: Path, scratch: Path, now: float, environ: Mapping[str, str] = os.environ) -> Told:
    """Of each package what is kept, else what the index says now; GuardrailsError where something has to be asked and nobody answers."""
    with _kept(store / f"{_source(environ)}.json", now) as kept:
        unknown = {name: version for name, version in packages.items() if f"{name}=={version}" not in kept}
        if unknown:
            find_index(environ)
            told = dict(_told(unknown, scratch, environ))
            kept |= {pin: {"at": now, "entry": told.get(pin)} for name, version in unknown.items() for pin in (f"{name}=={version}",)}
        found = [one for name, version in packages.items() if (one := kept[f"{name}=={version}"])["entry"]]
    return Told(tuple(one["entry"] for one in found), min((one["at"] for one in found), default=now))


def find_index(environ: Mapping[str, str]) -> None:
    """GuardrailsError where there is nobody to ask: the names of a company's packages are told to no index but the one that it uses."""
    if SERVICE not in environ and json_api(environ) != json_api({"HOME": os.devnull}):
        raise GuardrailsError("this machine's package index is not PyPI, and PIP_AUDIT_OSV_URL names no index of advisories")
    asked = urlsplit(environ.get(OSV_URL, "") if environ.get(SERVICE) == "osv" else default_index())
    if not asked.hostname or any(environ.get(name) for name in PROXIES):
        return
    try:
        socket.create_connection((asked.hostname, asked.port or 443), timeout=CONNECT_S).close()
    except OSError as error:
        raise GuardrailsError(f"no index of advisories answers: {asked.hostname}: {error.strerror or error}") from error


def _source(environ: Mapping[str, str]) -> str:
    """Names whoever is asked: one index's word is not another's."""
    return hashlib.sha256(f"{environ.get(SERVICE, '')}\n{environ.get(OSV_URL, '')}".encode()).hexdigest()[:32]


@contextmanager
def _kept(file: Path, now: float) -> Iterator[dict[str, dict[str, Any]]]:
    """By `name==version` what was told within a day, or None for what the index did not know within the hour; what is added is kept.
    Two submissions at once ask once."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(file.with_suffix(".lock"), "w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        before = _read(file)
        kept = {pin: one for pin, one in before.items() if now - (KEPT_S if one["entry"] else UNKNOWN_KEPT_S) < one["at"] <= now}
        yield kept
        if kept != before:
            made = file.with_suffix(".new")
            made.write_text(json.dumps({"format": FORMAT, "packages": kept}), encoding="utf-8")
            made.replace(file)


def _read(file: Path) -> dict[str, dict[str, Any]]:
    """Nothing where there is no such file or it is another version's: all is asked again then."""
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        return dict(said["packages"]) if said["format"] == FORMAT else {}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}


def _told(packages: Mapping[str, str], scratch: Path, environ: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """`name==version` as the lock writes it, and what was said; nothing of what the index has never heard of."""
    for entry in _ask(packages, scratch, environ):
        name = canonical_name(entry["name"])
        if name in packages and "skip_reason" not in entry:
            yield f"{name}=={packages[name]}", entry


def _ask(packages: Mapping[str, str], scratch: Path, environ: Mapping[str, str]) -> Iterable[dict[str, Any]]:
    """What pip-audit says of each package, by name and version alone: nothing is installed or run."""
    listed = scratch / "audited.txt"
    listed.write_text("".join(f"{name}=={version}\n" for name, version in packages.items()))
    argv = [sys.executable, "-I", "-m", "pip_audit", "-r", str(listed), "--no-deps", "--disable-pip", "--format", "json", "--desc", "off"]
    argv += ["--progress-spinner", "off", "--timeout", str(ANSWER_S), "--cache-dir", str(scratch / "advisories")]
    env = index_environ(environ) | {name: environ[name] for name in (SERVICE, OSV_URL) if name in environ}
    if trusted := env.get("SSL_CERT_FILE"):
        env["REQUESTS_CA_BUNDLE"] = trusted  # the name that pip-audit's requests looks for
    read = [*interpreter_folders(sys.executable), *index_files(environ)]
    ran = run_confined(argv, scratch=scratch, read=read, network="host", env=env, timeout_s=ALL_S)
    try:
        return list(json.loads(ran.out)["dependencies"])
    except (ValueError, KeyError, TypeError) as error:
        raise GuardrailsError(f"no index of advisories answers: {tail(ran.err, 200) or 'it said nothing'}") from error
