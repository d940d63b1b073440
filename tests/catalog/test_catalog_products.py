"""Products: what a contract may say, what they inherit from their inputs, and the rows that come out of real files and a real database."""

import contextlib
import itertools
import os
import sqlite3
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from jupyter_guardrails.catalog import load_catalog, scan
from jupyter_guardrails.catalog.delivery import Bounds
from jupyter_guardrails.catalog.derived import bounds_for, obstacle_for, place_for
from jupyter_guardrails.catalog.plan import ScanPlan
from jupyter_guardrails.catalog.products import leaves, versions
from jupyter_guardrails.catalog.sources import open_source
from jupyter_guardrails.catalog.sources import products as source
from jupyter_guardrails.errors import Conflict
from jupyter_guardrails.policy.decision import Obligations
from jupyter_guardrails.policy.yamltree import read_tree

PEOPLE = {
    "customer": [1, 2, 3, None],
    "email": ["a@example.com", "b@example.com", "c@example.com", "d@example.com"],
    "region": ["EU", "US", "EU", "EU"],
}
ORDERS = {"customer": [1, 1, 3, 9, None], "amount": [10, 20, 30, 90, 99], "note": ["x", "y", "z", "w", "v"]}
TYPES = {"customer": "integer", "email": "string", "region": "string", "amount": "integer", "note": "string"}
CLASSES = {"email": "pii"}
JOIN = {"from": ["crm/people", "shop/orders"], "how": "join", "on": ["customer"]}
JOINED = {"who": "customer", "mail": "crm/people:email", "region": "crm/people:region", "total": "shop/orders:amount"}


def columns(names, types=None, classes=None):
    types, classes = types or TYPES, CLASSES if classes is None else classes
    return [{"name": name, "logicalType": types[name]} | ({"classification": classes[name]} if name in classes else {}) for name in names]


class Shop:
    """Two inputs with data, and products of them."""

    def __init__(self, world):
        self.world = world
        self.input("crm/people", PEOPLE)
        self.input("shop/orders", ORDERS)

    def input(self, name, rows, classification="internal", types=None, **changes):
        path = self.world.data / f"{name}.parquet"
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table(rows), path)
        own = [{"property": "guardrails.classification", "value": classification}, *changes.pop("own", [])]
        return self.world.write(name, path, schema=[{"name": "t", "properties": columns(rows, types)}], customProperties=own, **changes)

    def product(self, name, said, names, types=None, classification="internal", own=(), **changes):
        properties = columns(names, (TYPES | {"who": "integer", "mail": "string", "total": "integer"} | (types or {})), {})
        keys = [{"property": "guardrails.classification", "value": classification}, {"property": "guardrails.product", "value": said}, *own]
        changes = {"schema": [{"name": "t", "properties": properties}], "customProperties": keys, "servers": None} | changes
        return self.world.write(name, "/", **changes)

    def join(self, name="shop/customer", said=None, names=None, **more):
        said = JOIN | {"columns": JOINED} | (said or {})
        return self.product(name, said, names or list(said["columns"]), **more)

    @property
    def catalog(self):
        return load_catalog(self.world.folder)

    def contract(self, name="shop/customer"):
        catalog = self.catalog
        assert catalog.problems == ()
        return catalog.contracts[name]

    def rows(self, name="shop/customer", bounds=None, **asked):
        return read(self.contract(name), bounds, **asked)


def read(contract, bounds=None, **asked):
    place = place_for(contract, bounds)
    masks = dict(bounds.masks) if bounds else {}
    known = tuple(column.name for column in contract.columns)
    plan = ScanPlan(contract.name, contract.version, "dana", place, known, masks, bounds.keep if bounds else None, **asked)
    fds = [os.open(one.path, os.O_RDONLY) for one in leaves(contract) if one.path]
    opened = None
    try:
        opened = open_source(place, columns=plan.needed, predicate=plan.pushed, fds=fds)
        made = scan.Scan(plan, opened, b"s" * 32)
        return pa.Table.from_batches(list(made.batches()), made.schema).to_pylist()
    finally:
        if opened is not None:
            opened.close()
        for fd in fds:
            os.close(fd)


