"""The folder that holds the records: private, ours, and on a disk where SQLite's write-ahead log is safe."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from jupyter_guardrails.errors import GuardrailsError

CLUSTER = frozenset({"acfs", "beegfs", "ceph", "glusterfs", "gpfs", "lustre"})
NETWORK_FILESYSTEMS = CLUSTER | {"9p", "afs", "cifs", "davfs", "davfs2", "ncpfs", "nfs", "nfs4", "smb3", "smbfs"}
NETWORK_FUSE = frozenset({"fuse.ceph", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"})
ELSEWHERE = "choose another folder: `--state-dir`, or GUARDRAILS_STATE_DIR"


class UnsafePlace(GuardrailsError):
    """The state directory is one that others can change, or that can't hold a database."""

    exit_code, code = 2, "unsafe_place"


def private_directory(path: Path, *, mountinfo: Path = Path("/proc/self/mountinfo")) -> Path:
    """The folder, made with mode 0700 when it is missing; UnsafePlace when others own it, may write it, or it lies on a network."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UnsafePlace(f"{path} can't be the state directory: {error.strerror}", next_step=ELSEWHERE) from error
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise UnsafePlace(f"{path} is not a folder of its own", next_step=ELSEWHERE)
    if found.st_uid != os.geteuid():
        raise UnsafePlace(f"{path} belongs to uid {found.st_uid}, not to {os.geteuid()}", next_step=ELSEWHERE)
    if found.st_mode & 0o022:
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
