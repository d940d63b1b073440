"""The folder that holds the records: private, ours, out of others' reach from the root down, and on a disk where SQLite's write-ahead log is safe."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from jupyter_guardrails.errors import GuardrailsError

CLUSTER = frozenset({"acfs", "beegfs", "ceph", "glusterfs", "gpfs", "lustre"})
NETWORK_FILESYSTEMS = CLUSTER | {"9p", "afs", "cifs", "davfs", "davfs2", "ncpfs", "nfs", "nfs4", "smb3", "smbfs"}
NETWORK_FUSE = frozenset({"fuse.ceph", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"})
ELSEWHERE = "choose another folder: `--state-dir`, or GUARDRAILS_STATE_DIR"
LOOK = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC  # a folder that one may pass needs no read permission
MOST_LINKS = 40  # as the system's own
OTHERS_WRITE, GROUP_WRITES = 0o002, 0o020


class UnsafePlace(GuardrailsError):
    """The state directory is one that others can change, or that can't hold a database."""

    exit_code, code = 2, "unsafe_place"


def private_directory(path: Path, *, mountinfo: Path = Path("/proc/self/mountinfo")) -> Path:
    """The folder, made with mode 0700 when it is missing; UnsafePlace when others own it, may write or exchange it, or it lies on a network."""
    try:
        found = _reached(Path(os.path.abspath(path)))
    except OSError as error:
        raise UnsafePlace(f"{path} can't be the state directory: {error.strerror}", next_step=ELSEWHERE) from error
    if not stat.S_ISDIR(found.st_mode):
        raise UnsafePlace(f"{path} is not a folder of its own", next_step=ELSEWHERE)
    if found.st_uid != os.geteuid():
        raise UnsafePlace(f"{path} belongs to uid {found.st_uid}, not to {os.geteuid()}", next_step=ELSEWHERE)
    if found.st_mode & (OTHERS_WRITE | GROUP_WRITES):
        raise UnsafePlace(f"{path} can be written by others (mode {stat.S_IMODE(found.st_mode):04o})", next_step=f"chmod 700 {path}")
    kind = filesystem_of(path, mountinfo.read_text())
    if kind in NETWORK_FILESYSTEMS | NETWORK_FUSE:
        raise UnsafePlace(f"{path} is on a network filesystem ({kind}), where the records would not be safe", next_step=ELSEWHERE)
    return path


def filesystem_of(path: Path, mountinfo: str) -> str:
    """The type of the filesystem that `path` lies on, by the longest mount point above it; the last mount on a point wins."""
    place = os.path.realpath(path)
    best, kind = "", ""
    for entry in mountinfo.splitlines():
        fields, _, after = entry.partition(" - ")
        point = fields.split()[4].encode().decode("unicode_escape")  # mountinfo writes a space as \040
        if os.path.commonpath([point, place]) == point and len(point) >= len(best):
            best, kind = point, after.split()[0]
    return kind


def _reached(path: Path) -> os.stat_result:
    """What is there, or a fresh folder, looked up name by name from the root: nobody can exchange what was judged for something else.

    Links on the way are followed where nobody else could have put them; one in the folder's own place is what is there.
    """
    names, links, folder = list(path.parts[1:]), 0, os.open("/", LOOK)
    try:
        place = Path("/")
        while names:
            _judge(folder, place)
            name = names.pop(0)
            found = _made_or_found(folder, name)
            if not names:
                return found
            if stat.S_ISLNK(found.st_mode):
                links += 1
                _judge_link(found, place / name, links)
                target = Path(os.readlink(name, dir_fd=folder))
                names = [*(target.parts[1:] if target.is_absolute() else target.parts), *names]
                following, place = (os.open("/", LOOK), Path("/")) if target.is_absolute() else (os.dup(folder), place)
            else:
                following, place = os.open(name, LOOK, dir_fd=folder), place / name
            os.close(folder)
            folder = following
        return os.fstat(folder)
    finally:
        os.close(folder)


def _made_or_found(folder: int, name: str) -> os.stat_result:
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, mode=0o700, dir_fd=folder)
    return os.stat(name, dir_fd=folder, follow_symlinks=False)


def _judge(folder: int, place: Path) -> None:
    """UnsafePlace where somebody else could exchange what is in this folder. (In one with the sticky bit they can't: it isn't theirs.)"""
    found = os.fstat(folder)
    if found.st_uid not in _trusted():
        owner = f"{place}, above it, belongs to uid {found.st_uid}, who could put another folder in its place"
        raise UnsafePlace(f"this can't be the state directory: {owner}", next_step=ELSEWHERE)
    if found.st_mode & stat.S_ISVTX:
        return
    if found.st_mode & OTHERS_WRITE or (found.st_mode & GROUP_WRITES and not _is_mine_alone(found.st_gid)):
        who = f"{place}, above it, can be written by others (mode {stat.S_IMODE(found.st_mode):04o}), who could put another folder in its place"
        raise UnsafePlace(f"this can't be the state directory: {who}", next_step=f"chmod go-w {place}, or {ELSEWHERE}")


def _judge_link(found: os.stat_result, link: Path, count: int) -> None:
    if found.st_uid not in _trusted() or count > MOST_LINKS:
        raise UnsafePlace(f"this can't be the state directory: the link {link} is uid {found.st_uid}'s", next_step=ELSEWHERE)


def _trusted() -> frozenset[int]:
    """Root and ourselves; in a user namespace that lacks some accounts also the number that stands for those, the machine's root among them."""
    return frozenset((0, os.geteuid(), *_stand_in()))


def _stand_in() -> Iterator[int]:
    known = Path("/proc/self/uid_map")
    if known.exists() and [line.split() for line in known.read_text().splitlines()] != [["0", "0", str((1 << 32) - 1)]]:
        yield int(Path("/proc/sys/kernel/overflowuid").read_text())


def _is_mine_alone(gid: int) -> bool:
    """Whether a group is this account's private one: it is in it, and nobody else but root, as far as this machine's lists of accounts say."""
    if gid not in {os.getegid(), *os.getgroups()}:
        return gid == 0
    try:
        members, me = set(grp.getgrgid(gid).gr_mem), pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a number without a name, as containers have them
        return True
    return members <= {me, "root"} and all(account.pw_gid != gid or account.pw_uid in (0, os.geteuid()) for account in pwd.getpwall())
