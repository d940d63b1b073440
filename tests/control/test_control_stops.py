"""What an admin suspends stops at once, says who and why, survives a restart, and goes on when it is lifted."""

import asyncio

import pytest
from decision_world import POLICY, DecisionWorld

from jupyter_guardrails.control import datasets, stops
from jupyter_guardrails.control.interface.decisions import RequestDecide
from jupyter_guardrails.control.interface.messages import DatasetShow, KernelAdmit, KernelBeat, KernelLimits, Me, RequestCreate, SubmissionCreate
from jupyter_guardrails.control.interface.oversight import DecisionsPast
from jupyter_guardrails.control.interface.stops import BreakGlass, Suspend, SuspensionLift, SuspensionsList
from jupyter_guardrails.errors import BadRequest, Conflict, NotFound, Refused
from jupyter_guardrails.records import leases


@pytest.fixture
def world(tmp_path):
    world = DecisionWorld(tmp_path, POLICY)
    world.dataset("nyc/flights")
    world.dataset("hr/headcount", "confidential")
    yield world
    world.close()


def suspend(world, kind, name, who="carol", **more):
    return world.ask(who, Suspend(kind=kind, name=name, reason="an incident, ticket 12", **more))


def lift(world, kind, name, who="carol"):
    return world.ask(who, SuspensionLift(kind=kind, name=name, reason="it was nothing"))


def admit(world, key="k", who="ana", kind="kernel"):
    return world.ask(who, KernelAdmit(kernel_id=f"kernel-{key}", kernelspec="python3", workspace=str(world.root), key=key, kind=kind))


def granted(world, name, who="ana"):
    return asyncio.run(datasets.find(world.state(who), name))[1].granted


@pytest.mark.parametrize("kind", ["kernel", "terminal", "exec"])
def test_nothing_new_starts_for_a_suspended_person(world, kind):
    admit(world, "before", kind=kind)
    suspend(world, "user", "ana")
    for key in ("before", "new"):  # a restart keeps its lease, and is a start all the same
        with pytest.raises(Refused, match=r"the account ana was suspended by carol on 2031-05-01 12:00 UTC: an incident, ticket 12") as refusal:
            admit(world, key, kind=kind)
        assert "carol" in refusal.value.next_step
    admit(world, "bens", who="ben", kind=kind)
    lift(world, "user", "ana")
    admit(world, "new", kind=kind)
    assert [(r["principal"], r["resource"]) for r in world.audited("suspend.user") + world.audited("lift.user")] == [("carol", "ana")] * 2


def test_a_suspended_person_reads_asks_and_submits_nothing(world):
    assert granted(world, "nyc/flights")
    asked = world.ask("ana", RequestCreate(dataset="hr/headcount", purpose="a study"))
    suspend(world, "user", "ana")
    assert not granted(world, "nyc/flights")
    assert granted(world, "nyc/flights", "ben")
    with pytest.raises(Refused, match="was suspended by carol"):
        world.ask("ana", RequestCreate(dataset="hr/headcount", purpose="a study"))
    with pytest.raises(Refused, match="was suspended by carol"):
        world.ask("ana", SubmissionCreate(notebook="a.ipynb", workspace=str(world.root), key="k"))
    with pytest.raises(Refused, match="was suspended by carol"):
        world.ask("dana", RequestDecide(id=asked["id"], decision="grant"))
    me = world.ask("ana", Me())
    assert me["suspended"]["reason"].startswith("the account ana was suspended by carol")
    assert world.ask("ben", Me())["suspended"] is None


