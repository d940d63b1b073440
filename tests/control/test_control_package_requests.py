"""A package that the policy's list doesn't name: asked for, decided by somebody else, part of a group's policy until its end; every step recorded."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jupyter_guardrails.control.interface.messages import Audit, RequestsList
from jupyter_guardrails.control.interface.notices import MoreDecide, MoreRevoke
from jupyter_guardrails.control.interface.package_requests import Fact, PackageAsk, PackageDecide, PackageRevoke, PackageSeen, RequestShow
from jupyter_guardrails.control.interface.stops import Suspend, SuspensionLift
from jupyter_guardrails.control.package_requests import MOST_OPEN
from jupyter_guardrails.control.packages import findings, refused_packages
from jupyter_guardrails.errors import BadRequest, Conflict, LimitReached, NotFound, Refused
from jupyter_guardrails.records import schemas

POLICY = """\
apiVersion: guardrails/v1
mode: enforce
admins: {users: [carol, cid]}
groups: {analysts: [ana, ben], pricing: [ana]}
rules:
  - {name: everyone, for: everyone, kernels: {max: 2}}
promotion:
  packages: {allow: [pandas, "py*"], deny: ["*telnet*"]}
"""


@pytest.fixture
def people(world, desk_for):
    """Desks by name, at one control with an admin's policy."""
    world.policy.write_text(POLICY)
    desks = {name: desk_for(name) for name in ("ana", "ben", "eve", "carol", "cid")}
    for desk in desks.values():
        desk.state.settings = replace(desk.state.settings, self_chosen=False)
    return desks


def ask(desk, package="polars", purpose="frames that fit", **more):
    return desk.ask(PackageAsk(package=package, purpose=purpose, **more))


def decide(desk, request, *, grant=True, reason="looked at it", **more):
    return desk.ask(PackageDecide(id=request["id"], grant=grant, reason=reason, **more))


def revoke(desk, request, reason="its maintainer is gone"):
    return desk.ask(PackageRevoke(id=request["id"], reason=reason))


def refused_for(desk, folder, *names):
    """What a job's lock with these packages is refused for, by the policy of now of whoever has the desk, as control judges a submission."""
    desk.ask(RequestsList())  # each request first takes over what was decided elsewhere
    (folder / "env").mkdir(exist_ok=True)
    (folder / "env" / "pylock.kernel.toml").write_text("".join(f'[[packages]]\nname = "{name}"\n' for name in names))
    return list(refused_packages(folder, desk.state.effective(), desk.now).values())


def elsewhere(desk, **span):
    """Time goes on, and what another control's process decided is read."""
    desk.later(**span)
    desk.state.package_grants.forget()
    return desk


def recorded(desk, resource="package.polars"):
    records = [record for record in desk.ask(Audit(limit=1000))["records"] if record["resource"] == resource]
    assert [schemas.mistakes(record) for record in records] == [[]] * len(records)
    return [(record["principal"], record["action"], record["allowed"]) for record in records]


def test_a_group_may_use_it_from_the_decision_until_the_date(people, tmp_path):
    ana, ben, eve, carol = (people[name] for name in ("ana", "ben", "eve", "carol"))
    (before,) = refused_for(ana, tmp_path, "pandas", "Polars")
    assert (before.reason, 'guarded.request_package("polars"' in before.next_step) == ("the package polars is not on the approved list", True)
    asked = ask(ana, "Polars", days=30)
    assert (asked["kind"], asked["package"], asked["state"], asked["until"], asked["dataset"]) == ("package", "polars", "open", None, "")
    assert refused_for(ana, tmp_path, "polars")
    granted = decide(carol, asked, group="analysts", until=carol.now + timedelta(days=10))
    assert (granted["state"], granted["group"], granted["until"]) == ("granted", "analysts", "2025-03-11T12:00:00.000000Z")
    assert [refused_for(elsewhere(desk), tmp_path, "pandas", "polars") for desk in (ana, ben)] == [[], []]
    assert refused_for(elsewhere(eve), tmp_path, "polars"), "who is not in the group has nothing of it"
    with pytest.raises(Conflict, match="jobs may hold polars already") as already:
        ask(ben)
    assert already.value.rule == "guardrails.yaml:8 promotion.packages.allow, and polars for group analysts until 2025-03-11 12:00 UTC by carol"
    assert refused_for(elsewhere(ana, days=10), tmp_path, "polars"), "its time is over"
    assert [request["state"] for request in ana.ask(RequestsList())["requests"]] == ["expired"]
    assert recorded(elsewhere(carol, days=10)) == [
        ("ana", "request.create", True),
        ("carol", "request.granted", True),
        ("ana", "package.ended", True),
    ]


