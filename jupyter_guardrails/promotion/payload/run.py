#!/usr/bin/env python3
"""Runs this package without its author. Standard library only, Python 3.11 or newer.

    python3 run.py [--param NAME=VALUE] [--dataset NAME=PATH [--masked NAME]] [--bindings FILE] [--out DIR]
    python3 run.py --fetch DIR        where there is a package index; then, without one: python3 run.py --wheels DIR …

Verifies every file, finds the datasets, builds two environments from the locks (with uv, else with venv and pip; kept in the cache),
runs the notebook top to bottom (where there are several, one after the other) and writes executed.ipynb, run.json and the files that it wrote.
Exit codes: 0 fine, 1 the package was altered or the notebook failed, 2 a parameter or dataset is missing or wrong, 3 this machine can't run it.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import importlib.util
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

HERE = Path(__file__).resolve().parent
MANIFEST = "manifest-sha256.txt"
ALTERED, USAGE, HOST = 1, 2, 3
KERNEL_CODE = "import sys; sys.path = [p for p in sys.path if p]; from ipykernel.kernelapp import launch_new_instance; launch_new_instance()"
LEFT_OUT = {"__pycache__", ".ipynb_checkpoints"}


def stop(code: int, sentence: str) -> NoReturn:
    """Say one sentence and end."""
    print(f"run.py: {sentence}", file=sys.stderr)
    raise SystemExit(code)


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--dataset", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--masked", action="append", default=[], metavar="NAME", help="its file has the masks and rows that the clean run saw")
    parser.add_argument("--brokered", action="append", default=[], metavar="NAME", help="read through the control in whose sandbox this runs")
    parser.add_argument("--bindings", default=os.environ.get("GUARDRAILS_BINDINGS"), metavar="FILE", help="JSON {dataset: path} of the engine")
    parser.add_argument("--out", default="out", metavar="DIR")
    parser.add_argument("--environments", metavar="DIR", help="where environments are kept (default: the account's cache)")
    parser.add_argument("--wheels", action="append", default=[], metavar="DIR", help="a folder of wheels, as --fetch fills it: no index is asked")
    parser.add_argument("--fetch", metavar="DIR", help="verify, and put the wheels that this machine needs into a folder")
    parser.add_argument("--check", action="store_true", help="verify the files only")
    parser.add_argument("--prepare", action="store_true", help="verify, and build the environments only")
    return parser.parse_args(argv)


def sha256(path: Path) -> str:
    """sha256 hex of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hashes(out: Path) -> dict[str, str]:
    """Name -> sha256 of every file of this package but the manifest, what vouches for it, and results, which are never read here."""
    found = {}
    for path in HERE.rglob("*"):
        name = path.relative_to(HERE).as_posix()
        if path.is_symlink():
            found[name] = "a link"
        elif (
            path.is_file()
            and not any(path.is_relative_to(results) for results in (out, HERE / "out"))
            and name != MANIFEST
            and not name.startswith("attestations/")
        ):
            found[name] = sha256(path)
    return found


def verify(out: Path) -> str:
    """The manifest's digest; ends unless the files are exactly those that it lists."""
    try:
        wanted = {name: digest for digest, name in (line.split("  ", 1) for line in (HERE / MANIFEST).read_text(encoding="utf-8").splitlines())}
    except (OSError, ValueError) as error:
        stop(ALTERED, f"this package has no readable {MANIFEST} ({error})")
    found = hashes(out)
    wrong = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if wrong:
        stop(ALTERED, f"this package was altered and nothing was run; missing, changed or extra: {', '.join(wrong[:5])}")
    return sha256(HERE / MANIFEST)


