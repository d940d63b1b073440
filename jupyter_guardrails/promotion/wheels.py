"""Wheels of what no index has: a package that was installed from a folder of the workspace is built, one from a wheel's file is taken.

Building runs the author's code: in the sandbox, without a network, on a copy. What it needs to build is taken from the index before, as wheels.
"""

from __future__ import annotations

import os
import shutil
import tomllib
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from uv import find_uv_bin

from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.promotion.confine import run_confined
from jupyter_guardrails.promotion.environments import environment
from jupyter_guardrails.promotion.freeze import Freezer, TooBig
from jupyter_guardrails.promotion.interpreter import Installed, Interpreter
from jupyter_guardrails.promotion.locks import lock_build, tail

PROJECT = ("pyproject.toml", "setup.py")
DEFAULT_REQUIRES = ("setuptools>=61", "wheel")  # PEP 518, where a project says nothing
LEFT_OUT = frozenset({".git", ".hg", ".svn", "__pycache__", "node_modules", ".ipynb_checkpoints", "build", "dist"})
BUILD_TIMEOUT_S = 600.0
MAX_WHEEL_BYTES = 200 << 20
EPOCH = "315532800"  # 1980-01-01, the earliest time that a zip can say: the same source gives the same wheel
NEXT_STEP = "install a released version from your package index (`pip install NAME==VERSION`), or put the module beside the notebook"


@dataclass(frozen=True, slots=True)
class Bench:
    """Where wheels are made: the workspace that sources lie in, a folder of this worker alone, and the store of environments."""

    workspace: Path
    scratch: Path
    store: Path
    interpreter: Interpreter

    @property
    def wheels(self) -> Path:
        """Where the wheels of this submission lie; author's code that runs while one is built can't write here."""
        return self.scratch / "wheels"


def wheel_of(package: Installed, bench: Bench) -> Path:
    """The wheel of a package that came from a folder or a wheel's file of the workspace; BadRequest says why there can't be one."""
    name = _in_workspace(package, bench.workspace)
    bench.wheels.mkdir(exist_ok=True)
    made = _copy(name, bench, package) if name.endswith(".whl") else _build(name, bench, package)
    return _checked(made, package)


def _in_workspace(package: Installed, workspace: Path) -> str:
    """Its source's name in the workspace: a kernel sees nothing else of the author's, and a package must not either."""
    parts = urlsplit(package.url)
    path, root = os.path.realpath(unquote(parts.path)), os.path.realpath(workspace)
    if parts.scheme != "file" or path == root or not path.startswith(root + os.sep):
        where = "an address" if parts.scheme != "file" else f"{unquote(parts.path)}, outside of the workspace"
        raise BadRequest(f"{package.name} {package.version} was installed from {where}: another machine can't get it", next_step=NEXT_STEP)
    return os.path.relpath(path, root)


def _copy(name: str, bench: Bench, package: Installed) -> Path:
    """The wheel's file itself."""
    target = bench.scratch / "given"
    if not _frozen(Freezer(bench.workspace, target), name, package):
        raise BadRequest(f"{package.name} was installed from {name}, which is no file now", next_step=NEXT_STEP)
    return Path(shutil.move(target / name, bench.wheels / Path(name).name))


def _build(name: str, bench: Bench, package: Installed) -> Path:
    """A wheel built from a copy of the folder."""
    room = bench.scratch / f"build-{len(list(bench.scratch.glob('build-*')))}"
    source, out = room / "source", room / "out"
    _copy_source(name, bench.workspace, source, package)
    project = source / name
    if not any((project / file).is_file() for file in PROJECT):
        raise BadRequest(f"{package.name} was installed from {name}, which has neither {' nor '.join(PROJECT)} now", next_step=NEXT_STEP)
    cache = bench.store / "uv-cache"
    lock = lock_build(_requires(project), bench.interpreter, scratch=bench.scratch, cache=cache)
    python = environment(lock, bench.interpreter, store=bench.store, scratch=bench.scratch)
    uv = find_uv_bin()
    argv = [uv, "build", "--quiet", "--wheel", "--no-build-isolation", "--offline", "--no-config", "--python", str(python)]
    argv += ["--cache-dir", str(room / "uv"), "--out-dir", str(out), str(project)]
    read = [uv, str(python.parent.parent), *bench.interpreter.folders]
    said = {"SOURCE_DATE_EPOCH": EPOCH, "SETUPTOOLS_SCM_PRETEND_VERSION": package.version}
    ran = run_confined(argv, scratch=room, read=read, env=said, timeout_s=BUILD_TIMEOUT_S)
    made = [file for file in sorted(os.listdir(out)) if file.endswith(".whl")] if out.is_dir() else []
    taken = bench.scratch / "built"  # the author's code may have left links: what it made is opened beneath its own room
    if ran.code or len(made) != 1 or not _frozen(Freezer(room, taken), f"out/{made[0]}", package):
        raise BadRequest(f"{package.name} can't be built from {name}: {tail(ran.err) or 'no wheel came of it'}", next_step=NEXT_STEP)
    return Path(shutil.move(taken / "out" / made[0], bench.wheels / made[0]))


