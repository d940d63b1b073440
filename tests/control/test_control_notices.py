"""Limits that come near: each step at its time, once, with rule and next step; called off when there is room again; in records and answers."""

from datetime import timedelta

import pytest
from resting import resting_pid

from jupyter_guardrails.control.interface.messages import Audit, Beat, Budget, KernelBeat, Kernels
from jupyter_guardrails.control.interface.notices import KernelKeep, KernelStopping
from jupyter_guardrails.errors import Conflict, LimitReached, NotFound

HOUR = 3600.0


def beat(desk, admission, *, cpu_s=0.0, idle_s=0.0, memory_bytes=0):
    use = Beat(lease=admission.lease, cpu_s=cpu_s, memory_bytes=memory_bytes, memory_peak_bytes=memory_bytes, idle_s=idle_s)
    return desk.ask(KernelBeat(beats=[use]))


def heard(answer):
    return [(item["cause"], item["phase"]) for item in answer["notices"]]


def shown(desk):
    return desk.ask(Kernels())["kernels"][0]["notices"]


def rewrite(desk, *pairs):
    text = desk.world.policy.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    desk.world.policy.write_text(text)


def records(desk, action):
    return [record for record in desk.ask(Audit(limit=1000))["records"] if record["action"] == action]


def beats_until(desk, admission, span, *, every_s=50, **use):
    """Time goes on with beats; the last answer."""
    left = span
    while left > timedelta():
        desk.later(seconds=min(every_s, left.total_seconds()))
        left -= timedelta(seconds=every_s)
        answer = beat(desk, admission, **use)
    return answer


def test_a_budget_warns_with_the_time_left_then_counts_down_interrupts_and_ends(desk):
    admission = desk.begin("a")
    beat(desk, admission)
    desk.later(seconds=50)
    assert heard(beat(desk, admission, cpu_s=1.0 * HOUR)) == []
    desk.later(seconds=50)
    answer = beat(desk, admission, cpu_s=1.7 * HOUR)
    assert heard(answer) == [("budget", "warned")]
    (told,) = answer["notices"]
    assert "85%" in told["text"]
    assert "1.7 of 2 cpu-hours" in told["text"]
    assert "at the present rate the rest lasts" in told["text"]
    assert told["rule"] == "guardrails.yaml:17 analysts-large"
    desk.later(seconds=50)
    reached = beat(desk, admission, cpu_s=2.0 * HOUR)
    assert heard(reached) == [("budget", "noticed")]
    assert "in 15 min, at 12:17:30 UTC" in reached["notices"][0]["text"]
    assert "2 min later" in reached["notices"][0]["text"]
    with pytest.raises(LimitReached):
        desk.admit("next")
    (notice,) = shown(desk)
    assert (notice["kind"], notice["phase"], notice["seconds_left"], notice["can"], notice["would"]) == (
        "budget",
        "noticed",
        900.0,
        ["stop", "more"],
        False,
    )
    assert notice["share"] == pytest.approx(1.0)
    assert heard(beats_until(desk, admission, timedelta(seconds=899), cpu_s=2.0 * HOUR)) == [("budget", "noticed")]
    desk.later(seconds=1)
    interrupted = beat(desk, admission, cpu_s=2.0 * HOUR)
    assert heard(interrupted) == [("budget", "interrupted")]
    assert "Your variables are still there" in interrupted["notices"][0]["text"]
    assert interrupted["again_s"] == 10.0
    assert shown(desk)[0]["seconds_left"] == 120.0
    ended = beats_until(desk, admission, timedelta(seconds=120), cpu_s=2.0 * HOUR)
    assert heard(ended) == [("budget", "ended")]
    assert ended["notices"][0]["text"].startswith("this kernel was ended: your budget is used up: 2 of 2 cpu-hours")
    desk.settle(admission, reason=ended["notices"][0]["text"])
    (gone,) = desk.ask(Kernels())["ended"]
    assert (gone["cause"], gone["rule"]) == ("budget", "guardrails.yaml:17 analysts-large")
    assert [
        (r["action"], r["allowed"])
        for r in desk.ask(Audit(limit=1000))["records"]
        if r["action"] in ("kernel.notice", "kernel.interrupt", "kernel.overdue")
    ] == [
        ("kernel.notice", True),
        ("kernel.notice", True),
        ("kernel.interrupt", False),
        ("kernel.overdue", False),
    ]


