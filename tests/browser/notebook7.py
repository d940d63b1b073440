"""An environment with Notebook 7 on top of the one that tests run in: beside JupyterLab it would change the toolbars that all other tests look at."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from uv import find_uv_bin

NOTEBOOK = "notebook>=7.6,<8"  # made from JupyterLab 4.6
SHIM = "import site; site.addsitedir({!r})\n"


def make_environment(folder: Path) -> Path:
    """Its interpreter; everything that is installed here is there too, and the folder alone holds Notebook 7."""
    uv, python = find_uv_bin(), folder / "bin" / "python"
    _run(uv, "venv", "--quiet", "--python", os.path.realpath(sys.executable), str(folder))
    for part in ("etc/jupyter", "share/jupyter"):
        shutil.copytree(Path(sys.prefix, part), folder / part, symlinks=True, dirs_exist_ok=True)
    site = next(folder.glob("lib/python*/site-packages"))
    (site / "below.pth").write_text(SHIM.format(sysconfig.get_path("purelib")))
    _run(uv, "pip", "install", "--quiet", "--python", str(python), "--no-deps", NOTEBOOK)
    return python


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no Notebook 7 could be installed (is the package index within reach?): {done.stderr.strip()}")
