"""A full disk under the records. What is tried: full_disk.py, in a mount namespace where it may have a small disk."""

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
INSIDE = Path(__file__).with_name("full_disk.py")
ROOT = Path(__file__).parents[2]
PLACES = {"PYTHONPATH": f"{ROOT}{os.pathsep}{INSIDE.parent}"}


def namespaces():
    """How root gets a mount namespace, and how everybody else does."""
    own = ["unshare", "--user", "--map-root-user", "--mount"]
    if os.geteuid() != 0:
        return {"ordinary": own}
    nobody = pwd.getpwnam("nobody")
    return {"root": ["unshare", "--mount"], "ordinary": ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups", *own]}


@pytest.mark.parametrize("account", ["root", "ordinary"])
def test_a_full_disk(account):
    command = namespaces().get(account)
    if command is None:
        pytest.skip("only root can be root here")
    tried = [*command, "sh", "-c", 'mount -t tmpfs t /mnt && exec "$0" -c "import jupyter_guardrails, pytest"', sys.executable]
    enough = shutil.which("unshare") and subprocess.run(tried, cwd=ROOT, env=os.environ | PLACES, capture_output=True, text=True)
    if not enough or enough.returncode:
        reason = enough.stderr if enough else "no unshare"
        assert account == "ordinary" or "Traceback" not in reason, reason  # a mistake of ours is no missing feature of the host
        pytest.skip(f"the ordinary account can't read this checkout, or may not mount: {reason}")
    inside = [*command, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(INSIDE)]
    done = subprocess.run(inside, cwd=ROOT, env=os.environ | PLACES, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stdout[-8000:]
