"""An account that /etc/passwd doesn't hold, as with LDAP: inside, the person has their name, home and group all the same."""

import os
import shutil
import subprocess
import sys

import pytest

POLICY = "apiVersion: guardrails/v1\nrules: [{name: all, for: everyone}]\n"
LOOK = """\
import grp, os, pwd
own = pwd.getpwuid(os.getuid())
print(own.pw_name, own.pw_dir, grp.getgrgid(os.getgid()).gr_name, pwd.getpwnam('somebody').pw_uid)
"""
WITHOUT_US = 'mount --bind "$0/passwd" /etc/passwd && mount --bind "$0/group" /etc/group && exec "$@"'


@pytest.fixture
def command(tmp_path):
    """`exec` in a mount namespace whose account files know somebody else only."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-Urm", "true"], capture_output=True).returncode:
        pytest.skip("files of one's own in /etc need a user namespace")
    (tmp_path / "passwd").write_text("somebody:x:4242:4242::/:/bin/sh\n")
    (tmp_path / "group").write_text("some:x:4242:\n")
    (tmp_path / "guardrails.yaml").write_text(POLICY)
    for folder in ("workspace", "catalog", "home"):
        (tmp_path / folder).mkdir()
    inside = ["exec", "--workspace", str(tmp_path / "workspace"), "--", "/usr/bin/python3", "-I", "-c", LOOK]
    return ["unshare", "-Urm", "sh", "-c", WITHOUT_US, str(tmp_path), sys.executable, "-m", "jupyter_guardrails", *inside]


def test_the_person_has_a_name_inside(command, tmp_path):
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home"), "GUARDRAILS_AS": "ana", "GUARDRAILS_STATE_DIR": str(tmp_path / "state")}
    environ |= {"GUARDRAILS_POLICY": str(tmp_path / "guardrails.yaml"), "GUARDRAILS_CATALOG": str(tmp_path / "catalog")}
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    name, home, group, other = done.stdout.split()
    assert (name, home, other) == ("ana", str(tmp_path / "workspace"), "4242"), done.stderr
    assert group in ("g0", "root")  # as the machine's directory calls it, where it has a name for it
