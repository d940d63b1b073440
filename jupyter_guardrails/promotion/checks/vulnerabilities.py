"""vulnerabilities: known ones in the packages of the lock, as an index of advisories tells pip-audit; not checked where none answers."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from packaging.version import InvalidVersion, Version

from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.kernels.kernelspecs import interpreter_folders
from jupyter_guardrails.promotion.confine import index_environ, index_files, run_confined
from jupyter_guardrails.promotion.locks import pinned, tail
from jupyter_guardrails.promotion.offers import install
from jupyter_guardrails.promotion.package_facts import default_index, json_api
from jupyter_guardrails.promotion.results import Finding, Result, failed, not_checked, passed
from jupyter_guardrails.promotion.work import Progress, Work

NAME, TITLE = "vulnerabilities", "No known vulnerabilities"
MISSING = "pip-audit is not installed where this runs (the extra `vulnerabilities`)"
SERVICE, OSV_URL = "PIP_AUDIT_VULNERABILITY_SERVICE", "PIP_AUDIT_OSV_URL"  # pip-audit's own settings, of whoever runs this machine
PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
CONNECT_S, ANSWER_S, ALL_S = 3.0, 10, 90.0


def run(work: Work, progress: Progress) -> Result:
    """Ask the index about each package of the kernel's lock by name and version; nothing is installed or run."""
    if importlib.util.find_spec("pip_audit") is None:
        return not_checked(MISSING)
    if "kernel" not in work.locks:
        return not_checked("the environment is not locked")
    packages = pinned(work.locks["kernel"])
    try:
        _find_index(os.environ)
        said = _ask(work, packages)
    except GuardrailsError as error:
        return not_checked(error.message)
    known = [entry for entry in said if "skip_reason" not in entry]
    if packages and not known:
        return not_checked("the index of advisories knows none of the packages")
    unknown = f"; not known to it: {len(packages) - len(known)}" if len(known) < len(packages) else ""
    findings = [finding for entry in known for finding in _findings(entry)]
    if findings:
        return failed(f"{len(findings)} known in {len(known)} packages{unknown}", findings)
    return passed(f"none known in {len(known)} packages{unknown}")


def _find_index(environ: Mapping[str, str]) -> None:
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


def _ask(work: Work, packages: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> list[dict[str, Any]]:
    """What pip-audit says of each package; GuardrailsError where no index answers in time."""
    listed = work.scratch / "audited.txt"
    listed.write_text("".join(f"{name}=={version}\n" for name, version in packages.items()))
    argv = [sys.executable, "-I", "-m", "pip_audit", "-r", str(listed), "--no-deps", "--disable-pip", "--format", "json", "--desc", "off"]
    argv += ["--progress-spinner", "off", "--timeout", str(ANSWER_S), "--cache-dir", str(work.scratch / "advisories")]
    env = index_environ(environ) | {name: environ[name] for name in (SERVICE, OSV_URL) if name in environ}
    read = [*interpreter_folders(sys.executable), *index_files(environ)]
    ran = run_confined(argv, scratch=work.scratch, read=read, network="host", env=env, timeout_s=ALL_S)
    try:
        return list(json.loads(ran.out)["dependencies"])
    except (ValueError, KeyError, TypeError) as error:
        raise GuardrailsError(f"no index of advisories answers: {tail(ran.err, 200) or 'it said nothing'}") from error


def _findings(entry: Mapping[str, Any]) -> Iterator[Finding]:
    name, version = entry["name"], entry["version"]
    for one in entry["vulns"]:
        also = ", ".join(alias for alias in one.get("aliases", ()) if alias != one["id"])
        mended = _lowest(one.get("fix_versions") or [])
        fix = (
            f"install {name}=={mended} or later, and run the notebook again"
            if mended
            else "there is no mended version yet: do without it, or say why it doesn't matter"
        )
        said = f"{name} {version}: {one['id']}{f' ({also})' if also else ''}"
        yield Finding(said, fix=fix, kind="vulnerability", offer=install(f"{name}=={mended}") if mended else None)


def _lowest(versions: list[str]) -> str:
    """The lowest of the versions that mend it."""
    readable = []
    for text in versions:
        try:
            readable.append((Version(text), text))
        except InvalidVersion:  # an index may know versions that pip doesn't
            continue
    return min(readable)[1] if readable else ""
