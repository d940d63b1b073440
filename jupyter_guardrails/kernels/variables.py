"""The environment variables of a kernel: an allow-list, then the kernelspec's own, then the policy's, then what makes the sandbox work."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from jupyter_guardrails.control.interface import Admission
from jupyter_guardrails.kernels.folders import KernelFolders

KEPT = ("LANG", "LANGUAGE", "TZ", "TERM", "COLORTERM")
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
THREADS = (
    "OMP_NUM_THREADS",  # Arrow's and OpenMP's pools
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "POLARS_MAX_THREADS",
    "ARROW_IO_THREADS",
)
LOOPBACK = "localhost,127.0.0.1,::1"


@dataclass(frozen=True, slots=True)
class Facts:
    """Where things are for one kernel; `channel` without its leading NUL."""

    workspace: Path
    folders: KernelFolders
    client_dir: Path
    channel: str | None
    proxy_port: int | None


def allowed(environ: Mapping[str, str], passed: Iterable[str], *, program: str) -> dict[str, str]:
    """What of the server's environment a kernel may have: language, time zone, the policy's `pass` list, a PATH from its interpreter."""
    names = {*KEPT, *passed}
    kept = {name: value for name, value in environ.items() if name in names or name.startswith("LC_")}
    folder = os.path.dirname(program)
    return kept | {"PATH": f"{folder}:{SYSTEM_PATH}" if folder and folder not in SYSTEM_PATH.split(":") else SYSTEM_PATH}


def substituted(own: Mapping[str, str], start: Mapping[str, str]) -> dict[str, str]:
    """`start` with a kernelspec's own variables over it; `${NAME}` in them means one of `start` (jupyter_client does the same)."""
    return {**start, **{name: Template(value).safe_substitute(start) for name, value in own.items()}}


def complete(admission: Admission, env: Mapping[str, str], facts: Facts) -> dict[str, str]:
    """The whole environment of the process, from the allow-list merged with the kernelspec's own variables."""
    pythonpath = [str(facts.client_dir), *(p for p in env.get("PYTHONPATH", "").split(":") if p)]
    return {
        **_threads(admission.cpus),
        **env,
        **admission.env_set,
        **_home(admission.principal, facts),
        **_network(facts.proxy_port),
        **({"GUARDRAILS_CHANNEL": f"@{facts.channel}"} if facts.channel else {}),
        "GUARDRAILS_DATA": str(facts.folders.data),
        "GUARDRAILS_MEMORY_BYTES": str(admission.memory_bytes),
        "GUARDRAILS_PROFILE": admission.profile,
        "PYTHONPATH": ":".join(pythonpath),
    }


def _home(person: str, facts: Facts) -> dict[str, str]:
    """HOME is the workspace; what programs would scatter there goes to the kernel's private folder."""
    state = facts.folders.state
    return {
        "HOME": str(facts.workspace),
        "USER": person,
        "LOGNAME": person,
        "TMPDIR": str(facts.folders.temporary),
        "IPYTHONDIR": str(state / "ipython"),
        "MPLCONFIGDIR": str(state / "matplotlib"),
        "XDG_CACHE_HOME": str(state / "cache"),
        "XDG_STATE_HOME": str(state / "state"),
        "JUPYTER_RUNTIME_DIR": str(state / "runtime"),
        "JUPYTER_CONFIG_DIR": str(facts.folders.configuration),
    }


def _threads(cpus: float) -> dict[str, str]:
    """Thread pools sized to the profile's processors; a kernelspec may ask for other numbers, affinity is what binds."""
    return dict.fromkeys(THREADS, str(max(1, int(cpus))))


def _network(port: int | None) -> dict[str, str]:
    if port is None:
        return {}
    proxy = f"http://127.0.0.1:{port}"
    both = {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "NO_PROXY": LOOPBACK}
    return both | {name.lower(): value for name, value in both.items()}
