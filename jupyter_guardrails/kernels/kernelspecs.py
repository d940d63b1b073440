"""Which kernelspecs exist, and which folders their interpreters need."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel
from jupyter_core.paths import ENV_JUPYTER_PATH, SYSTEM_JUPYTER_PATH
from traitlets import TraitError

from jupyter_guardrails import errors

LONGEST_SHOWN = 100


def environments() -> tuple[str, ...]:
    """Folders of every kernelspec that Jupyter finds now: its own, its interpreter's environment and that one's base."""
    folders: dict[str, None] = {}
    for found in KernelSpecManager().get_all_specs().values():
        spec = found["spec"]
        folders |= dict.fromkeys((found["resource_dir"], *interpreter_folders(spec["argv"][0] if spec.get("argv") else "")))
    return tuple(folders)


def spec_folders(spec: KernelSpec, program: str | None = None) -> tuple[str, ...]:
    """Folders that one kernelspec needs; `program` is what its first argument really means (`python` is the server's own).

    Refused when this process can't read one of them: the server's own root and domain hold what was known when it started.
    """
    program = program or spec.argv[0]
    folders = interpreter_folders(program)
    if not folders:
        raise errors.Refused(
            f"the kernel {spec.display_name!r} starts {program}, which is not there for this server",
            next_step="if that program exists, start the server again, which opens every kernelspec's environment; or make one in the workspace",
            rule="built-in environments-known-at-the-start",
        )
    for folder in folders:
        _refuse_unreadable(spec.display_name, folder)
    return (*((spec.resource_dir,) if spec.resource_dir else ()), *folders)


def _refuse_unreadable(name: str, folder: str) -> None:
    """Tried, not asked: access(2) knows nothing of Landlock."""
    try:
        os.close(os.open(folder, os.O_RDONLY | os.O_CLOEXEC))
    except PermissionError as error:
        raise errors.Refused(
            f"the kernel {name!r} needs {folder}, which this server can't read",
            next_step="start the server again, which opens every kernelspec's environment; or make the environment in the workspace",
            rule="built-in environments-known-at-the-start",
        ) from error


def refuse_unusable(name: str, manager: KernelSpecManager) -> None:
    """NotFound when no kernelspec has that name, BadRequest when it can't be read or names no program."""
    try:
        spec = manager.get_kernel_spec(name)
    except NoSuchKernel as error:
        known = ", ".join(sorted(manager.find_kernel_specs())) or "none is installed"
        raise errors.NotFound(f"there is no kernel called {name[:LONGEST_SHOWN]!r}", next_step=f"choose one that is installed: {known}") from error
    except (ValueError, TraitError, OSError, TypeError) as error:  # broken JSON, argv that is no list of words, an unreadable file
        advice = "mend its kernel.json: jupyter kernelspec list shows where it is"
        raise errors.BadRequest(f"the kernelspec {name!r} can't be used: {error}", next_step=advice) from error
    if not spec.argv or not all(isinstance(part, str) for part in spec.argv):
        raise errors.BadRequest(f"the kernelspec {name!r} names no program to start", next_step=f'add "argv" to {spec.resource_dir}/kernel.json')


def refuse_shadowing(name: str, resource_dir: str, kernel_dirs: Sequence[str]) -> None:
    """Refused when a person's own kernelspec hides one of the same name that an admin installed (in the environment or the system)."""
    admins = [folder for folder in kernel_dirs if os.path.dirname(folder) in (*ENV_JUPYTER_PATH, *SYSTEM_JUPYTER_PATH)]
    if not resource_dir or any(Path(resource_dir).is_relative_to(folder) for folder in admins):
        return
    for folder in admins:
        if os.path.isdir(folder) and name.lower() in (entry.lower() for entry in os.listdir(folder)):
            raise errors.Refused(
                f"the kernel {name!r} in {resource_dir} hides the one that your admin installed in {folder}",
                next_step=f"rename the folder {resource_dir}: a kernel of your own needs a name of its own",
                rule="built-in kernelspecs-keep-their-names",
            )


def interpreter_folders(program: str) -> tuple[str, ...]:
    """The environment of a program (venv or conda), the program's own folder, and the base that a venv was made from."""
    path = shutil.which(program)
    if not path:
        return ()
    folders: dict[str, None] = {}
    for place in (Path(os.path.abspath(path)), Path(os.path.realpath(path))):
        prefix = place.parent.parent
        folders |= dict.fromkeys((str(prefix) if _is_environment(prefix) else str(place), *_base_of(prefix / "pyvenv.cfg")))
    return tuple(folders)


def _is_environment(prefix: Path) -> bool:
    """A venv, a conda environment or a Python installation; `~/.local` with its user site is none of them.

    Nor is `/`, where `/bin/bash` seems to lie beside `/lib/python3`: it would open the whole machine, and what is needed there is open anyway.
    """
    if prefix == Path(prefix.anchor):
        return False
    return any((prefix / mark).exists() for mark in ("pyvenv.cfg", "conda-meta")) or _is_installation(prefix)


def _is_installation(prefix: Path) -> bool:
    return any(prefix.glob("lib/python3*/os.py"))


def _base_of(configuration: Path) -> tuple[str, ...]:
    """The base prefix that a pyvenv.cfg names, if a Python lives there: whoever may write that file must not open any folder by it."""
    try:
        lines = configuration.read_text(errors="replace").splitlines()
    except OSError:  # there is none, or this process may not read it: then neither is the environment, which `spec_folders` refuses
        return ()
    for line in lines:
        key, _, value = line.partition("=")
        if key.strip() == "home":
            base = Path(value.strip()).resolve().parent
            return (str(base),) if _is_installation(base) else ()
    return ()
