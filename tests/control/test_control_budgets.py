"""What a policy's budget means for starts: windows, groups that share, GPUs, policies that change, modes, and how it stands."""

import pytest
from sqlalchemy import select

from jupyter_guardrails.control import budgeting
from jupyter_guardrails.control.interface.messages import Audit, Budget, Kernels, Me
from jupyter_guardrails.errors import LimitReached
from jupyter_guardrails.records.tables import budgets

BUDGET = "budget: {cpu_hours: 2, memory_gib_hours: 8, per: 7d}"
ROOM_FOR_TWO = "cpu_hours: 0.17"  # 612 s: two starts of 300


def set_budget(desk, text):
    """The policy of the desk's world with another budget for ana."""
    written = desk.world.policy.read_text()
    line = next(line for line in written.splitlines() if line.strip().startswith("budget:"))
    desk.world.policy.write_text(written.replace(line, f"    budget: {{{text}}}"))


def stand(desk):
    desk.run(desk.state.refresh())
    return desk.run(budgeting.standing(desk.state, "ana"))


def test_a_standing_is_used_reserved_and_limit_in_hours(desk):
    admission = desk.begin()
    desk.beat(admission, cpu_s=3600.0, memory_bytes=0)
    found = stand(desk)
    assert [(amount.name, amount.used, amount.limit) for amount in found.amounts] == [("cpu_hours", 1.0, 2.0), ("memory_gib_hours", 0.0, 8.0)]
    assert [amount.reserved for amount in found.amounts] == [pytest.approx(1 / 12), pytest.approx(2 / 12)]
    assert (found.holder, found.share, found.per_s, found.frees_at, found.is_shared) == ("ana", 0.5, 7 * 86400, None, False)


def test_a_standing_that_is_over_says_when_use_is_below_again(desk):
    desk.beat(desk.begin(), cpu_s=7300.0, memory_bytes=0)
    assert stand(desk).share > 1
    assert f"{stand(desk).frees_at:%Y-%m-%d %H:%M}" == "2025-03-08 13:00"


def test_without_a_budget_there_is_no_standing(desk_for):
    desk = desk_for("ben")
    assert desk.run(budgeting.standing(desk.state, "ben")) is None


def test_a_calendar_month_is_a_window(desk):
    set_budget(desk, f"{ROOM_FOR_TWO}, per: month")
    desk.beat(desk.begin(), cpu_s=612.0, memory_bytes=0)
    with pytest.raises(LimitReached, match="the budget of the calendar month is used up") as refusal:
        desk.admit("next")
    assert "2025-04-01 00:00 UTC" in refusal.value.next_step
    answer = desk.ask(Budget())
    assert (answer["window"], answer["per_s"], answer["frees_at"]) == ("calendar month", None, "2025-04-01T00:00:00.000000Z")
    desk.later(days=31)
    assert desk.admit("next").lease


def test_people_of_the_rule_that_says_group_share_a_budget(desk):
    """The desk's rule is for ana alone; what ben used under it counts too, since the rule holds the budget."""
    set_budget(desk, f"{ROOM_FOR_TWO}, share: group")
    first = desk.admit("a")
    written = desk.world.policy.read_text()
    desk.world.policy.write_text(written.replace("for: {users: [ana]}", "for: {users: [ana, ben]}"))
    desk.run(desk.state.refresh())
    desk.state.principal = "ben"
    second = desk.admit("b")
    with pytest.raises(LimitReached, match="of everyone of analysts-large together has no room") as refusal:
        desk.admit("c")
    assert "shut down" in refusal.value.next_step
    assert desk.ask(Budget())["shared_by"] == "analysts-large"
    desk.state.principal = "ana"
    assert desk.ask(Budget())["cpu_hours"]["reserved"] == pytest.approx(600 / 3600)
    desk.settle(first)
    assert desk.admit("d").lease
    assert len({first.lease, second.lease}) == 2


def test_whose_a_shared_budget_is_shows_in_the_limits(desk):
    set_budget(desk, "gpu_hours: 3, per: month, share: group")
    limits = {item["key"]: item["value"] for item in desk.ask(Me())["limits"]}
    assert limits["budget"] == "3 GPU-hours in a calendar month (UTC), for everyone of analysts-large together"


def test_a_changed_amount_holds_at_the_next_start(desk):
    set_budget(desk, ROOM_FOR_TWO)
    desk.admit("a"), desk.admit("b", kind="exec")
    with pytest.raises(LimitReached):
        desk.admit("c", kind="exec")
    set_budget(desk, "cpu_hours: 0.26")
    assert desk.admit("c", kind="exec").lease
    set_budget(desk, "cpu_hours: 0.2")
    with pytest.raises(LimitReached):
        desk.admit("d", kind="exec")


def test_a_budget_that_becomes_a_groups_takes_reservations_along(desk):
    set_budget(desk, ROOM_FOR_TWO)
    running = desk.begin("a")
    set_budget(desk, f"{ROOM_FOR_TWO}, share: group")
    desk.beat(running, cpu_s=1.0)
    assert stand(desk).holder == "rule/analysts-large"
    assert desk.ask(Budget())["cpu_hours"]["reserved"] == pytest.approx(300 / 3600)
    set_budget(desk, ROOM_FOR_TWO)
    answer = desk.ask(Budget())
    desk.beat(running, cpu_s=2.0)
    assert answer["cpu_hours"]["used"] == pytest.approx(1 / 3600)
    assert desk.ask(Budget())["cpu_hours"]["reserved"] == pytest.approx(300 / 3600)


def test_where_the_policy_observes_a_start_beyond_the_budget_is_recorded_and_booked(desk):
    set_budget(desk, ROOM_FOR_TWO)
    desk.world.policy.write_text(desk.world.policy.read_text().replace("mode: enforce", "mode: observe"))
    for key in "abc":
        desk.admit(key, kind="exec")
    said = [record for record in desk.ask(Audit())["records"] if not record["allowed"]]
    assert [record["mode"] for record in said] == ["observe"]
    assert "not enforced: the budget of the last 7 d has no room" in said[0]["reason"]
    assert desk.ask(Budget())["cpu_hours"]["reserved"] == pytest.approx(900 / 3600)
    assert len(desk.ask(Kernels())["kernels"]) == 3


def test_a_terminal_is_never_refused_for_a_budget_and_reserves_all_the_same(desk):
    set_budget(desk, "cpu_hours: 0.1")
    desk.admit("a")
    with pytest.raises(LimitReached):
        desk.admit("b")
    assert desk.admit("t", kind="terminal").lease
    assert desk.ask(Budget())["cpu_hours"]["reserved"] == pytest.approx(600 / 3600)


def test_a_budget_below_five_minutes_of_a_profile_lets_one_start(desk):
    set_budget(desk, "cpu_hours: 0.01")
    running = desk.admit("a")
    with pytest.raises(LimitReached, match=r"0\.0 of 0\.01 cpu-hours used, 0\.01 promised to what runs; a start needs 0\.01"):
        desk.admit("b")
    desk.settle(running)
    assert desk.admit("b").lease


def test_a_failed_start_gives_back_what_was_reserved(desk):
    with pytest.raises(Exception, match="requires"):
        desk.begin("a", report={"guarantees": []})
    rows = desk.state.records.read_sync(lambda connection: connection.execute(select(budgets)).mappings().all())
    assert [row["reserved_cpu_s"] for row in rows] == [pytest.approx(0.0)]
    assert desk.begin("b").lease
