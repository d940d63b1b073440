"""More of a limit for a while: asked for, decided by somebody else, in force at once, ended by itself; every step recorded."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jupyter_guardrails.control.interface.messages import Audit, Beat, Budget, KernelBeat, KernelLimits, Kernels, Me, RequestsList
from jupyter_guardrails.control.interface.notices import MoreAsk, MoreDecide, MoreRevoke
from jupyter_guardrails.errors import BadRequest, Conflict, LimitReached, NotFound, Refused
from jupyter_guardrails.records import requests

HOUR = 3600.0


def ask(desk, resource="kernels.max", amount=5.0, *, hours=24, purpose="a workshop"):
    return desk.ask(MoreAsk(resource=resource, amount=amount, until=desk.now + timedelta(hours=hours), purpose=purpose))


def decide(desk, request, *, grant=True, reason="it is for the workshop", **more):
    return desk.ask(MoreDecide(id=request["id"], grant=grant, reason=reason, **more))


def later(desk, **span):
    """As the watch over the policy does: time goes on, and what is over ends."""
    desk.later(**span)
    desk.state.more.forget()


def as_service(desk):
    """With an admin's policy, as on a machine of a company."""
    desk.state.settings = replace(desk.state.settings, self_chosen=False)
    return desk


def actions(desk):
    return [(record["principal"], record["action"], record["resource"]) for record in desk.ask(Audit(limit=1000))["records"]]


@pytest.fixture
def people(desk_for):
    """Ana, and carol who is an admin, at one control with an admin's policy."""
    return as_service(desk_for("ana")), as_service(desk_for("carol"))


def test_what_can_be_asked_for_is_what_has_a_limit(desk_for):
    more = {item["resource"]: item for item in desk_for("ana").ask(Me())["more"]}
    assert set(more) == {"kernels.max", "budget.cpu_hours", "budget.memory_gib_hours", "idle", "profile.shell"}
    assert (more["kernels.max"]["limit"], more["idle"]["limit"], more["profile.shell"]["limit"]) == (2, 7200, None)
    assert more["budget.cpu_hours"]["rule"] == "guardrails.yaml:17 analysts-large"
    assert "budget.cpu_hours" not in {item["resource"] for item in desk_for("ben").ask(Me())["more"]}


def test_more_kernels_from_the_grant_until_its_end(people):
    ana, carol = people
    ana.admit("a")
    ana.admit("b")
    with pytest.raises(LimitReached):
        ana.admit("c")
    asked = ask(ana, amount=3.0, hours=2)
    assert (asked["kind"], asked["resource"], asked["amount"], asked["state"], asked["dataset"]) == ("more", "kernels.max", 3.0, "open", "")
    with pytest.raises(LimitReached):
        ana.admit("c")
    granted = decide(carol, asked)
    assert (granted["state"], granted["decided_by"], granted["reason"]) == ("granted", "carol", "it is for the workshop")
    later(ana)
    assert ana.admit("c").lease
    with pytest.raises(LimitReached) as refusal:
        ana.admit("d")
    assert refusal.value.rule == "guardrails.yaml:12 everyone-small, raised until 2025-03-01 14:00 UTC by carol"
    later(ana, hours=2)
    with pytest.raises(LimitReached, match="2 kernels are running") as refusal:
        ana.admit("d")
    assert refusal.value.rule == "guardrails.yaml:12 everyone-small"
    (over,) = ana.ask(RequestsList())["requests"]
    assert over["state"] == "expired"
    steps = [step for step in actions(carol) if step[2] == "kernels.max"]
    assert steps == [
        ("ana", "request.create", "kernels.max"),
        ("carol", "request.granted", "kernels.max"),
        ("control", "request.expired", "kernels.max"),
        ("ana", "limit.restored", "kernels.max"),
    ]


def test_more_of_a_budget_calls_an_ending_off(people):
    ana, carol = people
    admission = ana.begin("a")
    use = Beat(lease=admission.lease, cpu_s=2 * HOUR, memory_bytes=0, memory_peak_bytes=0)
    assert ana.ask(KernelBeat(beats=[use]))["notices"][0]["phase"] == "noticed"
    decide(carol, ask(ana, "budget.cpu_hours", 20.0))
    later(ana)
    assert ana.ask(KernelBeat(beats=[use]))["notices"][0]["phase"] == "off"
    assert ana.ask(Budget())["cpu_hours"]["limit"] == 20
    later(ana, days=1)
    again = ana.ask(KernelBeat(beats=[use]))["notices"][0]
    assert (again["phase"], "in 15 min" in again["text"]) == ("noticed", True), "the whole grace again"


