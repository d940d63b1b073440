"""Whether an account can change what is at a path: what is judged from owners and modes is what happens when the account tries."""

import functools
import os
import pwd
import stat
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from jupyter_guardrails.sandbox.permissions import Account, Permission, Seen, look, may_change, this_account, walk, ways_to

NOBODY = pwd.getpwnam("nobody")  # an account that every machine has
FRIENDS, STRANGERS = 47110, 47111  # groups: one of the account's, one that isn't
ACCOUNT = Account(NOBODY.pw_uid, frozenset({NOBODY.pw_gid, FRIENDS}))
ONLY_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="needs root: files of several accounts")
# Tries everything that would change what is found at a path, and undoes it: exit code 0 when something worked.
TRY = """
import os, sys
from pathlib import Path
top, path, real = map(Path, sys.argv[1:])
def write(): os.close(os.open(real, os.O_RDWR))
def create(): os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)); path.unlink()
def chmod(place): os.chmod(place, os.stat(place).st_mode & 0o7777)
def replace(place): os.rename(place, f"{place}.moved"); os.rename(f"{place}.moved", place)
def worked(attempt, *given):
    try:
        attempt(*given)
    except OSError:
        return False
    return True
places = {place for found in (path, real) for place in (found, *found.parents) if place.is_relative_to(top) and place != top}
attempts = [worked(write) or worked(create), *(worked(chmod, place) for place in places), *(worked(replace, place) for place in places)]
sys.exit(0 if any(attempts) else 1)
"""


@pytest.fixture
def top():
    """A folder that other accounts can enter."""
    with tempfile.TemporaryDirectory(prefix="gp-", dir="/tmp") as made:
        os.chmod(made, 0o755)
        yield Path(made)


def put(path, *, mode=0o644, uid=0, gid=0, acl=b""):
    path.touch()
    return give(path, mode=mode, uid=uid, gid=gid, acl=acl)


def folder(path, *, mode=0o755, uid=0, gid=0):
    path.mkdir()
    return give(path, mode=mode, uid=uid, gid=gid)


def give(path, *, mode, uid, gid, acl=b""):
    os.chown(path, uid, gid)
    os.chmod(path, mode)
    if acl:
        os.setxattr(path, "system.posix_acl_access", acl)
    return path


def link(path, target, *, uid=0):
    path.symlink_to(target)
    os.chown(path, uid, uid, follow_symlinks=False)
    return path


def access_list(*, mask, user=None, group=None):
    """owner rw-, owning group r--, the named user or group rw-, others r--."""
    nobody_in_particular = 0xFFFFFFFF
    named = [(0x02, 6, user)] if user is not None else [(0x08, 6, group)]
    rows = [(0x01, 6, nobody_in_particular), (0x04, 4, nobody_in_particular), *named]
    rows = [*rows, (0x10, mask, nobody_in_particular), (0x20, 4, nobody_in_particular)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *row) for row in sorted(rows))


ME = NOBODY.pw_uid
LAYOUTS = {  # what is made, and how the nearest way reads; None: it can't be changed
    "root's file in root's folder": (lambda top: put(top / "p"), None),
    "a file of one's own": (lambda top: put(top / "p", uid=ME, mode=0o400), "you own {}"),
    "a file that everyone may write": (lambda top: put(top / "p", mode=0o666), "{} is writable for everyone"),
    "a file of a group of one's own": (lambda top: put(top / "p", mode=0o664, gid=FRIENDS), f"group {FRIENDS} may write {{}}"),
    "a file of another group": (lambda top: put(top / "p", mode=0o664, gid=STRANGERS), None),
    "a group that may less than everyone": (lambda top: put(top / "p", mode=0o606, gid=FRIENDS), None),
    "an access list for the account": (lambda top: put(top / "p", acl=access_list(mask=6, user=ME)), "an access list lets you write {}"),
    "an access list for its group": (lambda top: put(top / "p", acl=access_list(mask=6, group=FRIENDS)), f"group {FRIENDS} may write {{}}"),
    "an access list for another group": (lambda top: put(top / "p", acl=access_list(mask=6, group=STRANGERS)), None),
    "an access list that its mask narrows": (lambda top: put(top / "p", acl=access_list(mask=4, user=ME)), None),
    "a group that an access list narrows": (lambda top: put(top / "p", gid=FRIENDS, acl=access_list(mask=6, user=1)), None),
    "a folder of one's own": (lambda top: put(folder(top / "d", uid=ME) / "p"), "you own {}"),
    "a folder of one's own further up": (lambda top: put(folder(folder(top / "d", uid=ME) / "e") / "p"), "you own {}"),
    "a folder that everyone may write": (lambda top: put(folder(top / "d", mode=0o777) / "p"), "{} is writable for everyone"),
    "a sticky folder keeps what is root's": (lambda top: put(folder(top / "d", mode=0o1777) / "p"), None),
    "a sticky folder of one's own doesn't": (lambda top: put(folder(top / "d", mode=0o1755, uid=ME) / "p"), "you own {}"),
    "a folder that may be written and not entered": (lambda top: put(folder(top / "d", mode=0o765, gid=FRIENDS) / "p"), None),
    "a folder that is root's, in a sticky one": (lambda top: put(folder(folder(top / "d", mode=0o1777) / "e") / "p"), None),
    "a file that everyone may write, in a closed folder": (lambda top: put(folder(top / "d", mode=0o700) / "p", mode=0o666), None),
    "a folder of one's own in a closed one": (lambda top: put(folder(folder(top / "d", mode=0o700) / "e", uid=ME) / "p"), None),
    "a closed folder of one's own": (lambda top: put(folder(top / "d", mode=0, uid=ME) / "p"), "you own {}"),
    "a link to a file in a closed folder": (lambda top: link(top / "l", put(folder(top / "d", mode=0o700) / "p", mode=0o666)), None),
    "a link in a closed folder to a file that everyone may write": (
        lambda top: link(folder(top / "d", mode=0o700) / "l", put(top / "p", mode=0o666)),
        "{} is writable for everyone",
    ),
    "a link in a folder that everyone may write": (
        lambda top: link(folder(top / "d", mode=0o777) / "l", put(top / "p")),
        "{} is writable for everyone",
    ),
    "a link of one's own in a sticky folder": (
        lambda top: link(folder(top / "d", mode=0o1777) / "l", put(top / "p"), uid=ME),
        "{} is writable for everyone",
    ),
    "a link of root's in a sticky folder": (lambda top: link(folder(top / "d", mode=0o1777) / "l", put(top / "p")), None),
    "a link to a file in a folder of one's own": (lambda top: link(top / "l", put(folder(top / "d", uid=ME) / "p")), "you own {}"),
    "a relative link upwards": (
        lambda top: link(folder(top / "d") / "l", f"../{put(folder(top / 'e', uid=ME) / 'p').relative_to(top)}"),
        "you own {}",
    ),
    "a link to root's file": (lambda top: link(top / "l", put(top / "p")), None),
    "nothing yet, in a folder of one's own": (lambda top: folder(top / "d", uid=ME) / "p", "you own {}"),
    "nothing yet, in a sticky folder": (lambda top: folder(top / "d", mode=0o1777) / "p", "{} is writable for everyone"),
    "nothing yet, in root's folder": (lambda top: folder(top / "d") / "p", None),
}