def modules_of(wheel: Path) -> set[str]:
    """The modules and packages at the top of a wheel."""
    with zipfile.ZipFile(wheel) as opened:
        tops = {name.split("/", 1)[0] for name in opened.namelist()}
    return {top.partition(".")[0] for top in tops if not top.endswith((".dist-info", ".data"))}


def members_of(wheel: Path, *, limit_bytes: int) -> Iterator[tuple[str, bytes]]:
    """Name and first bytes of each file in it but RECORD, which holds the digests of the others. BadRequest where one can't be read."""
    with zipfile.ZipFile(wheel) as opened:
        for entry in sorted(opened.infolist(), key=lambda entry: entry.filename):
            if not entry.is_dir() and not entry.filename.endswith(".dist-info/RECORD"):
                yield entry.filename, _first_bytes(opened, entry, wheel, limit_bytes=limit_bytes)


def _first_bytes(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, wheel: Path, *, limit_bytes: int) -> bytes:
    try:
        with opened.open(entry) as member:
            return member.read(limit_bytes)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise BadRequest(f"{entry.filename} of {wheel.name} can't be read: {error}", next_step="build the wheel again") from error


def _copy_source(name: str, workspace: Path, target: Path, package: Installed) -> None:
    """The folder's plain files, opened beneath the workspace; environments, caches and version control stay."""
    freezer = Freezer(workspace, target)
    root = workspace / name
    for place, folders, files in os.walk(root):
        folders[:] = [folder for folder in folders if folder not in LEFT_OUT and not (Path(place, folder) / "pyvenv.cfg").exists()]
        for file in files:
            _frozen(freezer, Path(place, file).relative_to(workspace).as_posix(), package)


def _frozen(freezer: Freezer, name: str, package: Installed) -> bool:
    try:
        return freezer.freeze(name)
    except TooBig as error:
        raise BadRequest(f"{package.name} is too big to go along: {error}", next_step=NEXT_STEP) from error


def _requires(project: Path) -> list[str]:
    """What its build needs, by name: nothing that would itself have to be built from an address."""
    try:
        text = (project / "pyproject.toml").read_text(encoding="utf-8") if (project / "pyproject.toml").is_file() else ""
        named = [str(one) for one in tomllib.loads(text).get("build-system", {}).get("requires", DEFAULT_REQUIRES)]
        wanted = [Requirement(one) for one in named]
    except (OSError, ValueError, InvalidRequirement, AttributeError) as error:
        raise BadRequest(f"{project.name}/pyproject.toml can't be read: {error}", next_step="correct it, and install the package again") from error
    if addressed := [str(one) for one in wanted if one.url]:
        raise BadRequest(f"to build {project.name} takes {addressed[0]}, which is from an address", next_step="name a released version")
    return named


def _checked(wheel: Path, package: Installed) -> Path:
    """The wheel, if it is one, of that package, and no bigger than a package should hold."""
    try:
        name, _, _, _ = parse_wheel_filename(wheel.name)
        sound = name == package.canonical and wheel.stat().st_size <= MAX_WHEEL_BYTES and zipfile.is_zipfile(wheel)
    except InvalidWheelFilename:
        sound = False
    if not sound:
        raise BadRequest(f"{wheel.name} is no wheel of {package.name} that can go along", next_step=NEXT_STEP)
    return wheel
