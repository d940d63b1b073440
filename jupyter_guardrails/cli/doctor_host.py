"""What this machine is, as far as enforcement depends on it, and the one setting that would make it hold more. Names no person and no host."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from jupyter_guardrails import __version__

SYSCTLS = (
    "user/max_user_namespaces",
    "user/max_net_namespaces",
    "kernel/unprivileged_userns_clone",
    "kernel/apparmor_restrict_unprivileged_userns",
    "kernel/yama/ptrace_scope",
    "net/mptcp/enabled",
)
CONTAINER_MARKS = {"/.dockerenv": "docker", "/run/.containerenv": "podman", "/var/run/secrets/kubernetes.io": "kubernetes"}
FILTERED = "2"  # /proc/self/status, Seccomp: a filter is in force
MANUAL = 'docs/admins.md, "Which setting makes a host hold more"'

POD = "in the pod: securityContext.seccompProfile {type: Localhost, localhostProfile: guardrails.json}, with hostUsers: false"
DOCKER = "docker run --security-opt seccomp=guardrails.json (podman: the same)"


def facts(root: Path = Path("/")) -> dict[str, Any]:
    """Plain values; None where this kernel has no such setting."""
    status = _status(root)
    return {
        "kernel": platform.release(),
        "machine": platform.machine(),
        "distribution": _distribution(root),
        "python": platform.python_version(),
        "jupyter_guardrails": __version__,
        "account": "root" if os.getuid() == 0 else "ordinary",
        "lsm": _read(root / "sys/kernel/security/lsm"),
        "settings": {name.replace("/", "."): _read(root / "proc/sys" / name) for name in SYSCTLS},
        "seccomp_around_us": status.get("Seccomp"),
        "no_new_privileges": status.get("NoNewPrivs"),
        "cgroup": _cgroup(root),
        "container": [engine for mark, engine in CONTAINER_MARKS.items() if (root / mark.lstrip("/")).exists()],
    }


def setting_for(guarantee: str, layers: dict[str, Any], found: dict[str, Any]) -> str:
    """The one setting that would make this guarantee hold here, "" where none is known. Pure; `layers` is what the sandbox reported."""
    if not layers:  # nothing starts at all: the error says why
        return ""
    landlock = layers["landlock"]
    if guarantee == "files" or (guarantee == "processes" and landlock["abi"] < 6):
        return for_landlock(landlock["reason"], landlock["abi"], found)
    if guarantee == "processes" and layers.get("uid") == 0 and not layers["user_namespace"]:
        return "run the server as an ordinary account: Linux counts no processes of root"
    if guarantee in ("processes", "network") and layers.get("user_namespace"):
        return for_user_namespaces(layers["user_namespace"], found)
    return ""


def for_landlock(reason: str, version: int, found: dict[str, Any]) -> str:
    """What would give Landlock, or a newer one; "" when there is nothing to mend."""
    if not reason:
        return f"boot a newer Linux: Landlock version {version} is old, 6.12 has 6" if version < 6 else ""
    if found["lsm"] and "landlock" not in found["lsm"].split(","):
        return f"boot with lsm={found['lsm']},landlock"
    if found["seccomp_around_us"] == FILTERED:
        return f"{_container(found)}, with a profile that allows landlock_create_ruleset, landlock_add_rule, landlock_restrict_self ({MANUAL})"
    return "boot Linux 6.12 or newer with landlock in its lsm= parameter"


def for_user_namespaces(reason: str, found: dict[str, Any]) -> str:
    """What would give unprivileged user namespaces; "" when there is nothing to mend."""
    settings = found["settings"]
    if not reason:
        return ""
    if settings["user.max_user_namespaces"] == "0" or reason.startswith("ENOSPC"):
        return "sysctl -w user.max_user_namespaces=15000 (and in /etc/sysctl.d/)"
    if settings["kernel.unprivileged_userns_clone"] == "0":
        return "sysctl -w kernel.unprivileged_userns_clone=1 (and in /etc/sysctl.d/)"
    if settings["kernel.apparmor_restrict_unprivileged_userns"] == "1":
        return f"install the AppArmor profile of {MANUAL}"
    return f"{_container(found)}, with a profile that allows unshare ({MANUAL})"


def _container(found: dict[str, Any]) -> str:
    return POD if "kubernetes" in found["container"] else DOCKER


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return None


def _status(root: Path) -> dict[str, str]:
    pairs = (line.partition(":") for line in (_read(root / "proc/self/status") or "").splitlines())
    return {name: value.strip() for name, _, value in pairs}


def _distribution(root: Path) -> str | None:
    pairs = dict(line.split("=", 1) for line in (_read(root / "etc/os-release") or "").splitlines() if "=" in line)
    return pairs.get("PRETTY_NAME", "").strip('"') or None


def _cgroup(root: Path) -> dict[str, Any]:
    """The version, and whether this account may make groups of its own below the one it is in."""
    where = (_read(root / "proc/self/cgroup") or "").rpartition("::")[2].strip("/")
    own = root / "sys/fs/cgroup" / where
    controllers = _read(own / "cgroup.controllers")
    return {"version": 2 if controllers is not None else 1, "controllers": controllers, "delegated": os.access(own / "cgroup.procs", os.W_OK)}
