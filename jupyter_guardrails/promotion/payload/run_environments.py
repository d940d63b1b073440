"""Builds the environments of a package from its locks. Loaded by its run.py, which verified every file before; standard library only."""

from __future__ import annotations

import fcntl
import hashlib
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]  # this is in its lib/


class NoEnvironment(Exception):
    """This machine can't build it; its text is the sentence to say."""


def environments(python: dict[str, str], cache: Path, wheels: list[Path]) -> tuple[Path, Path]:
    """The interpreters of the runner and of the kernel."""
    program = interpreter(python)
    return environment("runner", program, cache, wheels), environment("kernel", program, cache, wheels)


def interpreter(python: dict[str, str]) -> str:
    """A Python of the version that the locks were made for; NoEnvironment where there is none."""
    here = (platform.python_implementation().lower(), platform.system().lower(), platform.machine().lower())
    wanted = (python["implementation"], python["system"], python["machine"])
    if here[1:] != wanted[1:]:
        raise NoEnvironment(f"this package's environment is for {wanted[1]} on {wanted[2]}; this machine is {here[1]} on {here[2]}")
    if here[0] == wanted[0] and platform.python_version_tuple()[:2] == tuple(python["version"].split(".")):
        return sys.executable
    found = shutil.which(f"python{python['version']}") or (python["version"] if shutil.which("uv") else None)
    if found is None:
        raise NoEnvironment(f"this job needs Python {python['version']}: install it or uv, or start run.py with it")
    return found


def lock_of(kind: str) -> Path:
    """What the environment of the `kernel` or the `runner` is made of."""
    return PACKAGE / "env" / f"pylock.{kind}.toml"


def requirements(lock: Path) -> str:
    """The lock as `name==version --hash=…` lines: any index that has these very files will do."""
    lines = []
    for package in tomllib.loads(lock.read_text(encoding="utf-8"))["packages"]:
        hashes = sorted({wheel["hashes"]["sha256"] for wheel in package["wheels"]})
        lines.append(f"{package['name']}=={package['version']} " + " ".join(f"--hash=sha256:{digest}" for digest in hashes))
    return "\n".join(lines) + "\n"


def environment(kind: str, python: str, cache: Path, wheels: list[Path]) -> Path:
    """The interpreter of an environment from env/pylock.KIND.toml; built once for each lock, then taken from the cache."""
    lock = lock_of(kind)
    folder = cache / f"{kind}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:20]}-{Path(python).name}"
    if (folder / ".complete").exists():
        return folder / "bin" / "python"
    cache.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}.lock", "w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (folder / ".complete").exists():
            started = time.monotonic()
            build(folder, lock, python, wheels)
            (folder / ".complete").touch()
            print(f"environment {kind}: built in {time.monotonic() - started:.1f} s", flush=True)
    return folder / "bin" / "python"


def sources(lock: Path, wheels: list[Path]) -> list[str]:
    """Where wheels are looked for beside the index; where these folders have one for each package of the lock, no index is asked."""
    there = [folder for folder in (PACKAGE / "wheels", *wheels) if folder.is_dir()]
    names = {path.name for folder in there for path in folder.iterdir()}
    packages = tomllib.loads(lock.read_text(encoding="utf-8"))["packages"]
    whole = all(any(wheel["path"].rsplit("/", 1)[-1] in names for wheel in package["wheels"]) for package in packages)
    return [*(["--no-index"] if whole and there else []), *(part for folder in there for part in ("--find-links", str(folder)))]


def fetch(python: dict[str, str], target: Path) -> None:
    """Put the wheels of both locks that fit this machine into a folder: with `--wheels` no index is needed, here or on a machine like this."""
    program = interpreter(python)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="wheels-") as private:
        listed = Path(private, "all.txt")
        # one package may be in both locks, in two versions: one list each
        for kind in ("kernel", "runner"):
            lock = lock_of(kind)
            listed.write_text(requirements(lock), encoding="utf-8")
            pip = [str(Path(private, "venv", "bin", "python")), "-I", "-m", "pip", "download", "-q", "--no-input", "--disable-pip-version-check"]
            options = ["--require-hashes", "--no-deps", "--only-binary", ":all:", *sources(lock, []), "-d", str(target), "-r", str(listed)]
            make = [] if Path(private, "venv").exists() else [[program, "-I", "-m", "venv", str(Path(private, "venv"))]]
            run_all([*make, [*pip, *options]], lock)
    print(f"{sum(1 for _ in target.iterdir())} wheels are in {target}: run.py --wheels {target} needs no index", flush=True)


def build(folder: Path, lock: Path, python: str, wheels: list[Path]) -> None:
    """Make the environment: uv where there is one, else venv and its pip; wheels with the lock's hashes only."""
    shutil.rmtree(folder, ignore_errors=True)
    uv = shutil.which("uv")
    inner = str(folder / "bin" / "python")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(requirements(lock))
        file.flush()
        options = ["--require-hashes", "--no-deps", "--only-binary", ":all:", *sources(lock, wheels), "-r", file.name]
        if uv:
            commands = [[uv, "venv", "-q", "--python", python, str(folder)], [uv, "pip", "install", "-q", "--python", inner, *options]]
        else:
            pip = [inner, "-I", "-m", "pip", "install", "-q", "--no-compile", "--no-input", "--disable-pip-version-check"]
            commands = [[python, "-I", "-m", "venv", str(folder)], [*pip, *options]]
        run_all(commands, lock)


def run_all(commands: list[list[str]], lock: Path) -> None:
    """Run each; NoEnvironment with what the first that failed said."""
    for command in commands:
        # uv takes the settings of a pyproject.toml at or above the current folder, which may be anybody's
        done = subprocess.run(command, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise NoEnvironment(f"the environment of {lock.name} can't be built: {' '.join((done.stderr or done.stdout).split())[-800:]}")