def test_for_a_person_alone_until_as_long_as_was_asked_for(people, tmp_path):
    ana, ben, carol = (people[name] for name in ("ana", "ben", "carol"))
    granted = decide(carol, ask(ana, days=5))
    assert (granted["group"], granted["until"]) == (None, "2025-03-06T12:00:00.000000Z")
    assert refused_for(elsewhere(ana), tmp_path, "polars") == []
    assert refused_for(elsewhere(ben), tmp_path, "polars")


def test_it_is_taken_back_by_an_admin_for_all_and_by_its_person_for_themselves(people, tmp_path):
    ana, ben, carol = (people[name] for name in ("ana", "ben", "carol"))
    asked = ask(ana)
    decide(carol, asked, group="analysts")
    assert refused_for(elsewhere(ben), tmp_path, "polars") == []
    with pytest.raises(Refused, match="ana is not an admin"):
        revoke(ana, asked)
    taken = revoke(carol, asked)
    assert (taken["state"], taken["decided_by"], taken["reason"]) == ("revoked", "carol", "its maintainer is gone")
    assert refused_for(elsewhere(ben), tmp_path, "polars")
    with pytest.raises(Conflict, match="gives nothing that could be taken back"):
        revoke(carol, asked)
    again = ask(elsewhere(ana))
    decide(carol, again)
    assert revoke(ana, again, "not needed")["decided_by"] == "ana"
    assert refused_for(elsewhere(ana), tmp_path, "polars")
    steps = recorded(carol)
    assert steps[2:5] == [("ana", "package.revoke", False), ("carol", "package.revoke", True), ("ana", "package.ended", True)]


def test_nobody_decides_their_own_and_only_admins_decide(people, tmp_path):
    ana, ben, carol, cid = (people[name] for name in ("ana", "ben", "carol", "cid"))
    asked, own = ask(ana), ask(carol)
    for desk, request, why in (
        (ana, asked, "nobody decides their own"),
        (ben, asked, "ben is not an admin"),
        (carol, own, "nobody decides their own"),
    ):
        with pytest.raises(Refused, match=why):
            decide(desk, request)
        with pytest.raises(Refused, match=why):
            decide(desk, request, grant=False)
    assert refused_for(ana, tmp_path, "polars")
    assert [decide(cid, request)["state"] for request in (asked, own)] == ["granted", "granted"]
    with pytest.raises(Conflict, match="is granted"):
        decide(carol, asked)
    assert ("ben", "request.grant", False) in recorded(carol)


def test_with_a_self_chosen_policy_ones_own_is_labelled(world, desk_for, tmp_path):
    world.policy.write_text(POLICY)
    desk = desk_for("ana")
    assert decide(desk, ask(desk), reason="I am alone")["reason"] == "self-approved, nobody else was asked: I am alone"
    assert refused_for(desk, tmp_path, "polars") == []
    with pytest.raises(Conflict) as already:
        ask(desk)
    assert already.value.rule.endswith("by ana, self-approved")


def test_what_the_policy_denies_no_request_opens(people, tmp_path):
    ana, carol = people["ana"], people["carol"]
    with pytest.raises(Refused, match="is denied") as denied:
        ask(ana, "telnetlib3")
    assert denied.value.rule == "guardrails.yaml:8 promotion.packages.deny"
    asked = ask(ana)
    decide(carol, asked)
    ana.world.policy.write_text(POLICY.replace("*telnet*", "polars"))
    (against,) = refused_for(elsewhere(ana), tmp_path, "polars")
    assert against.reason == "the package polars is denied (polars)", "a deny that comes later wins too"
    other = ask(people["ben"], "duckdb")
    ana.world.policy.write_text(POLICY.replace("*telnet*", "duckdb"))
    with pytest.raises(Refused, match="duckdb is denied"):
        decide(carol, other)
    assert recorded(carol, "telnetlib3") == [("ana", "package.request", False)]


