"""Everything again as an ordinary account, when root runs the tests."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ACCOUNT = os.environ.get("GUARDRAILS_TEST_ACCOUNT", "nobody")
HERE = Path(__file__)


@pytest.fixture
def home():
    """A directory of that account's own: pytest's are closed to it."""
    account = pwd.getpwnam(ACCOUNT)
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, account.pw_uid, account.pw_gid)
        yield folder


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another account; this run is an ordinary one already")
def test_all_of_it_as_an_ordinary_account(home):
    account = pwd.getpwnam(ACCOUNT)
    become = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups", "env", f"HOME={home}", f"TMPDIR={home}"]
    tests = [sys.executable, "-m", "pytest", str(HERE.parent), "-q", "-p", "no:cacheprovider", "-m", "not slow"]
    ran = subprocess.run([*become, *tests], capture_output=True, text=True, cwd=HERE.parents[2], timeout=170)
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
    assert " passed" in ran.stdout