def test_a_notice_is_written_once_and_not_at_each_beat(desk):
    admission = desk.begin("a")
    first = beat(desk, admission, cpu_s=2.0 * HOUR)
    again = beats_until(desk, admission, timedelta(seconds=300), cpu_s=2.0 * HOUR)
    assert first["notices"][0]["since"] == again["notices"][0]["since"]
    assert len(records(desk, "kernel.notice")) == 1


def test_a_use_that_goes_up_and_down_around_the_warning_is_told_once(desk):
    admission = desk.begin("a")
    beat(desk, admission, cpu_s=1.61 * HOUR)
    rewrite(desk, ("cpu_hours: 2,", "cpu_hours: 2.1,"))  # 77 %
    assert heard(beat(desk, admission, cpu_s=1.61 * HOUR)) == [("budget", "warned")]
    rewrite(desk, ("cpu_hours: 2.1,", "cpu_hours: 4,"))  # 40 %
    assert heard(beat(desk, admission, cpu_s=1.61 * HOUR)) == []
    assert len(records(desk, "kernel.notice")) == 1


@pytest.mark.parametrize("after_s", [60, 900])
def test_an_ending_is_called_off_and_said_so_when_the_budget_has_room_again(desk, after_s):
    """Before the interrupt, and after it."""
    admission = desk.begin("a")
    beat(desk, admission, cpu_s=2.0 * HOUR)
    beats_until(desk, admission, timedelta(seconds=after_s), cpu_s=2.0 * HOUR)
    rewrite(desk, ("cpu_hours: 2,", "cpu_hours: 20,"))
    off = beat(desk, admission, cpu_s=2.0 * HOUR)
    assert heard(off) == [("budget", "off")]
    assert off["notices"][0]["text"] == "your budget has room again: 2 of 20 cpu-hours"
    assert shown(desk)[0]["can"] == []
    assert heard(beats_until(desk, admission, timedelta(seconds=601), cpu_s=2.0 * HOUR)) == []
    assert desk.admit("next").lease


def test_a_budget_that_the_policy_no_longer_has_ends_nothing(desk):
    admission = desk.begin("a")
    beat(desk, admission, cpu_s=2.0 * HOUR)
    rewrite(desk, ("    budget: {cpu_hours: 2, memory_gib_hours: 8, per: 7d}\n", ""))
    assert heard(beat(desk, admission, cpu_s=2.0 * HOUR)) == [("budget", "off")]


def test_the_window_moves_on_and_the_ending_is_called_off(desk):
    first = desk.begin("a")
    beat(desk, first, cpu_s=1.9 * HOUR)
    desk.settle(first)
    desk.later(days=7, minutes=50)
    second = desk.begin("b")
    assert heard(beat(desk, second, cpu_s=0.2 * HOUR)) == [("budget", "noticed")]
    desk.later(minutes=11)
    assert heard(beat(desk, second, cpu_s=0.2 * HOUR)) == [("budget", "off")]


def test_a_grace_that_the_policy_sets_is_the_countdown_and_bounds_the_second_one(desk):
    rewrite(desk, ("per: 7d}", "per: 7d, grace: 40s, warn_at: 50%}"))
    admission = desk.begin("a")
    assert heard(beat(desk, admission, cpu_s=1.1 * HOUR)) == [("budget", "warned")]
    reached = beat(desk, admission, cpu_s=2.0 * HOUR)
    assert "in 40 s, at 12:00:40 UTC, and this kernel ends 40 s later" in reached["notices"][0]["text"]
    assert "40 s" in desk.ask(Budget())["at_limit"]


def test_a_terminal_is_told_and_stays(desk):
    admission = desk.begin("t", kind="terminal")
    reached = beat(desk, admission, cpu_s=2.0 * HOUR)
    assert heard(reached) == [("budget", "noticed")]
    assert "this terminal stays" in reached["notices"][0]["text"]
    assert shown(desk)[0]["ends_at"] is None
    assert heard(beats_until(desk, admission, timedelta(hours=1), cpu_s=2.0 * HOUR)) == [("budget", "noticed")]


