"""Break-glass: recorded before it is open, told, bounded in time, and what it never opens."""

import asyncio
import os

import pytest
from decision_world import POLICY, DecisionWorld

from jupyter_guardrails.control import breakglass, channel_operations, datasets
from jupyter_guardrails.control.interface.messages import DatasetShow, KernelAdmit, Me, ProfileSet
from jupyter_guardrails.control.interface.stops import BreakGlass, BreakGlassEnd, BreakGlassList, Suspend
from jupyter_guardrails.errors import BadRequest, NotFound, RecordsUnwritable, Refused
from jupyter_guardrails.records import exemptions, outbox

WHY = "the pipeline of payroll is down, ticket 99"
NOTIFY = 'notify: {webhook: "https://hooks.example.com/x"}\n'


@pytest.fixture
def world(tmp_path):
    world = DecisionWorld(tmp_path, POLICY + NOTIFY)
    world.dataset("hr/salaries", "restricted")
    world.dataset("hr/other", "restricted")
    yield world
    world.close()


def open_up(world, kind="dataset", name="hr/salaries", who="carol", **more):
    return world.ask(who, BreakGlass(kind=kind, name=name, **{"person": "ana", "reason": WHY, "for_s": 3600} | more))


def read(world, name="hr/salaries", who="ana"):
    asked = channel_operations.Open(name=name)
    answer = asyncio.run(channel_operations.open_file(world.state(who), world.kernel(who), asked))
    for fd in answer.fds:
        os.close(fd)
    return answer.result["size"]


def admit(world, key="k", **more):
    return world.ask("ana", KernelAdmit(kernel_id=f"kernel-{key}", kernelspec="python3", workspace=str(world.root), key=key, **more))


def test_a_denied_dataset_is_open_to_one_person_for_a_while(world):
    with pytest.raises((NotFound, Refused)):
        read(world)
    row = open_up(world)
    assert (row["state"], row["by"], row["person"], row["ends_at"]) == ("active", "carol", "ana", "2031-05-01T13:00:00.000000Z")
    assert read(world) > 0
    assert f"break-glass of carol until 2031-05-01 13:00 UTC: {WHY}" in world.audited("data.read")[-1]["reason"]
    assert world.ask("ana", DatasetShow(name="hr/salaries"))["status"] == "granted"
    for who, name in (("ben", "hr/salaries"), ("ana", "hr/other"), ("carol", "hr/salaries")):
        with pytest.raises((NotFound, Refused)):
            read(world, name, who)
    world.pass_time(hours=1)
    with pytest.raises((NotFound, Refused)):
        read(world)


def test_it_is_recorded_told_and_its_end_too(world):
    row = open_up(world)
    (record,) = world.audited("break_glass.begin")
    assert (record["principal"], record["resource"]) == ("carol", "dataset hr/salaries for ana")
    assert record["reason"].startswith(WHY)
    world.pass_time(hours=2)
    asyncio.run(breakglass.follow(world.state()))
    asyncio.run(breakglass.follow(world.state()))
    (end,) = world.audited("break_glass.end")
    assert (end["principal"], "its time is up" in end["reason"]) == ("control", True)
    told = [item["event"]["kind"] for item in world.records.read_sync(outbox.due, now=world.now)]
    assert told == ["break_glass.begin", "break_glass.end"]
    assert [(item["id"], item["state"]) for item in world.ask("carol", BreakGlassList())["exemptions"]] == [(row["id"], "ended")]


def test_it_ends_before_its_time(world):
    row = open_up(world)
    with pytest.raises(Refused, match="ben is not an admin"):
        world.ask("ben", BreakGlassEnd(id=row["id"]))
    assert read(world) > 0
    assert world.ask("ana", BreakGlassEnd(id=row["id"]))["ended_by"] == "ana", "whoever has it may give it back"
    with pytest.raises((NotFound, Refused)):
        read(world)
    with pytest.raises(NotFound):
        world.ask("carol", BreakGlassEnd(id=row["id"]))


def test_a_kernel_gets_no_path_that_would_outlive_it(world):
    open_up(world)
    assert admit(world)["datasets"] == {}
    assert read(world) > 0, "but a descriptor, by the channel"


