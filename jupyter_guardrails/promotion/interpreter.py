"""The kernel's own interpreter: which one a kernelspec starts, and what is installed in it, asked in the sandbox."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_path

from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.kernels.kernelspecs import interpreter_folders
from jupyter_guardrails.promotion.confine import run_confined

PROBE = (Path(__file__).parent / "payload" / "probe.py").read_text()
PROBE_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Installed:
    """One distribution of an environment; `url` is where it came from when not from an index, `license` what it says of itself.

    `by_conda`: conda installed it. `of_system`: it is one of the system's, which an environment made with --system-site-packages sees.
    `needs`: its requirements, `modules`: those at its top, where the environment sees the system's.
    """

    name: str
    version: str
    url: str = ""
    editable: bool = False
    license: str = ""
    by_conda: bool = False
    of_system: bool = False
    needs: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()

    @property
    def canonical(self) -> str:
        """Its name as indexes write it (PEP 503)."""
        return re.sub(r"[-_.]+", "-", self.name.strip()).lower()


@dataclass(frozen=True, slots=True)
class Interpreter:
    """What a kernelspec runs: `executable` is its Python, `base` the one that its environment was made from."""

    executable: str
    base: str
    version: str
    implementation: str
    system: str
    machine: str
    conda: bool
    installed: tuple[Installed, ...]
    system_site: bool = False  # it sees the packages of the Python that it was made from

    @property
    def folders(self) -> tuple[str, ...]:
        """What has to be readable to start it."""
        return (*interpreter_folders(self.executable), *interpreter_folders(self.base))

    @property
    def short_version(self) -> str:
        """`3.11`."""
        return ".".join(self.version.split(".")[:2])


def find_kernelspec(wanted: str) -> dict[str, Any]:
    """The kernel.json of that name (python3 for none) where Jupyter looks; BadRequest when there is none or it is no Python kernel."""
    name = wanted or "python3"
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        raise BadRequest(f"{name!r} is no kernelspec's name", next_step="choose a kernel in JupyterLab and save the notebook")
    for folder in jupyter_path("kernels"):
        file = Path(folder, name, "kernel.json")
        if file.is_file():
            return _python_spec(name, file)
    known = sorted({file.parent.name for folder in jupyter_path("kernels") for file in Path(folder).glob("*/kernel.json")})
    unnamed = "" if wanted else "the notebook names no kernel, and "
    raise BadRequest(
        f"{unnamed}there is no kernelspec {name!r} here (there are: {', '.join(known) or 'none'})",
        next_step="choose one of them in JupyterLab and save the notebook, or name it: `jupyter guardrails submit NOTEBOOK --kernel NAME`",
    )


def _python_spec(name: str, file: Path) -> dict[str, Any]:
    try:
        spec = dict(json.loads(file.read_text(encoding="utf-8")))
        argv, language = [str(part) for part in spec["argv"]], str(spec.get("language", "")).lower()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadRequest(f"the kernelspec {name!r} can't be read: {error}", next_step="install the kernel again") from error
    if language != "python" or not any("ipykernel" in part for part in argv):
        raise BadRequest(f"the kernelspec {name!r} is no Python kernel with ipykernel", next_step="only those can be promoted by now")
    return spec


def executable_of(spec: dict[str, Any]) -> str:
    """The program of a kernelspec, found as Jupyter finds it: a bare `python` is the server's own."""
    program = str(spec["argv"][0])
    if re.fullmatch(r"python(\d(\.\d+)?)?", program):
        return sys.executable
    found = shutil.which(os.path.expanduser(program))
    if not found:
        raise BadRequest(f"the kernelspec's interpreter {program} is not there", next_step="install its environment again")
    return os.path.abspath(found)


def _installed(item: dict[str, Any]) -> Installed:
    return Installed(**(item | {"needs": tuple(item["needs"]), "modules": tuple(item["modules"])}))


def probe(executable: str, scratch: Path) -> Interpreter:
    """Ask an interpreter about itself, without a network: even `-I` runs what a .pth file in its environment says."""
    ran = run_confined([executable, "-I", "-c", PROBE], scratch=scratch, read=interpreter_folders(executable), timeout_s=PROBE_TIMEOUT_S)
    try:
        facts = json.loads(ran.out.splitlines()[-1])
        packages = {item["name"].lower(): _installed(item) for item in reversed(facts.pop("packages"))}
    except (IndexError, ValueError, TypeError, KeyError) as error:
        said = " ".join(ran.err.split())[-400:]
        raise BadRequest(f"the interpreter {executable} does not tell what it is: {said}", next_step="start a kernel with it and see") from error
    conda = Path(facts.pop("prefix"), "conda-meta").is_dir()
    return Interpreter(executable=executable, conda=conda, installed=tuple(packages[name] for name in sorted(packages)), **facts)