@pytest.mark.parametrize(("mode", "says"), [("observe", False), ("warn", True)])
def test_where_the_policy_does_not_enforce_nothing_is_ended_and_all_is_recorded(desk, mode, says):
    rewrite(desk, ("mode: enforce", f"mode: {mode}"), ("cpus: 1, idle: 2h}", "cpus: 1, idle: 2h, lifetime: 3h}"))
    admission = desk.begin("a")
    answer = beat(desk, admission, cpu_s=2.0 * HOUR)
    assert (heard(answer), answer["notices"][0]["say"]) == ([("budget", "noticed")], says)
    assert answer["notices"][0]["text"].startswith("not enforced, only said: this kernel would be ended: your budget is used up")
    (notice,) = shown(desk)
    assert (notice["would"], notice["ends_at"], notice["seconds_left"]) == (True, None, None)
    answer = beats_until(desk, admission, timedelta(hours=4), cpu_s=2.0 * HOUR, idle_s=4 * HOUR)
    assert heard(answer) == [("budget", "noticed"), ("idle", "noticed"), ("lifetime", "noticed")]
    assert {(r["allowed"], r["mode"]) for r in records(desk, "kernel.notice") if "would" in r["reason"]} == {(False, mode)}


def test_a_policy_that_begins_to_enforce_gives_the_whole_grace(desk):
    rewrite(desk, ("mode: enforce", "mode: warn"))
    admission = desk.begin("a")
    beat(desk, admission, cpu_s=2.0 * HOUR)
    beats_until(desk, admission, timedelta(hours=1), cpu_s=2.0 * HOUR)
    rewrite(desk, ("mode: warn", "mode: enforce"))
    assert heard(beat(desk, admission, cpu_s=2.0 * HOUR)) == [("budget", "noticed")]
    assert shown(desk)[0]["seconds_left"] == 900.0


def test_idle_time_warns_counts_down_and_ends_without_an_interrupt(desk):
    admission = desk.begin("a")
    desk.later(hours=2)
    beat(desk, admission, idle_s=1.5 * HOUR)
    warned = beat(desk, admission, idle_s=1.7 * HOUR)
    assert (heard(warned), warned["notices"][0]["say"]) == ([("idle", "warned")], False)
    assert shown(desk)[0]["seconds_left"] == pytest.approx(0.3 * HOUR)
    noticed = beat(desk, admission, idle_s=2.0 * HOUR)
    assert (heard(noticed), noticed["notices"][0]["say"]) == ([("idle", "noticed")], True)
    assert "was not used for 2 h" in noticed["notices"][0]["text"]
    assert "It ends in 5 min" in noticed["notices"][0]["text"]
    assert shown(desk)[0]["can"] == ["keep", "stop", "more"]
    ended = beats_until(desk, admission, timedelta(minutes=5), idle_s=2.1 * HOUR)
    assert heard(ended) == [("idle", "ended")]


def test_a_short_idle_time_has_a_short_countdown(desk):
    rewrite(desk, ("idle: 2h", "idle: 50s"))
    admission = desk.begin("a")
    desk.later(seconds=50)
    answer = beat(desk, admission, idle_s=50.0)
    assert (heard(answer), shown(desk)[0]["seconds_left"], answer["again_s"]) == ([("idle", "noticed")], 5.0, 5.0)
    desk.later(seconds=5)
    assert heard(beat(desk, admission, idle_s=55.0)) == [("idle", "ended")]


def test_use_takes_the_notice_back_without_a_word(desk):
    admission = desk.begin("a")
    desk.later(hours=2)
    assert heard(beat(desk, admission, idle_s=2.0 * HOUR)) == [("idle", "noticed")]
    assert heard(beat(desk, admission, idle_s=0.0)) == []


def test_keep_counts_as_use_and_is_recorded(desk):
    admission = desk.begin("a")
    desk.later(hours=2)
    assert heard(beat(desk, admission, idle_s=2.0 * HOUR)) == [("idle", "noticed")]
    assert desk.ask(KernelKeep(kernel="kernel-a")) == {"kernel": "kernel-a", "idle_limit_s": 7200}
    assert shown(desk) == []
    assert heard(beats_until(desk, admission, timedelta(hours=1), idle_s=3.0 * HOUR)) == [], "also when its server doesn't know of it"
    assert heard(beats_until(desk, admission, timedelta(hours=1), idle_s=4.0 * HOUR)) == [("idle", "noticed")]
    (kept,) = records(desk, "kernel.keep")
    assert (kept["kernel"], kept["principal"]) == ("kernel-a", "ana")


