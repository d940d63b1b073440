"""The audit chain finds every edit; the JSON lines beside it can't be forged by what users type, and survive crashes."""

import contextlib
import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from jupyter_guardrails.errors import AuditAway
from jupyter_guardrails.records import audit, open_records

NASTY = 'x\n{"seq": 99, "allowed": true}\r\u2028\x00\x1b[31m\ud800"'


def record(records, now, resource="d", **more):
    said = {
        "principal": "ana",
        "action": "data.read",
        "resource": resource,
        "allowed": True,
        "reason": "r",
        "rule": "p.yaml:1 x",
        "policy_digest": "d",
    }
    return records.write_sync(audit.append, now=now, **said | more)


def lines(tmp_path):
    return [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]


@pytest.fixture
def chain(records, now):
    """Five good records, as read back."""
    for number in range(5):
        record(records, now + timedelta(seconds=number), f"d{number}", kernel="k", notebook="n.ipynb", cell_digest="ab")
    return records.read_sync(audit.newest)


def test_a_chain_that_nobody_touched_verifies(records, chain):
    found = records.read_sync(audit.verify_table)
    assert (found.ok, found.count, found.head) == (True, 5, chain[-1]["hash"])


@pytest.mark.parametrize(
    "column", ["time", "principal", "action", "resource", "reason", "rule", "policy_digest", "kernel", "notebook", "cell_digest", "mode"]
)
def test_any_edit_shows(chain, column):
    chain[2] |= {column: "other"}
    assert audit.verify(chain).problems == ("record 3 was altered",)


def test_turning_a_refusal_into_a_permission_shows(records, now):
    record(records, now, allowed=False)
    chain = records.read_sync(audit.newest)
    assert audit.verify(chain).ok
    assert not audit.verify([chain[0] | {"allowed": True}]).ok


def test_a_refusal_says_whether_it_was_carried_out(records, now):
    record(records, now)
    record(records, now, mode="observe")
    record(records, now, allowed=False)
    record(records, now, allowed=False, mode="observe")
    chain = records.read_sync(audit.newest)
    assert [one["mode"] for one in chain] == [None, None, "enforce", "observe"]
    for mode in ("enforce", None):
        assert not audit.verify([*chain[:3], chain[3] | {"mode": mode}]).ok


def test_records_from_before_there_were_modes_verify(records, chain):
    assert audit.verify([{key: value for key, value in one.items() if key != "mode"} for one in chain]).ok


def test_an_edit_with_its_own_hash_made_again_still_shows(chain):
    chain[2]["resource"] = "other"
    chain[2]["hash"] = audit.hash_of(chain[2])
    assert audit.verify(chain).problems == ("record 4 does not follow the one before it",)


def test_deleted_and_reordered_records_show(chain):
    assert not audit.verify(chain[:2] + chain[3:]).ok
    assert not audit.verify([chain[0], chain[2], chain[1], *chain[3:]]).ok
    assert not audit.verify(chain[1:]).ok


def test_a_cut_log_shows_against_an_anchor(records, chain, now):
    records.write_sync(audit.anchor, now=now)
    anchored = records.read_sync(audit.anchors)
    assert audit.verify(chain[:3]).ok, "without an anchor a cut can't be seen"
    assert "was cut" in audit.verify(chain[:3], anchored).problems[0]
    assert audit.verify(chain, anchored).anchored_to == 5


def test_a_chain_made_anew_shows_against_an_anchor(chain, tmp_path, now):
    with_other_content = open_records(tmp_path / "other.sqlite")
    for _ in range(5):
        record(with_other_content, now, "forged")
    forged = with_other_content.read_sync(audit.newest)
    with_other_content.close()
    assert audit.verify(forged).ok
    assert audit.verify(forged, {5: chain[-1]["hash"]}).problems == ("record 5 is not the one that was anchored",)


def test_the_file_holds_the_same_chain(records, chain, tmp_path):
    assert lines(tmp_path) == chain
    assert audit.verify(lines(tmp_path)).ok


def test_what_users_type_stays_inside_its_field(records, now, tmp_path):
    record(records, now, NASTY, reason=NASTY, principal=NASTY)
    raw = (tmp_path / "audit.jsonl").read_bytes()
    assert raw.count(b"\n") == 1
    assert not any(byte < 32 and byte != 10 for byte in raw)
    assert raw.isascii()
    assert lines(tmp_path)[0]["seq"] == 1
    assert records.read_sync(audit.verify_table).ok


