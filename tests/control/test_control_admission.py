"""Admission: who gets which kernel, when not, by which rule, and what is left of it in the records."""

import io
import json
import os
import socket

import pytest
from resting import resting_pid

from jupyter_guardrails.control import lifetimes, profiles, starting
from jupyter_guardrails.control.interface.messages import (
    Audit,
    Beat,
    Budget,
    KernelAdmit,
    KernelBeat,
    Kernels,
    KernelSettle,
    KernelStarted,
    Me,
    ProfileSet,
)
from jupyter_guardrails.control.interface.notebooks import NotebookMoved
from jupyter_guardrails.control.policies import PolicyHolder
from jupyter_guardrails.control.state import Worker
from jupyter_guardrails.errors import BadRequest, Conflict, HostCannotEnforce, LimitReached, NotFound, PolicyError, Refused
from jupyter_guardrails.policy import Profile
from jupyter_guardrails.records import audit, budgets, leases, marks
from tests.control.conftest import POLICY, Desk


def actions(desk):
    return [(item["action"], item["resource"], item["allowed"]) for item in desk.ask(Audit())["records"]]


def last(desk):
    return desk.ask(Audit())["records"][-1]


def report(**held):
    items = [{"name": name, "held": value, "how": f"how {name}", "next_step": f"fix {name}"} for name, value in held.items()]
    return {"guarantees": items, "layers": {}}


def test_an_admission_is_everything_that_a_sandbox_is_made_from(desk):
    found = desk.admit()
    assert (found.principal, found.profile, found.rule, found.mode) == ("ana", "small", "guardrails.yaml:12 everyone-small", "enforce")
    assert (found.memory_bytes, found.cpus, found.idle_s) == (2 << 30, 1.0, 7200)
    assert (found.read_paths, found.write_paths) == (["/opt/shared"], ["/scratch/ana"])
    assert (found.env_pass, found.env_set) == (["LANG"], {"HTTPS_CA": "/etc/ssl/company.pem"})
    assert (found.network_allow, found.require) == (["packages.example.com:443"], ["files", "network"])
    assert {"/dev/null", "/dev/urandom", "/dev/ptmx", "/dev/pts"} <= set(found.devices)
    assert found.policy_digest == desk.state.policy_digest


def test_a_profile_that_is_ones_own_is_given_and_another_is_refused(desk_for):
    assert desk_for("ana").admit(profile="large").memory_bytes == 8 << 30


def test_a_profile_that_is_not_ones_own_is_refused_with_the_way_on(desk_for):
    desk = desk_for("ben")
    with pytest.raises(Refused, match="profile large is not one of ben's") as refusal:
        desk.admit(profile="large")
    assert "choose one of: small" in refusal.value.next_step
    assert actions(desk) == [("kernel.start", "large", False)]
    assert desk.admit(profile="small").profile == "small"


def test_the_chosen_profile_is_taken_at_the_next_start(desk):
    desk.ask(ProfileSet(profile="large", notebook="big.ipynb"))
    assert desk.admit("a", notebook="big.ipynb").profile == "large"
    assert desk.admit("b", notebook="other.ipynb").profile == "small"


def test_a_restart_keeps_its_lease_and_takes_the_choice(desk):
    first = desk.begin("a", notebook="n.ipynb")
    desk.ask(ProfileSet(profile="large"))
    again = desk.begin("a", notebook="n.ipynb")
    assert (again.lease, again.profile) == (first.lease, "large")
    assert len(desk.ask(Kernels())["kernels"]) == 1


def test_a_choice_that_the_policy_no_longer_has_is_passed_over(desk):
    desk.ask(ProfileSet(profile="large"))
    text = desk.world.policy.read_text()
    desk.world.policy.write_text(text.replace("kernels: {profiles: [large]}\n    ", ""))
    assert desk.admit().profile == "small"


def test_a_choice_for_one_notebook_holds_against_that_for_all_until_it_is_forgotten_and_is_told(desk):
    desk.ask(ProfileSet(profile="small", notebook="n.ipynb"))
    desk.ask(ProfileSet(profile="large"))
    assert [desk.admit("a", notebook="n.ipynb").profile, desk.admit("b", notebook="m.ipynb").profile] == ["small", "large"]
    assert desk.ask(Me(notebook="n.ipynb"))["own"] == {"notebook": "n.ipynb", "profile": "small"}
    assert [desk.ask(Me(notebook="m.ipynb"))["own"], desk.ask(Me())["own"]] == [None, None]
    assert desk.ask(ProfileSet(profile=None, notebook="n.ipynb")) == {"profile": "large", "notebook": "n.ipynb"}
    assert desk.ask(Me(notebook="n.ipynb"))["own"] is None
    assert desk.admit("a", notebook="n.ipynb").profile == "large"
    assert desk.ask(ProfileSet(profile=None))["profile"] == "small"


