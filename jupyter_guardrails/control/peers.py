"""Who is on the other end of a connection: the uid that the kernel tells of it, and the principal that this uid is. Nothing in a request counts."""

from __future__ import annotations

import ctypes
import errno
import os
import pwd
import socket
import struct
from pathlib import Path

from jupyter_guardrails.control.groups import Groups, is_nameless
from jupyter_guardrails.errors import GroupsUnknown, Refused

CREDENTIALS = struct.Struct("iII")
PASSWD_BYTES, ROOM_BYTES = 256, 1 << 16  # struct passwd is 48 bytes; the texts of a line
_libc = ctypes.CDLL(None, use_errno=True)


def uid_of(connection: socket.socket) -> int:
    """The uid of whoever connected (SO_PEERCRED)."""
    uid: int = CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))[1]
    return uid


def refuse_untranslated(uid: int) -> None:
    """Refused where the kernel could not translate an account into this user namespace: then this uid is many accounts'."""
    if uid == overflow_uid() and not knows_every_uid():
        raise Refused(f"uid {uid} stands here for every account that this container doesn't know", next_step="run control outside of it")


def overflow_uid() -> int:
    """What the kernel says for an account that it can't translate; most machines have an account of that number, too."""
    return int(Path("/proc/sys/kernel/overflowuid").read_text())


def knows_every_uid() -> bool:
    """Whether this process is in a user namespace that has all of them, as the machine's own."""
    return [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()] == [["0", "0", str((1 << 32) - 1)]]


def account_of(uid: int) -> str:
    """The account's name; `uid-N` for a uid that has none, or that shares its name. May block as long as the directory likes.

    GroupsUnknown when the directory can't tell: a person known by name must not become a stranger, of whom the policy says less.
    """
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        _refuse_silence(uid)
        return f"uid-{uid}"
    if is_nameless(name):
        raise Refused(f"the account {name} has the name of an account without one", next_step="rename it")
    return name if pwd.getpwnam(name).pw_uid == uid else f"uid-{uid}"


def _refuse_silence(uid: int) -> None:
    """Python takes "there is none" and "nobody answered" for the same; getpwuid_r(3) doesn't."""
    record, room, found = ctypes.create_string_buffer(PASSWD_BYTES), ctypes.create_string_buffer(ROOM_BYTES), ctypes.c_void_p()
    code = _libc.getpwuid_r(ctypes.c_uint32(uid), record, room, ctypes.c_size_t(ROOM_BYTES), ctypes.byref(found))
    if code not in (0, errno.ENOENT, errno.ESRCH):
        message = f"this machine's directory does not tell who uid {uid} is: {os.strerror(code)}"
        raise GroupsUnknown(message, next_step=f"try again in a minute; your admin can look with: getent passwd {uid}")


class Peers:
    """uid -> principal, looked up as groups are: beside everything else, kept for five minutes, the last known when nobody answers."""

    def __init__(self) -> None:
        self._names = Groups(lambda uid: (account_of(int(uid)),))

    async def principal(self, uid: int) -> str:
        """The principal; GroupsUnknown where the directory never told."""
        await self._names.refresh(str(uid))
        try:
            return self._names.of(str(uid))[0]
        except GroupsUnknown as error:
            message = f"this machine's directory does not tell who uid {uid} is"
            raise GroupsUnknown(message, next_step=f"try again in a minute; your admin can look with: getent passwd {uid}") from error
