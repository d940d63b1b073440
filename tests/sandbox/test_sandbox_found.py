"""What was found by trying the prototypes: each has a test, and this table is complete and true."""

import ast
import os
from pathlib import Path

import pytest
from sandbox_bench import PYTHON

TESTS = Path(__file__).parents[1]
FOUND = {  # what went wrong once -> the tests that would notice, as `file::function`
    "a directory fd leaves the root": (
        "sandbox/test_sandbox_found.py::test_no_directory_descriptor_leads_out",
        "sandbox/test_sandbox_handover.py::test_no_descriptor_of_the_server_leaks_in",
    ),
    "sendmmsg with fast open": (
        "sandbox/test_sandbox_network.py::test_fast_open_is_refused",
        "sandbox/test_sandbox_network.py::test_the_sendmmsg_probe_works_where_it_may",
    ),
    "chmod through Landlock": ("sandbox/test_sandbox_found.py::test_what_landlock_does_not_hold_is_said",),
    "a terminal that silently lacks a layer": ("server/test_server_hosts.py::test_what_is_required_and_missing_refuses",),
    "GUARDRAILS_POLICY or a trait as override": (
        "cli/test_admin_directory.py::test_control_serves_it_whatever_it_is_started_with",
        "cli/test_admin_directory.py::test_a_server_with_traits_of_its_own_serves_it",
    ),
    "$LOGNAME as identity": ("control/test_control_process.py::test_the_principal_is_the_account_and_no_variable",),
    "workspace = HOME": ("cli/test_launch_plan.py::test_a_workspace_that_holds_what_it_must_not_is_refused_with_advice",),
    ".pth in a probed environment": ("server/test_server_helpers.py::test_a_pth_file_of_an_environment",),
    "log and anchors cut together": (
        "records/test_records_audit.py::test_a_cut_log_shows_against_an_anchor",
        "records/test_records_audit.py::test_a_chain_made_anew_shows_against_an_anchor",
    ),
    "a dataset directory replaced while granted": (
        "sandbox/test_sandbox_found.py::test_a_granted_directory_that_is_replaced_is_not_followed",
        "control/test_control_channel.py::test_a_place_that_became_a_symlink_is_not_followed",
    ),
    "helpers that a notebook steers": (
        "server/test_server_helpers.py::test_an_exporter_of_the_workspace",
        "server/test_server_helpers.py::test_a_file_system_monitor_of_git",
        "server/test_server_helpers.py::test_a_hook_of_git",
    ),
}


@pytest.mark.parametrize("node", sorted({node for nodes in FOUND.values() for node in nodes}))
def test_each_of_them_has_a_test_that_exists(node):
    file, _, function = node.partition("::")
    tree = ast.parse((TESTS / file).read_text())
    assert function in {found.name for found in ast.walk(tree) if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef)}


CLIMB = """
fd = os.open('.', os.O_RDONLY | os.O_DIRECTORY)
for _ in range(32):
    os.chdir('..')
    os.fchdir(fd)
held = [n for n in os.listdir('/proc/self/fd') if os.path.isdir('/proc/self/fd/' + n)]
assert len(held) <= 2, held  # the one opened here, and the listing's own
os.open(sys.argv[1].lstrip('/'), os.O_RDONLY, dir_fd=os.open('../' * 32, os.O_PATH))
"""


def test_no_directory_descriptor_leads_out(sandbox, secret):
    """However it climbs, opening is by place; its twin opens a file of the workspace the same way."""
    (sandbox.workspace / "own").write_text("own")
    assert sandbox.outcome(CLIMB, secret) == "ENOENT"
    assert sandbox.outcome(CLIMB, secret, root="shared") == "EACCES"
    assert sandbox.outcome(CLIMB, sandbox.workspace / "own") == "done"


def test_an_open_directory_is_not_inherited(sandbox, secret):
    """One that the caller has open, and lets be inherited, isn't there in the sandbox."""
    fd = os.open(secret.parent, os.O_RDONLY | os.O_DIRECTORY)
    os.set_inheritable(fd, True)
    try:
        assert sandbox.outcome(f"os.fchdir({fd})") == "EBADF"
    finally:
        os.close(fd)
    assert sandbox.outcome("os.fchdir(os.open('.', os.O_RDONLY))") == "done"


def test_what_landlock_does_not_hold_is_said(sandbox, secret):
    """Without a root of its own, modes and dates of the account's files can be changed and names be asked for: the report says both."""
    assert sandbox.outcome("os.chmod(sys.argv[1], 0o640)", secret, root="shared") == "done"
    assert sandbox.outcome("os.stat(sys.argv[1])", secret, root="shared") == "done"
    assert sandbox.outcome("open(sys.argv[1])", secret, root="shared") == "EACCES"
    assert "modes and dates" in files_of(sandbox, root="shared")
    assert "names, sizes and dates" in files_of(sandbox, root="shared")
    for attempt in ("os.chmod(sys.argv[1], 0o600)", "os.stat(sys.argv[1])", "open(sys.argv[1])"):
        assert sandbox.outcome(attempt, secret) == "ENOENT"
    assert "nothing else is there" in files_of(sandbox)


def files_of(sandbox, **changes):
    (files,) = [g for g in sandbox.start(PYTHON, "-c", "", **changes).report.guarantees if g.name == "files"]
    return files.how


REPLACED = """
print(open(sys.argv[1] + '/x').read(), flush=True)
sys.stdin.readline()
open(sys.argv[1] + '/x')
"""


def test_a_granted_directory_that_is_replaced_is_not_followed(sandbox, tmp_path):
    """A rule is for the directory that was there at the start: another one of its name, or a link, is not granted."""
    granted, other = tmp_path / "data", tmp_path / "other"
    for folder in (granted, other):
        folder.mkdir()
        (folder / "x").write_text(folder.name)
    code = f"import errno, os, sys\ntry:\n{''.join('    ' + line + chr(10) for line in REPLACED.strip().splitlines())}"
    code += "    print('done')\nexcept OSError as e:\n    print(errno.errorcode[e.errno])\n"
    changes = {"read": (*sandbox.spec().read, str(granted)), "root": "shared", "popen": {"stdin": -1, "stdout": -1, "text": True}}
    for replace, seen in ((False, "done"), (True, "EACCES")):
        started = sandbox.start(PYTHON, "-c", code, str(granted), **changes)
        assert started.process.stdout.readline() == "data\n"
        if replace:
            granted.rename(tmp_path / "moved")
            granted.symlink_to(other)
        printed, _ = started.process.communicate("go\n", timeout=30)
        assert printed.strip() == seen


def test_in_an_own_root_a_replaced_directory_stays_the_one_that_was_granted(sandbox, tmp_path):
    granted, other = tmp_path / "data", tmp_path / "other"
    for folder in (granted, other):
        folder.mkdir()
        (folder / "x").write_text(folder.name)
    code = "import sys\nfor _ in range(2):\n    print(open(sys.argv[1] + '/x').read(), flush=True); sys.stdin.readline()"
    read = (*sandbox.spec().read, str(granted))
    started = sandbox.start(PYTHON, "-c", code, str(granted), read=read, popen={"stdin": -1, "stdout": -1, "text": True})
    assert started.process.stdout.readline() == "data\n"
    granted.rename(tmp_path / "moved")
    granted.symlink_to(other)
    assert started.process.communicate("go\n", timeout=30)[0] == "data\n"
