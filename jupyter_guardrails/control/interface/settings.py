"""Where policy, catalogue, state and control's socket are, and whether the person could have chosen that."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ADMIN_DIR = Path("/etc/jupyter/guardrails")
TRAITS = {
    "policy_path": "GUARDRAILS_POLICY",
    "catalog_path": "GUARDRAILS_CATALOG",
    "state_dir": "GUARDRAILS_STATE_DIR",
    "control_socket": "GUARDRAILS_CONTROL",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Absolute paths. `self_chosen`: no admin directory exists on this machine, so whoever starts it chose the policy."""

    policy_path: Path
    catalog_path: Path
    state_dir: Path
    control_socket: Path
    self_chosen: bool
    person: str | None = None  # own mode only: a name to act as in the demo, no boundary

    @property
    def token_file(self) -> Path:
        """The secret that own control asks for; readable outside sandboxes only."""
        return self.state_dir / "control.token"


def find_settings(arguments: Sequence[str], environ: Mapping[str, str], *, home: Path, admin_dir: Path = ADMIN_DIR) -> Settings:
    """Settings from the admin's directory where it exists, else from `--Guardrails.X=` arguments, the environment, built-in places."""
    state_home = Path(environ.get("XDG_STATE_HOME") or home / ".local" / "state")
    config_home = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "jupyter-guardrails"
    state = state_home / "jupyter-guardrails"
    found = Settings(config_home / "guardrails.yaml", config_home / "catalog", state, Path(), self_chosen=True)
    if admin_dir.is_dir():
        found = replace(found, policy_path=admin_dir / "guardrails.yaml", catalog_path=admin_dir / "catalog", self_chosen=False)
        chosen = {key: value for key, value in _chosen(arguments, environ).items() if key == "state_dir"}
    else:
        chosen = _chosen(arguments, environ)
    absolute: dict[str, Any] = {key: Path(os.path.abspath(value)) for key, value in chosen.items()}
    found = replace(found, **absolute)
    return found if found.control_socket != Path() else replace(found, control_socket=found.state_dir / "control.sock")


def _chosen(arguments: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """What environment and, above it, `--Guardrails.<trait>=` arguments say."""
    chosen = {trait: environ[name] for trait, name in TRAITS.items() if environ.get(name)}
    for argument in arguments:
        key, separator, value = argument.removeprefix("--Guardrails.").partition("=")
        if argument.startswith("--Guardrails.") and separator and key in TRAITS:
            chosen[key] = value
    return chosen
