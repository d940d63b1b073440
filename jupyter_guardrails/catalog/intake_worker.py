"""Copies a file and says what is in the copy, as JSON. A process of its own: it is read as a hostile one, and may be on a disk that waits.

Standard library only, pyarrow where the format needs it, presidio-analyzer where it is installed:
`python -I intake_worker.py FORMAT MAX_BYTES SOURCE TARGET`, the last two being descriptors. A file that is refused gives
`{"error": sentence}`, never with a value of the file in it.
"""

from __future__ import annotations

import csv
import ctypes
import hashlib
import importlib.util
import io
import json
import os
import resource
import signal
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

MEMORY_BYTES = 2 << 30
CPU_S = 120
PR_SET_PDEATHSIG = 1
CHUNK = 1 << 20
MAX_COLUMNS = 2000
MAX_NAME = 200
SAMPLE_ROWS = 1000
SAMPLE_CELLS = 50_000  # about 4 s of looking for personal data
MAX_CELL = 500
SHORTEST = 6  # an address or a number of somebody is longer
COUNTED_BYTES = 64 << 20  # of a CSV file whose rows are counted: a row may hold line ends, so it has to be parsed
KINDS = {"bool": "boolean", "int": "integer", "uint": "integer", "float": "number", "double": "number", "halffloat": "number", "decimal": "number"}
KINDS |= {"date": "date", "timestamp": "timestamp", "time": "time", "list": "array", "large_list": "array", "struct": "object", "map": "object"}
PHONE_SHARE = 0.02  # digits look like telephone numbers: a few of many are none

Table = tuple[list[tuple[str, str]], list[list[Any]], int | None]  # (name, type) of the columns, the first rows, how many there are


class Unfit(Exception):
    """The file is not taken; the text is a sentence for its author."""


def main() -> None:
    """Copy, read, look, print."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    form, (most, source, target) = sys.argv[1], map(int, sys.argv[2:5])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    try:
        print(json.dumps(take(form, most, source, target)))
    except Unfit as error:
        print(json.dumps({"error": str(error)}))


def take(form: str, most: int, source: int, target: int) -> dict[str, Any]:
    """`{digest, size_bytes, rows, columns: [{name, type}], scan: {by, rows, findings: [{column, kind, count}]}}` of the copy."""
    digest, size = copy(source, target, most)
    with open(target, "rb", closefd=False) as copied:
        columns, rows, count = read(form, copied)
    check_columns([name for name, _ in columns])
    found = {"digest": digest, "size_bytes": size, "rows": count}
    shown = [{"name": name, "type": kind} for name, kind in columns]
    return found | {"columns": shown, "scan": scan([name for name, _ in columns], rows)}


def copy(source: int, target: int, most: int) -> tuple[str, int]:
    """Exactly the bytes that the file had when it was looked at; one that grows or shrinks meanwhile is not taken."""
    found = os.fstat(source)
    if not stat.S_ISREG(found.st_mode):
        raise Unfit("what came is not a regular file")
    if found.st_size == 0:  # files of /proc say so too
        raise Unfit("the file is empty")
    if found.st_size > most:
        raise Unfit(f"the file has {found.st_size} bytes, and at most {most} are taken")
    digest, done = hashlib.sha256(), 0
    try:
        while done < found.st_size and (part := os.pread(source, min(CHUNK, found.st_size - done), done)):
            digest.update(part)
            done += len(part)
            write(target, part)
        grown = os.pread(source, 1, found.st_size)
    except OSError as error:
        raise Unfit(f"the file can't be copied: {error.strerror}") from error
    if done != found.st_size or grown:
        raise Unfit("the file changed while it was copied: finish writing it first")
    os.fsync(target)
    return digest.hexdigest(), done


def write(target: int, part: bytes) -> None:
    """All of it."""
    while part:
        part = part[os.write(target, part) :]


def read(form: str, file: BinaryIO) -> Table:
    """Columns, first rows and their number, or Unfit: with the kind of failure alone, since texts of parsers quote values."""
    try:
        return READERS[form](file)
    except Unfit:
        raise
    except MemoryError as error:
        raise Unfit(f"reading it as {form} needs more memory than there is for that") from error
    except Exception as error:  # broad: whatever a hostile file provokes in a parser, it is not taken
        raise Unfit(f"it can't be read as {form} ({type(error).__name__})") from error


def read_parquet(file: BinaryIO) -> Table:
    """Types from the schema, the rows that the metadata counts."""
    from pyarrow import parquet  # optional, and only this worker loads it

    found = parquet.ParquetFile(file)
    schema = found.schema_arrow
    check_width(len(schema.names))
    batch = next(found.iter_batches(batch_size=sample_rows(len(schema.names))), None)
    return [(field.name, kind_of(str(field.type))) for field in schema], rows_of(batch), found.metadata.num_rows


def read_arrow(file: BinaryIO) -> Table:
    """Types from the schema; its rows are not counted, since that would decompress all of them."""
    from pyarrow import ipc  # optional, as above

    found = ipc.open_file(file)
    check_width(len(found.schema.names))
    batch = found.get_batch(0).slice(0, sample_rows(len(found.schema.names))) if found.num_record_batches else None
    return [(field.name, kind_of(str(field.type))) for field in found.schema], rows_of(batch), None


def rows_of(batch: Any) -> list[list[Any]]:
    """The rows of a batch as values."""
    return [] if batch is None else [list(row) for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)]


def kind_of(text: str) -> str:
    """The standard's logical type of an Arrow type."""
    return next((kind for start, kind in KINDS.items() if text.startswith(start)), "string")


