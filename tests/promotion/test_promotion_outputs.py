"""What a job makes: columns are content, rows and bytes are evidence; what was declared has to be what was made."""

import json

from jupyter_guardrails.package.details import Output
from jupyter_guardrails.promotion import outputs
from jupyter_guardrails.review.evidence import Content, Evidence
from jupyter_guardrails.review.wording import data_lines

DECLARED = Output(name="m", path="m.csv", dataset="nyc/m")


def made(folder, rows=1):
    (folder / "m.csv").write_text("a,b\n" + "1,x\n" * rows)
    (folder / "log.txt").write_text("secret")
    (folder / "broken.parquet").write_text("no")
    return outputs.look_at(folder, ["m.csv", "log.txt", "broken.parquet"])


def test_other_data_of_the_same_columns_is_the_same_content_and_other_evidence(tmp_path):
    one, other = made(tmp_path), made(tmp_path, rows=7)
    written = ["m.csv", "log.txt", "broken.parquet"]
    assert outputs.described([DECLARED], written, one) == outputs.described([DECLARED], written, other)
    assert {said.path: said.columns for said in outputs.described([DECLARED], written, one)} == {
        "broken.parquet": {},
        "log.txt": {},
        "m.csv": {"a": "integer", "b": "string"},
    }
    assert outputs.evidence(one) != outputs.evidence(other)
    assert [(said["path"], said["rows"], bool(said["problem"])) for said in outputs.evidence(other)] == [
        ("broken.parquet", None, True),
        ("m.csv", 7, False),
    ]
    assert outputs.words(other) == ": m.csv (2 columns, 7 rows)"
    assert outputs.words({}) == ""


def test_what_is_declared_stays_as_it_was_said_and_must_be_true(tmp_path):
    found = made(tmp_path)
    said = DECLARED.model_copy(update={"columns": {"a": "int64", "b": "text"}})
    assert outputs.described([said], ["m.csv"], found) == [said]
    assert outputs.unlike([said, DECLARED, Output(name="log", path="log.txt")], found) == []
    wrong = said.model_copy(update={"columns": {"a": "date32", "c": "text"}})
    told = [finding.message for finding in outputs.unlike([wrong], found)]
    assert told == ["m.csv: column c is gone", "m.csv: column b (string) is new"], "a text file shows no dates"
    for path in ("log.txt", "broken.parquet"):
        (finding,) = outputs.unlike([Output(name="x", path=path, columns={"a": "integer"})], found)
        assert "its columns are declared, and can't be told" in finding.message


def test_many_files_and_wide_ones_are_passed_over(tmp_path, monkeypatch):
    for number in range(4):
        (tmp_path / f"{number}.csv").write_text("a,b\n1,2\n")
    names = [f"{number}.csv" for number in range(4)]
    monkeypatch.setattr(outputs, "MOST_COLUMNS", 5)
    assert list(outputs.look_at(tmp_path, names)) == ["0.csv", "1.csv"]
    monkeypatch.setattr(outputs, "MOST_FILES", 1)
    assert list(outputs.look_at(tmp_path, names)) == ["0.csv"]
    monkeypatch.setattr(outputs, "MOST_COUNTED_BYTES", 7)
    assert outputs.look_at(tmp_path, names)["0.csv"]["rows"] is None


def test_reviewers_read_columns_and_sizes_and_nothing_moves_their_cursor(tmp_path):
    found = made(tmp_path)
    job = {"inputs": [], "outputs": [one.model_dump() for one in outputs.described([DECLARED], list(found), found)] + [{"path": "x\x1b[2J"}]}
    content = Content(job, {}, {}, "", {}, {one["path"]: one for one in json.loads(json.dumps(outputs.evidence(found)))})
    lines = data_lines(Evidence({}, {}, {"data": []}, content, None))
    assert lines[1:4] == [
        "  makes broken.parquet: parquet, 2 bytes in its clean run; no columns are told: it can't be read as parquet",
        "  makes m.csv, dataset nyc/m: csv, 1 rows, 8 bytes in its clean run",
        "    columns: a integer, b string",
    ]
    assert "\x1b" not in "".join(lines)
