"""Use and history through control: one's own, everybody's for admins."""

import pytest

from jupyter_guardrails.control import usage
from jupyter_guardrails.control.interface.usage import KernelHistory, Usage
from jupyter_guardrails.errors import BadRequest, NotFound


def test_a_person_sees_their_own_and_an_admin_everybodys(desk_for):
    ana = desk_for("ana")
    admission = ana.begin("k1", notebook="a.ipynb")
    ana.later(seconds=10)
    ana.beat(admission, cpu_s=3.0)
    ana.close()
    ben = desk_for("ben")
    assert ben.ask(Usage())["people"] == []
    with pytest.raises(NotFound, match="nothing is known"):
        ben.ask(KernelHistory(kernel_id="kernel-k1"))
    ben.close()
    carol = desk_for("carol")
    answer = carol.ask(Usage(by="notebook", since_s=7 * 86400))
    assert [(row["person"], row["key"], row["kernels"]) for row in answer["rows"]] == [("ana", "a.ipynb", 1)]
    assert answer["people"][0]["person"] == "ana"
    (sample,) = carol.ask(KernelHistory(kernel_id="kernel-k1"))["samples"]
    assert (sample["every_s"], sample["cpu_percent"], sample["memory_bytes"]) == (10, 30.0, 1 << 30)


def test_a_history_outlives_its_kernel_and_goes_after_a_week(desk):
    admission = desk.begin("k1")
    desk.later(seconds=10)
    desk.beat(admission, cpu_s=3.0)
    desk.settle(admission)
    desk.run(usage.tidy(desk.state))
    assert len(desk.ask(KernelHistory(kernel_id="kernel-k1"))["samples"]) == 1
    desk.later(days=8)
    desk.run(usage.tidy(desk.state))
    with pytest.raises(NotFound):
        desk.ask(KernelHistory(kernel_id="kernel-k1"))


def test_old_leases_become_sums_that_are_still_told(desk):
    desk.settle(desk.begin("k1"))
    desk.later(days=100)
    desk.run(usage.tidy(desk.state))
    assert desk.state.records.read_sync(lambda c: c.exec_driver_sql("select count(*) from leases").scalar()) == 0
    (row,) = desk.ask(Usage(by="profile", since_s=365 * 86400))["rows"]
    assert (row["key"], row["kernels"]) == ("small", 1)


@pytest.mark.parametrize("args", [{"since_s": 1}, {"since_s": 10**12}, {"by": "colour"}, {"surprise": 1}])
def test_what_can_not_be_asked_for_is_refused(desk, args):
    frame = {"v": 1, "op": "usage", "args": args, "token": desk.state.token}
    with pytest.raises(BadRequest, match="usage:"):
        desk.run(desk.service.answer(frame, []))
