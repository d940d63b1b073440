"""A package as one zip: the same folder gives the same bytes; a hostile zip is refused whole before anything is written."""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from jupyter_guardrails.errors import PackageError
from jupyter_guardrails.package.manifest import CHUNK, list_files

SUFFIX = ".job.zip"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can say
UTF8_NAME = 0x800  # general purpose bit 11, APPNOTE 4.4.4
ENCRYPTED = 0x1


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Bounds on a package from outside; `ratio` is unpacked size over packed size, looked at above `ratio_from_bytes`."""

    files: int = 20_000
    bytes: int = 4 << 30
    ratio: int = 200
    ratio_from_bytes: int = 1 << 20
    name_bytes: int = 1024
    depth: int = 40


def pack(folder: Path, target: Path) -> None:
    """Write the folder's files to `target`; neither time, owner, mode nor order of the file system shows in it."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, path in list_files(folder).items():
            member = zipfile.ZipInfo(name, EPOCH)
            member.compress_type, member.create_system = zipfile.ZIP_DEFLATED, 3
            member.external_attr = (stat.S_IFREG | 0o644) << 16
            with path.open("rb") as source, archive.open(member, "w", force_zip64=path.stat().st_size > 1 << 31) as sink:
                shutil.copyfileobj(source, sink, CHUNK)


def unpack(archive: Path | str | IO[bytes], destination: Path | str, limits: ReadLimits = ReadLimits()) -> None:
    """Write a package's files beneath `destination`, an empty or new directory; PackageError, and nothing written, when it is unsafe."""
    if isinstance(archive, (str, Path)):
        with open(archive, "rb") as file:
            return unpack(file, destination, limits)
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            refuse_unsafe(members, limits)
            _refuse_overlaps(members, archive.seek(0, os.SEEK_END))
            _extract(opened, members, Path(destination))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, zlib.error) as error:
        raise PackageError(f"this is not a readable package: {error}", next_step="get the package again from who built it") from error


def refuse_unsafe(members: Iterable[zipfile.ZipInfo], limits: ReadLimits) -> None:
    """PackageError for the first member (or sum of members) that a package may not hold."""
    seen: set[str] = set()
    total = packed = 0
    for number, member in enumerate(members, 1):
        name = member.orig_filename
        problem = _name_problem(name, limits) or _member_problem(member) or ("is there twice" if name.casefold() in seen else "")
        if problem:
            raise PackageError(f"the package is unsafe: {name!r} {problem}", next_step="nothing of it was unpacked; ask its builder for a new one")
        seen.add(name.casefold())
        total, packed = total + member.file_size, packed + member.compress_size
        _refuse_bomb(number, total, packed, limits)
    _refuse_files_as_directories(seen)


def _name_problem(name: str, limits: ReadLimits) -> str:
    parts = name.split("/")
    if name != str(PurePosixPath(name)) or name in ("", ".") or name.startswith("/") or ".." in parts:
        return "is no plain relative path"
    if "\\" in name or ":" in parts[0] or not name.isprintable():
        return "has a character that no name in a package has"
    if len(name.encode("utf-8", "surrogatepass")) > limits.name_bytes or len(parts) > limits.depth:
        return "is too long or too deep"
    return ""


def _member_problem(member: zipfile.ZipInfo) -> str:
    mode = member.external_attr >> 16
    if not (member.flag_bits & UTF8_NAME or member.orig_filename.isascii()):
        return "has a name that is not UTF-8"
    if member.is_dir() or (mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG)):
        return "is a link, a device or a directory entry"
    if mode & (stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX):
        return "has a set-user-id, set-group-id or sticky bit"
    if member.flag_bits & ENCRYPTED or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is encrypted or packed in an unknown way"
    return ""


def _refuse_bomb(files: int, total: int, packed: int, limits: ReadLimits) -> None:
    too_dense = total > limits.ratio_from_bytes and total > limits.ratio * max(packed, 1)
    if files > limits.files or total > limits.bytes or too_dense:
        raise PackageError(
            f"the package is too big: {files} files, {total} bytes unpacked from {packed}",
            next_step=f"at most {limits.files} files, {limits.bytes} bytes and {limits.ratio} times the packed size",
        )


def _refuse_files_as_directories(names: set[str]) -> None:
    for name in names:
        parents = {str(parent) for parent in PurePosixPath(name).parents}
        if parents & names:
            raise PackageError(f"the package is unsafe: {name!r} lies beneath another file", next_step="ask its builder for a new one")


def _refuse_overlaps(members: list[zipfile.ZipInfo], archive_bytes: int) -> None:
    """Members that share packed bytes unpack to far more than the archive holds (CVE-2019-9674 and its kin)."""
    if sum(member.compress_size for member in members) > archive_bytes:
        raise PackageError("the package is unsafe: its members overlap", next_step="ask its builder for a new one")


def _extract(opened: zipfile.ZipFile, members: list[zipfile.ZipInfo], destination: Path) -> None:
    destination.mkdir(parents=True, exist_ok=True)
    if any(destination.iterdir()):
        raise PackageError(f"{destination} is not empty", next_step="unpack a package into a new directory")
    try:
        for member in members:
            _extract_one(opened, member, destination / member.filename)
    except BaseException:
        for entry in destination.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        raise


def _extract_one(opened: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o644), "wb") as sink, opened.open(member) as source:
        _copy_bounded(source, sink, member.file_size)


def _copy_bounded(source: IO[bytes], sink: IO[bytes], size: int) -> None:
    """Copy exactly the size that the directory of the zip promised: a member that goes on is a bomb or a forgery."""
    left = size
    while part := source.read(min(CHUNK, left + 1)):
        left -= len(part)
        if left < 0:
            raise PackageError("a member is longer than the zip's directory says", next_step="ask its builder for a new package")
        sink.write(part)
