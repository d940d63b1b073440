"""Running a tool in the sandbox, for what the author's files or environment could steer: probes, resolving, building."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.kernels.plan import DEVICES, SYSTEM_READ
from jupyter_guardrails.sandbox.run import start
from jupyter_guardrails.sandbox.spec import SandboxSpec

INDEX_VARIABLES = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
)
TIMEOUT_S = 900.0


@dataclass(frozen=True, slots=True)
class Ran:
    """How a confined tool ended."""

    code: int
    out: str
    err: str


def run_confined(
    argv: Sequence[str],
    *,
    scratch: Path,
    read: Sequence[str] = (),
    write: Sequence[str] = (),
    network: Literal["none", "host"] = "none",
    env: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Ran:
    """Run a command that can write its scratch folder and `write` only; `network="host"` is for the package index."""
    spec = SandboxSpec(
        argv=tuple(argv),
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": str(scratch), "TMPDIR": str(scratch), **(env or {})},
        cwd="/",  # uv takes the settings of a pyproject.toml at or above the current folder
        read=tuple(dict.fromkeys([*SYSTEM_READ, *read])),
        write=tuple(dict.fromkeys([str(scratch), *write])),
        devices=DEVICES,
        network=network,
        require=("files", "network") if network == "none" else ("files",),
    )
    started = start(spec, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for fd in started.fds:
        os.close(fd)
    try:
        out, err = started.process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        raise GuardrailsError(
            f"{os.path.basename(argv[0])} took longer than {timeout_s:.0f} s", next_step="see whether the package index answers"
        ) from error
    finally:
        with contextlib.suppress(ProcessLookupError):
            started.process.kill()
    return Ran(started.process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))


def index_environ(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a resolver needs to reach the index that this person or machine has set up: uv's settings, certificates, a proxy."""
    kept = {
        name: value
        for name, value in environ.items()
        if name in INDEX_VARIABLES or name.startswith(("UV_INDEX", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX"))
    }
    home = environ.get("XDG_CONFIG_HOME") or os.path.join(environ.get("HOME", "/"), ".config")
    return kept | {"XDG_CONFIG_HOME": home}


def index_files(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The files that `index_environ` points to."""
    named = [environ.get("SSL_CERT_FILE", ""), environ.get("SSL_CERT_DIR", ""), os.path.join(index_environ(environ)["XDG_CONFIG_HOME"], "uv")]
    return tuple(path for path in named if path and os.path.exists(path))
