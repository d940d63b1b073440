"""Whether an account can change what is found at a path, and by which place on the way to it; and whether it can read it.

Nothing is tried: what the system tells is judged.

That is owner, mode and POSIX access list of the thing, and of every folder and link on the way to it: who may write a folder can replace what
lies in it. For the own account the answer of access(2) counts too, which knows other access lists (NFS) and capabilities.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LINKS = 40  # path_resolution(7): more in one path are a loop
ACL_USER, ACL_GROUP_OBJ, ACL_GROUP, ACL_MASK = 0x02, 0x04, 0x08, 0x10  # linux/posix_acl.h
EVERYONE = -1


@dataclass(frozen=True, slots=True)
class Account:
    """Whose changes count: one account, or with `uid` None every account but root."""

    uid: int | None
    gids: frozenset[int] = frozenset()
    asks: bool = False  # it is the one of this process, so that access(2) answers for it

    def __str__(self) -> str:
        return "accounts other than root" if self.uid is None else f"account {_user(self.uid)}"

    def owns(self, seen: Seen) -> bool:
        """Whether it may give itself every permission there."""
        return seen.uid != 0 if self.uid is None else seen.uid == self.uid


@dataclass(frozen=True, slots=True)
class Permission:
    """What a class of accounts may do with a file; `kind` is user, group or other, or asked for what access(2) says."""

    kind: str
    id: int
    bits: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What lies at a path, a link itself and not its target; `mode` is 0 where nothing is."""

    path: Path
    mode: int = 0
    uid: int = 0
    permissions: tuple[Permission, ...] = ()
    access: int = 0  # the bits that access(2) grants to this process
    read_only: bool = False  # the filesystem is, so that its owner can't change it either
    target: Path = Path()  # of a link

    @property
    def is_fixed(self) -> bool:
        """Whether there is nothing to write: nothing is there, a link, which has no permissions of its own, or it is on a read-only filesystem."""
        return not self.mode or stat.S_ISLNK(self.mode) or self.read_only


@dataclass(frozen=True, slots=True)
class Way:
    """A place that an account can change, and how: a sentence with {} where the place is named; `owned` when by its owner."""

    place: Seen
    how: str
    owned: bool


def this_account() -> Account:
    """The governed account: the one of this process; where that is root, every other one."""
    return Account(None) if os.geteuid() == 0 else Account(os.geteuid(), frozenset({os.getegid(), *os.getgroups()}), asks=True)


def ways_to(path: Path, account: Account, look: Callable[[Path], Seen]) -> list[Way]:
    """Every place by which the account can change what is found at a path, the nearest first."""
    steps = list(walk(path, look))
    pairs = [(look(entry.path.parent), entry) for entry in reversed(steps[1:])]
    places = [steps[-1], *(folder for folder, entry in pairs if not _is_kept(account, entry, folder))]
    reached = [place for place in places if all(_may_enter(account, look(folder)) for folder in place.path.parents)]
    found = {place.path: Way(place, how, account.owns(place)) for place in reached if (how := may_change(account, place))}
    return list(found.values())


def may_read(path: Path, account: Account, look: Callable[[Path], Seen]) -> bool:
    """Whether the account can open what is found at a path, or let itself; of a folder, whether it can be listed too."""
    found = list(walk(path, look))[-1]
    if not found.mode or stat.S_ISLNK(found.mode):
        return False
    bits = 0o5 if stat.S_ISDIR(found.mode) else 0o4
    reached = account.uid == 0 or all(_may_enter(account, look(folder)) for folder in found.path.parents)
    return reached and (account.uid == 0 or account.owns(found) or _held(account, found, bits) is not None)


def may_change(account: Account, seen: Seen) -> str:
    """How the account can write there, or make it writable, as a sentence with {} for the place; empty when it can't."""
    if seen.is_fixed:
        return ""
    if account.owns(seen):
        return "you own {}" if account.uid is not None else f"{_user(seen.uid)} owns {{}}"
    return _in_words(account, _held(account, seen, 0o3 if stat.S_ISDIR(seen.mode) else 0o2))