@pytest.mark.parametrize(
    ("old", "new", "places"),
    [
        ("work/n.ipynb", "work/final.ipynb", ["work/final.ipynb", "work/sub/m.ipynb", "workshop/n.ipynb"]),
        ("work", "done", ["done/n.ipynb", "done/sub/m.ipynb", "workshop/n.ipynb"]),
        ("work/n.ipynb", "work/sub/m.ipynb", ["work/sub/m.ipynb", "workshop/n.ipynb"]),
        ("other.ipynb", "elsewhere.ipynb", ["work/n.ipynb", "work/sub/m.ipynb", "workshop/n.ipynb"]),
    ],
    ids=["notebook", "folder", "over another", "nothing chosen"],
)
def test_a_choice_goes_with_its_notebook(desk, old, new, places):
    for notebook in ("work/n.ipynb", "work/sub/m.ipynb", "workshop/n.ipynb"):
        desk.ask(ProfileSet(profile="large", notebook=notebook))
    moved = desk.ask(NotebookMoved(old=old, new=new))["moved"]
    possible = {*places, "work/n.ipynb", "work/sub/m.ipynb", old, new}
    assert sorted(place for place in possible if desk.ask(Me(notebook=place))["own"]) == places
    told = [row for row in desk.ask(Audit())["records"] if "moved" in row["reason"]]
    assert [(row["action"], row["resource"], row["notebook"]) for row in told] == [("profile.set", "large", one["notebook"]) for one in moved]


def test_no_notebook_moves_to_where_choices_for_all_are_kept(desk):
    desk.ask(ProfileSet(profile="large", notebook="n.ipynb"))
    with pytest.raises(BadRequest, match="new"):
        desk.ask(NotebookMoved.model_construct(old="n.ipynb", new=""))
    assert (desk.admit("a", notebook="n.ipynb").profile, desk.admit("b", notebook="m.ipynb").profile) == ("large", "small")


def test_a_choice_for_one_notebook_that_may_no_longer_be_used_gives_way_to_that_for_all(desk):
    desk.world.policy.write_text(desk.world.policy.read_text().replace("profiles: [large]", "profiles: [large, shell]"))
    desk.ask(ProfileSet(profile="shell", notebook="n.ipynb"))
    desk.ask(ProfileSet(profile="large"))
    assert desk.admit("a", notebook="n.ipynb").profile == "shell"
    desk.world.policy.write_text(desk.world.policy.read_text().replace("profiles: [large, shell]", "profiles: [large]"))
    assert desk.admit("a", notebook="n.ipynb").profile == "large"
    assert desk.ask(Me(notebook="n.ipynb"))["own"] is None


def test_a_profile_can_only_be_chosen_where_it_may_be_used(desk_for):
    desk = desk_for("ben")
    with pytest.raises(Refused):
        desk.ask(ProfileSet(profile="large"))
    assert desk.ask(ProfileSet(profile="small")) == {"profile": "small", "notebook": None}


def test_terminals_get_their_own_profile_and_count_for_nothing(desk):
    assert [desk.admit(f"t{n}", kind="terminal").profile for n in range(3)] == ["shell"] * 3
    desk.admit("a")
    desk.admit("b")
    assert desk.admit("t4", kind="terminal").profile == "shell"


def test_no_more_kernels_than_the_policy_says(desk):
    first = desk.begin("a")
    desk.admit("b")
    with pytest.raises(LimitReached, match="2 kernels are running or starting") as refusal:
        desk.admit("c")
    assert refusal.value.rule == "guardrails.yaml:12 everyone-small"
    assert last(desk)["reason"] == refusal.value.message
    desk.settle(first)
    assert desk.admit("c").lease


def test_where_the_policy_observes_a_limit_is_recorded_and_not_held(desk):
    desk.world.policy.write_text(desk.world.policy.read_text().replace("mode: enforce", "mode: observe"))
    assert len({desk.admit(key).lease for key in "abc"}) == 3
    assert (last(desk)["allowed"], last(desk)["reason"][:13]) == (False, "not enforced:")
    assert desk.admit("d", profile="shell").profile == "shell"
    assert ("kernel.start", "shell", False) in actions(desk)


