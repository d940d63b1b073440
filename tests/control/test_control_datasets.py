"""Datasets as control answers for them: who sees what, what is granted, what cannot be delivered, and previews of real files."""

import asyncio
import os
import time
from pathlib import Path

import jsonschema
import pyarrow as pa
import pyarrow.feather
import pytest
import yaml
from data_world import POLICY, DataWorld

import jupyter_guardrails
from jupyter_guardrails.control import datasets, observing
from jupyter_guardrails.control.interface.messages import DatasetCheck, DatasetShow, DatasetsSearch
from jupyter_guardrails.errors import NotFound, Refused
from jupyter_guardrails.records import requests

OPENAPI = yaml.safe_load((Path(jupyter_guardrails.__file__).parent / "server" / "openapi.yaml").read_text())


@pytest.fixture
def world(tmp_path):
    world = DataWorld(tmp_path)
    world.dataset("nyc/flights")
    world.dataset("hr/headcount", "confidential")
    world.dataset("hr/salaries", "restricted")
    yield world
    world.close()


def search(world, person="ana", **asked):
    found = asyncio.run(datasets.search(world.state(person), DatasetsSearch(**asked), []))
    conforms(found, "Datasets")
    return {row["name"]: row for row in found["datasets"]}


def show(world, name, person="ana"):
    found = asyncio.run(datasets.show(world.state(person), DatasetShow(name=name), []))
    conforms(found, "DatasetDetail")
    return found


def conforms(answer, schema):
    jsonschema.validate(answer, {"$ref": f"#/components/schemas/{schema}", "components": OPENAPI["components"]})


def grant(world, name, person="ana", days=10):
    row = world.records.write_sync(requests.create, now=world.now, id=f"r-{name}", principal=person, dataset=name, purpose="a study", days=days)
    world.records.write_sync(requests.decide, row["id"], "granted", now=world.now, actor="dana", reason="fine")


def at_start(world, person="ana"):
    state = world.state(person)
    return asyncio.run(datasets.grants_at_start(state, state.effective(), world.now))


def test_everyone_sees_what_they_may_read_or_ask_for(world):
    assert {name: row["status"] for name, row in search(world).items()} == {"nyc/flights": "granted", "hr/headcount": "requestable"}
    assert {name: row["status"] for name, row in search(world, "erin").items()} == {"nyc/flights": "granted"}


def test_browse_all_shows_that_the_others_exist(world):
    rows = search(world, "ben")
    assert {name: row["status"] for name, row in rows.items()} == {"nyc/flights": "granted", "hr/headcount": "refused", "hr/salaries": "refused"}
    assert "restricted-stays-shut" in rows["hr/salaries"]["rule"]
    assert rows["hr/salaries"]["size_bytes"] is None
    assert show(world, "hr/salaries", "ben")["path"] is None


def test_a_row_says_rule_and_next_step(world):
    rows = search(world)
    assert rows["nyc/flights"]["rule"].startswith("guardrails.yaml:")
    assert "guarded.request('hr/headcount'" in rows["hr/headcount"]["next_step"]
    assert "dana" in rows["hr/headcount"]["next_step"]
    assert rows["nyc/flights"]["size_bytes"] == (world.data / "nyc/flights.parquet").stat().st_size
    assert rows["nyc/flights"]["updated_at"].endswith("Z")


@pytest.mark.parametrize(
    ("scope", "names"), [("granted", {"nyc/flights"}), ("requestable", {"hr/headcount"}), ("all", {"nyc/flights", "hr/headcount"})]
)
def test_scopes(world, scope, names):
    assert set(search(world, scope=scope)) == names


def test_words_find_only_what_one_may_see(world):
    assert set(search(world, q="headcount")) == {"hr/headcount"}
    assert search(world, q="salaries") == {}
    assert set(search(world, "ben", q="salaries")) == {"hr/salaries"}


def test_the_total_counts_what_the_limit_cut(world):
    found = asyncio.run(datasets.search(world.state(), DatasetsSearch(limit=1), []))
    assert (len(found["datasets"]), found["total"]) == (1, 2)


