"""What matplotlib found out about this machine's fonts in one kernel, carried to the next: each has a fresh cache, and the search takes seconds.

Only between kernels of one server and so of one person, who share a workspace anyway. A clean run has a folder of its own, and so starts without.
What a kernel wrote is read as from a stranger: no symbolic links, no pipes, small. matplotlib takes no code from it, and passes over what it
can't read.
"""

from __future__ import annotations

import itertools
import logging
import os
import re
import stat
from pathlib import Path

from jupyter_guardrails.kernels.folders import KernelFolders
from jupyter_guardrails.sandbox.beneath import open_beneath

LOG = logging.getLogger(__name__)
PLACE = "state/matplotlib"  # MPLCONFIGDIR, in a kernel's private folder
NAME = re.compile(r"fontlist-v[0-9a-z.+-]{1,40}\.json")
BYTES_MOST = 4 << 20  # some 10,000 fonts
ENTRIES_MOST = 50
KEPT = "fonts"  # beside the kernels' folders; no kernel sees it: their names are eight hexadecimal digits


def carry(folders: KernelFolders) -> None:
    """Give new private folders, in which no program has run yet, what the kernels before found; whatever goes wrong is only logged."""
    kernels = folders.root.parent
    try:
        for sibling in kernels.iterdir():
            if sibling.name not in (KEPT, folders.root.name):
                _keep(sibling, kernels / KEPT)
        for file in (kernels / KEPT).glob("*.json"):
            place = folders.root / PLACE
            place.mkdir(exist_ok=True)
            (place / file.name).write_bytes(file.read_bytes())
    except OSError as error:
        LOG.warning("the next kernel looks for fonts by itself: %s", error)


def keep(folders: KernelFolders) -> None:
    """Before private folders are removed: hold on to what is worth carrying."""
    try:
        _keep(folders.root, folders.root.parent / KEPT)
    except OSError as error:
        LOG.warning("the next kernel looks for fonts by itself: %s", error)


def _keep(kernel: Path, kept: Path) -> None:
    """Take each list that isn't kept already; nothing from a kernel that has none, or something else in its place."""
    try:
        place = open_beneath(kernel, PLACE, os.O_RDONLY | os.O_DIRECTORY, no_symlinks=True)
    except OSError:
        return
    try:
        with os.scandir(place) as entries:
            names = [entry.name for entry in itertools.islice(entries, ENTRIES_MOST) if NAME.fullmatch(entry.name)]
        for name in names:
            if not (kept / name).exists() and (content := _read(place, name)):
                kept.mkdir(mode=0o700, exist_ok=True)
                part = kept / f"{name}.{os.urandom(4).hex()}"
                part.write_bytes(content)
                part.replace(kept / name)
    finally:
        os.close(place)


def _read(place: int, name: str) -> bytes:
    """A complete list; empty for anything else, such as one that is being written."""
    try:
        handle = open_beneath(place, name, os.O_RDONLY | os.O_NONBLOCK, no_symlinks=True)
    except OSError:
        return b""
    with open(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_size > BYTES_MOST:
            return b""
        content = file.read(BYTES_MOST)
    return content if content.rstrip().endswith(b"}") else b""
