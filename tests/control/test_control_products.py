"""Products over a kernel's real channel: read without a right to their inputs, under their masks, filters and labels."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from channel_world import Served
from scan_world import Kernel, shows_nothing

from jupyter_guardrails.catalog.sources.products import HELD_ROWS
from jupyter_guardrails.control import datasets, quality
from jupyter_guardrails.control.interface.messages import DatasetShow, DatasetsSearch
from jupyter_guardrails.control.interface.quality import QualityCheck
from jupyter_guardrails.control.rights import Rights
from jupyter_guardrails.errors import NotFound
from jupyter_guardrails.records import marks, suspensions

PRODUCT = {
    "from": ["hr/staff", "nyc/people"],
    "how": "join",
    "on": ["name"],
    "columns": {"person": "name", "mail": "nyc/people:email", "pay": "nyc/people:salary", "iban": "hr/staff:iban", "team": "hr/staff:team"},
}
TYPES = {"person": "string", "mail": "string", "pay": "integer", "iban": "string", "team": "string"}
IBANS = ["DE01 SECRET-ACCOUNT", "CH02", "FR03"]


@pytest.fixture(scope="module")
def world(masked_world):
    world = masked_world
    staff = world.data / "staff.parquet"
    pq.write_table(pa.table({"name": ["Ada", "Bob", "Cyd"], "iban": IBANS, "team": ["x", "y", "z"]}), staff)
    columns = [{"name": name, "logicalType": "string"} for name in ("name", "iban", "team")]
    columns[1]["customProperties"] = [{"property": "guardrails.mask", "value": "constant"}]
    columns[1]["classification"] = "pii"
    world.dataset("hr/staff", "confidential", path=staff, schema=[{"name": "staff", "properties": columns}])
    checks = [{"metric": "rowCount", "mustBe": 3}]
    properties = [{"name": name, "logicalType": kind} for name, kind in TYPES.items()]
    schema = [{"name": "customer", "properties": properties, "quality": checks}]
    world.dataset("nyc/customer", own={"product": PRODUCT}, schema=schema, servers=[])
    return world


@pytest.fixture(scope="module")
def kernel(world, loop):
    served = Served(world, loop)
    served.live.workspace = str(world.root / "work")
    yield Kernel(served.name)
    served.close()


def show(loop, world, name, person="ana"):
    return loop.run(datasets.show(world.state(person), DatasetShow(name=name), []))


def test_a_product_is_read_without_a_right_to_its_inputs_and_under_their_masks(world, kernel):
    assert kernel.ask("datasets.scan", name="hr/staff")[0]["code"] == "refused"
    found, end = kernel.table("nyc/customer")
    assert end == {"rows": 2}, "nyc/people keeps its filter: region = 'EU'"
    rows = found.to_pylist()
    assert [(row["person"], row["team"]) for row in rows] == [("Ada", "x"), ("Bob", "y")]
    assert {row["iban"] for row in rows} == {"***"}, "the contract of hr/staff says constant, the policy hash: the stricter holds"
    assert {row["pay"] for row in rows} == {None}
    assert {len(row["mail"]) for row in rows} == {32}
    shows_nothing(rows)
    assert "SECRET-ACCOUNT" not in str(rows)


@pytest.mark.parametrize("probe", ["iban = 'DE01 SECRET-ACCOUNT'", "mail = 'ada@example.com'", "pay > 0", "person = 'Cyd'"])
def test_a_readers_filter_sees_nothing_behind_the_inputs_masks_and_rows(kernel, probe):
    assert kernel.table("nyc/customer", filter=probe)[1] == {"rows": 0}
    assert kernel.table("nyc/customer", filter="person = 'Ada'", columns=["team"])[0].to_pylist() == [{"team": "x"}]


def test_the_record_has_the_versions_of_its_inputs_and_the_workspace_their_labels(world, kernel):
    kernel.table("nyc/customer")
    record = world.audited("data.read")[-1]
    assert record["resource"] == "nyc/customer"
    assert record["reason"].startswith("version 1.2.0 (of hr/staff 1.2.0, nyc/people 1.2.0), masked ")
    found = world.records.read_sync(marks.overlapping, [str(world.root / "work")])
    given = {row["dataset"]: row["classification"] for row in found}
    assert given == {"nyc/customer": "confidential", "hr/staff": "confidential", "nyc/people": "internal"}


def test_it_has_no_path_and_no_file(world, kernel):
    said, fds = kernel.ask("datasets.path", name="nyc/customer")
    assert (said["readable"], fds) == (False, [])
    assert str(world.data) not in str(said)
    assert kernel.ask("datasets.open", name="nyc/customer")[0]["code"] == "refused"
    assert kernel.ask("datasets.path", name="nyc/flights")[0]["path"], "the twin has one"


def test_what_it_is_made_of_is_shown_by_name_only_to_who_may_know_of_it(loop, world):
    found = show(loop, world, "nyc/customer")
    assert found["inputs"] == [{"name": "hr/staff", "version": "1.2.0"}, {"name": "nyc/people", "version": "1.2.0"}]
    stranger = show(loop, world, "nyc/customer", "somebody")
    assert "hr/staff" not in str(stranger["quality"])
    assert [one["name"] for one in stranger["inputs"]] == ["a dataset that you may not know of", "nyc/people"]
    assert found["preview"]["rows"][0][0] == "Ada"
    assert {column["name"]: column["mask"] for column in found["schema"]} == {
        "person": "",
        "mail": "hash",
        "pay": "blank",
        "iban": "constant",
        "team": "",
    }
    shows_nothing(found)
    assert "SECRET-ACCOUNT" not in str(found)
    with pytest.raises(NotFound):
        show(loop, world, "hr/staff", "somebody")


def test_an_owner_has_all_its_rows_checked(loop, world):
    found = loop.run(quality.check(world.state("dana"), QualityCheck(name="nyc/customer"), []))
    assert (found["summary"], found["version"]) == ("1 of 1 checks passed", "1.2.0 (of hr/staff 1.2.0, nyc/people 1.2.0)")
    assert found["checks"][0]["count"] == 3, "all rows, not those of a person"
    assert show(loop, world, "nyc/customer", "ana")["quality"]["checks"][0]["count"] is None, "rows are hidden from ana"


def test_a_join_with_as_much_as_may_be_held_fits_into_the_worker_and_with_more_is_refused(loop, world, kernel):
    for name, rows in (("much", HELD_ROWS), ("more", HELD_ROWS + 1)):
        keys = {"first": [f"key of a customer {number}" for number in range(rows)], "second": [f"second {number}" for number in range(rows)]}
        for kind, table in (("left", pa.table(keys)), ("right", pa.table(keys | {"pay": ["x" * 60] * rows}))):
            path = world.data / f"{name}-{kind}.parquet"
            pq.write_table(table, path)
            schema = [{"name": "t", "properties": [{"name": column, "logicalType": "string"} for column in table.column_names]}]
            world.dataset(f"hr/{name}-{kind}", path=path, schema=schema)
        said = {"from": [f"hr/{name}-left", f"hr/{name}-right"], "how": "join", "on": ["first", "second"]}
        said["columns"] = {"first": "first", "pay": f"hr/{name}-right:pay"}
        schema = [{"name": "t", "properties": [{"name": column, "logicalType": "string"} for column in said["columns"]]}]
        world.dataset(f"nyc/{name}", own={"product": said}, schema=schema, servers=[])
    assert kernel.table("nyc/much")[1] == {"rows": HELD_ROWS}
    refused = kernel.table("nyc/more")[1]
    assert "input 2 is too large to be joined" in refused["message"]
    assert "hr/more" not in str(refused), "who may read the product need not know of its inputs"
    assert kernel.table("nyc/customer", columns=["team"])[1] == {"rows": 2}, "the worker goes on"


def granted(loop, world):
    found = loop.run(datasets.search(world.state(), DatasetsSearch(q="", scope="granted"), []))
    return [one["name"] for one in found["datasets"]]


@pytest.mark.parametrize("unmasked", [True, False])
def test_break_glass_lifts_what_the_inputs_ask_for_only_where_it_says_so(world, unmasked):
    state, contract = world.state("somebody"), world.state().catalogs.current.contracts["nyc/customer"]
    exempt = {"unmasked": unmasked, "person": "somebody", "given_by": "carol", "reason": "outage", "ends_at": world.now}
    ana = state.effective("somebody")
    held = Rights(exempt={"nyc/customer": exempt}, datasets={})
    closed = replace(contract, classification="restricted")
    bounds = held.access(closed, ana, world.now).bounds
    assert held.access(closed, ana, world.now).granted
    assert (set(bounds.masks), bounds.hides_rows) == ((set(), False) if unmasked else ({"mail", "pay", "iban"}, True))


def test_an_input_that_an_admin_suspends_stops_the_product(loop, world, kernel):
    fields = world.state("carol").audit_fields("suspend.dataset", "hr/staff", reason="under review")
    said = {"id": "1", "kind": "dataset", "name": "hr/staff", "reason": "under review", "ends_kernels_at": None}
    world.records.write_sync(suspensions.suspend, **said, fields=fields)
    error, fds = kernel.ask("datasets.scan", name="nyc/customer")
    assert (error["code"], fds) == ("refused", [])
    assert "is made of a dataset that was suspended" in error["message"]
    assert "hr/staff" not in str(error), "who may read the product need not know of its inputs"
    row = next(one for one in loop.run(datasets.search(world.state(), DatasetsSearch(q="customer"), []))["datasets"] if one["name"] == "nyc/customer")
    assert row["status"] == "refused"
    assert "nyc/customer" not in granted(loop, world)
    world.records.write_sync(suspensions.lift, "dataset", "hr/staff", reason="done", fields=fields | {"action": "lift.dataset"})
    assert kernel.table("nyc/customer", columns=["team"])[1] == {"rows": 2}
    assert "nyc/customer" in granted(loop, world)


def test_a_label_that_rises_in_an_input_shuts_the_product_at_once(world, kernel):
    file = world.folder / "hr-staff.odcs.yaml"
    before = file.read_text()
    file.write_text(before.replace("value: confidential", "value: restricted"))
    assert kernel.ask("datasets.scan", name="nyc/customer")[0]["code"] in ("refused", "not_found"), "restricted-stays-shut"
    file.write_text(before)
    assert kernel.table("nyc/customer", columns=["team"])[1] == {"rows": 2}
