"""Files that people hand over: what is taken, what is not, and that what came can't change any more. By the real worker process."""

import asyncio
import contextlib
import csv
import gzip
import hashlib
import importlib.util
import json
import os
import socket

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from jupyter_guardrails.catalog import intake, intake_worker
from jupyter_guardrails.errors import BadRequest

MIB = 1 << 20


def take(source, folder, form="csv", most_bytes=64 * MIB):
    """By descriptor, or by path."""
    fd = os.open(source, os.O_RDONLY | os.O_NONBLOCK) if not isinstance(source, int) else source
    try:
        return asyncio.run(intake.take_in(fd, folder / "kept", form, most_bytes=most_bytes))
    finally:
        os.close(fd)


def refused(source, folder, form="csv", **more):
    with pytest.raises(BadRequest) as told:
        take(source, folder, form, **more)
    assert not (folder / "kept").exists(), "nothing is kept of what is refused"
    return str(told.value)


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("day,amount,ok\n2031-05-01,1.5,true\n2031-05-02,2,false\n")
    return path


def kinds(content):
    return {column["name"]: column["type"] for column in content["columns"]}


def test_a_csv_file_is_copied_and_described(text, tmp_path):
    content = take(text, tmp_path)
    assert content["digest"] == hashlib.sha256(text.read_bytes()).hexdigest()
    assert (tmp_path / "kept").read_bytes() == text.read_bytes()
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o400
    assert (content["rows"], content["size_bytes"]) == (2, text.stat().st_size)
    assert kinds(content) == {"day": "string", "amount": "number", "ok": "boolean"}


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_types_come_from_the_schema(form, tmp_path):
    table = pa.table({"n": [1, 2], "x": [0.5, None], "s": ["é", "日本"], "l": [[1], []], "Ünï": [True, None]})
    path = tmp_path / "data"
    pq.write_table(table, path) if form == "parquet" else pyarrow.feather.write_feather(table, path)
    content = take(path, tmp_path, form)
    assert kinds(content) == {"n": "integer", "x": "number", "s": "string", "l": "array", "Ünï": "boolean"}
    assert content["rows"] == (2 if form == "parquet" else None)


def test_json_lines(tmp_path):
    path = tmp_path / "data.json"
    path.write_text("".join(json.dumps({"n": n, "o": {"k": n}}) + "\n" for n in range(1500)))
    content = take(path, tmp_path, "json")
    assert (kinds(content), content["rows"]) == ({"n": "integer", "o": "object"}, 1500)


def test_a_change_after_the_hand_over_changes_nothing(text, tmp_path):
    before = text.read_bytes()
    content = take(text, tmp_path)
    text.write_text("day\nother\n")
    assert (tmp_path / "kept").read_bytes() == before
    assert hashlib.sha256(before).hexdigest() == content["digest"]


def test_a_position_that_its_owner_moves_does_not_matter(text, tmp_path):
    fd = os.open(text, os.O_RDONLY)
    os.lseek(fd, 10, os.SEEK_SET)
    assert take(fd, tmp_path)["size_bytes"] == text.stat().st_size


def no_file(kind, tmp_path):
    """A descriptor that is not one of a regular file with something in it that can be read."""
    if kind == "fifo":
        os.mkfifo(tmp_path / "fifo")
        return os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    if kind == "socket":
        return socket.socketpair()[0].detach()
    if kind == "write only":
        return os.open(tmp_path / "data.csv", os.O_WRONLY)
    if kind == "path only":
        return os.open(tmp_path / "data.csv", os.O_PATH)
    return os.open({"folder": tmp_path, "proc": "/proc/self/environ", "device": "/dev/zero"}[kind], os.O_RDONLY)


@pytest.mark.parametrize("kind", ["fifo", "socket", "folder", "proc", "device", "write only", "path only"])
def test_what_is_no_regular_file_is_not_taken(kind, text, tmp_path):
    said = refused(no_file(kind, tmp_path), tmp_path)
    assert "not a regular file" in said or "is empty" in said or "can't be copied" in said


def test_a_sparse_terabyte_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "sparse.csv"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert "at most" in refused(path, tmp_path)


def test_the_limit_is_the_files_own_size(text, tmp_path):
    size = text.stat().st_size
    refused(text, tmp_path, most_bytes=size - 1)
    assert take(text, tmp_path, most_bytes=size)["size_bytes"] == size


