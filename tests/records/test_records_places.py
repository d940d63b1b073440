"""The state directory: private, nobody else's to exchange, on a disk that can hold a database. Each refusal beside what is taken."""

import os
import pwd
import stat
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from jupyter_guardrails.records.places import NETWORK_FILESYSTEMS, NETWORK_FUSE, UnsafePlace, filesystem_of, private_directory

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a folder to somebody else")
NOBODY = 65534
MOUNTS = """22 1 253:1 / / rw - ext4 /dev/vda rw
30 22 0:40 / /home rw,relatime shared:1 - nfs4 server:/home rw
31 30 0:41 / /home/with\\040space rw - tmpfs tmpfs rw
"""


def test_the_folder_is_made_private_and_taken_again(tmp_path):
    made = private_directory(tmp_path / "deep" / "state")
    assert stat.S_IMODE(made.stat().st_mode) == stat.S_IMODE(made.parent.stat().st_mode) == 0o700
    assert private_directory(made) == made


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o707])
def test_a_folder_that_others_may_write_is_refused(tmp_path, mode):
    (tmp_path / "state").mkdir()
    os.chmod(tmp_path / "state", mode)
    with pytest.raises(UnsafePlace, match="can be written by others"):
        private_directory(tmp_path / "state")
    os.chmod(tmp_path / "state", 0o750)
    assert private_directory(tmp_path / "state")


def test_a_link_or_a_file_in_its_place_is_refused(tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").write_text("")
    for name in ("link", "file"):
        with pytest.raises(UnsafePlace, match="not a folder of its own"):
            private_directory(tmp_path / name)
    with pytest.raises(UnsafePlace, match="Not a directory"):
        private_directory(tmp_path / "file" / "state")


@pytest.mark.parametrize("target", ["real", "ABSOLUTE", "other/../real"])
def test_a_link_of_ones_own_on_the_way_is_followed(tmp_path, target):
    for name in ("real", "other"):
        (tmp_path / name).mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real" if target == "ABSOLUTE" else target)
    assert private_directory(tmp_path / "link" / "deep" / "state")
    assert (tmp_path / "real" / "deep" / "state").is_dir()


def test_links_that_lead_to_each_other_are_refused(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(UnsafePlace, match="state directory"):
        private_directory(tmp_path / "a" / "state")


@pytest.mark.parametrize(("mode", "safe"), [(0o777, False), (0o1777, True), (0o755, True)])
def test_a_folder_above_in_which_others_could_exchange_it_is_refused(tmp_path, mode, safe):
    (tmp_path / "shared").mkdir()
    os.chmod(tmp_path / "shared", mode)
    if safe:
        assert private_directory(tmp_path / "shared" / "deep" / "state")
        return
    with pytest.raises(UnsafePlace, match="could put another folder in its place") as refused:
        private_directory(tmp_path / "shared" / "deep" / "state")
    assert f"{tmp_path}/shared" in str(refused.value)
    assert "chmod go-w" in refused.value.next_step
    assert list((tmp_path / "shared").iterdir()) == [], "nothing is made in there"


def as_account(path, uid, *, groups):
    """What an account with these groups is told of the place: a fork, since it may not be able to read this project."""
    hearing, saying = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups(groups)
        os.setgid(groups[0])
        os.setuid(uid)
        try:
            said = str(private_directory(path))
        except Exception as error:  # noqa: BLE001 - whatever it is, the test reads it
            said = str(error)
        os.write(saying, said.encode())
        os._exit(0)
    os.close(saying)
    with open(hearing) as heard:
        said = heard.read()
    os.waitpid(child, 0)
    return said


@pytest.fixture
def passable():
    """A folder that other accounts can come to."""
    with tempfile.TemporaryDirectory(prefix="gp-", dir="/tmp") as made:
        os.chmod(made, 0o755)
        yield Path(made)


@root_only
def test_a_group_of_ones_own_may_write_above_and_one_with_others_in_it_may_not(passable):
    """As with the umask 002 of many distributions, and the homes of container images."""
    with_others = next(gid for gid, count in Counter(account.pw_gid for account in pwd.getpwall() if account.pw_uid).items() if count > 1)
    for name, gid in (("own", 77001), ("roots", 0), ("shared", with_others)):
        (passable / name).mkdir()
        os.chown(passable / name, NOBODY, gid)
        os.chmod(passable / name, 0o2775)
    assert as_account(passable / "own" / "state", NOBODY, groups=[77001]) == str(passable / "own" / "state")
    assert as_account(passable / "roots" / "state", NOBODY, groups=[77001, 0]) == str(passable / "roots" / "state")
    assert "can be written by others" in as_account(passable / "shared" / "state", NOBODY, groups=[77001, with_others])


@root_only
def test_somebody_elses_folder_link_or_folder_above_is_refused(tmp_path):
    (tmp_path / "theirs" / "state").mkdir(mode=0o700, parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "theirs")
    os.chown(tmp_path / "theirs" / "state", NOBODY, NOBODY)
    with pytest.raises(UnsafePlace, match="belongs to uid 65534, not to 0"):
        private_directory(tmp_path / "theirs" / "state")
    os.chown(tmp_path / "theirs" / "state", 0, 0)
    os.chown(tmp_path / "link", NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(UnsafePlace, match=r"link .* is uid 65534's"):
        private_directory(tmp_path / "link" / "state")
    os.chown(tmp_path / "link", 0, 0, follow_symlinks=False)
    assert private_directory(tmp_path / "link" / "state")
    os.chown(tmp_path / "theirs", NOBODY, NOBODY)
    with pytest.raises(UnsafePlace, match="belongs to uid 65534, who could put another folder"):
        private_directory(tmp_path / "theirs" / "state")


@pytest.mark.parametrize("namespaces", [1, 2])
def test_in_a_user_namespace_the_machines_root_has_another_number(tmp_path, namespaces):
    """As in rootless containers; in the second one, root of the first is this account again."""
    asked = "import pathlib, sys; from jupyter_guardrails.records.places import *; print(private_directory(pathlib.Path(sys.argv[1])))"
    inside = ["unshare", "--user", "--map-root-user", *(["unshare", "--user", "--map-user=1234"] if namespaces == 2 else [])]
    if subprocess.run([*inside, "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs root, or user namespaces")
    done = subprocess.run([*inside, sys.executable, "-c", asked, tmp_path / "state"], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(tmp_path / "state"), done.stderr


def entry(point, kind):
    return f"22 1 253:1 / / rw - ext4 /dev/vda rw\n30 22 0:40 / {point} rw - {kind} somewhere rw\n"


@pytest.mark.parametrize("kind", sorted(NETWORK_FILESYSTEMS | NETWORK_FUSE))
def test_each_network_filesystem_is_refused(tmp_path, kind):
    table = tmp_path / "mountinfo"
    table.write_text(entry(tmp_path, kind))
    with pytest.raises(UnsafePlace, match=f"network filesystem .{kind}"):
        private_directory(tmp_path / "state", mountinfo=table)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuse.gocryptfs"])
def test_a_local_filesystem_is_taken(tmp_path, kind):
    table = tmp_path / "mountinfo"
    table.write_text(entry(tmp_path, kind))
    assert private_directory(tmp_path / "state", mountinfo=table)


@pytest.mark.parametrize(("path", "kind"), [("/srv/x", "ext4"), ("/home/ana", "nfs4"), ("/homeless", "ext4"), ("/home/with space/x", "tmpfs")])
def test_the_longest_mount_point_tells_the_filesystem(tmp_path, path, kind):
    assert filesystem_of(tmp_path.__class__(path), MOUNTS) == kind