@ONLY_ROOT
@pytest.mark.parametrize(("make", "expected"), LAYOUTS.values(), ids=LAYOUTS)
def test_what_is_judged_is_what_happens(top, make, expected):
    path = make(top)
    found = ways_to(path, ACCOUNT, functools.cache(look))
    assert (found[0].how if found else None) == expected
    command = [sys.executable, "-I", "-c", TRY, top, path, os.path.realpath(path)]
    tried = subprocess.run(command, user=ME, group=NOBODY.pw_gid, extra_groups=[FRIENDS], cwd="/", check=False)
    assert (tried.returncode == 0) == (expected is not None)


CHANGEABLE = {name: make for name, (make, expected) in LAYOUTS.items() if expected}


@ONLY_ROOT
@pytest.mark.parametrize("make", CHANGEABLE.values(), ids=CHANGEABLE)
def test_for_root_every_other_account_counts(top, make):
    found = ways_to(make(top), Account(None), look)
    assert found
    assert not found[0].how.startswith("you ")


@ONLY_ROOT
def test_for_root_a_group_counts_whoever_is_in_it(top):
    assert [way.how for way in ways_to(put(top / "p", mode=0o664, gid=STRANGERS), Account(None), look)] == [f"group {STRANGERS} may write {{}}"]
    assert ways_to(put(top / "q", mode=0o644, gid=STRANGERS), Account(None), look) == []


@ONLY_ROOT
def test_every_place_is_named_the_nearest_first(top):
    path = put(folder(folder(top / "d", uid=ME) / "e", mode=0o777) / "p", mode=0o666)
    assert [way.place.path for way in ways_to(path, ACCOUNT, look)] == [path, path.parent, path.parent.parent]


def test_the_own_account_changes_what_is_its_own_and_not_the_systems(tmp_path):
    """Of root nothing is asked: what root can change is no warning."""
    own, system = ways_to(tmp_path / "p", this_account(), look), ways_to(Path(os.__file__), this_account(), look)
    assert bool(own) == (os.getuid() != 0)
    assert system == [] or Path(os.__file__).stat().st_uid != 0


FILE, FOLDER = stat.S_IFREG | 0o644, stat.S_IFDIR | 0o755


def test_a_read_only_filesystem_is_nobodys_to_change():
    assert may_change(ACCOUNT, Seen(Path("/p"), FILE, ME)) == "you own {}"
    assert may_change(ACCOUNT, Seen(Path("/p"), FILE, ME, read_only=True)) == ""


def test_what_the_system_says_to_the_own_account_counts_too():
    asked = Seen(Path("/p"), FILE, 0, access=os.W_OK)
    assert may_change(Account(ME, asks=True), asked) == "you may write {}"
    assert [may_change(account, asked) for account in (ACCOUNT, Account(None))] == ["", ""]


def test_a_permission_for_root_by_name_is_no_other_accounts():
    assert may_change(Account(None), Seen(Path("/p"), FILE, 0, (Permission("user", 0, 6),))) == ""
    assert may_change(Account(None), Seen(Path("/p"), FILE, 0, (Permission("user", 54321, 6),))) == "an access list lets uid 54321 write {}"


def test_a_loop_of_links_ends(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert len(list(walk(tmp_path / "a", look))) < 100


def test_a_link_that_cannot_be_read_ends_the_way():
    """Of another account's process, /proc tells that there is a link and not where it leads."""
    assert [seen.path for seen in walk(Path("/proc/1/root/etc"), look)][:3] == [Path("/"), Path("/proc"), Path("/proc/1")]
