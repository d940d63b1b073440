"""Two PEP 751 locks: the kernel's environment as it is, and the runner's. They name files by version and sha256, never by an index."""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import parse_wheel_filename
from uv import find_uv_bin

from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.kernels.kernelspecs import interpreter_folders
from jupyter_guardrails.package.manifest import hash_file
from jupyter_guardrails.promotion.confine import index_environ, index_files, run_confined
from jupyter_guardrails.promotion.interpreter import Interpreter

RUNNER = ("nbclient", "nbformat", "jupyter_client")
OURS = frozenset({"jupyter-guardrails", "guarded"})  # the package carries the client itself
LOCK_TIMEOUT_S = 300.0


def freeze(interpreter: Interpreter, scratch: Path) -> list[str]:
    """`uv pip freeze` of the kernel's environment, without us; lines that are no `name==version` came from elsewhere than an index."""
    uv = find_uv_bin()
    argv = [uv, "pip", "freeze", "--quiet", "--no-config", "--python", interpreter.executable, "--cache-dir", str(scratch / "uv")]
    ran = run_confined(argv, scratch=scratch, read=[uv, *interpreter.folders], timeout_s=LOCK_TIMEOUT_S)
    if ran.code:
        raise BadRequest(f"the environment can't be listed: {tail(ran.err)}", next_step="see `uv pip freeze --python` with its interpreter")
    listed = [line for line in ran.out.splitlines() if line.strip() and name_of(line, interpreter) not in OURS]
    by_conda = {package.canonical: package.version for package in interpreter.installed if package.by_conda}
    return [f"{name}=={by_conda[name]}" if (name := name_of(line, interpreter)) in by_conda else line for line in listed]


def name_of(line: str, interpreter: Interpreter) -> str:
    """The canonical name in a line of `uv pip freeze`; an editable one (`-e URL`) is named by who was installed from there, else it is the URL."""
    if line.startswith("-e "):
        url = line.removeprefix("-e ").strip().rstrip("/")
        return next((canonical_name(package.name) for package in interpreter.installed if package.url.rstrip("/") == url), url)
    return canonical_name(re.split(r"==| @ ", line)[0])


def of_system(interpreter: Interpreter, frozen: Sequence[str], imported: Iterable[str]) -> list[str]:
    """What of the system's packages an environment that sees them needs: for its own packages, for the modules that are imported, to be a kernel."""
    known = {package.canonical: package for package in interpreter.installed}
    by_module = {module: package.canonical for package in interpreter.installed if package.of_system for module in package.modules}
    own = {name_of(line, interpreter) for line in frozen}
    waiting = [*own, "ipykernel", *(by_module[module] for module in imported if module in by_module)]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in known:
            continue  # known to nobody here: what needs it on another system or with an extra
        seen.add(name)
        waiting += [canonical_name(needed) for needed in _needed(known[name].needs, interpreter)]
    return sorted(f"{name}=={known[name].version}" for name in seen - own if known[name].of_system and name not in OURS)


def _needed(requirements: Iterable[str], interpreter: Interpreter) -> list[str]:
    """The names in those requirements that count for this Python."""
    here = {"extra": "", "python_version": interpreter.short_version, "python_full_version": interpreter.version}
    found = [Requirement(text) for text in requirements]
    return [one.name for one in found if one.marker is None or one.marker.evaluate(here)]


def lock_kernel(frozen: Sequence[str], interpreter: Interpreter, *, scratch: Path, cache: Path, wheels: Sequence[Path] = ()) -> str:
    """The lock of exactly these packages, and of wheels that go along; BadRequest names those that no index has as wheels."""
    (scratch / "kernel.in").write_text("\n".join(frozen) + "\n")
    lock = _compile("kernel", interpreter, ["--no-deps"], scratch=scratch, cache=cache)
    return with_wheels(lock, wheels, interpreter.short_version)


def lock_build(requires: Sequence[str], interpreter: Interpreter, *, scratch: Path, cache: Path) -> str:
    """The lock of what builds a local package, and all that this needs."""
    (scratch / "build.in").write_text("\n".join(requires) + "\n")
    return _compile("build", interpreter, [], scratch=scratch, cache=cache)


def lock_runner(interpreter: Interpreter, *, scratch: Path, cache: Path) -> str:
    """The lock of what executes notebooks, held to the versions that this installation has itself."""
    (scratch / "runner.in").write_text("\n".join(RUNNER) + "\n")
    (scratch / "runner.constraints").write_text("\n".join(f"{name}=={version}" for name, version in _closure(RUNNER).items()) + "\n")
    return _compile("runner", interpreter, ["--constraints", str(scratch / "runner.constraints")], scratch=scratch, cache=cache)