def read_csv(file: BinaryIO) -> Table:
    """A header and rows; types as the first rows show them."""
    text = text_of(file)
    header = text.readline(CHUNK)
    delimiter = max(",;\t|", key=header.count)
    text.seek(0)
    lines = csv.reader(bounded(text), delimiter=delimiter, strict=True)
    names = next(lines, [])
    check_width(len(names))
    rows = [row for _, row in zip(range(sample_rows(len(names))), lines, strict=False)]  # the range first: it ends without taking a line
    if any(len(row) != len(names) for row in rows):
        raise Unfit("its rows don't all have the columns that its first line names")
    count = None if os.fstat(file.fileno()).st_size > COUNTED_BYTES else len(rows) + sum(1 for _ in lines)
    return [(name, guess([row[i] for row in rows])) for i, name in enumerate(names)], rows, count


def read_json(file: BinaryIO) -> Table:
    """An object a line."""
    text = text_of(file)
    found = objects_of(line for _, line in zip(range(SAMPLE_ROWS), bounded(text), strict=False))
    names = list(dict.fromkeys(key for item in found for key in item))
    check_width(len(names))
    rows = [[item.get(name) for name in names] for item in found]
    return [(name, json_kind(row[i] for row in rows)) for i, name in enumerate(names)], rows, len(found) + sum(1 for _ in bounded(text))


def objects_of(lines: Iterable[str]) -> list[dict[str, Any]]:
    """The object in each line; Unfit where one is none, or there are no lines."""
    found = [json.loads(line) for line in lines]
    if not found or not all(isinstance(item, dict) for item in found):
        raise Unfit("each line has to be one JSON object")
    return found


def text_of(file: BinaryIO) -> io.TextIOWrapper:
    """The file as text, if it begins as one."""
    head = file.read(CHUNK)
    file.seek(0)
    if b"\0" in head:
        raise Unfit("it is no text: a compressed file has to be unpacked first")
    return io.TextIOWrapper(file, encoding="utf-8-sig", newline="")


def bounded(text: io.TextIOWrapper) -> Iterator[str]:
    """Its lines; one that goes on and on is no line."""
    while line := text.readline(CHUNK):
        if len(line) == CHUNK:
            raise Unfit("it has a line of more than a million characters")
        yield line


