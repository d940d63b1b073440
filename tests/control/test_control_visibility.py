"""The sets in which a search looks are those of the decisions about each dataset, whatever the policy, grants, stops and break-glass say."""

import asyncio

import pytest
from data_world import POLICY, DataWorld

from jupyter_guardrails.control import breakglass, datasets, observing, rights, stops, visibility
from jupyter_guardrails.control.interface.messages import DatasetsSearch
from jupyter_guardrails.control.interface.stops import BreakGlass, Suspend
from jupyter_guardrails.records import requests

PEOPLE = ("ana", "ben", "carol", "erin")
POLICIES = {
    "enforce": POLICY,
    "observe": POLICY.replace("mode: enforce", "mode: observe"),
    "warn": POLICY.replace("mode: enforce", "mode: warn"),
    "soft deny": POLICY.replace("    deny: {", "    mode: observe\n    allow_soft_deny: true\n    deny: {"),
    "rows": POLICY.replace("mask: {pii: hash}", 'rows: {"nyc/*": "origin = \'{user.name}\'"}'),
    "unknown rows": POLICY.replace("mask: {pii: hash}", 'rows: {"nyc/*": "origin = \'{user.team}\'"}'),
}


def fill(world):
    """Datasets of every kind that changes what may be had of them."""
    pii = [{"name": "t", "properties": [{"name": "origin", "logicalType": "string", "classification": "PII"}]}]
    world.dataset("nyc/plain")
    world.dataset("nyc/pii", schema=pii)
    world.dataset("nyc/draft", status="draft")
    world.dataset("nyc/rows", own={"rowFilter": "origin = 'JFK'"})
    world.dataset("nyc/bound", own={"purposes": ["research"]})
    world.dataset("nyc/brokered", own={"delivery": "brokered"})
    world.dataset("nyc/shut", "restricted")
    world.dataset("nyc/broken", version=None)
    world.dataset("hr/heads", "confidential")
    world.dataset("hr/granted", "confidential")
    world.dataset("hr/shut", "restricted")
    world.dataset("hr/broken", path=world.data / "missing.parquet")
    world.dataset("hr/stopped", "confidential")
    world.dataset("hr/open", "confidential")


@pytest.fixture(params=POLICIES)
def world(tmp_path, request):
    world = DataWorld(tmp_path, POLICIES[request.param])
    fill(world)
    yield world
    world.close()


def expected(world, person, scope):
    """As each dataset is decided by itself."""
    state = world.state(person)
    held, policy = asyncio.run(rights.rights(state)), state.effective()
    found = {name: held.access(contract, policy, world.now) for name, contract in state.catalogs.current.by_name.items()}
    return {name: access.status for name, access in found.items() if access.listed and scope in ("all", access.status)}


def searched(world, person, scope, **asked):
    found = asyncio.run(datasets.search(world.state(person), DatasetsSearch(scope=scope, **asked), []))
    assert found["total"] == len(found["datasets"])
    return {row["name"]: row["status"] for row in found["datasets"]}


def assert_kernels_alike(world, person):
    """What a kernel is started with, and what stays shut to one that is only observed, as each dataset is decided by itself."""
    state = world.state(person)
    policy, held = state.effective(), asyncio.run(rights.rights(state))
    found = [(contract, held.lasting().access(contract, policy, world.now)) for contract in state.catalogs.current.by_name.values()]
    raw = {contract.name: contract.path for contract, access in found if access.granted and access.bounds.raw}
    assert asyncio.run(datasets.by_path(state, held.lasting(), policy, world.now)) == raw
    assert asyncio.run(datasets.grants_at_start(state, policy, world.now)) == raw
    bounds = asyncio.run(observing.bounds(state, policy))
    if policy.mode.value != "enforce":
        closed = {contract.path for contract, access in found if (not access.bounds.raw if access.granted else access.decision.blocks)}
        assert {path for path in bounds.shut if path.startswith(str(world.data))} == closed
        assert bounds.softly == {contract.name for contract, access in found if access.granted and not access.decision.allowed}
    else:
        assert bounds == observing.Bounds()


