"""Where policy, catalogue, state and control's socket are, and whether the person could have chosen that."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jupyter_guardrails.control.interface.machine import MachineSettings, read_machine_settings
from jupyter_guardrails.errors import PolicyError, Problem

ADMIN_DIR = Path("/etc/jupyter/guardrails")
POLICIES = ("guardrails.yaml", "policy.d")  # in the admin's directory: a file, or a folder of *.yaml
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
    ignored: tuple[str, ...] = ()  # a sentence for each thing that was set and doesn't count
    chosen: tuple[str, ...] = ()  # the names of what was set and counts
    service: bool = False  # one control for all accounts, which none of them starts
    records: str = ""  # of a service: postgresql://…; empty: SQLite in the state directory
    records_passfile: str | None = None
    lineage_url: str = ""  # of a service: an OpenLineage server; the file in the state directory is written in any case
    lineage_token_file: str | None = None

    @property
    def credentials_path(self) -> Path:
        """Control's own, beside the policy: what opens object stores and databases (see control/credentials.py)."""
        return self.policy_path.parent / "credentials.yaml"

    @property
    def token_file(self) -> Path:
        """The secret that control asks for; readable outside sandboxes only. A service's keeps kernels out, and says nothing about who asks."""
        return self.control_socket.parent / "token" if self.service else self.state_dir / "control.token"


def find_settings(arguments: Sequence[str], environ: Mapping[str, str], *, home: Path, admin_dir: Path = ADMIN_DIR) -> Settings:
    """Settings from the admin's directory where it exists, else from `--Guardrails.X=` arguments, the environment, built-in places.

    PolicyError when the admin's directory is there and can't be used: that never counts as absent.
    """
    said = _said(arguments, environ)
    if is_there(admin_dir):
        found = replace(_built_in(environ, home), policy_path=_policy_of(admin_dir), catalog_path=admin_dir / "catalog", self_chosen=False)
        found = _with_socket(_of_machine(found, read_machine_settings(admin_dir)))
        others = [(name, value) for trait, name, value in said if Path(os.path.abspath(value)) != getattr(found, trait)]
        return replace(found, ignored=tuple(does_not_count(name, value, admin_dir=admin_dir) for name, value in others))
    counts = {trait: (name, Path(os.path.abspath(value))) for trait, name, value in said}
    paths: dict[str, Any] = {trait: path for trait, (_, path) in counts.items()}
    return _with_socket(replace(_built_in(environ, home), **paths, chosen=tuple(name for name, _ in counts.values())))


def does_not_count(name: str, value: object, *, admin_dir: Path = ADMIN_DIR) -> str:
    """The sentence about something that was set where the admin's directory decides."""
    return f"{name} is set to {value} and does not count: {admin_dir} decides"


def is_there(admin_dir: Path) -> bool:
    """Whether this machine has an admin's directory; PolicyError when that can't be told, or when something else is in its place."""
    for place in (*reversed(admin_dir.parents), admin_dir):
        try:
            found = os.stat(place)
        except FileNotFoundError as error:
            if not os.path.islink(place):
                return False
            raise _unusable(place, "is a link that leads nowhere", f"make {os.readlink(place)}, or remove the link") from error
        except OSError as error:
            raise _closed(place, error) from error
        if not stat.S_ISDIR(found.st_mode):
            raise _unusable(place, "is not a folder", f"the admin's policy is looked for in {admin_dir}")
    return True


def _of_machine(found: Settings, machine: MachineSettings) -> Settings:
    """With what `settings.yaml` says; an own control has its places in each person's home."""
    if machine.control == "own":
        return found
    places: dict[str, Any] = {"control_socket": Path(machine.socket), "state_dir": Path(machine.state_dir)}
    places |= {name: getattr(machine, name) for name in ("records", "records_passfile", "lineage_url", "lineage_token_file")}
    return replace(found, **places, service=True)


def _policy_of(admin_dir: Path) -> Path:
    """The one policy of the admin's directory; where there is none yet, the file that would be it."""
    try:
        found = [name for name in POLICIES if _is_named(admin_dir / name)]
    except OSError as error:
        raise _closed(admin_dir, error) from error
    if len(found) > 1:
        raise _unusable(admin_dir, f"holds {' and '.join(found)}: which of them is the policy?", f"move {found[0]} into {found[1]}, or remove one")
    return admin_dir / (found or POLICIES)[0]


def _is_named(path: Path) -> bool:
    """Whether a folder has this entry, be it a link that leads nowhere; OSError when the folder doesn't tell."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    return True


def _closed(place: Path, error: OSError) -> PolicyError:
    hint = f": chmod 755 {place.parent} {place}" if error.errno == errno.EACCES else ""
    message = f"decides on this machine, and this account can't look at it: {error.strerror}"
    return _unusable(place, message, f"ask your admin to open it{hint}")


def _unusable(place: Path, message: str, hint: str) -> PolicyError:
    return PolicyError([Problem(str(place), 0, 0, message, hint)])


def _built_in(environ: Mapping[str, str], home: Path) -> Settings:
    """The places below a home folder; the XDG variables move them."""
    state = Path(environ.get("XDG_STATE_HOME") or home / ".local" / "state") / "jupyter-guardrails"
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "jupyter-guardrails"
    return Settings(config / "guardrails.yaml", config / "catalog", state, Path(), self_chosen=True)


def _with_socket(found: Settings) -> Settings:
    return found if found.control_socket != Path() else replace(found, control_socket=found.state_dir / "control.sock")


def _said(arguments: Sequence[str], environ: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """(trait, name, value) of what the environment and, above it, `--Guardrails.<trait>=` arguments say; the last of a trait counts."""
    said = {name: (trait, name, environ[name]) for trait, name in TRAITS.items() if environ.get(name)}
    for argument in arguments:
        name, _, value = argument.partition("=")
        trait = name.removeprefix("--Guardrails.")
        if name.startswith("--Guardrails.") and value and trait in TRAITS:
            said[name] = (trait, name, value)
    return list(said.values())