def test_a_running_kernel_follows_more_idle_time(people):
    ana, carol = people
    admission = ana.begin("a")
    first = ana.ask(KernelLimits(leases=[admission.lease]))
    assert first["limits"][0]["idle_s"] == 7200
    decide(carol, ask(ana, "idle", 5 * HOUR))
    later(ana)
    then = ana.ask(KernelLimits(leases=[admission.lease], version=first["version"]))
    assert then["limits"][0]["idle_s"] == 5 * 3600
    assert ana.ask(Kernels())["kernels"][0]["idle_limit_s"] == 5 * 3600


def test_another_profile_can_be_used_while_it_is_given(people):
    ana, carol = people
    with pytest.raises(Refused):
        ana.admit("x", profile="shell")
    decide(carol, ask(ana, "profile.shell", None, hours=1))
    later(ana)
    assert ana.admit("y", profile="shell").profile == "shell"
    later(ana, hours=1)
    with pytest.raises(Refused):
        ana.admit("z", profile="shell")


def test_nobody_decides_their_own_request_and_only_admins_decide(desk_for):
    ana, ben, carol = (as_service(desk_for(name)) for name in ("ana", "ben", "carol"))
    asked = ask(ana)
    with pytest.raises(Refused, match="nobody decides their own request"):
        decide(ana, asked)
    with pytest.raises(Refused, match="ben may not decide"):
        decide(ben, asked)
    own = ask(carol, "kernels.max")
    with pytest.raises(Refused, match="nobody decides their own"):
        decide(carol, own)
    assert decide(carol, asked)["state"] == "granted"
    with pytest.raises(Conflict):
        decide(carol, asked)


def test_with_a_self_chosen_policy_ones_own_request_is_labelled(desk):
    granted = decide(desk, ask(desk, amount=4.0), reason="I am alone here")
    assert granted["reason"] == "self-approved, nobody else was asked: I am alone here"
    later(desk)
    assert desk.ask(Kernels())["rule"].endswith("by ana, self-approved")
    assert desk.ask(Kernels())["max"] == 4


def test_a_refusal_changes_nothing_and_an_earlier_end_counts(people):
    ana, carol = people
    refused = decide(carol, ask(ana), grant=False, reason="not this week")
    assert (refused["state"], refused["reason"]) == ("refused", "not this week")
    later(ana)
    assert ana.ask(Kernels())["max"] == 2
    asked = ask(ana)
    assert decide(carol, asked, until=ana.now + timedelta(hours=1))["until"] == "2025-03-01T13:00:00.000000Z"
    later(ana, minutes=59)
    assert ana.ask(Kernels())["max"] == 5
    later(ana, minutes=1)
    assert ana.ask(Kernels())["max"] == 2


def test_what_is_over_before_it_is_decided_can_only_be_refused(people):
    ana, carol = people
    asked = ask(ana, hours=1)
    later(carol, hours=2)
    with pytest.raises(Conflict, match="which is over"):
        decide(carol, asked)
    assert decide(carol, asked, grant=False)["state"] == "refused"


def test_a_policy_that_gives_more_by_itself_is_not_lowered(people):
    ana, carol = people
    decide(carol, ask(ana, amount=3.0))
    ana.world.policy.write_text(ana.world.policy.read_text().replace("max: 2", "max: 9"))
    later(ana)
    assert ana.ask(Kernels())["max"] == 9


def test_the_same_open_request_is_given_back(desk):
    assert ask(desk)["id"] == ask(desk, amount=7.0)["id"]


