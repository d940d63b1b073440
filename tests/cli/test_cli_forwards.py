"""Databases and ssh by name from governed sandboxes. What is tried: forwards_network.py; here is the PostgreSQL that it reaches."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # left out of `make test-fast`

INSIDE = Path(__file__).with_name("forwards_network.py")


def as_an_ordinary_account():
    """PostgreSQL refuses to run as root."""
    if os.geteuid() == 0:
        account = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)


@pytest.fixture
def postgres():
    """A PostgreSQL server on a unix socket of its own: its folder of programs, and the socket."""
    if not (shutil.which("initdb") and shutil.which("pg_ctl")):
        pytest.skip("initdb and pg_ctl are not on this machine's PATH: PostgreSQL is not tested here")
    programs = Path(shutil.which("initdb")).resolve().parent
    home = Path(tempfile.mkdtemp(prefix="gr-pg-", dir="/tmp"))
    if os.geteuid() == 0:
        account = pwd.getpwnam("nobody")
        os.chown(home, account.pw_uid, account.pw_gid)
    home.chmod(0o755)
    data = home / "data"
    as_them = {"preexec_fn": as_an_ordinary_account, "check": True, "stdout": subprocess.DEVNULL, "cwd": home}
    subprocess.run(["initdb", "-D", data, "-U", "records", "-A", "trust", "--no-sync"], **as_them)
    options = f"-c listen_addresses='' -c unix_socket_directories={home} -c fsync=off"
    subprocess.run(["pg_ctl", "-D", data, "-w", "-o", options, "-l", home / "log", "start"], **as_them)
    yield programs, home / ".s.PGSQL.5432"
    subprocess.run(["pg_ctl", "-D", data, "-w", "-m", "immediate", "stop"], **as_them)
    shutil.rmtree(home)


def test_databases_and_ssh_are_reached_by_name(postgres, tmp_path):
    """The tests of forwards_network.py, in namespaces where they may make a network."""
    missing = [name for name in ("ip", "unshare", "mount") if shutil.which(name) is None]
    enough = not missing and subprocess.run(
        ["unshare", "-Urnm", "ip", "link", "add", "gr4", "type", "veth", "peer", "name", "gr5"], capture_output=True
    )
    if missing or enough.returncode:
        pytest.skip(f"a network of one's own needs {missing or enough.stderr.decode()}")
    programs, at = postgres
    command = ["unshare", "-Urnm", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path}/inside", str(INSIDE)]
    given = {"FORWARDS_POSTGRES": str(at), "FORWARDS_PSQL": str(programs / "psql")}
    done = subprocess.run(command, env={**os.environ, **given}, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stdout[-6000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
