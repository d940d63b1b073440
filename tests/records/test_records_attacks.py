"""Tampering with the audit log, case by case, in the file and in the table of both databases; each beside its untouched twin."""

import pytest
from attacked_log import Log, as_lines, as_rows, rechained
from sqlalchemy import delete

from jupyter_guardrails.records import offline, tables
from jupyter_guardrails.records.verify import Witnessed


@pytest.fixture
def log(place, tmp_path):
    made = Log(place, tmp_path / "state")
    yield made
    made.close()


@pytest.fixture
def other(tmp_path):
    """Another log of the same shape, with a key of its own."""
    made = Log(tmp_path / "other.sqlite", tmp_path / "other", said="other")
    yield made
    made.close()


def edit(rows):
    rows[3]["reason"] = "nothing happened"
    return rows


def edit_with_its_hash(rows):
    return rechained([*rows[:3], rows[3] | {"reason": "nothing happened"}], 3) + rows[4:]


def edit_and_make_all_hashes_anew(rows):
    return rechained(edit(rows), 3)


def turn_a_refusal_around(rows):
    rows[3] |= {"allowed": False, "mode": "enforce"}
    return rows


def add_code(rows):
    rows[3]["code"] = "print(1)"
    return rows


def delete_one(rows):
    return rows[:3] + rows[4:]


def delete_the_first(rows):
    return rows[1:]


def delete_and_number_anew(rows):
    kept = rows[:3] + rows[4:]
    return rechained([row | {"seq": number} for number, row in enumerate(kept, 1)], 3)


def reorder(rows):
    return [*rows[:3], rows[4] | {"seq": 4}, rows[3] | {"seq": 5}, *rows[5:]]


def truncate(rows):
    return rows[:8]


def truncate_to_an_anchor(rows):
    return rows[:6]


def nothing_at_all(rows):
    return []


ATTACKS = {
    edit: "record 4 was altered",
    edit_with_its_hash: "record 5 does not follow the one before it",
    edit_and_make_all_hashes_anew: "record 6 is not the one that was anchored",
    turn_a_refusal_around: "record 4 was altered",
    add_code: "record 4 was altered",
    delete_one: "record 5 stands where 4 should: records are missing or out of order",
    delete_the_first: "the records before 2 are missing, and no signed record says that they were removed",
    delete_and_number_anew: "record 6 is not the one that was anchored",
    reorder: "record 4 does not follow the one before it",
    truncate: "the log ends at 8, but record 11 was anchored: it was cut",
    truncate_to_an_anchor: "the log ends at 6, but record 11 was anchored: it was cut",
    nothing_at_all: "the log ends at 0, but record 1 was anchored: it was cut",
}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_the_table_shows_it(log, attack):
    untouched = log.verify_table()
    assert (untouched.ok, untouched.anchored_to, untouched.key) == (True, 11, log.key)
    log.put_rows(attack(log.rows()))
    assert log.verify_table().problems == (ATTACKS[attack],)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_the_file_shows_it(log, attack):
    assert log.verify_file().ok
    log.put_lines(as_lines(attack(as_rows(log.lines()))))
    assert log.verify_file().problems == (ATTACKS[attack],)


def test_records_of_another_log_show(log, other):
    spliced = [*log.rows()[:3], *other.rows()[3:]]
    log.put_rows(spliced)
    assert log.verify_table().problems == ("record 4 does not follow the one before it",)
    log.put_rows(rechained(spliced, 3))
    assert log.verify_table().problems == ("record 6 is not the one that was anchored",)


def test_another_log_in_its_place_shows(log, other):
    """Also with its own anchors: the key is another one."""
    assert other.verify_table().ok
    log.put_rows(other.rows())
    log.sql(delete(tables.anchors), *(tables.anchors.insert().values(vars_of(one)) for one in other.anchors()))
    assert log.verify_table().problems[0].startswith("this is a log of the key")
    assert other.key != log.key


def test_a_forged_anchor_shows(log, other):
    log.put_rows(edit_and_make_all_hashes_anew(log.rows()))
    rows = {row["seq"]: row["hash"] for row in log.rows()}
    statements = [tables.anchors.update().where(tables.anchors.c.seq == seq).values(hash=rows[seq]) for seq in (6, 11)]
    log.sql(*statements)
    assert log.verify_table().problems == ("the anchor of record 6 is not signed by this log's key",)
    log.sql(tables.anchors.update().values(key=None, signature=None))
    assert log.verify_table().problems == ("the anchor of record 1 is not signed by this log's key",)


