"""Environments made from locks: wheels with the lock's hashes only, built in the sandbox, kept by what they were made from."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from pathlib import Path

from uv import find_uv_bin

from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.kernels.kernelspecs import interpreter_folders
from jupyter_guardrails.promotion.confine import index_environ, index_files, run_confined
from jupyter_guardrails.promotion.interpreter import Interpreter
from jupyter_guardrails.promotion.locks import requirement_lines, tail

BUILD_TIMEOUT_S = 1800.0


def environment(lock: str, interpreter: Interpreter, *, store: Path, scratch: Path, wheels: Path | None = None) -> Path:
    """The interpreter of the environment of this lock; built at the first call, then taken from `store`. `wheels`: a folder of what no index has."""
    key = hashlib.sha256(f"{interpreter.base}\n{interpreter.version}\n{lock}".encode()).hexdigest()[:32]
    store.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = store.resolve()  # a sandbox's root shows a folder, and not the links that lead to it
    folder = store / key
    with open(store / f"{key}.lock", "w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # two submissions at once build it once
        if not (store / f"{key}.complete").exists():
            _build(folder, lock, interpreter, cache=store / "uv-cache", scratch=scratch, wheels=wheels)
            (store / f"{key}.complete").touch()
    return folder / "bin" / "python"


def _build(folder: Path, lock: str, interpreter: Interpreter, *, cache: Path, scratch: Path, wheels: Path | None) -> None:
    """The author's base interpreter makes the folder without a network; the index is asked for wheels, which run nothing when unpacked."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    cache.mkdir(exist_ok=True)
    uv, python = find_uv_bin(), str(folder / "bin" / "python")
    listed = scratch / f"{folder.name}.txt"
    listed.write_text(requirement_lines(lock))
    base = interpreter_folders(interpreter.base)
    room = scratch / "venv"  # the author's interpreter runs: it gets a folder that nothing else is written into
    room.mkdir(exist_ok=True)
    make = [uv, "venv", "--quiet", "--no-config", "--allow-existing", "--cache-dir", str(room / "uv"), "--python", interpreter.base, str(folder)]
    _run(make, scratch=room, read=[uv, *base], write=[str(folder)])
    fill = [uv, "pip", "install", "--quiet", "--require-hashes", "--no-deps", "--only-binary", ":all:", "--link-mode", "hardlink"]
    fill += ["--cache-dir", str(cache), "--python", python, "-r", str(listed)]
    fill += ["--find-links", str(wheels)] if wheels else []
    read = [uv, *base, *index_files(), *([str(wheels)] if wheels else [])]
    _run(fill, scratch=scratch, read=read, write=[str(folder), str(cache)], index=True)


def _run(argv: list[str], *, scratch: Path, read: list[str], write: list[str], index: bool = False) -> None:
    network, env = ("host", index_environ()) if index else ("none", {})
    ran = run_confined(argv, scratch=scratch, read=read, write=write, network=network, env=env, timeout_s=BUILD_TIMEOUT_S)  # type: ignore[arg-type]
    if ran.code:
        raise GuardrailsError(
            f"the environment can't be built from its lock: {tail(ran.err)}", next_step="see whether the package index has these files"
        )
