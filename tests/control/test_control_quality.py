"""Quality checks by a real broker over real files: who may ask, what is remembered, and what nobody learns."""

import asyncio
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_world import POLICY, DataWorld

from jupyter_guardrails.control import datasets, quality
from jupyter_guardrails.control.interface.messages import DatasetShow
from jupyter_guardrails.control.interface.quality import QualityCheck
from jupyter_guardrails.errors import BadRequest, GuardrailsError, NotFound, Refused
from jupyter_guardrails.records import quality as kept
from jupyter_guardrails.records import suspensions

SECRETS = ("ada@example.com", "91250")
COLUMNS = [
    {"name": "email", "logicalType": "string", "classification": "pii", "quality": [{"metric": "nullValues", "mustBe": 0, "severity": "error"}]},
    {
        "name": "region",
        "logicalType": "string",
        "quality": [
            {"metric": "invalidValues", "mustBeLessThan": 50, "unit": "percent", "arguments": {"validValues": ["EU", "US"]}},
            {"type": "text", "description": "Regions are those of sales"},
        ],
    },
    {"name": "salary", "logicalType": "integer", "quality": [{"type": "sql", "query": "SELECT max(salary) FROM people", "mustBe": 91250}]},
]
TABLE = [{"metric": "rowCount", "mustBe": 3}, {"metric": "duplicateValues", "mustBe": 0, "arguments": {"properties": ["email", "region"]}}]
SCHEMA = [{"name": "people", "properties": COLUMNS, "quality": TABLE}]
ROWS = {"email": ["ada@example.com", "bob@example.com", None], "region": ["EU", "EU", "XX"], "salary": [91250, 2, 3]}


@pytest.fixture(scope="module")
def shared(loop, tmp_path_factory):
    world = DataWorld(tmp_path_factory.mktemp("quality"), POLICY)
    people(world, "nyc/people")
    people(world, "nyc/rows", own={"rowFilter": "region = 'EU'"})
    people(world, "hr/people", "confidential")
    world.dataset("nyc/flights")
    yield world
    loop.run(world.state().brokers.stop())
    world.close()


def people(world, name, classification="internal", **more):
    path = world.data / f"{name.replace('/', '-')}.parquet"
    pq.write_table(pa.table(ROWS), path)
    return world.dataset(name, classification, path, schema=SCHEMA, **more)


@pytest.fixture
def world(shared):
    return shared


def check(loop, world, name="nyc/people", person="dana"):
    return loop.run(quality.check(world.state(person), QualityCheck(name=name), []))


def shown(loop, world, person, name="nyc/people"):
    return loop.run(datasets.show(world.state(person), DatasetShow(name=name), []))["quality"]


def test_an_owner_checks_what_they_may_not_even_read_raw_and_no_value_comes_out(loop, world):
    found = check(loop, world)
    assert found["summary"] == "3 of 5 checks passed"
    assert [(one["state"], one["count"]) for one in found["checks"]] == [
        ("passed", 3),
        ("passed", 0),
        ("failed", 1),
        ("passed", 1),
        ("text", None),
        ("not_checked", None),
    ]
    assert found["checks"][2]["severity"] == "error"
    assert "other engines" in found["checks"][5]["reason"]
    record = world.audited("data.quality")[-1]
    assert (record["allowed"], record["reason"]) == (True, "version 1.2.0: 3 of 5 checks passed")
    row = world.records.read_sync(kept.newest, "nyc/people")
    assert (row["version"], row["checked_by"], row["row_count"]) == ("1.2.0", "dana", 3)
    assert not [secret for secret in SECRETS if secret in json.dumps([found, row], default=str)]


def test_admins_check_and_others_are_refused_with_the_next_step(loop, world):
    assert check(loop, world, person="carol")["summary"] == "3 of 5 checks passed"
    with pytest.raises(Refused, match=r"checked by its owner \(dana\) and by admins") as caught:
        check(loop, world, person="ana")
    assert "data show nyc/people" in caught.value.next_step
    assert world.audited("data.quality")[-1]["allowed"] is False
    with pytest.raises(NotFound):
        check(loop, world, "hr/people", person="nobody")
    with pytest.raises(BadRequest, match="has no quality rules"):
        check(loop, world, "nyc/flights")


