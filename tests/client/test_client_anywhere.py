"""The client works in every Python from 3.9 on, with nothing installed, and costs little to import."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FLOOR = (3, 9)
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"


def interpreters() -> list[str]:
    """Interpreters of this machine that are new enough."""
    places = [*Path("/usr/bin").glob("python3.[0-9]*"), *Path("/usr/local/bin").glob("python3.[0-9]*"), *PYENV.glob("*/bin/python3")]
    names = {str(place) for place in places if place.name == "python3" or place.name.removeprefix("python3.").isdigit()}
    return sorted(python for python in names if version_of(python) >= FLOOR)


def version_of(python: str) -> tuple[int, ...]:
    done = subprocess.run([python, "-I", "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=False)
    return tuple(map(int, done.stdout.split())) if done.returncode == 0 else (0,)


@pytest.mark.parametrize("python", interpreters())
def test_it_reads_data_in_this_interpreter(python, kernel_environment):
    code = "import guarded; print(guarded.open('nyc/flights').read(4), len(guarded.datasets()), repr(guarded.datasets())[:4])"
    done = subprocess.run([python, "-S", "-c", code], env=kernel_environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("b'PAR1' 6 name\n", "")


def test_importing_it_loads_no_heavy_module_and_connects_to_nothing(kernel_environment):
    code = "import sys; import guarded; print(sorted(set(sys.modules) & {'asyncio', 'pandas', 'fsspec', 'IPython', 'http', 'ssl'}))"
    environment = {**kernel_environment, "GUARDRAILS_CHANNEL": "@nobody-listens-here"}
    assert subprocess.run([sys.executable, "-S", "-c", code], env=environment, capture_output=True, text=True, check=True).stdout == "[]\n"
