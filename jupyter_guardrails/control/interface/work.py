"""How a submission is worked on where control is a service: by a process of its author's account, which takes orders from control alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from jupyter_guardrails.control.interface.messages import Request

PASSED = ("PATH", "HOME", "LANG", "TZ", "JUPYTER_PATH", "JUPYTER_DATA_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR")
PASSED_PREFIXES = ("LC_", "UV_", "PIP_AUDIT_")
PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"})
PART_BYTES = 16 << 20
MAX_EVIDENCE_BYTES = 192 << 20  # of one clean run: its outputs as JSON, in which a byte may take six
RUN_PREFIX = "clean-"  # of the folder in which a clean run works, in its submission's
KEY = r"^[0-9a-f]{64}$"


class StationOpen(Request):
    """-> {}. fd 0 is the socket on which a station takes orders to start workers of this account; unfinished submissions go to it at once."""

    op = "work.station"


class WorkerInputs(Request):
    """Worker only -> {inputs: [DeclaredInput]}. The datasets that the notebook names: its clean run reads these and no others, bound like that."""

    op = "worker.inputs"
    submission: str
    names: list[str] = Field(max_length=1000)


class WorkerColumns(Request):
    """Worker only -> {format, columns: {name: type}, problem}. What its clean run was given of a dataset that it declares; no row is read."""

    op = "worker.columns"
    submission: str
    name: str = Field(max_length=200)


class WorkerSample(Request):
    """Worker only -> {name, folder, format, rows}, fd 0 the file. The first rows of a dataset that it declares, as its author is given them.

    `form`: of what is masked, filtered or streamed; a file keeps its own. `format` is empty, and there is no file, where no sample can be made.
    """

    op = "worker.sample"
    timeout_s = 300.0
    submission: str
    name: str = Field(max_length=200)
    rows: int = Field(ge=1, le=1_000_000)
    form: Literal["parquet", "csv"]


class WorkerPart(Request):
    """Worker only -> {size_bytes}. The next part of the built package's zip, in sealed memory (fd 0) of at most PART_BYTES; `offset` is its place."""

    op = "worker.part"
    submission: str
    offset: int = Field(ge=0)


class WorkerReached(Request):
    """Worker only -> {datasets, hosts: [{name, allowed, epoch_s}]}. What a kernel of its clean run read and connected to through control."""

    op = "worker.reached"
    submission: str
    kernel_id: str = Field(max_length=200)


class WorkerEarlier(Request):
    """Worker only -> {found: bool}, fd 0 what was kept. The evidence of this person's earlier clean run with the same key."""

    op = "worker.earlier"
    submission: str
    key: str = Field(pattern=KEY)


class WorkerKeep(Request):
    """Worker only -> {}. Keep the evidence of a clean run that went well (fd 0, sealed memory) under the digest of all that it depends on."""

    op = "worker.keep"
    submission: str
    key: str = Field(pattern=KEY)


UNEXPLAINED = "there are warnings, and no reason to go on"


def unexplained(reason: str, titles: Sequence[str]) -> str:
    """Why a submission ends whose checks warned while its submitter said nothing to that; empty where nothing warned, or there is a word."""
    return f"{UNEXPLAINED}: {'; '.join(titles)}" if titles and not reason.strip() else ""


def notebooks(order: Mapping[str, Any]) -> list[str]:
    """The names of all notebooks that a worker is to look at, in order; the first is the submission's own."""
    return [order["notebook"], *order["details"].get("then", ())]


def worker_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The worker finds kernelspecs and the package index as the person does; nothing else of the environment reaches it."""
    wanted = {*PASSED, *PROXIES, *(name.lower() for name in PROXIES)}
    return {name: value for name, value in environ.items() if name in wanted or name.startswith(PASSED_PREFIXES)}


def start_station() -> subprocess.Popen[Any]:
    """A station that ends with this process. Started before a launcher enters its domain: its workers need what is outside."""
    command = [sys.executable, "-I", "-m", "jupyter_guardrails.promotion.station", f"--parent={os.getpid()}"]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