def test_what_runs_of_a_person_ends_after_the_notice_with_the_reason(world):
    anas, bens = admit(world)["lease"], admit(world, who="ben")["lease"]
    assert suspend(world, "user", "ana", grace_s=30)["kernels"] == 1
    told = world.ask("ana", KernelLimits(leases=[anas]))["limits"][0]["notice"]
    assert "ends at 12:00:30 UTC: save your work" in told
    world.pass_time(seconds=29)
    asyncio.run(stops.follow(world.state()))
    assert world.records.read_sync(leases.live, "ana"), "the notice is not over yet"
    world.pass_time(seconds=1)
    asyncio.run(stops.follow(world.state()))
    assert world.records.read_sync(leases.live, "ana") == []
    assert [row["id"] for row in world.records.read_sync(leases.live, "ben")] == [bens]
    use = {"cpu_s": 1.0, "memory_bytes": 1, "memory_peak_bytes": 1}
    (end,) = world.ask("ana", KernelBeat(beats=[{"lease": anas} | use]))["end"]
    assert "the account ana was suspended by carol" in end["reason"]
    assert "ticket 12" in world.audited("kernel.end")[0]["reason"]


def test_a_lifted_suspension_ends_nothing(world):
    lease = admit(world)["lease"]
    suspend(world, "user", "ana", grace_s=5)
    lift(world, "user", "ana")
    world.pass_time(seconds=10)
    asyncio.run(stops.follow(world.state()))
    assert [row["id"] for row in world.records.read_sync(leases.live, "ana")] == [lease]


def test_a_suspended_dataset_is_read_by_nobody_and_its_grants_are_frozen(world):
    asked = world.ask("ana", RequestCreate(dataset="hr/headcount", purpose="a study"))
    world.ask("dana", RequestDecide(id=asked["id"], decision="grant"))
    assert granted(world, "hr/headcount")
    bens = world.ask("ben", RequestCreate(dataset="hr/headcount", purpose="a study"))
    suspend(world, "dataset", "hr/headcount")
    assert not granted(world, "hr/headcount")
    shown = world.ask("ana", DatasetShow(name="hr/headcount"))
    assert (shown["status"], shown["path"]) == ("refused", None)
    assert "the dataset hr/headcount was suspended by carol" in shown["error"]
    with pytest.raises(Refused, match="the dataset hr/headcount was suspended"):
        world.ask("dana", RequestDecide(id=bens["id"], decision="grant"))
    with pytest.raises(Refused, match="the dataset hr/headcount was suspended"):
        world.ask("ben", RequestCreate(dataset="hr/headcount", purpose="a study"))
    assert granted(world, "nyc/flights")
    lift(world, "dataset", "hr/headcount")
    assert granted(world, "hr/headcount")


def test_a_kernel_is_no_longer_started_with_a_suspended_dataset(world):
    assert "nyc/flights" in admit(world, "one")["datasets"]
    suspended = suspend(world, "dataset", "nyc/flights")
    assert (suspended["kernels"], suspended["ends_kernels_at"]) == (1, None), "one that runs was started with it, and the admin hears that"
    assert admit(world, "two")["datasets"] == {}


def test_kernels_that_were_started_with_a_dataset_end_where_the_admin_says_so(world):
    old = admit(world, "one")["lease"]
    suspend(world, "dataset", "nyc/flights", end_kernels=True, grace_s=0)
    new = admit(world, "two")["lease"]
    asyncio.run(stops.follow(world.state()))
    assert [row["id"] for row in world.records.read_sync(leases.live, "ana")] == [new]
    assert old != new


@pytest.mark.parametrize("name", ["report", "report-1", "s1", "the digest"])
def test_a_suspended_job_is_not_approved(world, name):
    row = world.submission()
    name = row["content_digest"] if name == "the digest" else name
    suspend(world, "job", name)
    with pytest.raises(Refused, match=f"the job {name} was suspended by carol"):
        world.ask("rita", world.decision())
    lift(world, "job", name)
    assert world.ask("rita", world.decision())["approvals"] == 1


def test_a_job_with_a_suspended_python_package_is_not_approved_whatever_its_spelling(world):
    world.submission(packages=("evil_Lib", "pandas"))
    world.submission("s2", packages=("pandas",))
    suspend(world, "package", "Evil.Lib")
    with pytest.raises(Refused, match="the package evil-lib was suspended by carol"):
        world.ask("rita", world.decision())
    assert world.ask("rita", world.decision(id="s2"))["approvals"] == 1