def test_keep_where_it_is_something_else_that_ends_it_says_what_to_do(desk):
    admission = desk.begin("a")
    beat(desk, admission, cpu_s=2.0 * HOUR)
    with pytest.raises(Conflict, match="changes nothing") as refusal:
        desk.ask(KernelKeep(kernel="kernel-a"))
    assert "ask for more" in refusal.value.next_step
    with pytest.raises(NotFound):
        desk.ask(KernelKeep(kernel="kernel-of-nobody"))


def test_a_life_time_warns_interrupts_and_ends_and_a_restart_begins_it_again(desk):
    rewrite(desk, ("idle: 2h", "lifetime: 10m, idle: off"))
    admission = desk.begin("a")
    assert heard(beats_until(desk, admission, timedelta(minutes=8))) == [("lifetime", "warned")]
    assert shown(desk)[0]["seconds_left"] == 120.0
    noticed = beats_until(desk, admission, timedelta(minutes=2))
    assert heard(noticed) == [("lifetime", "noticed")]
    assert "its profile lets it run for 10 min" in noticed["notices"][0]["text"]
    assert (shown(desk)[0]["seconds_left"], shown(desk)[0]["can"]) == (60.0, ["stop", "more"])
    assert heard(beats_until(desk, admission, timedelta(minutes=1))) == [("lifetime", "interrupted")]
    again = desk.begin("a", pid=resting_pid(1))
    assert again.lease == admission.lease
    assert heard(beat(desk, again)) == []
    assert heard(beats_until(desk, again, timedelta(minutes=10))) == [("lifetime", "noticed")]
    assert heard(beats_until(desk, again, timedelta(minutes=1))) == [("lifetime", "interrupted")]
    assert heard(beats_until(desk, again, timedelta(minutes=1))) == [("lifetime", "ended")]


def test_where_control_was_away_the_interrupt_still_leaves_its_time(desk):
    admission = desk.begin("a")
    beat(desk, admission, cpu_s=2.0 * HOUR)
    desk.later(hours=3)
    assert heard(beat(desk, admission, cpu_s=2.0 * HOUR)) == [("budget", "interrupted")]
    assert shown(desk)[0]["seconds_left"] == 120.0


def test_the_state_survives_a_control_that_is_started_again(desk_for, world):
    first = desk_for("ana")
    admission = first.begin("a")
    beat(first, admission, cpu_s=2.0 * HOUR)
    since = shown(first)[0]["since"]
    later = desk_for("ana")
    later.now = first.now + timedelta(seconds=60)
    assert shown(later)[0] | {"since": since, "seconds_left": 840.0} == shown(later)[0]


def test_a_policy_with_a_mistake_and_nothing_valid_before_ends_nothing(desk):
    admission = desk.begin("a")
    beat(desk, admission, cpu_s=2.0 * HOUR)
    beats_until(desk, admission, timedelta(seconds=900), cpu_s=2.0 * HOUR)
    desk.state.policies._now = type(desk.state.policies._now)()
    assert beat(desk, admission, cpu_s=2.0 * HOUR) == {"end": []}
    assert desk.ask(Kernels())["kernels"][0]["notices"] == []


def test_who_is_about_to_stop_it_is_recorded(desk):
    desk.begin("a", notebook="n.ipynb")
    assert desk.ask(KernelStopping(kernel="kernel-a")) == {"kernel": "kernel-a", "kind": "kernel", "notebook": "n.ipynb"}
    (stopped,) = records(desk, "kernel.stop")
    assert (stopped["reason"], stopped["notebook"]) == ("stopped by its person", "n.ipynb")


def test_control_asks_to_hear_again_in_time_for_the_next_step(desk):
    rewrite(desk, ("idle: 2h", "idle: 10s"))
    admission = desk.begin("a")
    assert beat(desk, admission)["again_s"] == 8.0
    desk.later(seconds=8)
    assert beat(desk, admission, idle_s=8.0)["again_s"] == 2.0
