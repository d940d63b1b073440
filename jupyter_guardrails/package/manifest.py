"""What is in a package and its two digests: *content* is what runs, *evidence* is what a reviewer reads.

Both depend on names and bytes alone: no times, owners, modes or order of a file system.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jupyter_guardrails.errors import PackageError

MANIFEST = "manifest-sha256.txt"
ATTESTATIONS = "attestations"
CONTENT = ("src", "lib", "env", "wheels", "job.json", "run.py", "engines")
EVIDENCE = ("evidence",)
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Digests:
    """sha256 hex of the parts of a package; `manifest` covers every file but the attestations."""

    content: str
    evidence: str
    manifest: str


def hash_file(path: Path) -> str:
    """sha256 hex of a regular file, read piece by piece; a link is an error."""
    digest = hashlib.sha256()
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        while part := file.read(CHUNK):
            digest.update(part)
    return digest.hexdigest()


def list_files(folder: Path) -> dict[str, Path]:
    """Every file of a package by its name in it, sorted; PackageError for anything that is neither file nor directory."""
    found = {}
    for place, directories, names in os.walk(folder):
        for name in [*directories, *names]:
            path = Path(place, name)
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                raise PackageError(f"{path.relative_to(folder)} is neither a file nor a directory", next_step="a package holds plain files only")
            if path.is_file():
                found[path.relative_to(folder).as_posix()] = path
    return dict(sorted(found.items()))


def hash_files(folder: Path) -> dict[str, str]:
    """Name -> sha256 of every file that the manifest lists."""
    return {name: hash_file(path) for name, path in list_files(folder).items() if name != MANIFEST and not name.startswith(f"{ATTESTATIONS}/")}


def manifest_text(files: Mapping[str, str]) -> str:
    """The manifest's lines, `sha256  name`, as `sha256sum -c` reads them."""
    for name in files:
        if any(ord(character) < 32 for character in name) or "\\" in name:
            raise PackageError(f"a file's name can't be in a package: {name!r}", next_step="rename the file")
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(files.items()))


def write_manifest(folder: Path) -> Digests:
    """Hash everything in the folder, write the manifest, return the digests."""
    files = hash_files(folder)
    (folder / MANIFEST).write_text(manifest_text(files), encoding="utf-8")
    return digests_of(files)


def digests_of(files: Mapping[str, str]) -> Digests:
    """The digests of a package that holds these files (name -> sha256)."""
    return Digests(_digest(_part(files, CONTENT)), _digest(_part(files, EVIDENCE)), _digest(files))


def read_manifest(folder: Path) -> dict[str, str]:
    """Name -> sha256, as the manifest says; PackageError when it can't be read."""
    try:
        lines = (folder / MANIFEST).read_text(encoding="utf-8").splitlines()
        return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    except (OSError, ValueError) as error:
        raise PackageError(f"the package has no readable {MANIFEST}: {error}", next_step="get the package again from who built it") from error


def check(folder: Path) -> tuple[Digests, list[str]]:
    """The digests of what is really there, and each way in which that differs from the manifest."""
    listed, found = read_manifest(folder), hash_files(folder)
    problems = [f"{name} is missing" for name in sorted(listed.keys() - found.keys())]
    problems += [f"{name} is not in the manifest" for name in sorted(found.keys() - listed.keys())]
    problems += [f"{name} was changed" for name in sorted(found.keys() & listed.keys()) if found[name] != listed[name]]
    return digests_of(found), problems


def _part(files: Mapping[str, str], parts: tuple[str, ...]) -> dict[str, str]:
    return {name: digest for name, digest in files.items() if name.split("/", 1)[0] in parts}


def _digest(files: Mapping[str, str]) -> str:
    return hashlib.sha256(manifest_text(files).encode()).hexdigest()
