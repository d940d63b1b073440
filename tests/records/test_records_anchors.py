"""Keys and anchors: the log names its key, exchanges it with the old one's word, and is removed and rotated only at signed places."""

import gzip
import json
import stat
import threading
from datetime import timedelta

import pytest
from attacked_log import START, Log, as_rows

from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.records import anchors as anchoring
from jupyter_guardrails.records import audit, keys, offline, open_records, parts, retention, signing
from jupyter_guardrails.records.journal import Journal


@pytest.fixture
def log(place, tmp_path):
    made = Log(place, tmp_path / "state")
    yield made
    made.close()


def again(log):
    """The same log after a restart of its process."""
    log.close()
    log.records = open_records(log.place, journal=log.folder / parts.CURRENT)
    log.write(keys.begin, log.folder, now=START)
    return log


def age(_log, days):
    """What is written from now on, as much later."""
    return {"now": START + timedelta(days=days)}


def test_the_key_is_private_and_named_first(log):
    assert stat.S_IMODE((log.folder / signing.PRIVATE_KEY).stat().st_mode) == 0o600
    first = log.rows()[0]
    assert (first["action"], first["resource"]) == ("audit.key", log.key)
    assert [one.signed for one in log.anchors()] == [True] * 3


def test_a_restart_goes_on_with_the_same_key(log):
    key = log.key
    assert again(log).key == key
    assert [row["action"] for row in log.rows()].count("audit.key") == 1
    assert log.verify_table().ok


def test_a_key_that_was_exchanged_behind_our_back_shows(log):
    (log.folder / signing.PRIVATE_KEY).unlink()
    before = log.key
    again(log)
    assert log.key != before
    found = log.records.read_sync(audit.verify_table)
    assert found.problems == ("record 12 brings a new key that the one before it did not announce: the key was exchanged",)
    by_us = log.records.read_sync(audit.verify_table, pinned=[before], accepted=[log.key])
    assert by_us.ok, "whoever restored a backup without keys can say so"


def test_a_forged_log_in_which_ones_key_is_only_named_shows(log, tmp_path):
    """Its forger begins with a key of their own, announces ours with it, and can sign nothing with ours."""
    ours = log.key
    (log.folder / signing.PRIVATE_KEY).unlink()
    forged = Log(tmp_path / "forged.sqlite", tmp_path / "forged")
    theirs = forged.records.signer.key
    said = anchoring.next_key_fields(theirs, theirs) | {"resource": ours, "rule": f"signature {theirs.sign(signing.KEY, ours)}"}
    forged.append(ours, action="audit.key", **{name: said[name] for name in ("reason", "rule")})
    forged.write(audit.anchor, now=START)
    assert forged.records.read_sync(audit.verify_table).ok
    assert forged.records.read_sync(audit.verify_table, pinned=[ours]).problems[0].startswith("this is a log of the key")
    forged.close()


def test_a_key_that_the_old_one_announces_is_in_force(log):
    old = log.key
    log.write(keys.exchange, log.folder, now=START, principal="ana")
    log.write(keys.adopted, log.folder, now=START)
    log.append("d")
    log.write(audit.anchor, now=START)
    assert log.anchors()[-1].key == log.key != old
    found = log.records.read_sync(audit.verify_table, pinned=[old])
    assert (found.ok, found.key) == (True, log.key)
    assert again(log).records.read_sync(audit.verify_table, pinned=[old]).ok
    assert log.records.read_sync(audit.verify_table, pinned=[log.key]).ok


def test_a_crash_in_the_middle_of_an_exchange_leaves_one_key_or_the_other(log):
    log.write(keys.exchange, log.folder, now=START, principal="ana")  # announced, and not adopted yet
    announced = log.rows()[-1]["resource"]
    assert again(log).key == announced
    assert log.records.read_sync(audit.verify_table).ok
    signing.prepare_next(log.folder)  # prepared, and never announced
    assert again(log).key == announced
    assert not (log.folder / signing.NEXT_KEY).exists()


def test_a_broken_key_file_is_told_and_nothing_starts(tmp_path):
    (tmp_path / "keys").mkdir()
    (tmp_path / signing.PRIVATE_KEY).write_text("no key")
    with pytest.raises(GuardrailsError, match=r"audit-key.pem can't be used") as raised:
        signing.open_key(tmp_path)
    assert "backup" in raised.value.next_step


def small_files(log, **limits):
    log.records.sinks.journal.close()
    log.records.sinks.journal = Journal(log.folder / parts.CURRENT, **limits)


def test_a_large_file_becomes_a_part_at_the_next_anchor_and_the_chain_goes_on(log):
    small_files(log, max_bytes=100)
    log.append("behind the anchor")
    assert parts.parts(log.folder) == []
    log.write(audit.anchor, now=START)
    assert [part.first for part in parts.parts(log.folder)] == [1]
    log.append("in the next file")
    assert [row["seq"] for row in as_rows(log.lines())] == [13]
    assert log.verify_file().ok
    assert parts.compress(log.folder) == 1
    (part,) = parts.parts(log.folder)
    assert len(gzip.decompress(part.path.read_bytes()).splitlines()) == 12
    assert stat.S_IMODE(part.path.stat().st_mode) == 0o600
    assert log.verify_file().ok
    assert [row["seq"] for row in as_rows(again(log).lines())] == [13]


