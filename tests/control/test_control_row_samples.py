"""The first rows of a dataset for a draft's clean run: as its author is given it, in its own format, recorded, for its worker alone."""

import dataclasses
import json
import os

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from scan_world import add_pictures, shows_nothing

from jupyter_guardrails.control import row_samples
from jupyter_guardrails.control.interface.work import WorkerSample
from jupyter_guardrails.errors import BadRequest, GuardrailsError, Refused

TABLE = pa.table({"origin": ["JFK", None, "LGA"], "delay": [1, 2, 3]})


@pytest.fixture(scope="module")
def world(masked_world):
    world = masked_world
    world.dataset("hr/salaries")
    pa.csv.write_csv(TABLE, world.data / "a.csv")
    (world.data / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in TABLE.to_pylist()))
    pa.feather.write_feather(TABLE, world.data / "a.arrow")
    for form, file in (("csv", "a.csv"), ("json", "a.jsonl"), ("arrow", "a.arrow")):
        world.dataset(f"nyc/{form}", path=world.data / file, form=form)
    for year in (2023, 2024):
        folder = world.data / "parts" / f"year={year}"
        folder.mkdir(parents=True)
        pq.write_table(TABLE, folder / "p.parquet")
    world.dataset("nyc/parts", path=world.data / "parts", form="directory")
    add_pictures(world)
    return world


def sampled(world, loop, name, *, rows=2, form="parquet", worker="s1"):
    """What is said, and the file's bytes."""
    request = WorkerSample(submission="s1", name=name, rows=rows, form=form)
    answer = loop.run(row_samples.sample(dataclasses.replace(world.state(), worker=worker), request, []))
    with open(answer.fds[0], "rb") as file:
        assert not os.get_inheritable(file.fileno())
        return answer.result, file.read()


def test_rows_are_masked_filtered_few_and_on_the_record(world, loop):
    said, data = sampled(world, loop, "nyc/people", rows=1)
    assert said == {"name": "people.parquet", "folder": False, "format": "parquet", "rows": 1}
    (row,) = pq.read_table(pa.BufferReader(data)).to_pylist()
    assert (row["name"], row["salary"], row["note"]) == ("Ada", None, "***")
    shows_nothing(row)
    record = world.audited("data.read")[-1]
    assert record["reason"].startswith("version 1.2.0, the first 1 rows for a sample run of submission s1")
    said, data = sampled(world, loop, "nyc/people", rows=100, form="csv")
    assert (said["name"], said["rows"], data.count(b"\n")) == ("people.csv", 2, 3)
    shows_nothing(data.decode())


@pytest.mark.parametrize(
    ("form", "name", "read"),
    [
        ("csv", "a.csv", lambda data: pa.csv.read_csv(pa.BufferReader(data)).to_pylist()),
        ("json", "a.jsonl", lambda data: [json.loads(line) for line in data.splitlines()]),
        ("arrow", "a.arrow", lambda data: pa.feather.read_table(pa.BufferReader(data)).to_pylist()),
    ],
)
def test_a_file_keeps_its_format_and_name(world, loop, form, name, read):
    said, data = sampled(world, loop, f"nyc/{form}")
    assert (said["name"], said["folder"], said["rows"]) == (name, False, 2)
    assert [row["delay"] for row in read(data)] == [1, 2]


def test_a_folder_becomes_one_with_a_file_that_has_its_folders_columns(world, loop):
    said, data = sampled(world, loop, "nyc/parts", rows=4)
    assert (said["name"], said["folder"], said["format"]) == ("p.parquet", True, "parquet")
    assert pq.read_table(pa.BufferReader(data)).column_names == ["origin", "delay", "year"]


def test_what_has_no_rows_has_no_sample_and_nobody_else_is_given_one(world, loop):
    with pytest.raises(BadRequest, match="are no tables"):
        sampled(world, loop, "nyc/pictures")
    with pytest.raises(Refused):
        sampled(world, loop, "hr/salaries")
    for worker in (None, "s2"):
        with pytest.raises(Refused, match="only a submission's own worker"):
            sampled(world, loop, "nyc/csv", worker=worker)
    with pytest.raises(GuardrailsError):
        sampled(world, loop, "nyc/nowhere")
    assert list(world.root.glob("*.part")) == []
