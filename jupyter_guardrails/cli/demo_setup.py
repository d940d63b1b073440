"""Makes the demo's folder: data, catalogue, policy, workspace, and an environment of its own for the kernels. Quick the second time."""

from __future__ import annotations

import hashlib
import importlib.resources
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uv

from jupyter_guardrails import errors
from jupyter_guardrails.cli import demo_data

KERNEL_PACKAGES = ("ipykernel", "pandas", "pyarrow", "scikit-learn", "matplotlib", "fsspec")
KERNELSPEC, DISPLAY_NAME = "flights", "Python 3 (flights)"  # not `python3`: hiding an installed kernelspec is refused


@dataclass(frozen=True, slots=True)
class DemoFolder:
    """Where everything of the demo lies; `root` is absolute and without symlinks, since contracts name real places."""

    root: Path

    @property
    def workspace(self) -> Path:
        """The person's own folder with the notebooks."""
        return self.root / "workspace"

    @property
    def kernel_python(self) -> Path:
        """The interpreter of the kernels, in an environment that has nothing of ours."""
        return self.root / "kernel-env" / "bin" / "python"

    @property
    def jupyter_path(self) -> Path:
        """Where Jupyter finds the kernelspec of that environment."""
        return self.root / "share" / "jupyter"

    def environment(self, *, person: str, state: Path | None = None) -> dict[str, str]:
        """The variables by which launcher and control find this folder."""
        return {
            "GUARDRAILS_POLICY": str(self.root / "policy.yaml"),
            "GUARDRAILS_CATALOG": str(self.root / "catalog"),
            "GUARDRAILS_STATE_DIR": str(state or self.root / "state"),
            "GUARDRAILS_AS": person,
            "JUPYTER_PATH": str(self.jupyter_path),
            "XDG_DATA_HOME": str(self.root / "home"),  # JupyterLab's settings and layout stay in the demo's folder, too
        }


def set_up(root: Path, *, say: Callable[[str], None]) -> DemoFolder:
    """The folder, complete; what is there already stays, and so do files that somebody edited."""
    folder = DemoFolder(root.resolve())
    folder.root.mkdir(parents=True, exist_ok=True)
    (folder.root / ".gitignore").write_text("*\n")
    if demo_data.write_data(folder.root / "data"):
        say("data: 336,776 flights with weather, planes, airports and airlines, as Parquet and CSV")
    _write_texts(folder)
    if _make_kernel_environment(folder, say):
        say(f"kernel environment: {folder.kernel_python.parents[1]}")
    return folder


def _write_texts(folder: DemoFolder) -> None:
    """Policy, contracts and notebooks; one that was edited since we wrote it is kept."""
    record = folder.root / "written.json"
    written = json.loads(record.read_text()) if record.exists() else {}
    for name, text in _texts(folder.root / "data"):
        file = folder.root / name
        if file.exists() and digest_of(file.read_text()) != written.get(name):
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        written[name] = digest_of(text)
    record.write_text(json.dumps(written, indent=1))


def digest_of(text: str) -> str:
    """The SHA-256 by which a text is known as one that we wrote."""
    return hashlib.sha256(text.encode()).hexdigest()


def _texts(data: Path) -> Iterator[tuple[str, str]]:
    source = importlib.resources.files("jupyter_guardrails") / "demo"
    yield "policy.yaml", (source / "policy.yaml").read_text()
    for notebook in sorted((source / "notebooks").iterdir(), key=lambda file: file.name):
        if notebook.name.endswith(".ipynb"):
            yield f"workspace/{notebook.name}", _told(notebook.read_text())
    for template in sorted((source / "contracts").iterdir(), key=lambda file: file.name):
        for name, text in contracts(template.name, template.read_text(), data):
            yield f"catalog/{name}", text


def _told(notebook: str) -> str:
    """A notebook that knows what its kernel says of its language: JupyterLab has nothing to note, so it doesn't show as changed when opened."""
    found = json.loads(notebook)
    found["metadata"]["language_info"] = {
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
        "version": platform.python_version(),  # the kernels' environment has this interpreter
    }
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def contracts(name: str, template: str, data: Path) -> Iterator[tuple[str, str]]:
    """File name and text of a template's contracts: for its Parquet file and, below nyc/, for its CSV twin; a product has no files."""
    text = template.replace("{data}", json.dumps(str(data))[1:-1])
    yield name, text
    if name.startswith("nyc_") and "{data}" in template:
        twin = text.replace(".parquet", ".csv").replace("format: parquet", "format: csv")
        yield name.replace(".odcs", "_csv.odcs"), _renamed(twin)


def _renamed(text: str) -> str:
    """The same contract with `_csv` after its name and `(CSV)` after its title."""
    lines = []
    for line in text.splitlines(keepends=True):
        key = line.partition(":")[0]
        ending = {"id": "_csv\n", "name": " (CSV)\n"}.get(key, "\n")
        lines.append(line.rstrip("\n") + ending)
    return "".join(lines)


def _make_kernel_environment(folder: DemoFolder, say: Callable[[str], None]) -> bool:
    """The kernels' environment and kernelspec; False when they were there already."""
    base = os.path.realpath(sys.executable)
    wanted, mark = "\n".join([base, *KERNEL_PACKAGES]), folder.root / "kernel-env" / "made-by-demo.txt"
    kernelspec = folder.jupyter_path / "kernels" / KERNELSPEC / "kernel.json"
    if mark.exists() and mark.read_text() == wanted and kernelspec.exists():
        return False
    say("making an environment for the kernels, which takes a minute the first time")
    shutil.rmtree(mark.parent, ignore_errors=True)
    _uv("venv", "--python", base, str(mark.parent))
    # compiled here, since kernels may not write into their environment and would compile at each start
    _uv("pip", "install", "--compile-bytecode", "--python", str(folder.kernel_python), *KERNEL_PACKAGES)
    _run(str(folder.kernel_python), "-m", "ipykernel", "install", f"--prefix={folder.root}", f"--name={KERNELSPEC}", f"--display-name={DISPLAY_NAME}")
    mark.write_text(wanted)
    return True


def _uv(*arguments: str) -> None:
    _run(uv.find_uv_bin(), "--quiet", *arguments)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise errors.GuardrailsError(
            f"{' '.join(command[:3])} failed: {done.stderr.strip() or done.stdout.strip()}",
            next_step="the demo installs its kernels' packages from the package index that pip or uv is set to: is it reachable?",
        )