@pytest.mark.parametrize(
    ("resource", "amount", "hours", "error"),
    [
        ("the.moon", 1.0, 24, BadRequest),
        ("kernels.max", None, 24, BadRequest),
        ("kernels.max", 2.5, 24, BadRequest),
        ("kernels.max", 2.0, 24, Conflict),
        ("profile.shell", 3.0, 24, BadRequest),
        ("profile.small", None, 24, BadRequest),
        ("kernels.max", 5.0, 0, BadRequest),
        ("kernels.max", 5.0, 24 * 32, BadRequest),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_next_step(desk, resource, amount, hours, error):
    with pytest.raises(error):
        ask(desk, resource, amount, hours=hours)
    assert desk.ask(RequestsList())["requests"] == []


def test_requests_for_data_are_not_decided_here(desk):
    said = {"now": desk.now, "id": "r-data", "principal": "ben", "dataset": "hr/salaries", "purpose": "x" * 5, "days": 3}
    desk.run(desk.state.records.write(requests.create, **said))
    with pytest.raises(NotFound, match="asks for access to a dataset"):
        desk.ask(MoreDecide(id="r-data", grant=True, reason="whatever"))
    with pytest.raises(NotFound, match="gave access to a dataset") as refusal:
        desk.ask(MoreRevoke(id="r-data", reason="whatever"))
    assert refusal.value.next_step == "jupyter guardrails data revoke r-data"


def revoke(desk, request, *, reason="the workshop is over"):
    return desk.ask(MoreRevoke(id=request["id"], reason=reason))


def test_an_admin_takes_it_back_and_its_person_is_told(people):
    ana, carol = people
    asked = ask(ana, amount=4.0)
    decide(carol, asked)
    later(ana)
    assert ana.ask(Kernels())["max"] == 4
    taken = revoke(carol, asked)
    assert (taken["state"], taken["decided_by"], taken["reason"]) == ("revoked", "carol", "the workshop is over")
    later(ana)
    assert ana.ask(Kernels())["max"] == 2
    assert [request["state"] for request in ana.ask(RequestsList())["requests"]] == ["revoked"]
    records = [record for record in carol.ask(Audit(limit=1000))["records"] if record["resource"] == "kernels.max"][-2:]
    assert [(one["principal"], one["action"], one["reason"], one["allowed"]) for one in records] == [
        ("carol", "limit.revoke", "the workshop is over", True),
        ("ana", "limit.restored", "taken back by carol: the policy's own limit holds again", True),
    ]
    with pytest.raises(Conflict, match="gives nothing that could be taken back"):
        revoke(carol, asked)
    assert decide(carol, ask(ana, amount=4.0))["state"] == "granted", "it can be asked for again"


def test_budget_that_was_taken_back_ends_with_the_whole_grace(people):
    ana, carol = people
    admission = ana.begin("a")
    use = Beat(lease=admission.lease, cpu_s=3 * HOUR, memory_bytes=0, memory_peak_bytes=0)
    asked = ask(ana, "budget.cpu_hours", 20.0)
    decide(carol, asked)
    later(ana)
    assert [one["phase"] for one in ana.ask(KernelBeat(beats=[use]))["notices"]] == []
    revoke(carol, asked)
    later(ana)
    (notice,) = ana.ask(KernelBeat(beats=[use]))["notices"]
    assert (notice["phase"], "in 15 min" in notice["text"]) == ("noticed", True)


def test_one_gives_ones_own_back_and_nobody_elses(desk_for):
    ana, ben, carol = (as_service(desk_for(name)) for name in ("ana", "ben", "carol"))
    asked = ask(ana, amount=4.0)
    decide(carol, asked)
    with pytest.raises(Refused, match="ben is not an admin"):
        revoke(ben, asked)
    later(ana)
    assert ana.ask(Kernels())["max"] == 4
    refused = carol.ask(Audit(limit=1000))["records"][-1]
    assert (refused["principal"], refused["action"], refused["resource"], refused["allowed"]) == ("ben", "limit.revoke", "kernels.max of ana", False)
    assert revoke(ana, asked, reason="not needed any more")["decided_by"] == "ana"
    later(ana)
    assert ana.ask(Kernels())["max"] == 2


def test_only_what_is_in_force_can_be_taken_back(people):
    ana, carol = people
    asked = ask(ana, hours=1)
    with pytest.raises(Conflict, match="is open"):
        revoke(carol, asked)
    decide(carol, asked)
    later(carol, hours=1)
    with pytest.raises(Conflict, match=r"is (over|expired): it gives nothing"):
        revoke(carol, asked)
    assert [request["state"] for request in ana.ask(RequestsList())["requests"]] == ["expired"]
    with pytest.raises(NotFound):
        revoke(carol, {"id": "r-none"})


def test_what_is_granted_survives_a_control_that_is_started_again(desk_for):
    first = desk_for("ana")
    decide(first, ask(first, amount=4.0))
    second = desk_for("ana")
    second.now = first.now + timedelta(minutes=5)
    assert second.ask(Kernels())["max"] == 4