def assert_alike(world):
    for person in PEOPLE:
        assert_kernels_alike(world, person)
        for scope in ("all", "granted", "requestable"):
            assert searched(world, person, scope) == expected(world, person, scope), (person, scope)


def test_the_sets_are_those_of_the_decisions(world):
    assert_alike(world)
    row = world.records.write_sync(requests.create, now=world.now, id="r", principal="ana", dataset="hr/granted", purpose="a study", days=10)
    world.records.write_sync(requests.decide, row["id"], "granted", now=world.now, actor="dana", reason="fine")
    assert_alike(world)
    as_admin = world.state("carol")
    for kind, name in (("dataset", "hr/stopped"), ("user", "erin")):
        asyncio.run(stops.suspend(as_admin, Suspend(kind=kind, name=name, reason="an incident"), []))
    assert_alike(world)
    opened = BreakGlass(kind="dataset", name="hr/open", person="ana", reason="an incident at night, ticket 12", for_s=3600)
    asyncio.run(breakglass.begin(as_admin, opened, []))
    assert searched(world, "ana", "granted")["hr/open"] == "granted"
    assert_alike(world)
    assert searched(world, "erin", "granted") == {}
    world.pass_time(days=11)
    assert_alike(world)


def test_a_contract_that_changes_moves_between_the_sets(world):
    assert_alike(world)
    world.dataset("nyc/plain", "restricted")
    world.dataset("nyc/draft")
    world.dataset("hr/new", "internal")
    assert_alike(world)


@pytest.mark.parametrize("later", [0, 2, 1000])
def test_contracts_that_change_one_by_one_are_where_they_belong(tmp_path, monkeypatch, later):
    """Beside what was made before, until they are many."""
    monkeypatch.setattr(visibility, "MOST_LATER", later)
    world = DataWorld(tmp_path)
    fill(world)
    assert_alike(world)
    product = {"product": {"from": ["nyc/plain", "nyc/bound"], "how": "union"}}
    world.dataset("nyc/both", servers=None, own=product)
    assert_alike(world)
    asyncio.run(stops.suspend(world.state("carol"), Suspend(kind="dataset", name="nyc/bound", reason="an incident"), []))
    assert_alike(world)
    for name, classification in (("nyc/plain", "restricted"), ("hr/new", "internal"), ("nyc/plain", "internal"), ("hr/new", "restricted")):
        world.dataset(name, classification)
        assert_alike(world)
    (world.folder / "nyc-plain.odcs.yaml").unlink()
    assert "nyc/plain" not in searched(world, "ana", "all")
    assert_alike(world)
    world.close()


def test_who_has_another_policy_than_the_one_in_force_has_each_dataset_decided(tmp_path):
    world = DataWorld(tmp_path)
    fill(world)
    state = world.state("ana")
    before, held = state.effective(), asyncio.run(rights.rights(state))
    assert "nyc/plain" in asyncio.run(datasets.by_path(state, held, before, world.now))
    world.policy_file.write_text(POLICY.replace('read: ["nyc/*"]', 'read: ["none/*"]'))
    asyncio.run(state.refresh())
    assert "nyc/plain" in asyncio.run(datasets.by_path(state, held, before, world.now))
    assert asyncio.run(datasets.by_path(state, held, state.effective(), world.now)) == {}
    world.close()


def test_a_policy_that_changes_moves_them_too(tmp_path):
    world = DataWorld(tmp_path)
    fill(world)
    state = world.state("erin")
    assert "hr/heads" not in searched(world, "erin", "all")
    world.policy_file.write_text(POLICY.replace("analysts: [ana]", "analysts: [ana, erin]"))
    asyncio.run(state.refresh())
    assert searched(world, "erin", "all")["hr/heads"] == "requestable"
    assert_alike(world)
    world.close()


def test_pages_have_the_same_total(tmp_path):
    world = DataWorld(tmp_path)
    fill(world)
    state = world.state("ana")
    pages = [asyncio.run(datasets.search(state, DatasetsSearch(limit=3, offset=offset), [])) for offset in range(0, 15, 3)]
    names = [row["name"] for page in pages for row in page["datasets"]]
    assert names == sorted(expected(world, "ana", "all"))
    assert {page["total"] for page in pages} == {len(names)}
    world.close()
