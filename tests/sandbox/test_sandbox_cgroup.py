"""Control groups: found only where they are ours, made, filled, removed. What the machine offers decides which limits can be tried here."""

import os
import pwd
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from jupyter_guardrails.sandbox import cgroup
from jupyter_guardrails.sandbox.cgroup import Delegation, limit_files
from jupyter_guardrails.sandbox.spec import Guarantee, Limits

MIB = 1 << 20
ACCOUNT = "nobody"
FIND = """
import sys
from jupyter_guardrails.sandbox import cgroup
cgroup.CONTROLLERS = tuple(sys.argv[1].split(","))
found = cgroup.find()
print(found.why_not or f"{found.root} {','.join(found.controllers)}", flush=True)
"""
HOLD = (
    FIND
    + """
import subprocess, os
from jupyter_guardrails.sandbox.spec import Limits
tree = subprocess.Popen(["sh", "-c", "sleep 60 & exec sleep 60"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
group = cgroup.hold(found, "k1", tree.pid, Limits())
inside = {int(pid) for pid in (group.folder / "cgroup.procs").read_text().split()}
print(tree.pid in inside, len(inside) >= 1, os.getpid() in inside, flush=True)
group.close()
print(group.folder.exists(), flush=True)
(group.folder / "cgroup.kill").write_text("1")
tree.wait()
while (group.folder / "cgroup.events").read_text().split()[1] != "0": pass
cgroup.sweep(found)
print(group.folder.exists(), flush=True)
"""
)


def mounted():
    """Where the hierarchy of version 2 is mounted."""
    lines = (line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return next((Path(fields[4]) for fields in lines if fields[fields.index("-") + 1] == "cgroup2" and fields[3] == "/"), None)


needs_groups = pytest.mark.skipif(os.getuid() != 0 or mounted() is None, reason="needs root and control groups version 2")


@pytest.fixture
def group():
    """A fresh group below the machine's root group with one controller, whichever there is; everything in it is removed."""
    root = mounted()
    offered = (root / "cgroup.controllers").read_text().split()
    if not offered:
        pytest.skip("needs root and a controller in control groups version 2")
    before = (root / "cgroup.subtree_control").read_text().split()
    (root / "cgroup.subtree_control").write_text(f"+{offered[0]}")
    folder = root / f"guardrails-test-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    yield folder
    (folder / "cgroup.kill").write_text("1")
    while "populated 1" in (folder / "cgroup.events").read_text():
        time.sleep(0.01)
    for below in (*folder.glob("*/"), folder):
        below.rmdir()
    if offered[0] not in before:
        (root / "cgroup.subtree_control").write_text(f"-{offered[0]}")


def controller_of(folder):
    return (folder / "cgroup.controllers").read_text().split()[0]


def run_in(folder, code, *, account=None):
    """What a program prints that runs in the group, as root or as another account."""
    become = [shutil.which("setpriv"), f"--reuid={account}", "--clear-groups"] if account else []
    join = ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(folder)]
    command = [*join, *become, sys.executable, "-c", code, controller_of(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def delegate(folder, account):
    uid = pwd.getpwnam(account).pw_uid
    for path in (folder, folder / "cgroup.procs", folder / "cgroup.subtree_control", folder / "cgroup.threads"):
        os.chown(path, uid, -1)


def others_can_run_this():
    tried = subprocess.run(
        ["setpriv", f"--reuid={ACCOUNT}", "--clear-groups", sys.executable, "-c", "import jupyter_guardrails"], cwd="/", check=False
    )
    return tried.returncode == 0


@needs_groups
def test_a_group_that_nobody_delegated_is_left_alone_also_by_root(group):
    assert run_in(group, FIND) == ["the group of this process was not delegated"]
    os.setxattr(group, cgroup.DELEGATED, b"1")
    assert run_in(group, FIND) == [f"{group} {controller_of(group)}"]


@needs_groups
def test_a_tree_is_moved_and_its_group_goes_when_it_has_ended(group):
    os.setxattr(group, cgroup.DELEGATED, b"1")
    place, moved, stays, gone = run_in(group, HOLD)
    assert place == f"{group} {controller_of(group)}"
    assert (moved, stays, gone) == ("True True False", "True", "False")


@needs_groups
def test_an_ordinary_account_takes_only_what_is_its_own(group):
    if not others_can_run_this():
        pytest.skip("needs root and a place that other accounts can read")
    assert run_in(group, FIND, account=ACCOUNT) == ["the group of this process is not this account's to write"]
    delegate(group, ACCOUNT)
    assert run_in(group, HOLD, account=ACCOUNT)[1:] == ["True True False", "True", "False"]


def test_the_machines_root_group_is_nobodys():
    root = mounted()
    if root is None:
        pytest.skip("needs root and control groups version 2")
    assert cgroup.find(mount=lambda: root).why_not == "this process is in the machine's root group"
    assert cgroup.find(mount=lambda: None).why_not == "control groups version 2 are not mounted here"


def test_the_numbers_lie_above_what_headroom_holds():
    assert limit_files(Limits(memory_bytes=512 * MIB, cpus=1.5, tasks=100)) == {
        "memory.max": str((768 + 96) * MIB),
        "pids.max": "102",
        "cpu.max": "150000 100000",
    }
    assert limit_files(Limits()) == {}


def test_the_guarantee_says_what_stands_behind_it():
    from jupyter_guardrails.sandbox.probe import with_group

    guarantees = (Guarantee("files", True, "a"), Guarantee("memory", True, "b"))
    files, memory = with_group(guarantees, Delegation(Path("/x"), ("memory",)))
    assert (files.how, memory.how) == ("a", "b; a control group of the system's own stands behind it (memory)")
    assert "Delegate=yes" in with_group(guarantees, Delegation(why_not="none"))[1].how
