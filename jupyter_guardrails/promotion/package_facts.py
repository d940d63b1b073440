"""What is known of a Python package before it is allowed: what it needs, how big that is, licences, advisories.

The index is asked by two confined processes that read metadata: no code of a package runs, and only wheels are looked at.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uv import find_uv_bin

from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.kernels.kernelspecs import interpreter_folders
from jupyter_guardrails.promotion.confine import index_environ, index_files, run_confined
from jupyter_guardrails.promotion.locks import canonical_name, tail

PROGRAM = (Path(__file__).parent / "payload" / "index_facts.py").read_text()
RESOLVE_S = 120.0
READ_S = 90.0
MOST = 200  # packages that one package may need
MOST_ADVISORIES, LONGEST = 100, 300  # of one package; letters of one: a decision keeps them


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """One package as a job would get it; None for what nobody tells: no licence in its metadata, no advisories from this index."""

    name: str
    version: str
    license: str | None
    size_bytes: int | None
    advisories: tuple[str, ...] | None

    def to_json(self) -> dict[str, Any]:
        """As `requests show --json` says it."""
        told = None if self.advisories is None else list(self.advisories)
        return {"name": self.name, "version": self.version, "license": self.license, "size_bytes": self.size_bytes, "advisories": told}


def gather(name: str, environ: Mapping[str, str] = os.environ) -> tuple[PackageFacts, ...]:
    """The package, then all that it needs, as its newest version would be locked here; BadRequest where the index has no wheels of it."""
    with tempfile.TemporaryDirectory(prefix="facts-") as folder:
        packages = _resolved(name, Path(folder), environ)
        said = _read(packages, Path(folder), environ)
    found = [_facts(package, said.get(package["name"], {})) for package in packages]
    return tuple(sorted(found, key=lambda facts: (facts.name != canonical_name(name), facts.name)))


def _resolved(name: str, scratch: Path, environ: Mapping[str, str]) -> list[dict[str, Any]]:
    uv, lock = find_uv_bin(), scratch / "pylock.facts.toml"
    (scratch / "facts.in").write_text(f"{name}\n")
    argv = [uv, "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--only-binary", ":all:", "--python", sys.executable]
    argv += ["--format", "pylock.toml", "--cache-dir", str(scratch / "uv"), str(scratch / "facts.in"), "-o", str(lock)]
    read = [uv, *interpreter_folders(sys.executable), *index_files(environ)]
    ran = run_confined(argv, scratch=scratch, read=read, network="host", env=index_environ(environ), timeout_s=RESOLVE_S)
    if ran.code or not lock.is_file():
        raise BadRequest(f"the package index has no wheels of {name} for this Python: {tail(ran.err)}", next_step="see whether that is its name")
    packages = tomllib.loads(lock.read_text(encoding="utf-8"))["packages"]
    if len(packages) > MOST:
        raise BadRequest(f"{name} needs {len(packages) - 1} other packages; no more than {MOST} are looked at")
    return [entry | {"name": canonical_name(entry["name"])} for entry in packages]


def _read(packages: list[dict[str, Any]], scratch: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    asked = scratch / "facts.json"
    wheels = [{"name": entry["name"], "version": entry["version"], "wheel": _wheel(entry).get("url", "")} for entry in packages]
    asked.write_text(json.dumps({"packages": wheels, "api": json_api(environ)}))
    argv = [sys.executable, "-I", "-c", PROGRAM, str(asked)]
    read = [*interpreter_folders(sys.executable), *index_files(environ)]
    ran = run_confined(argv, scratch=scratch, read=read, network="host", env=index_environ(environ), timeout_s=READ_S)
    try:
        return dict(json.loads(ran.out))
    except ValueError as error:
        raise BadRequest(f"what the index says could not be read: {tail(ran.err)}", next_step="try again") from error


def json_api(environ: Mapping[str, str]) -> str:
    """Where the index tells of advisories, as PyPI and what mirrors it whole do; empty where that isn't known: a name is asked of nobody else."""
    index = environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL") or ""
    if not index and os.path.exists(os.path.join(index_environ(environ)["XDG_CONFIG_HOME"], "uv", "uv.toml")):
        return ""
    index = (index or default_index()).rstrip("/")
    return f"{index.removesuffix('/simple')}/pypi" if index.endswith("/simple") and "@" not in index else ""


def default_index() -> str:
    """The index that uv and pip use where none is configured; empty where pip-audit, which knows it by name, isn't installed."""
    try:
        from pip_audit._dependency_source import PYPI_URL  # an optional dependency
    except ImportError:
        return ""
    return str(PYPI_URL)


def _wheel(entry: dict[str, Any]) -> dict[str, Any]:
    return dict(next(iter(entry.get("wheels", ())), {}))


def _facts(entry: dict[str, Any], said: dict[str, Any]) -> PackageFacts:
    size, told = _wheel(entry).get("size"), said.get("advisories")
    known = None if told is None else _advisories(told)
    return PackageFacts(entry["name"], str(entry["version"]), said.get("license"), size if isinstance(size, int) else None, known)


def _advisories(told: list[dict[str, Any]]) -> tuple[str, ...]:
    more = len(told) - MOST_ADVISORIES
    return (*(_advisory(one) for one in told[:MOST_ADVISORIES]), *([f"and {more} more"] if more > 0 else []))


def _advisory(one: dict[str, Any]) -> str:
    """`CVE-2026-1 (PYSEC-2026-2), fixed in 1.2`."""
    names = sorted([str(one["id"]), *map(str, one["aliases"])], key=lambda name: not name.startswith("CVE-"))
    others = f" ({', '.join(names[1:3])})" if names[1:] else ""
    said = f"{names[0]}{others}, " + (f"fixed in {', '.join(map(str, one['fixed_in'][:5]))}" if one["fixed_in"] else "not fixed")
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 1]}…"
