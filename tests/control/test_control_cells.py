"""Cells that ran: recorded by what the server tells, as much of them as the policy says."""

import hashlib
import json

import pytest

from jupyter_guardrails.control.interface.auditing import MOST_CODE, Cell, KernelCells, cell_of
from jupyter_guardrails.errors import AuditAway
from jupyter_guardrails.records import audit


def tell(desk, *cells, lost=0):
    return desk.ask(KernelCells(cells=list(cells), lost=lost))


def told(desk):
    return [row for row in desk.state.records.read_sync(audit.newest, limit=1000) if row["action"] == "kernel.cell"]


def setting(desk, text):
    desk.world.policy.write_text(desk.world.policy.read_text() + f"audit: {text}\n")


def test_a_cell_is_recorded_by_its_digest(desk):
    desk.begin(notebook="a.ipynb")
    tell(desk, cell_of("kernel-k1", "print(1)"), cell_of("kernel-k1", "print(2)"))
    one, two = told(desk)
    assert (one["principal"], one["kernel"], one["notebook"], one["resource"]) == ("ana", "kernel-k1", "a.ipynb", "a.ipynb")
    assert [row["cell_digest"] for row in (one, two)] == [hashlib.sha256(code).hexdigest() for code in (b"print(1)", b"print(2)")]
    assert "code" not in one


def test_with_code_the_text_is_kept_and_bounded(desk):
    setting(desk, "{cells: code}")
    desk.begin()
    tell(desk, cell_of("kernel-k1", "x = '" + "y" * 10_000), cell_of("kernel-k1", "\ud800\n\x1b[31m\u202e"))
    long, odd = told(desk)
    assert len(long["code"]) == MOST_CODE
    assert odd["code"] == "\\ud800\n\x1b[31m\u202e"
    line = desk.world.root.joinpath("state/audit.jsonl").read_bytes().splitlines()[-1]
    assert line.isascii()
    assert json.loads(line)["code"] == odd["code"]
    assert desk.state.records.read_sync(audit.verify_table).ok


def test_off_keeps_nothing(desk):
    setting(desk, "{cells: off}")
    desk.begin()
    tell(desk, cell_of("kernel-k1", "print(1)"))
    assert told(desk) == []


def test_cells_of_kernels_that_are_not_there_are_left_out(desk):
    desk.begin()
    tell(desk, cell_of("kernel-other", "print(1)"), cell_of("kernel-k1", "print(2)"))
    assert [row["kernel"] for row in told(desk)] == ["kernel-k1"]


def test_what_was_too_much_is_counted(desk):
    desk.begin()
    tell(desk, lost=7)
    assert told(desk)[0]["reason"].startswith("7 more cells")


def test_a_digest_that_is_none_is_refused():
    with pytest.raises(ValueError, match="digest"):
        Cell(kernel_id="k", digest="x", code="")


def test_a_failing_sink_holds_no_cell_back_and_refuses_the_next_start(desk):
    desk.begin()
    desk.state.records.sinks.journal.close()
    tell(desk, cell_of("kernel-k1", "print(1)"))
    assert len(told(desk)) == 1
    with pytest.raises(AuditAway, match=r"audit.jsonl can't be written"):
        desk.begin("k2")