def listed(world, person, **asked):
    found = asyncio.run(datasets.search(world.state(person), DatasetsSearch(**asked), []))
    return [row["name"] for row in found["datasets"]], found["total"]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 9])
@pytest.mark.parametrize(("order", "names"), [("name", ["a/x", "hr/headcount", "hr/salaries", "nyc/flights"]), ("usable", None)])
def test_pages_of_any_size_are_one_list_in_the_order_that_was_asked_for(world, order, names, limit):
    """What can be read may stand last by name, and is on the first page all the same."""
    world.dataset("a/x", "restricted")
    grant(world, "hr/salaries", "ben")  # a deny of the policy stands above it
    names = names or ["nyc/flights", "a/x", "hr/headcount", "hr/salaries"]
    pages = [listed(world, "ben", order=order, limit=limit, offset=offset) for offset in range(0, len(names), limit)]
    assert [name for page, _ in pages for name in page] == names
    assert {total for _, total in pages} == {len(names)}


def test_what_can_be_asked_for_stands_before_what_is_refused(world):
    assert listed(world, "ana", order="usable") == (["nyc/flights", "hr/headcount"], 2)
    assert listed(world, "ana", order="name") == (["hr/headcount", "nyc/flights"], 2)
    assert listed(world, "ana", order="usable", scope="requestable") == (["hr/headcount"], 1)


def test_a_granted_dataset_in_full(world):
    found = show(world, "nyc/flights")
    assert found["preview"]["columns"] == ["origin", "delay"]
    assert found["preview"]["rows"][:2] == [["JFK", "0"], [None, "1"]]
    assert len(found["preview"]["rows"]) == 10
    assert found["path"] == str(world.data / "nyc/flights.parquet")
    assert 'pd.read_parquet("dataset://nyc/flights")' in found["snippets"]["pandas"]
    assert set(found["snippets"]) == {"pandas", "polars", "duckdb", "path", "r", "sql"}


def test_what_is_not_granted_shows_its_columns_but_no_data(world):
    found = show(world, "hr/headcount")
    assert [column["name"] for column in found["schema"]] == ["origin", "delay"]
    assert (found["preview"], found["path"], found["snippets"]) == (None, None, {})


@pytest.mark.parametrize("name", ["hr/salaries", "no/such", "", "x" * 5000, "\ud800", "../../etc"])
def test_hidden_and_missing_ones_look_alike(world, name):
    with pytest.raises(NotFound, match="there is no dataset"):
        show(world, name)


def test_a_grant_on_request_opens_until_its_days_are_over(world):
    assert set(at_start(world)) == {"nyc/flights"}
    grant(world, "hr/headcount", days=10)
    assert at_start(world)["hr/headcount"] == str(world.data / "hr/headcount.parquet")
    found = show(world, "hr/headcount")
    assert found["status"] == "granted"
    assert found["preview"]["rows"]
    world.pass_time(days=10)
    assert set(at_start(world)) == {"nyc/flights"}


def test_a_grant_is_for_one_person_and_worth_nothing_against_a_deny(world):
    grant(world, "hr/headcount")
    grant(world, "hr/salaries")
    assert "hr/headcount" not in at_start(world, "erin")
    assert "hr/salaries" not in at_start(world)


def test_a_grant_ends_when_the_policy_stops_letting_one_ask(world):
    grant(world, "hr/headcount")
    assert "hr/headcount" in at_start(world)
    world.policy_file.write_text(POLICY.replace('request: ["hr/*"], ', ""))
    asyncio.run(world.state().refresh())
    assert "hr/headcount" not in at_start(world)


def schema_with(**changes):
    return [{"name": "t", "properties": [{"name": "origin", "logicalType": "string"} | changes]}]