@pytest.mark.parametrize("who", ["ana", "rita", "dana", "stella"])
def test_only_admins_break_the_glass_and_others_are_recorded(world, who):
    with pytest.raises(Refused, match=f"{who} is not an admin"):
        open_up(world, who=who, person=who)
    assert [(r["principal"], r["allowed"]) for r in world.audited("break_glass.begin")] == [(who, False)]
    assert world.ask("carol", BreakGlassList())["exemptions"] == []


def test_without_an_audit_record_it_is_not_open(world):
    """Fail closed: the table has the record, the audit file could not take it."""
    world.state()
    journal = world.records.sinks.journal._records
    real, journal._file = journal._file, open("/dev/full", "wb", buffering=0)  # noqa: SIM115 - closed below
    with pytest.raises(RecordsUnwritable, match="no space left"):
        open_up(world)
    with pytest.raises((NotFound, Refused)):
        read_without_record(world)
    journal._file.close()
    journal._file, journal._torn_at = real, None
    (row,) = world.records.read_sync(exemptions.newest)
    assert row["state"] == "recorded"
    with pytest.raises((NotFound, Refused)):
        read(world)
    open_up(world)
    assert read(world) > 0


def read_without_record(world):
    if not asyncio.run(datasets.find(world.state("ana"), "hr/salaries"))[1].granted:
        raise Refused("not granted")


def test_a_profile_is_open_for_a_while_and_its_kernel_lives_no_longer(world):
    with pytest.raises(Refused):
        admit(world, profile="large")
    open_up(world, "profile", "large")
    world.pass_time(minutes=20)
    admission = admit(world, profile="large")
    assert (admission["profile"], admission["lifetime_s"], admission["rule"]) == ("large", 2400, "built-in break-glass by an admin")
    world.ask("ana", ProfileSet(profile="large"))
    assert admit(world, "chosen")["profile"] == "large"
    world.pass_time(hours=1)
    assert admit(world, "later")["profile"] == "small"
    with pytest.raises(Refused):
        admit(world, "asked", profile="large")


def test_it_lifts_no_suspension(world):
    world.ask("carol", Suspend(kind="dataset", name="hr/salaries", reason="a leak"))
    with pytest.raises(Refused, match="break-glass never lifts a suspension"):
        open_up(world)
    world.ask("carol", Suspend(kind="user", name="ana", reason="a leak"))
    with pytest.raises(Refused, match="break-glass never lifts a suspension"):
        open_up(world, name="hr/other")
    open_up(world, name="hr/other", person="ben")
    world.ask("carol", Suspend(kind="dataset", name="hr/other", reason="a leak"))
    with pytest.raises((NotFound, Refused)):
        read(world, "hr/other", "ben")


def test_masks_stay_unless_they_are_lifted_by_name(world):
    world.policy_file.write_text(
        world.policy_file.read_text().replace('data: {read: ["nyc/*"]}', 'data: {read: ["nyc/*"]}\n    rows: {"hr/*": "origin = \'JFK\'"}')
    )
    asyncio.run(world.state().refresh())
    open_up(world)
    raw_bytes = (world.data / "hr/salaries.parquet").stat().st_size
    assert read(world) not in (0, raw_bytes)  # a copy with some of its rows
    open_up(world, unmasked=True)
    assert read(world) == raw_bytes
    assert "without masks and row filters" in world.audited("break_glass.begin")[-1]["reason"]


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"name": "hr/none"}, NotFound),
        ({"kind": "profile", "name": "none"}, NotFound),
        ({"reason": "a" * 20}, BadRequest),
        ({"person": "a/b"}, BadRequest),
    ],
)
def test_what_makes_no_sense_opens_nothing(world, wrong, error):
    with pytest.raises(error):
        open_up(world, **wrong)
    assert world.records.read_sync(exemptions.newest) == []


def test_everybody_sees_their_own(world):
    open_up(world)
    (opened,) = world.ask("ana", Me())["break_glass"]
    assert opened.pop("id").startswith("b-")
    assert opened.pop("reason")
    said = {"kind": "dataset", "name": "hr/salaries", "by": "carol", "until": "2031-05-01T13:00:00.000000Z"}
    assert opened == said | {"unmasked": False}
    assert len(world.ask("ana", BreakGlassList())["exemptions"]) == 1
    assert world.ask("ben", BreakGlassList())["exemptions"] == world.ask("ben", Me())["break_glass"] == []