def use_up(desk, *, cpu_s=0.0, memory_bytes=0, span_s=0):
    admission = desk.begin("burner")
    desk.beat(admission, cpu_s=0.0, memory_bytes=memory_bytes)
    for _ in range(span_s // 60):
        desk.later(seconds=60)
        desk.beat(admission, cpu_s=0.0, memory_bytes=memory_bytes)
    desk.beat(admission, cpu_s=cpu_s, memory_bytes=memory_bytes)
    return admission


def test_a_used_up_budget_starts_no_kernel_and_says_when_it_frees(desk):
    running = use_up(desk, cpu_s=2 * 3600)
    with pytest.raises(LimitReached, match=r"2\.0 of 2 cpu-hours") as refusal:
        desk.admit("next")
    assert refusal.value.rule == "guardrails.yaml:17 analysts-large"
    assert "2025-03-08 13:00 UTC" in refusal.value.next_step
    assert desk.admit("t", kind="terminal").lease, "one can still save one's work"
    assert desk.admit("burner").lease == running.lease, "and restart what runs"


def test_at_the_time_that_was_named_a_kernel_starts_again(desk):
    desk.settle(use_up(desk, cpu_s=2 * 3600))
    desk.later(days=7)
    with pytest.raises(LimitReached):
        desk.admit("early")
    desk.later(hours=1)
    assert desk.admit("on time").lease


def test_memory_over_time_is_a_budget_too(desk):
    use_up(desk, memory_bytes=16 << 30, span_s=1800)
    with pytest.raises(LimitReached, match=r"8\.0 of 8 memory GiB-hours"):
        desk.admit("next")
    answer = desk.ask(Budget())
    assert answer["memory_gib_hours"] == {"used": pytest.approx(8.0), "reserved": pytest.approx(2 / 12), "limit": 8.0}


def test_a_start_needs_room_for_five_minutes_of_its_profile(desk):
    """One processor: 300 s for the burner itself, 300 s for the next one."""
    use_up(desk, cpu_s=2 * 3600 - 599)
    with pytest.raises(LimitReached, match=r"no room for a start with profile small: 1\.8 of 2 cpu-hours used, 0\.083 promised .* needs 0\.083"):
        desk.admit("next")


def test_with_that_room_kernels_start(desk):
    use_up(desk, cpu_s=2 * 3600 - 600)
    assert desk.admit("next").lease
    with pytest.raises(LimitReached):
        desk.admit("one more")


def test_what_is_promised_to_a_kernel_is_free_when_it_ends(desk):
    running = use_up(desk, cpu_s=2 * 3600 - 400)
    with pytest.raises(LimitReached) as refusal:
        desk.admit("next")
    assert refusal.value.next_step.startswith("shut down a kernel or terminal that runs")
    desk.settle(running)
    assert desk.admit("next").lease


def test_the_time_left_follows_the_present_rate(desk):
    admission = desk.begin()
    desk.beat(admission, cpu_s=0.0, memory_bytes=0)
    desk.later(seconds=10)
    desk.beat(admission, cpu_s=10.0, memory_bytes=0)
    answer = desk.ask(Budget())
    assert answer["time_left_s"] == pytest.approx(2 * 3600 - 10)
    assert answer["cpu_hours"] == {"used": pytest.approx(10 / 3600), "reserved": pytest.approx(1 / 12), "limit": 2.0}
    assert answer["rule"] == "guardrails.yaml:17 analysts-large"


def test_without_a_budget_nothing_runs_out(desk_for):
    desk = desk_for("ben")
    use_up(desk, cpu_s=100 * 3600)
    assert desk.admit("next").lease
    assert desk.ask(Budget())["per_s"] is None


def test_a_kernel_is_live_once_its_report_holds_what_is_required(desk):
    admission = desk.begin(notebook="n.ipynb")
    kernel = desk.ask(Kernels())["kernels"][0]
    assert (kernel["id"], kernel["state"], kernel["enforced"], kernel["notebook"]) == ("kernel-k1", "active", ["files", "network"], "n.ipynb")
    assert desk.state.kernels[admission.lease].admission == admission
    assert (last(desk)["action"], last(desk)["allowed"], last(desk)["kernel"]) == ("kernel.start", True, "kernel-k1")


@pytest.mark.parametrize("found", [report(files=True, network=False), report(files=True), {"guarantees": "all"}, {}])
def test_without_a_required_guarantee_there_is_no_kernel_and_no_lease(desk, found):
    admission = desk.admit()
    with pytest.raises(HostCannotEnforce, match="network"):
        desk.ask(KernelStarted(lease=admission.lease, pid=resting_pid(), report=found))
    assert desk.ask(Kernels())["kernels"] == []
    assert desk.state.kernels == {}
    assert ("kernel.start", "small", False) in actions(desk)
    with pytest.raises(Conflict):
        desk.admit()


def test_what_the_policy_does_not_require_may_be_missing(desk):
    desk.begin(report=report(files=True, network=True, memory=False))
    assert desk.ask(Kernels())["kernels"][0]["enforced"] == ["files", "network"]


def test_listeners_that_were_named_must_come(desk):
    admission = desk.admit()
    with pytest.raises(BadRequest, match="1 listeners were named and 0 came"):
        desk.ask(KernelStarted(lease=admission.lease, pid=resting_pid(), report=report(files=True, network=True), listeners=["channel"]))


def test_nothing_answers_a_kernel_before_its_start_is_recorded(desk, monkeypatch):
    """With the record come the marks of the data that it was given: its program, which runs already, may ask for them at once."""
    admission, seen = desk.admit(), []

    async def serve(state, live, fd):
        os.close(fd)
        seen.append(state.records.read_sync(leases.get, live.lease, "ana")["state"])
        return io.BytesIO()

    monkeypatch.setitem(starting.SERVE, "channel", serve)
    with socket.socket(socket.AF_UNIX) as listener:
        said = {"lease": admission.lease, "pid": resting_pid(), "report": report(files=True, network=True), "listeners": ["channel"]}
        desk.ask(KernelStarted(**said), fds=[os.dup(listener.fileno())])
    assert seen == ["active"]


def test_a_kernel_that_ended_is_charged_and_audited(desk):
    admission = desk.begin()
    desk.beat(admission, cpu_s=3.0)
    desk.later(seconds=10)
    desk.settle(admission, "shut down", cpu_s=5.0, memory_peak_bytes=3 << 30)
    desk.settle(admission, "again", cpu_s=50.0)
    row = desk.state.records.read_sync(leases.get, admission.lease, "ana")
    assert (row["state"], row["cpu_s"], row["memory_gib_s"], row["memory_peak_bytes"]) == ("settled", 5.0, 10.0, 3 << 30)
    assert [item for item in actions(desk) if item[0] == "kernel.end"] == [("kernel.end", "small", True)]
    assert last(desk)["reason"] == "shut down"
    assert desk.state.kernels == {}


def test_a_start_that_failed_leaves_no_lease(desk):
    admission = desk.admit("a")
    desk.settle(admission, "did not start: no such interpreter")
    assert desk.ask(Kernels())["kernels"] == []
    desk.admit("b")
    assert desk.admit("c").lease


def test_silence_ends_a_lease_and_the_next_beat_is_told(desk):
    admission = desk.begin()
    desk.beat(admission, cpu_s=3.0)
    desk.later(seconds=61)
    desk.run(lifetimes.sweep(desk.state))
    assert [item["lease"] for item in desk.beat(admission, cpu_s=4.0)["end"]] == [admission.lease]
    assert (last(desk)["action"], last(desk)["reason"]) == ("kernel.end", "expired: no beats from its server")
    assert desk.state.kernels == {}
    spent = desk.state.records.read_sync(budgets.spent, "ana", now=desk.now, per_s=3600)
    assert spent.cpu_hours * 3600 == pytest.approx(3.0)


def test_beats_keep_a_lease(desk):
    admission = desk.begin()
    for number in range(5):
        desk.later(seconds=50)
        assert desk.beat(admission, cpu_s=float(number))["end"] == []
        desk.run(lifetimes.sweep(desk.state))
    assert desk.ask(Kernels())["kernels"][0]["cpu_s"] == 4.0


@pytest.mark.parametrize("field", ["cpu_s", "memory_bytes", "memory_peak_bytes", "idle_s"])
def test_numbers_that_can_not_be_are_refused(desk, field):
    admission = desk.begin()
    numbers = {"cpu_s": 1.0, "memory_bytes": 1, "memory_peak_bytes": 1, "idle_s": 0.0}
    with pytest.raises(BadRequest, match="can't be"):
        desk.ask(KernelBeat(beats=[Beat(lease=admission.lease, **numbers | {field: -1})]))
    assert desk.ask(KernelBeat(beats=[Beat(lease=admission.lease, **numbers)]))["end"] == []


def test_somebody_elses_lease_can_not_be_ended(desk_for):
    desk = desk_for("ana")
    admission = desk.begin()
    desk.state.principal = "ben"
    with pytest.raises(NotFound):
        desk.ask(KernelSettle(lease=admission.lease, reason="mine now"))
    assert desk.beat(admission, cpu_s=1.0)["end"]
    desk.state.principal = "ana"
    assert len(desk.ask(Kernels())["kernels"]) == 1


def test_clean_runs_are_for_a_submissions_own_worker(desk):
    desk.state.worker_tokens["w"] = Worker("s1", "ana")
    asked = {"kind": "clean_run", "submission": "s1"}
    for wrong in (dict(asked), {"submission": "s1"}, {"token": "w"}, dict(asked, submission="s2", token="w")):
        with pytest.raises(Refused, match="can't be started from here"):
            desk.admit("wrong", **wrong)
    found = desk.admit("c", **asked, token="w")
    assert (found.profile, found.datasets) == ("large", {})
    desk.admit("a")
    assert desk.admit("b").lease, "a clean run counts towards no limit"


def test_a_worker_may_do_only_what_a_worker_does(desk):
    desk.state.worker_tokens["w"] = Worker("s1", "ana")
    with pytest.raises(Refused, match=r"a worker may not ask for profile\.set"):
        desk.ask(ProfileSet(profile="small"), token="w")
    with pytest.raises(Refused, match="not the one of this control"):
        desk.ask(ProfileSet(profile="small"), token="x")
    assert desk.ask(ProfileSet(profile="small"))["profile"] == "small"


def test_no_policy_no_kernel_and_the_place_of_the_mistake(desk):
    desk.world.policy.write_text("apiVersion: guardrails/v1\nmode: sometimes\n")
    desk.state.policies = PolicyHolder(desk.world.policy)
    with pytest.raises(PolicyError, match=r"guardrails\.yaml:2:7") as refusal:
        desk.admit()
    assert refusal.value.next_step
    assert desk.state.records.read_sync(leases.live, None) == []


def test_gpus_are_the_devices_that_a_profile_has(tmp_path):
    for name in ("nvidia0", "nvidia1", "nvidia10", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    profile = Profile("gpu", 1, 1.0, 1, 1, gpus=2)
    found = [path for path in profiles.devices(profile, dev=tmp_path) if path.startswith(str(tmp_path))]
    assert [path.rsplit("/", 1)[1] for path in found] == ["nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"]
    assert not any("nvidia" in path for path in profiles.devices(Profile("plain", 1, 1.0, 1, 1), dev=tmp_path))


def test_everything_that_happened_verifies(desk):
    for key in "abc":
        admission = desk.begin(key)
        desk.settle(admission)
    with pytest.raises(Refused):
        desk.admit("d", profile="none")
    assert desk.state.records.read_sync(audit.verify_table).ok


def test_unknown_fields_are_mistakes():
    with pytest.raises(ValueError, match="principal"):
        KernelAdmit(kernel_id="k", kernelspec="s", workspace="/w", key="k", principal="carol")


def test_a_kernel_that_asks_for_less_data_is_given_less_and_its_workspace_is_marked_with_no_more(world):
    desk = read_desk(world)
    assert set(desk.begin("all").datasets) == {"nyc/a", "nyc/b"}
    assert set(desk.begin("one", workspace="/fresh/one", datasets=["nyc/b", "hr/never"]).datasets) == {"nyc/b"}
    assert desk.begin("none", workspace="/fresh/none", datasets=[], kind="exec").datasets == {}
    assert marked(desk, "/fresh/one") == {"nyc/b"}
    assert marked(desk, "/fresh/none") == set()
    desk.close()


def marked(desk, place):
    return {row["dataset"] for row in desk.state.records.read_sync(marks.overlapping, [place])}


def read_desk(world):
    """A desk with two datasets that everyone reads."""
    (world.root / "state").mkdir(mode=0o700)
    world.policy.write_text(POLICY.replace("    kernels: {profiles: [small]", "    data: {read: ['nyc/*']}\n    kernels: {profiles: [small]", 1))
    for name in ("a", "b"):
        (world.root / f"{name}.csv").write_text("n\n1\n")
        contract = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": f"nyc/{name}", "name": name, "version": "1", "status": "active"}
        contract |= {"domain": "nyc", "description": {"purpose": "x"}, "team": {"name": "t", "members": [{"username": "dana", "role": "owner"}]}}
        contract |= {"servers": [{"server": "here", "type": "local", "path": str(world.root / f"{name}.csv"), "format": "csv"}]}
        contract["customProperties"] = [{"property": "guardrails.classification", "value": "internal"}]
        (world.settings.catalog_path / f"{name}.yaml").write_text(json.dumps(contract))
    return Desk(world, "ana")