def test_an_old_file_becomes_a_part_too(log):
    small_files(log, max_age_s=24 * 3600)
    log.append("d")
    log.write(audit.anchor, **age(log, 0.9))
    assert parts.parts(log.folder) == []
    log.append("d")
    log.write(audit.anchor, **age(log, 1.1))
    assert [part.first for part in parts.parts(log.folder)] == [1]


def test_a_restart_with_an_empty_file_goes_on_behind_the_last_part(log):
    small_files(log, max_bytes=1)
    log.append("d")
    log.write(audit.anchor, now=START)
    parts.compress(log.folder)
    (log.folder / parts.CURRENT).unlink()
    again(log).append("d")
    assert [row["seq"] for row in as_rows(log.lines())] == [13]
    assert log.verify_file().ok


def test_a_missing_part_shows(log):
    small_files(log, max_bytes=1)
    for _ in range(3):
        log.append("d")
        log.write(audit.anchor, now=START)
    first, second, _ = parts.parts(log.folder)
    whole = second.path.read_bytes()
    second.path.unlink()
    assert log.verify_file().problems == ("record 14 stands where 13 should: records are missing or out of order",)
    second.path.write_bytes(whole)
    assert log.verify_file().ok
    first.path.unlink()
    assert "no signed record says that they were removed" in log.verify_file().problems[0]


def keep_90_days(log, days):
    return log.write(retention.remove, keep_s=90 * 86400, rule="p.yaml:3 audit.keep", policy_digest="d", **age(log, days))


def test_what_is_old_is_removed_up_to_an_anchor_and_the_rest_verifies(log):
    log.append("young", days=80)
    assert keep_90_days(log, 89) == 0
    assert keep_90_days(log, 100) == 11
    rows = log.rows()
    assert [row["action"] for row in rows] == ["data.read", "audit.remove"]
    assert (rows[1]["resource"], "11 records were older than 90 days" in rows[1]["reason"]) == ("1-11", True)
    found = log.verify_table()
    assert (found.ok, found.first, found.count, found.notes) == (True, 12, 2, ("complete from record 12 on",))
    assert again(log).verify_table().ok
    assert log.verify_file().ok, "the files still hold everything"


def test_records_that_somebody_else_removed_show(log):
    """Up to an anchor, as retention does, but without its record; or with one that nobody signed."""
    keep_90_days(log, 100)
    assert log.verify_table().ok
    forged = [row for row in log.rows() if row["action"] != "audit.remove"]
    log.put_rows(forged)
    assert not log.verify_table().ok


def test_old_parts_go_with_their_records_and_their_anchors(log):
    small_files(log, max_bytes=1)
    log.append("d")
    log.write(audit.anchor, now=START)
    log.append("d")
    log.write(audit.anchor, now=START)
    log.append("young", days=80)
    last = keep_90_days(log, 100)
    assert last == 13
    log.append("the file goes on")
    gone = log.write(lambda connection: log.records.sinks.journal.forget(last))
    assert [path.name for path in gone] == ["audit-000000000001.jsonl", "audit-000000000013.jsonl"]
    assert min(one.seq for one in parts.read_anchors(log.folder)) == 13
    found = log.verify_file()
    assert (found.ok, found.first) == (True, 14)
    log.append("and it goes on")
    assert again(log).verify_file().ok


def test_a_crash_between_table_and_files_leaves_more_files_and_no_fault(tmp_path):
    (tmp_path / "state").mkdir()
    log = Log(tmp_path / "state" / offline.DATABASE, tmp_path / "state")
    small_files(log, max_bytes=1)
    log.append("d")
    log.write(audit.anchor, now=START)
    log.append("young", days=80)
    keep_90_days(log, 100)
    assert offline.verify_state(log.folder).ok
    assert log.records.read_sync(retention.removed_to) == 12
    log.close()


@pytest.mark.parametrize("follows", [True, False])
def test_a_file_that_follows_its_table_in_this_moment_is_no_fault(tmp_path, follows):
    log = Log(tmp_path / "state" / offline.DATABASE, tmp_path / "state")
    log.append("just committed")
    log.close()
    lines = log.lines()
    log.put_lines(lines[:-1])
    control = threading.Timer(0.1, log.put_lines, [lines])
    if follows:
        control.start()
    found = offline.verify_state(log.folder)
    control.cancel()
    assert found.ok == follows, found.problems
    assert follows or "the files end at 11" in found.problems[0]


def test_an_anchor_line_that_was_torn_is_written_again(log):
    path = log.folder / parts.ANCHORS
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    again(log)
    assert path.read_bytes() == whole
    assert json.loads(whole.splitlines()[-1])["anchor"]["seq"] == 11
