"""Mutated proxy requests against the real egress worker, with real servers behind it: egress_fuzz.py, in namespaces of its own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from egress_mutations import mutant

INSIDE = Path(__file__).with_name("egress_fuzz.py")


@pytest.mark.slow
@pytest.mark.soak
def test_mutated_requests_let_nothing_through(tmp_path):
    missing = [name for name in ("ip", "unshare", "mount") if shutil.which(name) is None]
    enough = not missing and subprocess.run(
        ["unshare", "-Urnm", "ip", "link", "add", "gr0", "type", "veth", "peer", "name", "gr1"], capture_output=True
    )
    if missing or enough.returncode:
        pytest.skip(f"a network of one's own needs {missing or enough.stderr.decode()}")
    command = ["unshare", "-Urnm", sys.executable, "-m", "pytest", "-qs", "-p", "no:cacheprovider", f"--basetemp={tmp_path}/inside", str(INSIDE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600)
    print(*(line for line in done.stdout.splitlines() if " requests: " in line))
    assert done.returncode == 0, done.stdout[-6000:]
    assert "skipped" not in done.stdout
    assert "failed\n" not in done.stderr, done.stderr[-3000:]  # what the worker logs of a defect


def test_a_mutant_can_be_made_again():
    assert [mutant(number) for number in range(300)] == [mutant(number) for number in range(300)]
    assert len({mutant(number).data for number in range(1, 300)}) > 250