def test_a_suspended_package_or_person_gets_nothing(people):
    ana, carol = people["ana"], people["carol"]
    asked = ask(ana)
    carol.ask(Suspend(kind="package", name="polars", reason="a worm"))
    with pytest.raises(Refused, match="a worm"):
        decide(carol, asked)
    with pytest.raises(Refused, match="a worm"):
        ask(people["ben"])
    carol.ask(SuspensionLift(kind="package", name="polars", reason="mended"))
    carol.ask(Suspend(kind="user", name="ana", reason="left"))
    with pytest.raises(Refused, match="left"):
        decide(carol, asked)
    with pytest.raises(Refused, match="left"):
        ask(ana, "duckdb")
    carol.ask(SuspensionLift(kind="user", name="ana", reason="is back"))
    assert decide(carol, asked)["state"] == "granted"


@pytest.mark.parametrize("name", ["polars==1.0", "polars[all]", "-r x", "../x", "po lars", "polars\n"])
def test_what_is_no_name_is_refused_with_what_one_is(people, name):
    with pytest.raises(BadRequest, match="no name of a package"):
        ask(people["ana"], name)
    assert people["ana"].ask(RequestsList())["requests"] == []


def test_a_grant_that_makes_no_sense_is_refused(people):
    ana, carol = people["ana"], people["carol"]
    asked = ask(ana)
    with pytest.raises(BadRequest, match="ana is not in the group 'finance'") as stranger:
        decide(carol, asked, group="finance")
    assert stranger.value.next_step == "their groups: analysts, pricing"
    for until in (carol.now, carol.now + timedelta(days=400)):
        with pytest.raises(BadRequest, match="in the next 366 days"):
            decide(carol, asked, until=until)
    assert decide(carol, asked, grant=False, reason="pandas does it")["state"] == "refused"


def test_who_sees_a_request_and_for_whom_it_could_be(people):
    ana, ben, carol = (people[name] for name in ("ana", "ben", "carol"))
    asked = ask(ana)
    found = carol.ask(RequestShow(id=asked["id"], packages=("polars-runtime", "Pandas", "telnetlib3")))
    assert (found["request"], found["groups"]) == (asked, ["analysts", "pricing"])
    assert found["refused"] == {
        "polars-runtime": "the package polars-runtime is not on the approved list",
        "telnetlib3": "the package telnetlib3 is denied (*telnet*)",
    }
    assert ana.ask(RequestShow(id=asked["id"]))["groups"] == []
    with pytest.raises(NotFound):
        ben.ask(RequestShow(id=asked["id"]))
    assert ben.ask(RequestsList())["requests"] == []


def test_what_it_needs_is_allowed_with_it_and_taken_back_with_it(people, tmp_path):
    ana, ben, carol = (people[name] for name in ("ana", "ben", "carol"))
    asked = ask(ana)
    with pytest.raises(Refused, match="telnetlib3 is denied"):
        decide(carol, asked, also=("telnetlib3",))
    granted = decide(carol, asked, also=("Polars.Runtime", "polars"), group="analysts")
    assert (granted["also"], granted["reason"]) == (["polars-runtime"], "looked at it (with polars-runtime)")
    assert refused_for(elsewhere(ben), tmp_path, "polars", "polars-runtime") == []
    revoke(carol, asked)
    assert len(refused_for(elsewhere(ben), tmp_path, "polars", "polars-runtime")) == 2


def look(desk, request, version="1.0", name="polars"):
    """Somebody is told of the package, as `requests show` does it."""
    fact = Fact(name=name, version=version, license="MIT", size_bytes=3, advisories=("CVE-2026-7, not fixed",))
    return desk.ask(PackageSeen(id=request["id"], facts=(fact,)))


