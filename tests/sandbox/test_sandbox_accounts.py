"""Everything again as an ordinary account, when root runs the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ACCOUNT = os.environ.get("GUARDRAILS_TEST_ACCOUNT", "nobody")
HERE = Path(__file__)


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another account; this run is an ordinary one already")
def test_all_of_it_as_an_ordinary_account(tmp_path):
    tmp_path.chmod(0o777)
    for folder in tmp_path.parents[:2]:
        folder.chmod(folder.stat().st_mode | 0o711)  # pytest closes its directories to other accounts
    become = ["setpriv", f"--reuid={ACCOUNT}", "--regid=65534", "--clear-groups", "env", f"HOME={tmp_path}", f"TMPDIR={tmp_path}"]
    tests = [sys.executable, "-m", "pytest", str(HERE.parent), "-q", "-p", "no:cacheprovider", "--basetemp", str(tmp_path / "t"), "-m", "not slow"]
    ran = subprocess.run([*become, *tests], capture_output=True, text=True, cwd=HERE.parents[2], timeout=170)
    assert ran.returncode == 0, ran.stdout[-6000:]
    assert "failed" not in ran.stdout
