"""Asserts that a built front end is really there: a failed build can look successful, since `labextension list` says OK all the same."""

import gzip
import json
import sys
import zipfile
from pathlib import Path

MAX_GZIP_BYTES = 60_000  # of what each page loads
OPENED = ("tabs.", "job.")  # begin the names of what is loaded when a tab of the main area, or the form about a job, is opened


def entry_of(package: dict) -> str:
    """The file that JupyterLab loads, as the built package.json names it."""
    return package["jupyterlab"]["_build"]["load"]


def main(*wheels: str) -> int:
    """Checks the built folder and each wheel named; prints the bundle's size."""
    folder = Path("jupyter_guardrails/labextension")
    entry = folder / entry_of(json.loads((folder / "package.json").read_text()))
    assert entry.is_file(), f"{entry} is named by the built package.json and does not exist"
    sizes = {path.name: len(gzip.compress(path.read_bytes())) for path in (folder / "static").glob("*.js")}
    later = sum(bytes for name, bytes in sizes.items() if name.startswith(OPENED))
    for start in OPENED:
        assert any(name.startswith(start) for name in sizes), f"no file of {folder}/static is named {start}*.js: each page would load what is in it"
    size = sum(sizes.values()) - later
    print(f"front end: {entry.name}, {size} bytes of JavaScript gzipped, and {later} when a tab or the form about a job is opened")
    assert size <= MAX_GZIP_BYTES, f"the bundle is {size} bytes gzipped, {MAX_GZIP_BYTES} at most"
    for wheel in wheels:
        names = set(zipfile.ZipFile(wheel).namelist())
        inside = [name for name in names if name.endswith(f"share/jupyter/labextensions/jupyter-guardrails/{entry.relative_to(folder)}")]
        assert inside, f"{wheel} does not hold {entry.name}"
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
