"""Whatever people type stays inside its field: in the file, in CSV, on a terminal, in syslog and in the journal."""

import csv
import hashlib
import json
import struct
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_guardrails.cli.audit_text import COLUMNS, csv_lines, record_line
from jupyter_guardrails.records import chain, sinks, witness_otlp
from jupyter_guardrails.records.columns import iso, storable
from jupyter_guardrails.records.witness_journald import entry
from jupyter_guardrails.records.witness_syslog import message

PIECES = [
    "\n",
    "\r\n",
    "\x00",
    "\x1b[2J",
    "\x1b]0;t\x07",
    "\x9b",
    "\u202e",
    "\u2028",
    "\u2066",
    "\ud800",
    "=1+1",
    "@SUM(A1)",
    '"',
    "\\",
    '{"anchor":{',
    "<13>1 ",
    ",",
]
NASTY = st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=8).map("".join)


@st.composite
def records(draw):
    texts = {name: storable(draw(NASTY)) for name in ("principal", "action", "resource", "reason", "rule", "policy_digest")}
    optional = {name: draw(st.none() | NASTY.map(storable)) for name in ("kernel", "notebook", "code")}
    record = texts | optional | {"cell_digest": None, "mode": None, "allowed": True, "seq": 1, "time": iso(datetime(2025, 3, 1, tzinfo=UTC))}
    record |= {"previous_hash": chain.GENESIS}
    return record | {"hash": chain.hash_of(record)}


def told(record):
    return sinks.told_record(record)


def expected(record):
    return record if record["code"] is not None else {key: value for key, value in record.items() if key != "code"}


@given(records())
@settings(deadline=None)
def test_a_line_is_one_ascii_object_that_reads_back_as_it_was(record):
    raw = (chain.line(record) + "\n").encode()
    assert raw.isascii()
    assert [byte for byte in raw[:-1] if byte < 32 or byte == 127] in ([], [127] * raw.count(b"\x7f"))
    assert json.loads(raw) == expected(record)
    link = chain.link_of_line(raw)
    assert (link.computed, link.hash, link.seq) == (record["hash"], record["hash"], 1)
    assert link.action == json.dumps(record["action"])[1:-1], "the fast way reads what the slow one does"


@given(records(), st.sampled_from(["mode", "code", "time", "seq", "allowed", "kernel"]), st.sampled_from([None, 1, 1.5, True, "x", []]))
@settings(deadline=None)
def test_a_hash_is_that_of_the_canonical_json_also_of_odd_records(record, name, value):
    """The fast way and the plain one agree."""
    changed = record | {name: value}
    left_out = {"hash", *(one for one in chain.NEWER if changed[one] is None)}
    text = json.dumps({key: one for key, one in changed.items() if key not in left_out}, sort_keys=True, separators=(",", ":"))
    assert chain.hash_of(changed) == hashlib.sha256(text.encode()).hexdigest()


@given(records(), st.integers(0, 10_000), st.integers(0, 255))
@settings(deadline=None)
def test_any_changed_byte_of_a_line_is_found(record, where, byte):
    raw = bytearray((chain.line(record) + "\n").encode())
    where %= len(raw) - 1
    if raw[where] == byte:
        return
    raw[where] = byte
    try:
        link = chain.link_of_line(bytes(raw))
    except chain.NoRecord:
        return
    assert link.computed != record["hash"] or link.hash != record["hash"] or link.seq != 1


@given(records())
@settings(deadline=None)
def test_a_terminal_gets_one_line_of_what_can_be_shown(record):
    assert all(letter.isprintable() for letter in record_line(record))


@given(records())
@settings(deadline=None)
def test_a_spreadsheet_gets_one_row_of_text(record):
    rows = list(csv.reader("".join(csv_lines([chain.line(record).encode()])).splitlines()))
    assert len(rows) == 2
    assert all(letter.isprintable() for value in rows[1] for letter in value)
    for name, value in zip(COLUMNS, rows[1], strict=True):
        assert name == "seq" or not value.lstrip().startswith(("=", "+", "-", "@", "\t", "\r"))


@given(records())
@settings(deadline=None)
def test_syslog_gets_one_message_with_our_header(record):
    sent = message(told(record), host="h", pid=1)
    assert sent.startswith(b"<109>1 2025-03-01T00:00:00.000000Z h jupyter-guardrails 1 ")
    assert not any(byte < 32 or byte > 126 for byte in sent)
    assert json.loads(sent.split(b" - ", 1)[1]) == expected(record)


@given(records())
@settings(deadline=None)
def test_the_journal_gets_the_fields_that_we_name(record):
    raw, fields = entry(told(record)), {}
    while raw:
        name, _, rest = raw.partition(b"\n")
        (length,) = struct.unpack("<Q", rest[:8])
        fields[name.decode()] = rest[8 : 8 + length].decode()
        assert rest[8 + length : 9 + length] == b"\n"
        raw = rest[9 + length :]
    assert {*fields} == {"MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "SYSLOG_FACILITY", "GUARDRAILS_SEQ", "GUARDRAILS_HASH", "GUARDRAILS_ACTION"}
    assert json.loads(fields["MESSAGE"]) == expected(record)


@given(records())
@settings(deadline=None)
def test_a_collector_gets_one_record_of_one_line(record):
    (resource,) = witness_otlp.body([told(record)])["resourceLogs"]
    (sent,) = resource["scopeLogs"][0]["logRecords"]
    assert json.loads(sent["body"]["stringValue"]) == expected(record)
    assert sent["timeUnixNano"] == "1740787200000000000"