@pytest.fixture
def shop(world):
    return Shop(world)


def nothing(contract):
    return Obligations()


def test_a_join_has_the_rows_with_equal_keys_and_nulls_equal_nothing(shop):
    shop.join()
    assert shop.rows() == [
        {"who": 1, "mail": "a@example.com", "region": "EU", "total": 10},
        {"who": 1, "mail": "a@example.com", "region": "EU", "total": 20},
        {"who": 3, "mail": "c@example.com", "region": "EU", "total": 30},
    ]
    assert shop.rows(columns=("total",), limit=2) == [{"total": 10}, {"total": 20}]


def test_a_join_of_three_on_two_columns(shop):
    rows = {"customer": [1, 1, 3, 3], "region": ["EU", "US", "EU", None], "note": ["p", "q", "r", "s"]}
    for name in ("a/one", "a/two", "a/three"):
        shop.input(name, rows)
    said = {"from": ["a/one", "a/two", "a/three"], "how": "join", "on": ["customer", "region"]}
    said["columns"] = {"who": "customer", "note": "a/two:note", "last": "a/three:note"}
    shop.product("a/all", said, ["who", "note", "last"], types={"last": "string"})
    assert shop.rows("a/all") == [{"who": who, "note": note, "last": note} for who, note in ((1, "p"), (1, "q"), (3, "r"))]


def test_a_union_has_all_rows_in_the_first_ones_types(shop):
    shop.input("a/old", {"customer": pa.array([1, 2], pa.int32()), "note": ["x", "y"]})
    shop.input("a/new", {"note": pa.array(["z"], pa.large_string()), "customer": pa.array([3], pa.int64())})
    shop.product("a/all", {"from": ["a/old", "a/new"], "how": "union"}, ["customer", "note"])
    assert shop.rows("a/all") == [{"customer": 1, "note": "x"}, {"customer": 2, "note": "y"}, {"customer": 3, "note": "z"}]
    shop.product("a/names", {"from": ["a/old", "a/new"], "how": "union", "columns": {"who": "customer"}}, ["who"])
    assert [row["who"] for row in shop.rows("a/names")] == [1, 2, 3]


def test_a_product_of_a_product_and_of_a_database(shop):
    place = shop.world.data / "shop.sqlite"
    with sqlite3.connect(place) as database:
        database.execute("create table regions (region text, note text)")
        database.executemany("insert into regions values (?, ?)", [("EU", "Europe"), ("CH", "Swiss")])
    database.close()
    tables = [{"name": "regions", "properties": columns(["region", "note"])}]
    shop.world.write("geo/regions", "/", servers=[{"server": "h", "type": "sqlite", "path": str(place)}], schema=tables)
    shop.join()
    said = {"from": ["shop/customer", "geo/regions"], "how": "join", "on": ["region"], "columns": {"total": "shop/customer:total"}}
    said["columns"]["note"] = "geo/regions:note"
    shop.product("shop/europe", said, ["total", "note"])
    assert shop.rows("shop/europe") == [{"total": total, "note": "Europe"} for total in (10, 20, 30)]
    assert versions(shop.contract("shop/europe")) == "1.2.0 (of shop/customer 1.2.0, crm/people 1.2.0, shop/orders 1.2.0, geo/regions 1.2.0)"


def test_the_strictest_of_both_masks_holds_and_rows_go_before_the_join(shop):
    shop.input("crm/people", PEOPLE, own=[{"property": "guardrails.rowFilter", "value": "region = 'EU' and email != 'c@example.com'"}])
    shop.join()
    contract = shop.contract()
    assert {column.name: column.classification for column in contract.columns}["mail"] == "pii"

    def obliged(kinds):
        return lambda one: Obligations({name: kinds[one.name] for name in one.resource.columns if one.name in kinds})

    for kinds, mask in (({"crm/people": "hash"}, "hash"), ({"crm/people": "hash", "shop/customer": "blank"}, "blank")):
        assert bounds_for(contract, obliged(kinds), {}).masks == {"mail": mask}
    assert bounds_for(contract, obliged({"crm/people": "blank", "shop/customer": "partial"}), {}).masks == {"mail": "blank"}
    bounds = bounds_for(contract, obliged({"crm/people": "constant"}), {})
    assert bounds.hides_rows
    assert shop.rows(bounds=bounds) == [{"who": 1, "mail": "***", "region": "EU", "total": total} for total in (10, 20)]
    assert len(shop.rows()) == 3  # the twin: without bounds all are there, as a check of quality reads them


