"""The files of the audit log: `audit.jsonl`, the older parts `audit-<first record>.jsonl[.gz]` and the anchors beside them."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from jupyter_guardrails.records.anchors import Anchor, from_json
from jupyter_guardrails.records.chain import Link, NoRecord, link_of_line

CURRENT = "audit.jsonl"
ANCHORS = "audit-anchors.jsonl"
NAME = re.compile(r"audit-(\d{12,19})\.jsonl(\.gz)?")
LONGEST_LINE = 1 << 20  # a record's texts are bounded: whatever is longer is none
COMPRESSION = 6


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """A file that is not written any more."""

    first: int
    path: Path


def name_of(first: int) -> str:
    """The file name of the part that begins with this record; names sort like numbers."""
    return f"audit-{first:012}.jsonl"


def parts(folder: Path) -> list[Part]:
    """The older parts, oldest first; where compressing was cut off, the file that is whole."""
    found: dict[int, Path] = {}
    for path in sorted(folder.glob("audit-*.jsonl*"), reverse=True):  # `.jsonl.gz` before `.jsonl`, which is whole as long as it is there
        if (match := NAME.fullmatch(path.name)) is not None:
            found[int(match[1])] = path
    return sorted(Part(first, path) for first, path in found.items())


def opened(path: Path) -> BinaryIO:
    """The lines of a part, compressed or not."""
    return cast(BinaryIO, io.BufferedReader(gzip.open(path, "rb"), 1 << 20)) if path.suffix == ".gz" else path.open("rb")


def links(files: Iterable[Path]) -> Iterator[Link]:
    """Every record of these files, in order; NoRecord at the first line that is none."""
    for path in files:
        with opened(path) as file:
            try:
                yield from map(link_of_line, _lines(file, path))
            except (gzip.BadGzipFile, EOFError, OSError) as error:
                raise NoRecord(f"can't be read: {path.name} is damaged ({error})") from error


def _lines(file: BinaryIO, path: Path) -> Iterator[bytes]:
    while raw := file.readline(LONGEST_LINE):
        if not raw.endswith(b"\n"):
            raise NoRecord(f"is cut off, or too long, in {path.name}")
        yield raw


def files_of(folder: Path) -> list[Path]:
    """All files of a log, oldest first."""
    current = folder / CURRENT
    return [*(part.path for part in parts(folder)), *([current] if current.exists() else [])]


def read_anchors(folder: Path) -> list[Anchor]:
    """The anchors beside the files; a line that is none is left out, so that it vouches for nothing."""
    path = folder / ANCHORS
    if not path.exists():
        return []
    found = (from_json(_value(raw)) for raw in path.read_bytes().splitlines())
    return [one for one in found if one is not None]


def _value(raw: bytes) -> object:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def compress(folder: Path) -> int:
    """Compress the parts that aren't yet; returns how many. A crash leaves the part whole, and the next call begins again."""
    plain = [part.path for part in parts(folder) if part.path.suffix != ".gz"]
    for path in plain:
        fresh = path.with_name(path.name + ".gz.new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as raw, path.open("rb") as source:
            with gzip.GzipFile(path.name, "wb", COMPRESSION, raw, mtime=0) as packed:
                shutil.copyfileobj(source, packed, 1 << 20)
            raw.flush()
            os.fsync(raw.fileno())
        os.replace(fresh, path.with_name(path.name + ".gz"))
        path.unlink()
    return len(plain)
