"""Which kernelspecs exist, and which folders their interpreters need."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager


def environments() -> tuple[str, ...]:
    """Folders of every kernelspec that Jupyter finds now: its own, its interpreter's environment and that one's base."""
    folders: dict[str, None] = {}
    for found in KernelSpecManager().get_all_specs().values():
        spec = found["spec"]
        folders |= dict.fromkeys((found["resource_dir"], *interpreter_folders(spec["argv"][0] if spec.get("argv") else "")))
    return tuple(folders)


def spec_folders(spec: KernelSpec) -> tuple[str, ...]:
    """Folders that one kernelspec needs."""
    return (*((spec.resource_dir,) if spec.resource_dir else ()), *interpreter_folders(spec.argv[0]))


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
    """A venv, a conda environment or a Python installation; `~/.local` with its user site is none of them."""
    return any((prefix / mark).exists() for mark in ("pyvenv.cfg", "conda-meta")) or any(prefix.glob("lib/python3*/os.py"))


def _base_of(configuration: Path) -> tuple[str, ...]:
    """The base prefix that a pyvenv.cfg names."""
    if not configuration.is_file():
        return ()
    for line in configuration.read_text().splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "home":
            return (str(Path(value.strip()).resolve().parent),)
    return ()
