"""Processes of a started server, by /proc, for the tests of this folder."""

import os
from contextlib import suppress
from pathlib import Path


def fields(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def children_of(parent):
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            if int(fields(entry)[1]) == parent:
                found.append(int(entry))
    return found


def descendants(pid):
    return [pid, *(below for child in children_of(pid) for below in descendants(child))]


def leads_a_session(pid):
    """Not so where it has ended meanwhile."""
    with suppress(OSError):
        return int(fields(pid)[3]) == pid
    return False


def runs(argument):
    """Whether a process of this machine has this argument: a kernel, or a terminal, numbers its processes by itself."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # some end while these are read
            if argument.encode() in entry.read_bytes().split(b"\0"):
                return True
    return False


def command(pid):
    """Its words; "" where it has ended meanwhile."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    return ""