def guess(values: list[str]) -> str:
    """What all of some texts are."""
    given = [value for value in values if value]
    for kind, parse in (("integer", int), ("number", float)):
        if given and all(_parses(parse, value) for value in given):
            return kind
    return "boolean" if given and {value.lower() for value in given} <= {"true", "false"} else "string"


def _parses(parse: Callable[[str], Any], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def json_kind(values: Iterable[Any]) -> str:
    """What all of some JSON values are."""
    names = {bool: "boolean", int: "integer", float: "number", dict: "object", list: "array"}
    kinds = {names.get(type(value), "string") for value in values if value is not None}
    return next(iter(kinds)) if len(kinds) == 1 else "number" if kinds == {"integer", "number"} else "string"


def check_width(count: int) -> None:
    """Unfit for a table that nobody could review."""
    if not 0 < count <= MAX_COLUMNS:
        raise Unfit(f"it has {count} columns: between 1 and {MAX_COLUMNS} can be published")


def check_columns(names: list[str]) -> None:
    """Unfit for names that can't be shown or told apart."""
    for position, name in enumerate(names, 1):
        if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
            raise Unfit(f"the name of column {position} is empty, longer than {MAX_NAME} characters, or holds characters that nobody sees")
    if len(set(names)) != len(names):
        raise Unfit("two of its columns have the same name")


def sample_rows(columns: int) -> int:
    """How many rows are looked at: fewer of a wide table."""
    return max(20, min(SAMPLE_ROWS, SAMPLE_CELLS // max(1, columns)))


def scan(names: list[str], rows: list[list[Any]]) -> dict[str, Any]:
    """What looks like personal data in the first rows: column, kind and count, never a value. Without the library: that nobody looked."""
    if importlib.util.find_spec("presidio_analyzer") is None:
        return {"by": "", "rows": 0, "findings": []}
    found: dict[str, Any] = {"by": "presidio-analyzer", "rows": len(rows), "findings": []}
    columns = [(name, cells_of([row[position] for row in rows])) for position, name in enumerate(names)]
    if any(cells for _, cells in columns):  # loading it takes a second
        recognizers = personal_data()
        found["findings"] = [finding for name, cells in columns for finding in column_findings(name, cells, recognizers)]
    return found


def cells_of(values: list[Any]) -> list[str]:
    """The cells that could hold personal data, as texts."""
    given = [str(value)[:MAX_CELL] for value in values if isinstance(value, (str, int)) and not isinstance(value, bool)]
    return [text for text in given if len(text) >= SHORTEST]


def personal_data() -> list[Any]:
    """The recognizers that need patterns and check digits only, no model of a language and no network."""
    import tldextract
    from presidio_analyzer.predefined_recognizers import CreditCardRecognizer, EmailRecognizer, IbanRecognizer, PhoneRecognizer, UsSsnRecognizer

    # it would ask the network for the list of top-level domains; the one that comes with it will do
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    return [EmailRecognizer(), IbanRecognizer(), CreditCardRecognizer(), UsSsnRecognizer(), PhoneRecognizer()]


def column_findings(name: str, cells: list[str], recognizers: list[Any]) -> Iterator[dict[str, Any]]:
    """Each kind that a column holds, with how many of its cells do."""
    numbers = all(cell.isdecimal() for cell in cells)
    for recognizer in recognizers:
        kinds = list(recognizer.supported_entities)
        count = sum(1 for cell in cells if recognizer.analyze(cell, kinds, None))
        if count and not ("PHONE_NUMBER" in kinds and (numbers or count < PHONE_SHARE * len(cells))):
            yield {"column": name, "kind": kinds[0].lower().replace("_", " "), "count": count}


READERS: dict[str, Callable[[BinaryIO], Table]] = {"csv": read_csv, "json": read_json, "parquet": read_parquet, "arrow": read_arrow}

if __name__ == "__main__":
    main()