def test_readers_see_states_and_numbers_only_of_what_nothing_is_hidden_of(loop, world):
    check(loop, world)
    found = shown(loop, world, "ana")
    numbers = {(one["column"], one["limit"]): one["count"] for one in found["checks"]}
    assert numbers["", "exactly 3 rows"] == 3
    assert numbers["region", "less than 50 % invalid values in region"] == 1
    assert numbers["email", "exactly 0 null values in email"] is None, "email is masked"
    assert numbers["", "exactly 0 duplicate values in email, region"] is None
    assert [one["state"] for one in found["checks"]][2] == "failed"
    full = shown(loop, world, "dana")
    assert [one["count"] for one in full["checks"]][:4] == [3, 0, 1, 1]  # the twin: who answers for it sees them


def test_who_may_not_see_every_row_learns_no_count(loop, world):
    check(loop, world, "nyc/rows")
    assert {one["count"] for one in shown(loop, world, "ana", "nyc/rows")["checks"]} == {None}
    assert {one["count"] for one in shown(loop, world, "dana", "nyc/rows")["checks"]} == {0, 1, 3, None}


def test_who_may_only_ask_for_it_sees_what_passed_and_no_number(loop, world):
    check(loop, world, "hr/people")
    found = shown(loop, world, "ana", "hr/people")
    assert found["summary"] == "3 of 5 checks passed"
    assert {one["count"] for one in found["checks"]} == {None}


def test_results_of_other_rules_or_versions_are_not_shown_as_these(loop, world):
    check(loop, world)
    file = world.folder / "nyc-people.odcs.yaml"
    before = file.read_text()
    file.write_text(before.replace("mustBe: 3", "mustBe: 4"))
    found = shown(loop, world, "dana")
    assert (found["summary"], found["checked_at"], found["checks"][0]["state"]) == ("not checked yet", None, "not_checked")
    file.write_text(before.replace("version: 1.2.0", "version: 1.3.0"))
    assert shown(loop, world, "dana")["summary"] == "not checked yet"
    file.write_text(before)
    assert shown(loop, world, "dana")["summary"] == "3 of 5 checks passed"


def test_a_dataset_without_rules_says_nothing_of_quality(loop, world):
    assert shown(loop, world, "ana", "nyc/flights") is None


def test_what_an_admin_suspended_is_not_read_for_a_check_either(loop, world):
    fields = world.state("carol").audit_fields("suspend.dataset", "nyc/people", reason="wrong salaries")
    said = {"id": "1", "kind": "dataset", "name": "nyc/people", "reason": "wrong salaries", "ends_kernels_at": None}
    world.records.write_sync(suspensions.suspend, **said, fields=fields)
    with pytest.raises(Refused, match="suspended by carol"):
        check(loop, world)
    world.records.write_sync(suspensions.lift, "dataset", "nyc/people", reason="corrected", fields=fields | {"action": "lift.dataset"})
    assert check(loop, world)["summary"] == "3 of 5 checks passed"


def test_data_that_is_gone_is_an_error_and_the_last_result_stays(loop, world):
    check(loop, world)
    path = world.data / "nyc-people.parquet"
    data = path.read_bytes()
    path.unlink()
    try:
        with pytest.raises(GuardrailsError):
            check(loop, world)
    finally:
        path.write_bytes(data)
    assert shown(loop, world, "dana")["summary"] == "3 of 5 checks passed"


def test_several_checks_at_once_and_one_that_nobody_waits_for(loop, world):
    async def at_once():
        asked = [asyncio.create_task(quality.check(world.state("dana"), QualityCheck(name="nyc/people"), [])) for _ in range(4)]
        left = asyncio.create_task(quality.check(world.state("dana"), QualityCheck(name="nyc/people"), []))
        await asyncio.sleep(0)
        left.cancel()
        return await asyncio.gather(*asked)

    assert {found["summary"] for found in loop.run(at_once())} == {"3 of 5 checks passed"}
    assert check(loop, world)["summary"] == "3 of 5 checks passed"