def test_masks_in_nested_columns_keep_their_place(shop):
    rows = {"customer": [1], "home": [{"zip": "10", "city": "Bern"}]}
    properties = [
        {"name": "customer", "logicalType": "integer"},
        {"name": "home", "logicalType": "object", "properties": columns(["zip", "city"], dict.fromkeys(["zip", "city"], "string"), {"zip": "pii"})},
    ]
    for name in ("a/old", "a/new"):
        shop.input(name, {"customer": [1]})
        pq.write_table(pa.table(rows), shop.world.data / f"{name}.parquet")
        shop.world.write(name, shop.world.data / f"{name}.parquet", schema=[{"name": "t", "properties": properties}])
    shop.product("a/all", {"from": ["a/old", "a/new"], "how": "union", "columns": {"place": "home"}}, ["place"], types={"place": "object"})
    contract = shop.contract("a/all")
    bounds = bounds_for(contract, lambda one: Obligations({"home.zip": "blank"} if one.name == "a/new" else {}), {})
    assert bounds.masks == {"place.zip": "blank"}
    assert read(contract, bounds) == [{"place": {"zip": None, "city": "Bern"}}] * 2


def test_labels_and_purposes_are_those_of_the_inputs(shop):
    shop.input("crm/people", PEOPLE, "confidential", own=[{"property": "guardrails.purposes", "value": ["churn", "audit"]}])
    shop.join(classification="public", own=[{"property": "guardrails.purposes", "value": ["churn", "fun"]}])
    contract = shop.contract()
    assert (contract.classification, contract.purposes) == ("confidential", ("churn",))
    assert contract.resource.classification == "confidential"
    shop.join(own=[{"property": "guardrails.purposes", "value": ["fun"]}])
    assert "for no purpose that all of them allow" in str(shop.catalog.problems[0])


def test_a_change_of_an_input_shows(shop):
    shop.join()
    before = shop.contract()
    shop.input("crm/people", PEOPLE, "restricted", version="2.0.0")
    assert (before.classification, shop.contract().classification) == ("internal", "restricted")
    assert versions(shop.contract()) == "1.2.0 (of crm/people 2.0.0, shop/orders 1.2.0)"
    shop.input("crm/people", {"customer": [1], "mail": ["a"], "region": ["EU"]}, types=TYPES | {"mail": "string"})
    (broken,) = shop.catalog.broken
    assert "its input crm/people 1.2.0 has no column email" in str(broken.problems[0])
    shop.input("crm/people", PEOPLE)
    shop.contract()
    (shop.world.folder / "crm-people.odcs.yaml").unlink()
    assert "its input crm/people is not in the catalogue" in str(shop.catalog.problems[0])


def test_an_input_that_is_not_given_out_shuts_the_product_without_its_name(shop):
    shop.join()
    assert obstacle_for(shop.contract(), nothing, {}) == ""
    shop.input("crm/people", PEOPLE, status="retired")
    told = obstacle_for(shop.contract(), nothing, {})
    assert "one of them can't be given out" in told
    assert "crm/people" not in told