def typed(name: str, text: str, schema: dict[str, Any]) -> Any:
    """A parameter's value from the command line, as its schema types it."""
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, list) else [str(kinds)]
    kind = " or ".join(kinds)
    try:
        value = text if "string" in kinds and not (text == "null" and "null" in kinds) else json.loads(text)
    except ValueError:
        stop(USAGE, f"parameter {name} is {kind}: {text!r} is not")
    fits: dict[str, Any] = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict, "null": type(None)}
    types = [fits.get(one, object) for one in kinds]
    if not any(isinstance(value, one) for one in types) or (isinstance(value, bool) and not {"boolean", "None"} & set(kinds)):
        stop(USAGE, f"parameter {name} is {kind}: {text!r} is not")
    if value not in schema.get("enum", [value]):
        stop(USAGE, f"parameter {name} is one of {', '.join(map(str, schema['enum']))}: {text!r} is not")
    if isinstance(value, float) and not math.isfinite(value):
        stop(USAGE, f"parameter {name} is a number: {text!r} is not finite")
    return value


def pairs(given: list[str], flag: str) -> dict[str, str]:
    """NAME=VALUE arguments as a dict."""
    if wrong := [text for text in given if "=" not in text]:
        stop(USAGE, f"{flag} takes NAME=VALUE, not {wrong[0]!r}")
    return dict(text.split("=", 1) for text in given)


def parameters(job: dict[str, Any], given: list[str]) -> dict[str, Any]:
    """The values to inject: those submitted, and above them the command line's."""
    properties = job["parameters"]["json_schema"].get("properties", {})
    values = dict(job["parameters"]["values"])
    for name, text in pairs(given, "--param").items():
        if name not in properties:
            stop(USAGE, f"there is no parameter {name}; this job has: {', '.join(sorted(properties)) or 'none'}")
        values[name] = typed(name, text, properties[name])
    return values


def bindings(job: dict[str, Any], options: argparse.Namespace) -> dict[str, str | None]:
    """Dataset -> path: the command line's, else the engine's, else the contract's; None: through control. Ends when one is found nowhere."""
    flags, brokered, masked = pairs(options.dataset, "--dataset"), set(options.brokered), set(options.masked)
    names = [wanted["name"] for wanted in job["inputs"]]
    if unknown := sorted((flags.keys() | brokered | masked) - set(names)):
        stop(USAGE, f"this job reads no dataset {unknown[0]}; it reads: {', '.join(names) or 'none'}")
    if brokered and not os.environ.get("GUARDRAILS_CHANNEL"):
        stop(USAGE, "--brokered is for a sandbox of ours, and this is none; give the files of the datasets by --dataset NAME=PATH")
    engine, found = read_bindings(options.bindings), dict.fromkeys(sorted(brokered))
    rest = [wanted for wanted in job["inputs"] if wanted["name"] not in brokered]
    given = {name: flags.get(name) or engine.get(name) for name in names}
    return found | {wanted["name"]: bind(wanted, given[wanted["name"]], vouched=wanted["name"] in masked) for wanted in rest}


def as_seen(wanted: dict[str, Any]) -> str:
    """How the clean run saw a dataset: its masks, and whether it saw some rows only; empty where it saw all of it."""
    masks = ", ".join(f"{column} {kind}" for column, kind in sorted(wanted.get("masks", {}).items()))
    rows = f"only some of its rows (filter {wanted['rows'][:12]})" if wanted.get("rows") else ""
    return "; ".join(part for part in (masks, rows) if part)


def bind(wanted: dict[str, Any], given: Any, *, vouched: bool = False) -> str:
    """The path of one dataset; ends when it can't be read, or when it was seen masked and nobody vouches for the same masks here."""
    name = wanted["name"]
    entry = {"path": given} if isinstance(given, str) else given or wanted
    if not entry["path"] or not os.access(entry["path"], os.R_OK):
        why = f"{entry['path']} can't be read here" if entry["path"] else "nothing says where it is"
        stop(USAGE, f"dataset {name} is not resolved: {why}; start again with --dataset {name}=PATH")
    same = (entry.get("masks") or {}, entry.get("rows") or "") == (wanted.get("masks") or {}, wanted.get("rows") or "")
    if as_seen(wanted) and (entry is wanted or not same) and not vouched:
        stop(
            USAGE,
            f"dataset {name} was seen masked ({as_seen(wanted)}), and nothing says that {entry['path']} has them: "
            f"add --masked {name} where it has, or say them in --bindings",
        )
    return os.path.abspath(entry["path"])