def test_very_long_text_is_cut_not_refused(records, now):
    assert len(record(records, now, "x" * 100_000)["resource"]) == 4000


def test_a_failed_operation_leaves_no_record_and_breaks_nothing(records, now, tmp_path):
    def fails(connection):
        audit.append(connection, now=now, principal="ana", action="a", resource="r", allowed=True, reason="", rule="", policy_digest="")
        raise ValueError("later in the same transaction")

    record(records, now)
    with pytest.raises(ValueError, match="later"):
        records.write_sync(fails)
    record(records, now)
    assert [item["seq"] for item in lines(tmp_path)] == [1, 2]
    assert records.read_sync(audit.verify_table).ok


def test_the_file_has_what_the_table_has_whatever_came_between(records, now, tmp_path):
    """Lines are written from the records of a transaction as long as nothing stands between them; everything else is asked of the table."""
    fields = {"principal": "ana", "action": "data.read", "resource": NASTY, "allowed": True, "reason": "r", "rule": "", "policy_digest": "d"}

    def half_undone(connection):
        audit.append(connection, now=now, **fields)
        undone = connection.begin_nested()
        audit.append(connection, now=now, **fields | {"resource": "undone"})
        undone.rollback()
        audit.append(connection, now=now, **fields, code="print()")

    def anchored(connection):
        audit.append(connection, now=now, **fields | {"kernel": "k", "allowed": False})
        audit.anchor(connection, now=now)
        audit.append(connection, now=now, **fields)["resource"] = "what a caller does with its copy"

    def failing(connection):
        audit.append(connection, now=now, **fields)
        raise ValueError

    record(records, now)
    for operation in (half_undone, anchored, failing, half_undone):
        with contextlib.suppress(ValueError):
            records.write_sync(operation)
        record(records, now)
        assert lines(tmp_path) == records.read_sync(audit.following, after=0, limit=100)
    assert len(lines(tmp_path)) == 11
    assert [item["anchor"]["seq"] for item in map(json.loads, (tmp_path / "audit-anchors.jsonl").read_text().splitlines())][-1] == 5


def test_the_file_catches_up_after_a_crash_in_the_middle_of_a_line(place, tmp_path, now):
    """Killed between commit and write, or while writing: the table is the truth."""
    journal = tmp_path / "audit.jsonl"
    first = open_records(place, journal=journal)
    for _ in range(3):
        record(first, now)
    first.close()
    whole = journal.read_bytes()
    journal.write_bytes(whole[: whole.index(b"\n") + 20])
    open_records(place, journal=journal).close()
    assert journal.read_bytes() == whole


def test_a_sink_that_can_not_be_written_fails_the_action(records, now):
    """Fail closed: nobody is told yes when the record of it is lost."""
    record(records, now)
    records.sinks.journal._records._file.close()
    with pytest.raises(AuditAway, match="closed file"):
        record(records, now)


def test_own_records_and_everybodys(records, now):
    record(records, now, principal="ana")
    record(records, now, principal="ben")
    assert [item["principal"] for item in records.read_sync(audit.newest)] == ["ana", "ben"]
    assert [item["seq"] for item in records.read_sync(audit.newest, principal="ben")] == [2]
    assert [item["seq"] for item in records.read_sync(audit.newest, after=1)] == [2]


def test_every_thousand_records_are_anchored_by_themselves(records, now):
    def many(connection):
        for _ in range(audit.ANCHOR_EVERY):
            audit.append(connection, now=now, principal="ana", action="a", resource="r", allowed=True, reason="", rule="", policy_digest="")

    records.write_sync(many)
    assert list(records.read_sync(audit.anchors)) == [audit.ANCHOR_EVERY]


def test_an_edit_in_the_database_itself_shows(records, chain):
    """Whoever can write the table without us is found out."""
    records.write_sync(lambda connection: connection.execute(text("update audit set reason = 'nothing' where seq = 2")))
    assert records.read_sync(audit.verify_table).problems == ("record 2 was altered",)


def test_each_field_of_a_record_is_in_the_reference(chain):
    reference = Path(__file__).parents[2].joinpath("docs", "reference", "audit.md").read_text()
    assert [name for name in chain[0] if f"| `{name}` |" not in reference] == []
