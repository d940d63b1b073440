"""The past as control tells it to admins: counted, with people's groups and datasets' labels, and replayed under another policy."""

import asyncio
from datetime import UTC, datetime

import pytest
from decision_world import POLICY, DecisionWorld

from jupyter_guardrails.control import channel_operations, history
from jupyter_guardrails.control.interface.decisions import RequestDecide
from jupyter_guardrails.control.interface.messages import KernelAdmit, RequestCreate
from jupyter_guardrails.control.interface.oversight import DecisionsPast
from jupyter_guardrails.errors import GuardrailsError, Refused
from jupyter_guardrails.policy import load
from jupyter_guardrails.policy.past import facts_from
from jupyter_guardrails.policy.replay import replay


@pytest.fixture
def world(tmp_path):
    world = DecisionWorld(tmp_path, POLICY)
    for name, label in (("nyc/flights", "internal"), ("hr/headcount", "confidential"), ("hr/salaries", "restricted")):
        world.dataset(name, label)
    yield world
    world.close()


def open_data(world, name, who="ana"):
    try:
        asyncio.run(channel_operations.path(world.state(who), world.kernel(who), channel_operations.Name(name=name)))
    except GuardrailsError as error:
        return error
    return None


def past(world, who="carol", **asked):
    return world.ask(who, DecisionsPast(**{"since_s": 86400} | asked))


def test_what_people_did_is_counted_with_labels(world):
    for _ in range(3):
        open_data(world, "nyc/flights")
    open_data(world, "hr/headcount", "ben")
    found = past(world)
    rows = {(row["person"], row["resource"], row["allowed"]): row for row in found["facts"]}
    assert rows["ana", "nyc/flights", True]["count"] == 3
    assert rows["ben", "hr/headcount", False]["labels"]["classification"] == "confidential"
    assert found["people"] == {"ana": [], "ben": []}, "the file's groups are for whoever reads the file"
    assert [row["person"] for row in past(world, refused_only=True)["facts"]] == ["ben"]
    world.pass_time(days=2)
    assert past(world)["facts"] == []


def test_a_kernels_kind_and_a_grant_are_known(world):
    world.ask("ana", KernelAdmit(kernel_id="k1", kernelspec="python3", workspace=str(world.root), key="k1"))
    with pytest.raises(Refused):
        world.ask("ana", KernelAdmit(kernel_id="k2", kernelspec="python3", workspace=str(world.root), key="k2", profile="large"))
    asked = world.ask("ana", RequestCreate(dataset="hr/headcount", purpose="a study"))
    world.ask("dana", RequestDecide(id=asked["id"], decision="grant"))
    open_data(world, "hr/headcount")
    rows = {row["resource"]: row for row in past(world)["facts"]}
    assert rows["hr/headcount"]["by_grant"] is True
    assert (rows["large"]["allowed"], rows["large"]["kind"]) == (False, None)


def test_only_admins_hear_of_it(world):
    for who in ("ana", "rita", "dana"):
        with pytest.raises(Refused, match="is not an admin"):
            past(world, who)
    assert [(record["principal"], record["allowed"]) for record in world.audited("decisions.past")] == [
        (who, False) for who in ("ana", "rita", "dana")
    ]


def test_rare_decisions_are_left_out_and_counted(world, monkeypatch):
    monkeypatch.setattr(history, "MOST_FACTS", 1)
    for _ in range(2):
        open_data(world, "nyc/flights")
    open_data(world, "hr/headcount")
    found = past(world)
    assert ([row["resource"] for row in found["facts"]], found["left_out"]) == (["nyc/flights"], 1)


def test_the_past_under_a_new_policy(world):
    """From the real records to who would newly be refused, with the place of the rule."""
    open_data(world, "nyc/flights")
    open_data(world, "nyc/flights", "ben")
    open_data(world, "hr/salaries")
    answer = past(world)
    new = world.root / "new.yaml"
    new.write_text(POLICY.replace('    data: {read: ["nyc/*"]}\n', "").replace('request: ["hr/*"]', 'read: ["nyc/*"]'))
    found = replay(load(new), facts_from(answer["facts"]), answer["people"], datetime.now(UTC))
    assert found.newly_refused == 0, "ana and ben are analysts"
    new.write_text(new.read_text().replace("[ana, ben]", "[ana]"))
    found = replay(load(new), facts_from(answer["facts"]), answer["people"], datetime.now(UTC))
    assert [(change.effect, change.fact.person, change.fact.resource) for change in found.changes] == [("refuses", "ben", "nyc/flights")]
