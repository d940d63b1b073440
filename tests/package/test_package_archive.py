"""One folder, one zip; and a hostile zip writes nothing at all."""

import os
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from jupyter_guardrails.errors import PackageError
from jupyter_guardrails.package import archive
from jupyter_guardrails.package.archive import ReadLimits, pack, unpack


def member(name: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    found = zipfile.ZipInfo(name)
    found.external_attr = mode << 16
    return found


def write(path: Path, *members: tuple[zipfile.ZipInfo | str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for info, data in members:
            opened.writestr(info, data)
    return path


HOSTILE = {
    "up": [("../evil.txt", b"x")],
    "up inside": [("a/../../evil.txt", b"x")],
    "absolute": [("/tmp/evil.txt", b"x")],
    "dot": [("./a", b"x")],
    "double slash": [("a//b", b"x")],
    "backslash": [("..\\evil.txt", b"x")],
    "drive": [("C:evil.txt", b"x")],
    "newline": [("a\nb", b"x")],
    "same but for case": [("a.txt", b"1"), ("A.txt", b"2")],
    "link": [(member("link", stat.S_IFLNK | 0o777), b"/etc/passwd")],
    "device": [(member("device", stat.S_IFCHR | 0o666), b"")],
    "fifo": [(member("fifo", stat.S_IFIFO | 0o666), b"")],
    "set user id": [(member("su", stat.S_IFREG | 0o4755), b"x")],
    "directory entry": [("folder/", b"")],
    "a file as a directory": [("a", b"x"), ("a/b", b"x")],
    "bomb": [("zeros", b"\0" * (8 << 20))],
    "deep": [("/".join("d" * 60), b"x")],
    "long": [("n" * 2000, b"x")],
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_zip_is_refused_and_nothing_is_written(kind, tmp_path):
    path = write(tmp_path / "bad.zip", ("ok.txt", b"fine"), *HOSTILE[kind])
    with pytest.raises(PackageError):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["bad.zip"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_same_name_twice_is_refused(tmp_path):
    path = write(tmp_path / "twice.zip", ("run.py", b"reviewed"), ("run.py", b"other"))
    with pytest.raises(PackageError, match="twice"):
        unpack(path, tmp_path / "out")


def test_a_plain_zip_of_somebody_else_is_read(tmp_path):
    """The twin: what is refused above is refused for its one fault."""
    path = write(tmp_path / "good.zip", ("ok.txt", b"fine"), (member("a/b/c.txt"), b"deep"), ("ü.txt", b"utf-8"))
    unpack(path, tmp_path / "out")
    assert {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file()} == {"ok.txt", "a/b/c.txt", "ü.txt"}


def test_limits_on_files_and_bytes(tmp_path):
    path = write(tmp_path / "many.zip", *((f"{n}.txt", os.urandom(100)) for n in range(10)))
    unpack(path, tmp_path / "fits", ReadLimits(files=10, bytes=1000))
    for limits in (ReadLimits(files=9), ReadLimits(bytes=999)):
        with pytest.raises(PackageError, match="too big"):
            unpack(path, tmp_path / "out", limits)


def test_names_that_are_not_utf8_are_refused(tmp_path):
    path = write(tmp_path / "latin.zip", ("caf-.txt", b"x"))
    path.write_bytes(path.read_bytes().replace(b"caf-.txt", b"caf\xe9.txt"))
    with pytest.raises(PackageError, match="UTF-8"):
        unpack(path, tmp_path / "out")


def test_members_that_share_their_bytes_are_refused(tmp_path):
    """Both entries of the directory point to one member: unpacked size without packed size."""
    path = write(tmp_path / "overlap.zip", ("a", os.urandom(3000)), ("b", b""))
    data = bytearray(path.read_bytes())
    first = data.find(b"PK\x01\x02")
    second = data.find(b"PK\x01\x02", first + 4)
    data[second + 16 : second + 28] = data[first + 16 : first + 28]  # CRC and both sizes
    data[second + 42 : second + 46] = struct.pack("<I", 0)  # where the member starts
    path.write_bytes(data)
    with pytest.raises(PackageError, match="overlap"):
        unpack(path, tmp_path / "out")


def test_a_member_longer_than_its_directory_says_leaves_nothing(tmp_path):
    path = write(tmp_path / "longer.zip", ("first", b"ok"), ("a", b"0" * 3000))
    data = bytearray(path.read_bytes())
    second = data.find(b"PK\x01\x02", data.find(b"PK\x01\x02") + 4)
    data[second + 24 : second + 28] = struct.pack("<I", 10)
    path.write_bytes(data)
    with pytest.raises(PackageError):
        unpack(path, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_what_is_no_zip_and_a_full_destination(tmp_path, folder):
    (tmp_path / "text").write_text("no zip")
    with pytest.raises(PackageError, match="readable"):
        unpack(tmp_path / "text", tmp_path / "out")
    pack(folder, tmp_path / "p.zip")
    with pytest.raises(PackageError, match="not empty"):
        unpack(tmp_path / "p.zip", folder)


def test_the_same_folder_gives_the_same_bytes(tmp_path, folder):
    pack(folder, tmp_path / "one.zip")
    for path in folder.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o700)
    pack(folder, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    (folder / "run.py").write_text("print(1)")
    pack(folder, tmp_path / "three.zip")
    assert (tmp_path / "one.zip").read_bytes() != (tmp_path / "three.zip").read_bytes()


def test_packing_refuses_links(tmp_path, folder):
    (folder / "src" / "link").symlink_to("/etc/passwd")
    with pytest.raises(PackageError, match="neither a file nor a directory"):
        pack(folder, tmp_path / "p.zip")


def test_round_trip_through_an_open_file(tmp_path, folder):
    pack(folder, tmp_path / "p.zip")
    with (tmp_path / "p.zip").open("rb") as file:
        archive.unpack(file, tmp_path / "out")
    assert (tmp_path / "out" / "src" / "data" / "ü.csv").read_text() == "a,b\n"