def reasons(desk, action):
    return [record["reason"] for record in desk.ask(Audit(limit=1000))["records"] if record["action"] == action]


def test_what_was_known_when_it_was_decided_stays_with_the_decision(people):
    ana, carol, cid = (people[name] for name in ("ana", "carol", "cid"))
    asked = ask(ana)
    assert carol.ask(RequestShow(id=asked["id"]))["seen"] is None
    look(cid, asked, "0.9")
    kept = look(carol, asked)
    look(elsewhere(cid, minutes=1), asked, "0.8")
    assert carol.ask(RequestShow(id=asked["id"]))["seen"]["by"] == "cid", "before a decision it is what was seen last"
    decide(carol, asked)
    shown = [desk.ask(RequestShow(id=asked["id"]))["seen"] for desk in (ana, carol, cid)]
    assert shown == [kept] * 3
    assert (kept["by"], kept["facts"][0]["advisories"]) == ("carol", ["CVE-2026-7, not fixed"])
    assert reasons(carol, "request.granted") == [f"looked at it; decided by facts of 2025-03-01T12:00Z, sha256 {kept['digest']}"]
    with pytest.raises(Conflict, match="stays as it was"):
        look(carol, asked, "2.0")
    revoke(cid, asked)
    assert ana.ask(RequestShow(id=asked["id"]))["seen"] == kept


def test_a_decision_without_looking_is_recorded_as_that(people):
    ana, carol, cid = (people[name] for name in ("ana", "carol", "cid"))
    asked = ask(ana)
    look(cid, asked)
    assert decide(carol, asked, grant=False, reason="pandas does it")["reason"] == "pandas does it"
    assert reasons(carol, "request.refused") == ["pandas does it; decided without facts about the package"]
    assert carol.ask(RequestShow(id=asked["id"]))["seen"] is None, "what another admin saw decided nothing"


def test_only_who_may_decide_keeps_what_they_saw_and_of_that_package(people):
    ana, ben, carol = (people[name] for name in ("ana", "ben", "carol"))
    asked = ask(ana)
    for desk, why in ((ana, "nobody decides their own"), (ben, "ben is not an admin")):
        with pytest.raises(Refused, match=why):
            look(desk, asked)
    with pytest.raises(BadRequest, match="is for polars, not for pandas"):
        look(carol, asked, name="pandas")
    assert [desk.ask(RequestShow(id=asked["id"]))["decides"] for desk in (ana, carol)] == [False, True]
    assert look(carol, asked, name="Polars")["by"] == "carol"


def test_a_finding_names_what_can_be_asked_for(people, tmp_path):
    ana = people["ana"]
    refused_for(ana, tmp_path, "pandas", "polars", "telnetlib3")
    policy = ana.state.effective()
    found = findings([], refused_packages(tmp_path, policy, ana.now), policy)
    assert [(one["offer"], one["message"].partition(" [")[0]) for one in found] == [
        ({"do": "request_package", "package": "polars"}, "the package polars is not on the approved list"),
        (None, "the package telnetlib3 is denied (*telnet*)"),
    ]


def test_the_same_once_more_is_the_open_one_and_their_number_is_bounded(people):
    ana = people["ana"]
    assert ask(ana)["id"] == ask(ana, "POLARS")["id"]
    for number in range(MOST_OPEN - 1):
        ask(ana, f"package-{number}")
    with pytest.raises(LimitReached):
        ask(ana, "one-more")
    assert len(ana.ask(RequestsList())["requests"]) == MOST_OPEN
    assert ask(people["ben"], "one-more")["state"] == "open"


def test_it_is_no_limit_and_no_dataset(people):
    asked = ask(people["ana"])
    with pytest.raises(NotFound):
        people["carol"].ask(MoreDecide(id=asked["id"], grant=True, reason="whatever"))
    with pytest.raises(NotFound):
        people["carol"].ask(MoreRevoke(id=asked["id"], reason="whatever"))


def test_what_was_allowed_survives_a_control_that_is_started_again(people, desk_for, tmp_path):
    decide(people["carol"], ask(people["ana"]), group="analysts")
    assert refused_for(desk_for("ben"), tmp_path, "polars") == []