UNDELIVERABLE = {
    "odd mask": ({"schema": schema_with(customProperties=[{"property": "guardrails.mask", "value": "rot13"}])}, "asks for the mask 'rot13'"),
    "odd row filter": ({"own": {"rowFilter": "origin ~ 'JFK'"}}, "a row filter that is not understood"),
    "unknown attribute": ({"own": {"rowFilter": "origin = {user.home}"}}, "filtered by {user.home}"),
    "retired": ({"status": "retired"}, "is retired"),
}


@pytest.mark.parametrize(("changes", "sentence"), UNDELIVERABLE.values(), ids=UNDELIVERABLE.keys())
def test_what_cannot_be_delivered_as_it_must_be_stays_shut(world, changes, sentence):
    world.dataset("nyc/limited", **changes)
    state = world.state()
    _, access = asyncio.run(datasets.find(state, "nyc/limited"))
    assert sentence in access.decision.reason
    found = show(world, "nyc/limited")
    assert (found["status"], found["preview"], found["path"]) == ("refused", None, None)
    assert set(at_start(world)) == {"nyc/flights"}


BOUND = {
    "mask of the policy": ({"schema": schema_with(classification="pii")}, "view"),
    "mask of the contract": ({"schema": schema_with(customProperties=[{"property": "guardrails.mask", "value": "hash"}])}, "view"),
    "row filter": ({"own": {"rowFilter": "origin = 'JFK'"}}, "view"),
    "brokered": ({"own": {"delivery": "brokered"}}, "brokered"),
    "purposes": ({"own": {"purposes": ["churn"]}}, "direct"),
}


@pytest.mark.parametrize(("changes", "delivery"), BOUND.values(), ids=BOUND.keys())
def test_what_is_bound_is_granted_and_its_file_stays_shut(world, changes, delivery):
    world.dataset("nyc/limited", **changes)
    _, access = asyncio.run(datasets.find(world.state(), "nyc/limited"))
    assert (access.status, access.bounds.delivery) == ("granted", delivery)
    assert set(at_start(world)) == {"nyc/flights"}


def test_a_row_filter_of_the_policy_keeps_the_file_shut_too(world):
    world.policy_file.write_text(POLICY.replace("mask: {pii: hash}", "rows: {nyc/flights: \"origin = 'JFK'\"}"))
    assert at_start(world) == {}


def test_observing_opens_what_would_be_refused_and_says_so(world):
    world.policy_file.write_text(POLICY.replace("mode: enforce", "mode: observe"))
    assert {name: row["status"] for name, row in search(world, "erin").items()} == dict.fromkeys(
        ("nyc/flights", "hr/headcount", "hr/salaries"), "granted"
    )
    _, access = asyncio.run(datasets.find(world.state("erin"), "hr/salaries"))
    assert access.granted
    assert not access.decision.allowed
    assert "classified restricted" in access.decision.reason


def test_observing_leaves_files_behind_masks_shut(world):
    world.policy_file.write_text(POLICY.replace("mode: enforce", "mode: observe"))
    world.dataset("nyc/masked", schema=schema_with(classification="pii"))
    state = world.state()
    shut = asyncio.run(observing.bounds(state, state.effective())).shut
    assert str(world.data / "nyc/masked.parquet") in shut
    assert str(world.data / "nyc/flights.parquet") not in shut
    assert str(world.data / "hr/salaries.parquet") not in shut  # refused, were it enforced: that is what is watched


def test_broken_contracts_are_listed_and_offer_nothing(world):
    world.dataset("nyc/broken", status="live")
    mine, admins = search(world)["nyc/broken"], search(world, "carol")["nyc/broken"]
    assert (mine["status"], admins["status"]) == ("broken", "broken")
    assert "live is not one of" in admins["error"]
    assert mine["error"]
    assert "live is not one of" not in mine["error"]
    assert show(world, "nyc/broken")["preview"] is None
    assert "nyc/broken" not in at_start(world)


def test_a_broken_contract_without_labels_is_for_admins_only(world):
    (world.folder / "odd.yaml").write_text("id: [")
    assert "odd" in search(world, "carol")
    assert "odd" not in search(world)