def _compile(kind: str, interpreter: Interpreter, options: Sequence[str], *, scratch: Path, cache: Path) -> str:
    """uv runs under our own interpreter here: the author's must not run where there is a network."""
    uv, target = find_uv_bin(), scratch / f"pylock.{kind}.toml"
    target.unlink(missing_ok=True)
    cache.mkdir(parents=True, exist_ok=True)
    argv = [uv, "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--only-binary", ":all:", "--python", sys.executable]
    argv += ["--python-version", interpreter.version, "--cache-dir", str(cache), *options, str(scratch / f"{kind}.in"), "-o", str(target)]
    read = [uv, *interpreter_folders(sys.executable), *index_files()]
    ran = run_confined(argv, scratch=scratch, read=read, write=[str(cache)], network="host", env=index_environ(), timeout_s=LOCK_TIMEOUT_S)
    if ran.code or not target.is_file():
        raise BadRequest(
            f"the {kind} environment can't be locked: {tail(ran.err)}", next_step="install versions that your package index has as wheels"
        )
    return portable(target.read_text(encoding="utf-8"), interpreter.short_version)


def portable(lock: str, version: str) -> str:
    """A lock without an index's addresses, sizes and times: each wheel is a path in the package's (optional) wheels/ and a sha256."""
    return _text((entry for entry in tomllib.loads(lock)["packages"] if canonical_name(entry["name"]) not in OURS), version)


def with_wheels(lock: str, wheels: Sequence[Path], version: str) -> str:
    """The lock with these files as packages of it: they lie in the package's wheels/."""
    if not wheels:
        return lock
    found = tomllib.loads(lock)
    for wheel in wheels:
        name, released, _, _ = parse_wheel_filename(wheel.name)
        entry = {"name": wheel.name, "hashes": {"sha256": hash_file(wheel)}}
        found["packages"].append({"name": str(name), "version": str(released), "wheels": [entry]})
    return _text(found["packages"], version)


def _text(packages: Iterable[dict[str, Any]], version: str) -> str:
    head = ['lock-version = "1.0"', f'requires-python = "=={version}.*"', 'created-by = "jupyter-guardrails"']
    return "\n".join([*head, *sorted(_package(entry) for entry in packages)]) + "\n"


def _package(entry: dict[str, Any]) -> str:
    wheels = sorted((_file_name(wheel), wheel["hashes"]["sha256"]) for wheel in entry.get("wheels", ()))
    if not wheels:
        raise BadRequest(f"{entry['name']} {entry.get('version', '')} has no wheel", next_step="use a version that the package index has as a wheel")
    lines = [f"    {{path = {json.dumps(f'../wheels/{name}')}, hashes = {{sha256 = {json.dumps(digest)}}}}}," for name, digest in wheels]
    return "\n".join(
        ["\n[[packages]]", f"name = {json.dumps(entry['name'])}", f"version = {json.dumps(entry['version'])}", "wheels = [", *lines, "]"]
    )


def _file_name(wheel: dict[str, Any]) -> str:
    return str(wheel.get("name") or str(wheel.get("url") or wheel["path"]).rsplit("/", 1)[-1].split("#")[0].replace("%2B", "+"))


def requirement_lines(lock: str) -> str:
    """The lock as `name==version --hash=…` lines, as the package's run.py installs it."""
    lines = []
    for package in tomllib.loads(lock)["packages"]:
        hashes = sorted({wheel["hashes"]["sha256"] for wheel in package["wheels"]})
        lines.append(f"{package['name']}=={package['version']} " + " ".join(f"--hash=sha256:{digest}" for digest in hashes))
    return "\n".join(lines) + "\n"


def pinned(lock: str) -> dict[str, str]:
    """Name and version of each package of the lock."""
    return {package["name"]: package["version"] for package in tomllib.loads(lock)["packages"]}


def canonical_name(name: str) -> str:
    """A distribution's name as indexes write it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def tail(text: str, length: int = 600) -> str:
    """The end of what a tool said, on one line."""
    return " ".join(text.split())[-length:]


def _closure(roots: Sequence[str]) -> dict[str, str]:
    """Versions of these distributions and all that they need, as they are installed beside us."""
    found: dict[str, str] = {}
    waiting = list(roots)
    while waiting:
        name = canonical_name(waiting.pop())
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # needed on another Python or system only
        if name not in found:
            found[name] = distribution.version
            needed = (Requirement(text) for text in distribution.requires or ())
            waiting += [requirement.name for requirement in needed if requirement.marker is None or requirement.marker.evaluate({"extra": ""})]
    return dict(sorted(found.items()))