def test_delivery_is_a_stream_and_nothing_has_a_path(shop):
    shop.join()
    contract = shop.contract()
    bounds = bounds_for(contract, nothing, {})
    assert (bounds.delivery, bounds.raw, contract.path) == ("brokered", False, "")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("crm/people", "has to be a mapping"),
        ({**JOIN, "columns": JOINED, "where": "1=1"}, "guardrails.product has no key where"),
        ({**JOIN, "columns": JOINED, "how": "outer join"}, "how: outer join is not one of union, join"),
        ({**JOIN, "columns": JOINED, "from": ["crm/people"]}, "from has to be a list of 2 to 16"),
        ({**JOIN, "columns": JOINED, "from": ["crm/people", "crm/people"]}, "2 to 16 different datasets"),
        ({**JOIN, "columns": JOINED, "from": "crm/people"}, "from has to be a list"),
        ({**JOIN, "columns": JOINED, "on": []}, "a join needs `on`"),
        ({**JOIN, "columns": None}, "columns has to say where each column comes from"),
        ({**JOIN, "columns": JOINED | {"mail": "email"}}, "columns.mail: email names no column of an input"),
        ({**JOIN, "columns": JOINED | {"mail": "hr/people:email"}}, "hr/people:email names no column of an input"),
        ({"from": ["crm/people", "shop/orders"], "how": "union", "on": ["customer"]}, "a union has no `on`"),
        ({**JOIN, "columns": JOINED | {"ghost": "customer"}}, "do not name the same columns"),
        ({**JOIN, "columns": JOINED | {"mail": "crm/people:ghost"}}, "its input crm/people 1.2.0 has no column ghost"),
        ({**JOIN, "columns": JOINED | {"total": "shop/orders:note"}}, "the column total is integer here, and string in shop/orders"),
        ({**JOIN, "on": ["customer", "region"], "columns": JOINED}, "its input shop/orders 1.2.0 has no column region, which `on` names"),
        (
            {
                **JOIN,
                "from": ["crm/people", "shop/ghost"],
                "columns": {"who": "customer", "mail": "crm/people:email", "region": "crm/people:region", "total": "shop/ghost:amount"},
            },
            "its input shop/ghost is not in the catalogue",
        ),
    ],
)
def test_a_mistake_breaks_the_product_at_its_line_and_nothing_else(shop, said, words):
    file = shop.product("shop/customer", said, list(JOINED))
    catalog = shop.catalog
    (broken,) = catalog.broken
    problem = next(one for one in broken.problems if words in str(one))
    text = file.read_text().splitlines()
    assert problem.line >= next(number for number, line in enumerate(text, 1) if "guardrails.product" in line)
    assert set(catalog.contracts) == {"crm/people", "shop/orders"}


def test_a_product_has_no_place_of_its_own(shop):
    shop.join(servers=[{"server": "h", "type": "local", "path": "/etc/passwd", "format": "csv"}])
    assert "a product has no servers of its own" in str(shop.catalog.problems[0])


def test_products_in_a_circle_say_so_and_those_above_them_are_shut(shop):
    for name, below in (("a/one", "a/two"), ("a/two", "a/one"), ("a/top", "a/one")):
        shop.product(name, {"from": [below, "crm/people"], "how": "union", "columns": {"email": "email"}}, ["email"])
    told = {contract.name: str(contract.problems[0]) for contract in shop.catalog.broken}
    assert "it is made of itself: a/one -> a/two -> a/one" in told["a/one"]
    assert "it is made of itself: a/two -> a/one -> a/two" in told["a/two"]
    assert "its input a/one has mistakes" in told["a/top"]
    shop.product("a/self", {"from": ["a/self", "crm/people"], "how": "union", "columns": {"email": "email"}}, ["email"])
    assert "a/self -> a/self" in " ".join(str(contract.problems) for contract in shop.catalog.broken)


def test_products_of_products_have_an_end(shop):
    shop.input("crm/more", PEOPLE)
    below = "crm/more"
    for number in range(1, 6):
        shop.product(f"a/p{number}", {"from": [below, "crm/people"], "how": "union", "columns": {"email": "email"}}, ["email"])
        below = f"a/p{number}"
    catalog = shop.catalog
    assert "a/p4" in catalog.contracts
    (broken,) = catalog.broken
    assert broken.name == "a/p5"
    assert "nested more than 4 deep" in str(broken.problems[0])


def write(path, table):
    pq.write_table(table, path)
    return {"kind": "files", "path": str(path), "format": "parquet"}