@pytest.mark.parametrize("who", ["ana", "rita", "stella", "dana"])
def test_only_admins_suspend_and_lift(world, who):
    with pytest.raises(Refused, match=f"{who} is not an admin"):
        suspend(world, "user", "ben", who=who)
    suspend(world, "user", "ben")
    with pytest.raises(Refused, match=f"{who} is not an admin"):
        lift(world, "user", "ben", who=who)
    assert [(r["principal"], r["allowed"]) for r in world.audited("suspend.user")] == [(who, False), ("carol", True)]
    assert world.ask(who, SuspensionsList())["suspensions"] == []
    assert [row["name"] for row in world.ask("ben", SuspensionsList())["suspensions"]] == ["ben"], "one's own"
    assert [row["name"] for row in world.ask("carol", SuspensionsList())["suspensions"]] == ["ben"]


def test_who_is_suspended_decides_nothing_and_lifts_nothing_even_as_an_admin(world):
    world.policy_file.write_text(POLICY.replace("users: [carol]", "users: [carol, kim]"))
    asked = world.ask("ana", RequestCreate(dataset="hr/headcount", purpose="a study"))["id"]
    world.submission()
    for who in ("kim", "dana", "rita"):
        suspend(world, "user", who)
    attempts = [
        ("kim", SuspensionLift(kind="user", name="kim", reason="it was nothing")),
        ("kim", SuspensionLift(kind="user", name="rita", reason="it was nothing")),
        ("kim", Suspend(kind="user", name="carol", reason="revenge")),
        ("kim", BreakGlass(kind="dataset", name="hr/headcount", reason="payroll is down")),
        ("kim", DecisionsPast(since_s=3600)),
        ("dana", RequestDecide(id=asked, decision="grant")),
        ("rita", world.decision()),
    ]
    for who, request in attempts:
        with pytest.raises(Refused, match=f"the account {who} was suspended by carol"):
            world.ask(who, request)
    lift(world, "user", "dana")
    assert world.ask("dana", RequestDecide(id=asked, decision="grant"))["state"] == "granted"


def test_a_suspension_of_oneself_is_ones_own_to_lift(world):
    suspend(world, "user", "carol")
    with pytest.raises(Refused):
        suspend(world, "user", "ana")
    lift(world, "user", "carol")
    suspend(world, "user", "ana")


def test_twice_is_a_conflict_and_lifting_nothing_is_not_found(world):
    suspend(world, "dataset", "nyc/flights")
    with pytest.raises(Conflict, match="is suspended already, by carol"):
        suspend(world, "dataset", "nyc/flights")
    lift(world, "dataset", "nyc/flights")
    with pytest.raises(NotFound):
        lift(world, "dataset", "nyc/flights")
    suspend(world, "dataset", "nyc/flights")
    everything = world.ask("carol", SuspensionsList(all=True))["suspensions"]
    assert [bool(row["lifted_at"]) for row in everything] in ([False, True], [True, False])


@pytest.mark.parametrize(
    ("kind", "name"), [("user", "a/b"), ("user", "a\nb"), ("dataset", "../x"), ("dataset", "a//b"), ("job", "\x1b[2J"), ("package", "a\0b")]
)
def test_what_nothing_can_be_called_is_refused(world, kind, name):
    with pytest.raises(BadRequest):
        suspend(world, kind, name)


def test_a_suspension_survives_control(calm_world):
    """The records hold it, not the process; both ends over a real socket."""
    carol = calm_world.start(person="carol")
    carol.client.call(Suspend(kind="user", name="ana", reason="an incident"))
    carol.stop()
    ana = calm_world.start(person="ana")
    with pytest.raises(Refused, match="was suspended by carol"):
        ana.client.admit(KernelAdmit(kernel_id="k", kernelspec="python3", workspace="/w", key="k"))
    assert ana.client.call(Me())["suspended"]["next_step"]