def _may_enter(account: Account, folder: Seen) -> bool:
    return account.owns(folder) or _held(account, folder, 0o1) is not None


def _held(account: Account, seen: Seen, bits: int) -> Permission | None:
    """The permission by which the account has these bits."""
    return next((permission for permission in _for(account, seen) if permission.bits & bits == bits), None)


def _in_words(account: Account, held: Permission | None) -> str:
    match held:
        case None:
            return ""
        case Permission("other"):
            return "{} is writable for everyone"
        case Permission("group"):
            return f"group {_group(held.id)} may write {{}}"
        case Permission("asked"):
            return "you may write {}"
    return f"an access list lets {_user(held.id) if account.uid is None else 'you'} write {{}}"


def walk(path: Path, look: Callable[[Path], Seen]) -> Iterator[Seen]:
    """Each folder, link and file on the way to an absolute path, from `/` on; ends early at the first that isn't there."""
    current, ahead, links = Path("/"), list(reversed(path.parts[1:])), 0
    yield look(current)
    while ahead and links < LINKS:
        name = ahead.pop()
        entry = look(current.parent if name == ".." else current / name)
        yield entry
        if stat.S_ISLNK(entry.mode):
            links += 1
            current = Path("/") if entry.target.is_absolute() else current
            ahead += reversed(entry.target.parts[1:] if entry.target.is_absolute() else entry.target.parts)
        elif entry.mode:
            current = entry.path
        else:
            return


def look(path: Path) -> Seen:
    """What the system tells about a path; nothing where it doesn't."""
    try:
        found = os.lstat(path)
        if stat.S_ISLNK(found.st_mode):
            return Seen(path, found.st_mode, found.st_uid, target=Path(os.readlink(path)))
        read_only = bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return Seen(path)
    access = sum(bit for bit in (os.X_OK, os.W_OK, os.R_OK) if os.access(path, bit, effective_ids=True))
    return Seen(path, found.st_mode, found.st_uid, tuple(_permissions(path, found)), access, read_only)


def _is_kept(account: Account, entry: Seen, folder: Seen) -> bool:
    """Whether a sticky folder keeps what others own in it from being replaced: unlink(2), S_ISVTX."""
    return bool(folder.mode & stat.S_ISVTX and entry.mode) and not account.owns(folder) and not account.owns(entry)


def _for(account: Account, seen: Seen) -> list[Permission]:
    """The permissions that decide for the account, as acl(5) orders them: named users, then groups, then all others."""
    if account.uid is None:
        return [permission for permission in reversed(seen.permissions) if (permission.kind, permission.id) != ("user", 0)]
    users, groups, others = (
        [permission for permission in seen.permissions if permission.kind == kind and permission.id in ids]
        for kind, ids in (("user", {account.uid}), ("group", account.gids), ("other", {EVERYONE}))
    )
    asked = [Permission("asked", account.uid, seen.access)] if account.asks else []
    return [*(users or groups or others), *asked]


def _permissions(path: Path, found: os.stat_result) -> Iterator[Permission]:
    """Of everybody but the owner. With an access list, the mode's group bits are its mask."""
    raw = b""
    if hasattr(os, "getxattr"):  # Linux
        with suppress(OSError):
            raw = os.getxattr(path, "system.posix_acl_access")
    entries = list(struct.iter_unpack("<HHI", raw[4:]))  # after the version: tag, bits, id
    mask = next((bits for tag, bits, _ in entries if tag == ACL_MASK), 0o7)
    yield from (Permission("user", number, bits & mask) for tag, bits, number in entries if tag == ACL_USER)
    yield from (Permission("group", found.st_gid, bits & mask) for tag, bits, _ in entries if tag == ACL_GROUP_OBJ)
    yield from (Permission("group", number, bits & mask) for tag, bits, number in entries if tag == ACL_GROUP)
    if not entries:
        yield Permission("group", found.st_gid, found.st_mode >> 3 & 0o7)
    yield Permission("other", EVERYONE, found.st_mode & 0o7)


def _user(uid: int) -> str:
    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return f"uid {uid}"


def _group(gid: int) -> str:
    with suppress(KeyError):
        return grp.getgrgid(gid).gr_name
    return str(gid)