def read_bindings(file: str | None) -> dict[str, Any]:
    """The engine's {dataset: path} file."""
    if not file:
        return {}
    try:
        return dict(json.loads(Path(file).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        stop(USAGE, f"the bindings {file} can't be read ({error})")


def secrets(job: dict[str, Any]) -> None:
    """Ends unless the engine has bound each secret that the job names, as a variable of the environment."""
    if missing := [name for name in job.get("secrets", []) if not os.environ.get(name)]:
        stop(USAGE, f"this job needs the secret {missing[0]}, and nothing has set it: bind it as an environment variable of that name")


def environments(job: dict[str, Any], options: argparse.Namespace) -> tuple[Path, Path]:
    """The interpreters of the runner and of the kernel."""
    folder = options.environments
    cache = Path(folder).resolve() if folder else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "guardrails-jobs"
    with building() as part:
        runner, kernel = part.environments(job["python"], cache.absolute(), [Path(folder).resolve() for folder in options.wheels])
    return runner, kernel


def fetch(job: dict[str, Any], target: Path) -> None:
    """Put the wheels that this machine needs into a folder."""
    with building() as part:
        part.fetch(job["python"], target)


@contextlib.contextmanager
def building() -> Iterator[ModuleType]:
    """The part of this program that builds environments; ends in its words where this machine can't."""
    part = load("run_environments", HERE / "lib" / "run_environments.py")
    try:
        yield part
    except part.NoEnvironment as error:
        stop(HOST, str(error))


def load(name: str, file: Path) -> ModuleType:
    """A module of this package, once all of it was verified; by its file, so that nothing else has its name."""
    sys.dont_write_bytecode = True  # what stands beside its files would alter the package
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def inputs(job: dict[str, Any], datasets: dict[str, str | None], masked: list[str]) -> list[dict[str, Any]]:
    """For run.json: how the clean run saw each dataset, from where it is read here, who says that it is masked alike, whether it is the same file.

    What was masked, and what is another file, is told; one that has to be the same file ends the run where it isn't.
    """
    found, pinned = [], job.get("pinned", [])
    for wanted in job["inputs"]:
        path, said = datasets[wanted["name"]], {key: wanted[key] for key in ("name", "version", "masks", "rows") if key in wanted}
        word = "control" if path is None else "--masked" if wanted["name"] in masked else "--bindings"
        same = same_file(wanted, path)
        if (wanted["name"] in pinned and not same) or (wanted.get("counts") and same is False):
            stop(USAGE, not_the_same(wanted, path))
        drift = [] if same else drifted(wanted, path)
        found.append(said | {"path": path, "masked_by_word_of": word if as_seen(wanted) else None, "same_file": same, "drift": drift})
        tell_input(wanted, path, same=same, drift=drift, word=word)
    return found


def tell_input(wanted: dict[str, Any], path: str | None, *, same: bool | None, drift: list[str], word: str) -> None:
    """Print how one dataset is another one than in the clean run, and how that saw it; nothing where there is nothing to know."""
    if same is False:
        then = f"{wanted['size_bytes']} bytes, sha256 {wanted['sha256'][:12]}"
        print(f"{wanted['name']}: {path} is not the file that the clean run read ({then}): results may be others", flush=True)
    for sentence in drift:
        print(f"{wanted['name']}: {sentence}", flush=True)
    if as_seen(wanted):
        print(f"{wanted['name']} {wanted['version']} was masked in the clean run: {as_seen(wanted)}; here by the word of {word}", flush=True)


def not_the_same(wanted: dict[str, Any], path: str | None) -> str:
    """Why a pinned dataset is refused, and what to do."""
    name = wanted["name"]
    here = "it comes through control here, so that nothing says which bytes these are" if path is None else f"{path} is no file"
    if path is not None and Path(path).is_file():
        here = f"{path} has {Path(path).stat().st_size} bytes, sha256 {sha256(Path(path))}"
    return (
        f"dataset {name} is pinned to the {wanted.get('size_bytes')} bytes that its clean run read, sha256 {wanted.get('sha256')}, and {here}: "
        f"start again with --dataset {name}=PATH of that very file, or have the notebook submitted again with this one"
    )


def drifted(wanted: dict[str, Any], path: str | None) -> list[str]:
    """How the columns of a dataset differ from those that the clean run saw, in sentences; empty where nobody knows them."""
    folder = HERE / "lib" / "guarded_tables"
    if not wanted.get("columns") or not folder.is_dir():
        return []
    tables = load("guarded_tables", folder / "__init__.py")
    return list(tables.drifted(wanted, path, told_by_control(wanted["name"]) if path is None else None))


def told_by_control(name: str) -> dict[str, Any]:
    """The columns of what is streamed or masked, as this run is going to get them; or why control doesn't tell them."""
    sys.path.insert(0, str(HERE / "lib"))
    try:
        channel, errors = (importlib.import_module(f"guarded.{part}") for part in ("channel", "errors"))
    finally:
        del sys.path[0]
    try:
        told, _ = channel.Channel(os.environ["GUARDRAILS_CHANNEL"]).call("datasets.columns", name=name)
    except errors.GuardedError as error:
        return {"format": "", "columns": {}, "problem": error.message}
    return dict(told)


def same_file(wanted: dict[str, Any], path: str | None) -> bool | None:
    """Whether a dataset's file has the bytes that the clean run read; None where the package doesn't say, or it is read through control."""
    if not wanted.get("sha256") or path is None:
        return None
    file = Path(path)
    return file.is_file() and file.stat().st_size == wanted["size_bytes"] and sha256(file) == wanted["sha256"]


def run(job: dict[str, Any], config: dict[str, Any], pythons: tuple[Path, Path], out: Path) -> int:
    """Execute in a fresh folder that holds only src/, with the config's values and datasets; 0 or 1. Results lie in `out`."""
    runner, kernel = pythons
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="job-") as private:
        work = Path(private, "work")
        shutil.copytree(HERE / "src", work)
        Path(private, "bindings.json").write_text(json.dumps(config["datasets"]))
        write_kernelspec(Path(private), kernel)
        command = [str(runner), "-I", str(HERE / "lib" / "run_cells.py"), str(Path(private, "config.json"))]
        environ = job_environ(Path(private), kernel, brokered=None in config["datasets"].values())
        code = in_order(job, config | {"out": str(out)}, command, environ, work)
        keep_results(work, out)
    print(f"{'complete' if code == 0 else 'failed'}: see {out}/run.json", flush=True)
    return 0 if code == 0 else 1


def in_order(job: dict[str, Any], config: dict[str, Any], command: list[str], environ: dict[str, str], work: Path) -> int | None:
    """Each notebook in a kernel of its own, until one fails; the last one's exit code, None when the job took longer than it may."""
    notebooks, done, code = [job["entry"], *job.get("then", [])], list[dict[str, Any]](), None
    ends, out = time.monotonic() + job["resources"]["wall_s"], Path(config["out"])
    for number, name in enumerate(notebooks):
        said = config | {"notebook": str(work / name), "executed": numbered("executed.ipynb", number)}
        said["values"] = {} if number else config["values"]  # parameters are the first one's
        Path(command[-1]).write_text(json.dumps(said))
        code = wait(command, environ, (work / name).parent, ends - time.monotonic())
        if code is None:
            status = {"state": "failed", "error": f"stopped after {job['resources']['wall_s']} s", "package": config["package"]}
            (out / "run.json").write_text(json.dumps(status) + "\n")
        if len(notebooks) > 1:
            done.append(told(out, name, said["executed"], done))
        if code != 0:
            break
    return code


def numbered(name: str, number: int) -> str:
    """`executed.ipynb` of the first notebook (0), `executed-2.ipynb` of the next."""
    stem, _, suffix = name.partition(".")
    return f"{stem}-{number + 1}.{suffix}" if number else name


def told(out: Path, notebook: str, executed: str, before: list[dict[str, Any]]) -> dict[str, Any]:
    """What run.json says of the notebook that was run last, which it names, beside those `before` it."""
    try:
        status = json.loads((out / "run.json").read_text())
    except (OSError, ValueError):  # the runner was killed before it wrote one, or in it
        status = {"state": "failed", "error": "its runner was ended from outside"}
    said = {"notebook": notebook, "executed": executed} | {key: status.get(key) for key in ("state", "error", "started", "ended", "cells")}
    started = before[0]["started"] if before else status.get("started")
    whole = status | {"started": started, "notebook": notebook, "notebooks": [*before, said]}
    (out / "run.json").write_text(json.dumps(whole, indent=1) + "\n")
    print(f"{notebook}: {said['state']}", flush=True)
    return said


def write_kernelspec(private: Path, kernel: Path) -> None:
    """A kernelspec whose interpreter is the package's own; a module beside the notebook can't stand in for the kernel."""
    folder = private / "jupyter" / "kernels" / "job"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(
        json.dumps({"argv": [str(kernel), "-c", KERNEL_CODE, "-f", "{connection_file}"], "display_name": "job", "language": "python"})
    )


def job_environ(private: Path, kernel: Path, *, brokered: bool) -> dict[str, str]:
    """The engine's environment, with our client on the path and nothing of the account's own Jupyter or IPython."""
    dropped = {"PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "GUARDRAILS_DATA", *(() if brokered else ("GUARDRAILS_CHANNEL",))}
    environ = {name: value for name, value in os.environ.items() if name not in dropped}
    (private / "r").mkdir(mode=0o700)
    environ["JUPYTER_RUNTIME_DIR"] = str(private / "r")
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR", "PYTHONPYCACHEPREFIX"):
        environ[name] = str(private / name.lower())
    environ |= {"JUPYTER_PATH": str(private / "jupyter"), "PYTHONPATH": str(HERE / "lib"), "GUARDRAILS_BINDINGS": str(private / "bindings.json")}
    return environ | {"PATH": f"{kernel.parent}:{os.environ.get('PATH', '/usr/bin:/bin')}", "PYTHONNOUSERSITE": "1"}


def wait(command: list[str], environ: dict[str, str], cwd: Path, wall_s: float) -> int | None:
    """The exit code; None when it took longer than the job may. Ended with us in any case."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    child = subprocess.Popen(command, env=environ, cwd=cwd, stdin=subprocess.DEVNULL)
    try:
        return child.wait(wall_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if child.poll() is None:
            child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(10)
            child.kill()


def keep_results(work: Path, out: Path) -> None:
    """Move the files that the notebook wrote or changed to out/files, and name them in run.json."""
    kept = []
    for path in sorted(work.rglob("*")):
        name = path.relative_to(work)
        source = HERE / "src" / name
        if not path.is_file() or path.is_symlink() or LEFT_OUT & set(name.parts) or (source.is_file() and sha256(source) == sha256(path)):
            continue
        target = out / "files" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, target)
        kept.append(name.as_posix())
    with contextlib.suppress(OSError, ValueError):  # the runner was killed before it wrote one
        status = json.loads((out / "run.json").read_text())
        (out / "run.json").write_text(json.dumps(status | {"files": kept}, indent=1) + "\n")


def main() -> int:
    """Called as a program."""
    options = arguments()
    out = Path(options.out).resolve()
    package = verify(out)
    job = json.loads((HERE / "job.json").read_text(encoding="utf-8"))
    print(f"{job['name']}: every file is as the manifest says ({package[:12]})", flush=True)
    if options.check:
        return 0
    if options.fetch:
        fetch(job, Path(options.fetch).resolve())
        return 0
    if options.prepare:
        environments(job, options)
        return 0
    values, datasets = parameters(job, options.param), bindings(job, options)
    secrets(job)
    config = {"values": values, "datasets": datasets, "inputs": inputs(job, datasets, options.masked), "package": package}
    return run(job, config, environments(job, options), out)


if __name__ == "__main__":
    sys.exit(main())