def test_a_cut_of_log_and_anchors_together_shows_by_a_witness_alone(log):
    """Rollback to an older anchor: from inside nothing is missing."""
    told = Witnessed(tuple(log.anchors()))
    whole = log.verify_table(witnessed=told)
    assert (whole.ok, whole.witnessed_to) == (True, 11)
    log.sql(delete(tables.audit).where(tables.audit.c.seq > 6), delete(tables.anchors).where(tables.anchors.c.seq > 6))
    without = log.verify_table()
    assert (without.ok, without.witnessed_to, without.anchored_to) == (True, None, 6)
    expected = "the log ends at 6, but a witness holds the anchor of record 11: log and anchors were cut together"
    assert log.verify_table(witnessed=told).problems == (expected,)


def test_a_log_written_anew_behind_an_older_anchor_shows_by_a_witness(log):
    told = Witnessed(tuple(log.anchors()))
    log.sql(delete(tables.audit).where(tables.audit.c.seq > 6), delete(tables.anchors).where(tables.anchors.c.seq > 6))
    for number in range(9):
        log.append(f"instead{number}")
    assert log.verify_table().ok
    assert log.verify_table(witnessed=told).problems == ("record 11 is not the one whose anchor a witness holds",)


def test_a_witness_of_single_records_sees_the_tail_too(log):
    log.append("behind the last anchor")
    told = Witnessed((), {row["seq"]: row["hash"] for row in log.rows()})
    assert log.verify_table(witnessed=told).ok
    log.sql(delete(tables.audit).where(tables.audit.c.seq == 12))
    assert log.verify_table().ok
    assert log.verify_table(witnessed=told).problems == ("the log ends at 11, but a witness was told record 12: it was cut",)


def test_a_witness_of_another_log_vouches_for_nothing(log, other):
    assert "none of them is of this log" in log.verify_table(witnessed=Witnessed(tuple(other.anchors()))).problems[0]
    assert log.verify_table(witnessed=Witnessed((*other.anchors(), *log.anchors()))).ok, "what others wrote there as well is no fault"


@pytest.mark.parametrize(
    ("attack", "problem"),
    [
        (lambda line: line[:40] + b"\n", "what stands where record 4 should is no JSON"),
        (lambda line: line.replace(b"{", b'{"mode":null,', 1), "what stands where record 4 should is not written as records are: it was altered"),
        (lambda line: line.replace(b'"reason":"r"', b'"reason":"r","reason":"s"', 1), "what stands where record 4 should is not written"),
        (lambda line: line.replace(b'"reason":"r"', b'"reason":"\\u0072"', 1), "record 4 was altered"),
        (lambda line: line.replace(b",", b", ", 1), "what stands where record 4 should is not written"),
        (lambda line: line + line, "record 4 stands where 5 should"),
        (lambda line: b"\n" + line, "what stands where record 4 should is no JSON"),
        (lambda line: b"[]\n", "what stands where record 4 should is no record"),
        (lambda line: line.replace(b'"seq":4', b'"seq":4.0', 1), "record 4 was altered"),
        (lambda line: b"[" * 100_000 + b"\n", "what stands where record 4 should is no JSON"),
    ],
)
def test_nothing_hides_in_how_a_line_is_written(log, attack, problem):
    lines = log.lines()
    log.put_lines([*lines[:3], attack(lines[3]), *lines[4:]])
    assert log.verify_file().problems[0].startswith(problem)


def test_a_line_from_before_there_were_modes_verifies(log):
    lines = log.lines()
    log.put_lines([*lines[:3], lines[3].replace(b'"mode":null,', b""), *lines[4:]])
    assert log.verify_file().ok


def test_table_and_files_that_differ_show(tmp_path):
    (tmp_path / "state").mkdir()
    log = Log(tmp_path / "state" / offline.DATABASE, tmp_path / "state")
    assert offline.verify_state(log.folder).ok
    lines = log.lines()
    log.put_lines(lines[:-1])
    assert "the log ends at 10, but record 11 was anchored" in offline.verify_state(log.folder).problems[0]
    log.put_lines(lines)
    log.append("d")
    assert offline.verify_state(log.folder).ok
    log.sql(delete(tables.audit).where(tables.audit.c.seq == 12))
    log.append("e")
    differ = offline.verify_state(log.folder)
    assert differ.problems == ("record 12 of the table is not the one in the files",)
    log.close()


def vars_of(anchor):
    return {name: getattr(anchor, name) for name in ("seq", "hash", "time", "key", "signature")}
