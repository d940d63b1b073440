"""Contracts as they were read, kept beside the records: a hundred thousand are there again in seconds, where reading them takes a minute.

The file lies in control's own folder. One that somebody else could write is not used, and what in it cannot be understood is read anew from
the contract. Only contracts without mistakes are kept, and what can be wrong with a place is looked at again each time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import sqlite3
import stat
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

from jupyter_guardrails.catalog import encoding
from jupyter_guardrails.catalog.encoding import Decoder, encoded
from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.catalog.places import Places
from jupyter_guardrails.policy import yamltree

log = logging.getLogger("jupyter_guardrails.catalog")
TABLES = "create table if not exists contracts (file text primary key, stamp text not null, body text not null) without rowid; "
TABLES += "create table if not exists layout (text text not null);"
READ = "select file, stamp, body from contracts"
Fresh = Mapping[str, tuple[str, Contract]]  # file -> (stamp, contract)


class ContractCache:
    """A cache file. Nothing that goes wrong with it is an error: then contracts are read from their files."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, stamps: Mapping[str, str]) -> dict[str, Contract]:
        """File -> contract, for those whose stamp is the same as when it was kept."""
        try:
            with self._open() as database:
                return dict(_sound(database.execute(READ), stamps))
        except (sqlite3.Error, OSError) as error:
            log.warning("the contracts kept in %s are not used: %s", self.path, error)
            with contextlib.suppress(OSError):
                self.path.unlink()
            return {}

    def keep(self, fresh: Fresh, *, gone: set[str]) -> None:
        """Add contracts without mistakes, and drop files that are gone or have mistakes now."""
        sound = {file: found for file, found in fresh.items() if not found[1].problems}
        try:
            with self._open() as database, database:
                database.executemany("delete from contracts where file = ?", [(file,) for file in gone | (fresh.keys() - sound.keys())])
                rows = ((file, stamp, encoded(contract)) for file, (stamp, contract) in sound.items())
                database.executemany("insert or replace into contracts values (?, ?, ?)", rows)
        except (sqlite3.Error, OSError) as error:
            log.warning("contracts could not be kept in %s: %s", self.path, error)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            _require_own(fd)
        finally:
            os.close(fd)
        database = sqlite3.connect(self.path, isolation_level="IMMEDIATE")
        try:
            database.executescript(TABLES)
            if database.execute("select text from layout").fetchall() != [(_layout(),)]:
                with database:
                    database.execute("delete from contracts")
                    database.execute("delete from layout")
                    database.execute("insert into layout values (?)", (_layout(),))
            yield database
        finally:
            database.close()


def _require_own(fd: int) -> None:
    found = os.fstat(fd)
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077 or not stat.S_ISREG(found.st_mode):
        raise PermissionError("it is not a file that this account alone can write")


@cache
def _layout() -> str:
    """What a kept contract depends on beside its file: the program that read it, and the version of the standard's model."""
    sources = [*sorted(Path(__file__).parent.glob("*.py")), Path(yamltree.__file__)]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources if source.exists())).hexdigest()
    return json.dumps([2, encoding.LAYOUT, version("open-data-contract-standard"), digest])


def _sound(rows: Iterator[tuple[str, str, str]], stamps: Mapping[str, str]) -> Iterator[tuple[str, Contract]]:
    """Not what is no contract of that file, nor one whose place has a mistake now: its file says which."""
    decoder, places = Decoder(), Places()
    for file, stamp, body in rows:
        if stamps.get(file) != stamp:
            continue
        try:
            contract = decoder.decoded(body)
        except ValueError:
            continue
        if contract.file == file and not contract.problems and not (contract.path and places.complaint_about(contract.path)):
            yield file, contract