@contextlib.contextmanager
def opened(tmp_path, tables, how="join", on=("k",), **columns):
    inputs = [
        {"place": write(tmp_path / f"{number}.parquet", table), "keep": None, "known": table.column_names} for number, table in enumerate(tables)
    ]
    fds = [os.open(one["place"]["path"], os.O_RDONLY) for one in inputs]
    place = {"kind": "product", "how": how, "on": list(on) if how == "join" else [], "columns": columns, "inputs": inputs}
    try:
        found = open_source(place, columns=None, fds=fds)
        yield found
        found.close()
    finally:
        for fd in fds:
            os.close(fd)


def test_many_rows_with_one_key_come_in_bounded_batches(tmp_path):
    many = pa.table({"k": [1] * 3000, "x": list(range(3000))})
    with opened(tmp_path, [many, many.rename_columns(["k", "y"])], k=[-1, "k"], y=[1, "y"]) as found:
        batches = list(itertools.islice(found.batches(), 20))
    assert {batch.num_rows for batch in batches} == {1 << 16}
    assert len(batches) == 20


@pytest.mark.parametrize(("rows", "size"), [(5, 1 << 30), (1 << 30, 100)])
def test_a_later_input_that_is_too_large_is_refused_by_name(tmp_path, monkeypatch, rows, size):
    small, large = pa.table({"k": [1, 2]}), pa.table({"k": list(range(100)), "x": list(range(100))})
    monkeypatch.setattr(source, "HELD_ROWS", rows)
    monkeypatch.setattr(source, "HELD_BYTES", size)
    with opened(tmp_path, [large, small], k=[-1, "k"], x=[0, "x"]) as found:
        assert sum(batch.num_rows for batch in found.batches()) == 2
    with pytest.raises(Conflict, match="input 2 is too large to be joined") as caught, opened(tmp_path, [small, large], k=[-1, "k"], x=[1, "x"]):
        pass
    assert "comes first" in caught.value.next_step


@pytest.mark.parametrize(
    ("how", "second", "words"),
    [
        ("join", pa.array(["secret-value"]), "the key k is string in input 2 and int64 in input 1"),
        ("union", pa.array(["secret-value"]), "the column k is string in input 2 and int64 in input 1"),
        ("join", pa.array([[1]]), "the key k is"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_without_a_value(tmp_path, how, second, words):
    with pytest.raises(Conflict) as caught, opened(tmp_path, [pa.table({"k": [1]}), pa.table({"k": second})], how, k=[-1, "k"]):
        pass
    assert words in str(caught.value)
    assert "secret-value" not in str(caught.value)


def test_a_value_that_does_not_fit_the_first_inputs_type_is_not_quoted(tmp_path):
    tables = [pa.table({"k": pa.array([1], pa.int8())}), pa.table({"k": pa.array([987654], pa.int64())})]
    with opened(tmp_path, tables, "union", k=[-1, "k"]) as found:
        with pytest.raises(Conflict, match="a value of k in input 2 does not fit int8") as caught:
            list(found.batches())
        assert "987654" not in str(caught.value) + str(caught.value.__cause__)


def test_a_place_says_which_rows_of_an_input_may_be_used(shop):
    shop.join()
    contract = shop.contract()
    assert [one["keep"] for one in place_for(contract, None)["inputs"]] == [None, None]
    assert [one["place"]["kind"] for one in place_for(contract, Bounds(inputs=(Bounds(), Bounds())))["inputs"]] == ["files", "files"]
    text = yaml.safe_dump(place_for(contract, None))
    assert "guardrails" not in text


def guide(title):
    """The YAML under a heading of the admins' guide, as contracts are read."""
    text = (Path(__file__).parents[2] / "docs" / "admins.md").read_text()
    root, problems = read_tree(text.partition(f"### {title}")[2].partition("```yaml\n")[2].partition("```")[0].encode(), title)
    assert problems == []
    return root.plain()


def test_what_the_guide_shows_is_a_contract(shop):
    shop.world.write("crm/guide", **guide("Quality rules"))
    assert len(shop.contract("crm/guide").quality) == 5
    types = TYPES | {"amount": "number"}
    shop.input("shop/orders", ORDERS, types=types)
    shop.world.write("mart/customer", "/", **guide("Products") | {"servers": None, "name": None, "id": "mart/customer"})
    assert [row["total"] for row in shop.rows("mart/customer")] == [10, 20, 30]
