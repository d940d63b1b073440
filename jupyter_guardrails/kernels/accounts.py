"""A person whose account isn't in /etc/passwd itself (LDAP and the like): kernels can't ask a directory, so they get a file with the person in it."""

from __future__ import annotations

import grp
import os
from collections.abc import Iterable
from pathlib import Path

from jupyter_guardrails.kernels.folders import KernelFolders

PASSWD, GROUP = "/etc/passwd", "/etc/group"
SHELL = "/bin/bash"


def is_unlisted(user: int | None = None, passwd: Path | str = PASSWD) -> bool:
    """Whether an account (ours, if none is given) has no line in the machine's own file."""
    number = str(os.getuid() if user is None else user)
    return not any(_field(line, 2) == number for line in _lines(passwd))


def write_account(folders: KernelFolders, person: str, home: str, *, passwd: Path | str = PASSWD, group: Path | str = GROUP) -> None:
    """The machine's files with the person and their groups added; nothing where the account is in them. In place, as a root may have them already."""
    if not is_unlisted(passwd=passwd):
        return
    entry = ":".join((_plain(person), "x", str(os.getuid()), str(os.getgid()), "", _plain(home), SHELL))
    known = {_field(line, 2) for line in _lines(group)}
    missing = [number for number in dict.fromkeys((os.getgid(), *os.getgroups())) if str(number) not in known]
    _write(folders.passwd, [*_lines(passwd), entry])
    _write(folders.group, [*_lines(group), *(f"{_name_of_group(number)}:x:{number}:" for number in missing)])


def covers(folders: KernelFolders) -> tuple[tuple[str, str], ...]:
    """What `write_account` wrote, and what it stands for."""
    return ((str(folders.passwd), PASSWD), (str(folders.group), GROUP))


def _lines(file: Path | str) -> list[str]:
    try:
        return Path(file).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except FileNotFoundError:  # an image without accounts
        return []


def _field(line: str, number: int) -> str:
    fields = line.split(":")
    return fields[number] if len(fields) > number else ""


def _write(file: Path, lines: Iterable[str]) -> None:
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", errors="surrogateescape")


def _name_of_group(number: int) -> str:
    """A launched server can't ask the directory either: then the number has to do."""
    try:
        return _plain(grp.getgrgid(number).gr_name)
    except KeyError:
        return f"g{number}"


def _plain(text: str) -> str:
    """Without what would begin another field or line."""
    return "".join("_" if letter == ":" or not letter.isprintable() else letter for letter in text)