def test_check_names_every_contract_to_admins_only(world):
    world.dataset("nyc/broken", status="live")
    found = asyncio.run(datasets.check(world.state("carol"), DatasetCheck(), []))["contracts"]
    assert {row["name"]: bool(row["problems"]) for row in found} == {
        "nyc/broken": True,
        "nyc/flights": False,
        "hr/headcount": False,
        "hr/salaries": False,
    }
    with pytest.raises(Refused, match="only admins"):
        asyncio.run(datasets.check(world.state(), DatasetCheck(), []))


def test_previews_of_other_formats(world):
    csv = world.data / "a.csv"
    csv.write_text('origin;delay\n"J;K";1\n' + "EWR;2\n" * 20_000)
    world.dataset("nyc/csv", path=csv, form="csv")
    arrow = world.data / "a.arrow"
    pyarrow.feather.write_feather(pa.table({"a": [1, None]}), arrow)
    world.dataset("nyc/arrow", path=arrow, form="arrow")
    lines = world.data / "a.jsonl"
    lines.write_text('{"a": 1, "b": {"c": 2}}\n{"a": null}\n')
    world.dataset("nyc/json", path=lines, form="json")
    folder = world.parquet("parts/part-0.parquet").parent
    (folder / "_SUCCESS").write_text("")
    world.dataset("nyc/parts", path=folder)
    assert show(world, "nyc/csv")["preview"] | {"rows": []} == {"columns": ["origin", "delay"], "rows": []}
    assert show(world, "nyc/csv")["preview"]["rows"][0] == ["J;K", "1"]
    assert show(world, "nyc/arrow")["preview"] == {"columns": ["a"], "rows": [["1"], [None]]}
    assert show(world, "nyc/json")["preview"] == {"columns": ["a", "b"], "rows": [["1", '{"c": 2}'], [None, None]]}
    assert len(show(world, "nyc/parts")["preview"]["rows"]) == 10


@pytest.mark.parametrize("damage", [b"", b"PAR1 not really PAR1", b"\0" * 10_000])
def test_a_damaged_file_has_no_preview_and_breaks_nothing(world, damage):
    path = world.data / "bad.parquet"
    path.write_bytes(damage)
    world.dataset("nyc/bad", path=path)
    assert show(world, "nyc/bad")["preview"] is None
    assert show(world, "nyc/flights")["preview"] is not None


def test_data_that_went_away_is_not_given_to_a_kernel(world):
    assert "nyc/flights" in at_start(world)
    (world.data / "nyc/flights.parquet").unlink()
    assert "nyc/flights" not in at_start(world)
    assert show(world, "nyc/flights")["preview"] is None


@pytest.mark.parametrize(
    ("agreed", "days_old", "fresh"),
    [
        ([], 900, None),
        ([{"property": "retention", "value": 1, "unit": "d"}], 900, None),
        ([{"property": "frequency", "value": 1, "unit": "d"}], 0.5, True),
        ([{"property": "frequency", "value": 1, "unit": "d"}], 1.5, False),
        ([{"property": "frequency", "value": 1, "unit": "d"}, {"property": "latency", "value": 24, "unit": "hours"}], 1.5, True),
    ],
)
def test_freshness_is_the_files_time_against_what_the_contract_promises(world, agreed, days_old, fresh):
    place = world.dataset("nyc/planes", slaProperties=agreed)
    then = time.time() - days_old * 86400
    os.utime(place, (then, then))
    assert show(world, "nyc/planes")["fresh"] is fresh


@pytest.mark.parametrize(
    "wrong", [{"value": "daily", "unit": "d"}, {"value": 0, "unit": "d"}, {"value": 1, "unit": "moons"}, {"value": True, "unit": "d"}]
)
def test_a_promise_that_is_not_understood_is_a_mistake_with_its_line(world, wrong):
    world.dataset("nyc/planes", slaProperties=[{"property": "frequency", **wrong}])
    (problem,) = world.state().catalogs.current.problems
    assert "frequency" in str(problem)
    assert problem.line > 1