@pytest.mark.parametrize("change", ["grows", "shrinks"])
def test_a_file_that_changes_meanwhile_is_not_taken(change, tmp_path, monkeypatch):
    path = tmp_path / "moving.csv"
    path.write_bytes(b"a,b\n" * (MIB // 2))
    target = os.open(tmp_path / "kept", os.O_RDWR | os.O_CREAT)
    real = os.pread

    def reading(fd, count, offset):
        if offset == 0:
            os.truncate(path, MIB // 4 if change == "shrinks" else 4 * MIB)
        return real(fd, count, offset)

    monkeypatch.setattr(os, "pread", reading)
    source = os.open(path, os.O_RDONLY)
    with pytest.raises(intake_worker.Unfit, match="changed while it was copied"):
        intake_worker.copy(source, target, 64 * MIB)
    os.close(source)
    os.close(target)


def gzipped():
    return gzip.compress(b"a,b\n1,2\n" * 1000)


def bomb(path):
    """A Parquet file of a few KiB whose first rows are 4 GiB when they are unpacked."""
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int32()), pa.array(["x" * (4 << 20)]))
    pq.write_table(pa.table({"a": text}), path, compression="zstd")


@pytest.mark.parametrize(
    ("form", "data"),
    [
        ("csv", gzipped()),
        ("parquet", gzipped()),
        ("parquet", b"PAR1" + b"\xff" * 500 + b"PAR1"),
        ("arrow", b"ARROW1\0\0" + b"\xff" * 500 + b"ARROW1"),
        ("json", b"[" * 200_000),
        ("json", b'["no object"]\n'),
        ("csv", b"a,b\n1\n"),
        ("csv", b"a,a\n1,2\n"),
        ("csv", b"a,\n1,2\n"),
        ("csv", "a,b\u202e\n1,2\n".encode()),
        ("csv", b"a,\x1b[2J\n1,2\n"),
        ("csv", b"a" * 3_000_000),
        ("csv", b"\xff\xfe\xfa,b\n1,2\n"),
    ],
    ids=["gzip", "gzip-parquet", "parquet", "arrow", "deep", "list", "ragged", "twice", "empty-name", "bidi", "escape", "line", "latin"],
)
def test_what_cannot_be_read_as_it_says_is_refused_without_its_values(form, data, tmp_path):
    path = tmp_path / "hostile"
    path.write_bytes(data)
    said = refused(path, tmp_path, form)
    assert "Traceback" not in said
    assert "\x1b" not in said


def test_a_file_that_unpacks_to_more_than_the_worker_has_is_refused(tmp_path):
    path = tmp_path / "bomb.parquet"
    bomb(path)
    assert path.stat().st_size < MIB
    assert "memory" in refused(path, tmp_path, "parquet")


def test_thousands_of_columns_are_refused_and_many_are_not(tmp_path):
    path = tmp_path / "wide.parquet"
    pq.write_table(pa.table({f"c{n}": [n] for n in range(2001)}), path)
    assert "2001 columns" in refused(path, tmp_path, "parquet")
    pq.write_table(pa.table({f"c{n}": [n] for n in range(2000)}), path)
    assert len(take(path, tmp_path, "parquet")["columns"]) == 2000


PEOPLE = [("ana@example.com", "DE89370400440532013000", "4111111111111111", "+49 30 901820", "note 1"), ("", "", "", "+49 30 901821", "note 2")]


def test_personal_data_is_found_and_never_quoted(tmp_path):
    path = tmp_path / "people.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("mail", "iban", "card", "phone", "text"), *PEOPLE * 20])
    content = take(path, tmp_path)
    assert content["scan"]["by"] == "presidio-analyzer"
    found = {(finding["column"], finding["kind"], finding["count"]) for finding in content["scan"]["findings"]}
    assert {("mail", "email address", 20), ("iban", "iban code", 20), ("card", "credit card", 20), ("phone", "phone number", 40)} <= found
    assert not [finding for finding in content["scan"]["findings"] if finding["column"] == "text"]
    assert not [value for row in PEOPLE for value in row if value and value in json.dumps(content)]


def test_plain_numbers_dates_and_codes_are_none(tmp_path):
    path = tmp_path / "plain.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("id", "day", "code"), *((1_000_000 + n, f"2031-05-{n % 28 + 1:02}", f"JFK-{n}") for n in range(500))])
    assert take(path, tmp_path)["scan"]["findings"] == []


def test_without_the_library_it_says_that_nobody_looked(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert intake_worker.scan(["mail"], [["ana@example.com"]]) == {"by": "", "rows": 0, "findings": []}


def test_the_worker_asks_no_network(tmp_path):
    """A name of a top-level domain that no list has yet is judged by the list that comes with the library."""
    with contextlib.ExitStack() as stack:
        import tldextract

        stack.callback(setattr, tldextract.tldextract, "TLD_EXTRACTOR", tldextract.tldextract.TLD_EXTRACTOR)
        intake_worker.personal_data()
        assert tldextract.tldextract.TLD_EXTRACTOR.suffix_list_urls == ()
