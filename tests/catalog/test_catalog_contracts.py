"""Contracts on disk: what is read, what breaks one, and that a broken one offers nothing while its neighbours do."""

import os
import socket

import pytest
import yaml

from jupyter_guardrails.catalog import CatalogFolder, load_catalog


def problems_of(catalog, name):
    return " | ".join(str(p) for contract in catalog.broken if contract.name == name for p in contract.problems)


def test_a_whole_contract_gives_its_values(world):
    file = world.write("nyc/flights")
    catalog = load_catalog(world.folder)
    contract = catalog.contracts["nyc/flights"]
    assert catalog.problems == ()
    assert (contract.version, contract.status, contract.owner, contract.domain, contract.classification) == (
        "1.2.0",
        "active",
        "dana",
        "nyc",
        "internal",
    )
    assert (contract.format, contract.path, contract.file, contract.tags) == ("parquet", str(world.data / "nyc/flights.parquet"), str(file), ("nyc",))
    assert [(c.name, c.type, c.classification) for c in contract.columns] == [("origin", "string", ""), ("email", "string", "pii")]


def test_the_resource_carries_what_policies_decide_by(world):
    world.write("nyc/flights")
    resource = load_catalog(world.folder).resource("nyc/flights")
    assert (resource.name, resource.classification, resource.domain, resource.tags, resource.owner) == (
        "nyc/flights",
        "internal",
        "nyc",
        ("nyc",),
        "dana",
    )
    assert resource.columns == {"email": "pii"}
    assert load_catalog(world.folder).resource("nyc/trains") is None


def test_contracts_lie_in_subfolders_and_hidden_files_are_left_out(world):
    (world.folder / "deep").mkdir()
    world.write("nyc/flights", file="deep/flights.yaml")
    (world.folder / ".draft.yaml").write_text("not: [a contract")
    (world.folder / "readme.md").write_text("hello")
    catalog = load_catalog(world.folder)
    assert set(catalog.contracts) == {"nyc/flights"}
    assert catalog.problems == ()


@pytest.mark.parametrize(
    ("identity", "name", "domain", "expected"),
    [
        ("hr/people", "People", "hr", "hr/people"),
        ("9b1d", "hr/people", "other", "hr/people"),
        ("9b1d", "people", "hr", "hr/people"),
        ("people", "All People", "hr", "hr/people"),
    ],
)
def test_the_rule_for_a_datasets_name(world, identity, name, domain, expected):
    world.write("x/y", id=identity, name=name, domain=domain)
    assert set(load_catalog(world.folder).contracts) == {expected}


@pytest.mark.parametrize(
    "name", ["hr/../etc", "HR/people", "hr/реople", "hr//people", "/hr/people", "hr/people\n", "hr/" + "a" * 300, "hr/ people", "../people"]
)
def test_names_that_could_pass_for_others_are_refused(world, name):
    world.write("x/y", id=name)
    catalog = load_catalog(world.folder)
    assert catalog.contracts == {}
    assert "cannot be a dataset's name" in str(catalog.problems)


BROKEN = {
    "no owner": ({"team": None}, "team is missing"),
    "no purpose": ({"description": {"usage": "any"}}, "description.purpose is missing"),
    "no version": ({"version": None}, "version is missing"),
    "list as version": ({"version": ["1.0"]}, "version: input should be a valid string"),
    "no classification": ({"customProperties": None, "schema": None}, "the dataset has no classification"),
    "unknown top key": ({"clasification": "x", "descripton": "y"}, "unknown key descripton"),
    "misspelt classification of a column": (
        {"schema": [{"name": "a", "properties": [{"name": "b", "clasification": "pii"}]}]},
        "unknown key clasification",
    ),
    "misspelt own key": ({"customProperties": [{"property": "guardrails.rowfilter", "value": "a = 1"}]}, "guardrails.rowfilter is unknown"),
    "sql of files": (
        {"customProperties": [{"property": "guardrails.sql", "value": "per-person"}]},
        "guardrails.sql is for databases of type postgres alone",
    ),
    "sql of a kind": ({"customProperties": [{"property": "guardrails.sql", "value": "all"}]}, "all is not one of per-person"),
    "own key in capitals": ({"customProperties": [{"property": "Guardrails.rowFilter", "value": "a = 1"}]}, "Guardrails.rowFilter is unknown"),
    "own key twice": (
        {"customProperties": [{"property": "guardrails.classification", "value": v} for v in ("restricted", "public")]},
        "stands twice",
    ),
    "unknown status": ({"status": "live"}, "live is not one of"),
    "unknown delivery": ({"customProperties": [{"property": "guardrails.delivery", "value": "mail"}]}, "mail is not one of"),
    "other kind": ({"kind": "DataProduct"}, "kind has to be DataContract"),
    "other standard": ({"apiVersion": "v2.2.0"}, "apiVersion has to be v3.x"),
    "no servers": ({"servers": None}, "no server of a type that can be read"),
    "only a stream": ({"servers": [{"server": "p", "type": "kafka", "host": "db"}]}, "no server of a type that can be read"),
}


@pytest.mark.parametrize(("changes", "sentence"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_contract_says_why_and_its_neighbour_is_untouched(world, changes, sentence):
    file = world.write("nyc/flights", **changes)
    world.write("nyc/planes")
    catalog = load_catalog(world.folder)
    assert set(catalog.contracts) == {"nyc/planes"}
    assert sentence in problems_of(catalog, "nyc/flights")
    assert str(file) in problems_of(catalog, "nyc/flights")


BAD_TEXT = {
    "broken yaml": "id: [1",
    "a list": "- 1",
    "empty": "",
    "not utf-8": b"id: \xff\xfe",
    "duplicate key": "id: a\nid: b",
    "bomb of aliases": "a: &a [" + "x," * 1000 + "]\nb: &b [" + "*a," * 1000 + "]\nc: [" + "*b," * 1000 + "]",
    "key that is no text": "[1]: a",
    "deep": "id: " + "[" * 5000,
    "flood": "tags: [" + "a," * 510_000 + "]",
    "python object": "id: !!python/object/apply:os.system [id]",
    "huge": "#" * (5 << 20),
}


@pytest.mark.parametrize("text", BAD_TEXT.values(), ids=BAD_TEXT.keys())
def test_hostile_or_malformed_yaml_is_a_problem_and_never_an_exception(world, text):
    (world.folder / "bad.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    world.write("nyc/planes")
    catalog = load_catalog(world.folder)
    assert set(catalog.contracts) == {"nyc/planes"}
    assert len(catalog.broken) == 1
    assert catalog.problems


def test_a_pipe_with_a_contracts_name_is_a_problem_and_keeps_nobody_waiting(world):
    os.mkfifo(world.folder / "pipe.yaml")
    world.write("nyc/planes")
    catalog = load_catalog(world.folder)
    assert set(catalog.contracts) == {"nyc/planes"}
    assert [(problem.file, problem.message) for problem in catalog.problems] == [(str(world.folder / "pipe.yaml"), "is no regular file")]


def test_problems_name_line_and_column(world):
    file = world.write("nyc/flights", status="live")
    (problem,) = load_catalog(world.folder).problems
    assert file.read_text().splitlines()[problem.line - 1].startswith("status: live")
    assert str(problem).startswith(f"{file}:{problem.line}:9: ")


def places(world):
    real = world.parquet("real.parquet")
    (world.data / "link.parquet").symlink_to(real)
    (world.data / "folder").mkdir()
    (world.data / "linked").symlink_to(world.data / "folder")
    (world.data / "folder/part.parquet").write_bytes(real.read_bytes())
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(world.data / "s"))
    listener.close()
    return world.data


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("{data}/link.parquet", "leads over a symlink"),
        ("{data}/linked/part.parquet", "leads over a symlink"),
        ("{data}/none.parquet", "cannot be reached"),
        ("{data}/folder/../real.parquet", "not in plain form"),
        ("{data}/folder/", "not in plain form"),
        ("//{data}/real.parquet", "not in plain form"),
        ("real.parquet", "not an absolute path"),
        ("{data}/*.parquet", "has a wildcard"),
        ("/", "the whole machine"),
        ("{data}/s", "neither a file nor a folder"),
    ],
)
def test_places_that_cannot_be_granted(world, path, sentence):
    world.write("nyc/flights", path.format(data=places(world)))
    catalog = load_catalog(world.folder)
    assert catalog.contracts == {}
    assert sentence in problems_of(catalog, "nyc/flights")


@pytest.mark.parametrize("path", ["{data}/real.parquet", "{data}/folder"])
def test_places_that_can(world, path):
    world.write("nyc/flights", path.format(data=places(world)))
    assert set(load_catalog(world.folder).contracts) == {"nyc/flights"}


def test_two_contracts_for_one_name_are_both_broken(world):
    first, second = world.write("nyc/flights", file="a.yaml"), world.write("nyc/flights", world.parquet("other.parquet"), file="b.yaml")
    catalog = load_catalog(world.folder)
    assert catalog.contracts == {}
    texts = {contract.file: str(contract.problems[0]) for contract in catalog.broken}
    assert "nyc/flights is also the name in" in texts[str(first)]
    assert str(second) in texts[str(first)]
    assert str(first) in texts[str(second)]


def test_two_contracts_for_one_place_are_both_broken_hard_links_included(world):
    place = world.parquet("a.parquet")
    os.link(place, world.data / "b.parquet")
    world.write("nyc/flights", place)
    world.write("nyc/planes", world.data / "b.parquet")
    catalog = load_catalog(world.folder)
    assert catalog.contracts == {}
    assert "is also the place of" in problems_of(catalog, "nyc/flights")
    assert "is also the place of" in problems_of(catalog, "nyc/planes")


def test_a_place_around_another_one_is_broken_and_the_inner_one_is_not(world):
    world.write("hr/salaries", world.parquet("hr/salaries.parquet"))
    world.write("hr/all", world.data / "hr", servers=[{"server": "h", "type": "local", "path": str(world.data / "hr")}])
    catalog = load_catalog(world.folder)
    assert set(catalog.contracts) == {"hr/salaries"}
    assert "hr/salaries" in problems_of(catalog, "hr/all")


def test_by_path_finds_the_dataset_that_holds_a_path(world):
    inside = world.parquet("days/2024/part.parquet")
    world.write("nyc/days", world.data / "days")
    catalog = load_catalog(world.folder)
    assert catalog.by_path(inside).name == "nyc/days"
    assert catalog.by_path(f"{world.data}/days/x/../2024").name == "nyc/days"
    assert catalog.by_path(f"{world.data}/days2") is None
    assert catalog.by_path("relative") is None


def test_nested_and_listed_columns_keep_their_classification(world):
    inner = {"name": "ssn", "logicalType": "string", "classification": "pii"}
    schema = [
        {
            "name": "t",
            "properties": [
                {"name": "who", "logicalType": "object", "properties": [inner]},
                {"name": "all", "logicalType": "array", "items": dict(inner)},
            ],
        }
    ]
    world.write("hr/people", schema=schema)
    assert load_catalog(world.folder).resource("hr/people").columns == {"who.ssn": "pii", "all[]": "pii"}


def test_several_tables_name_their_columns_apart_and_give_the_highest_class(world):
    tables = [{"name": t, "properties": [{"name": "id", "classification": c}]} for t, c in (("a", "public"), ("b", "confidential"))]
    world.write("hr/people", schema=tables, customProperties=None)
    contract = load_catalog(world.folder).contracts["hr/people"]
    assert [column.name for column in contract.columns] == ["a.id", "b.id"]
    assert contract.classification == "confidential"


def test_a_missing_folder_is_an_empty_catalogue_with_a_problem(tmp_path):
    catalog = load_catalog(tmp_path / "none")
    assert catalog.contracts == {}
    assert "does not exist" in str(catalog.problems[0])


def test_the_folder_is_read_again_when_it_changes(world):
    file = world.write("nyc/flights")
    folder = CatalogFolder(world.folder, check_every_s=0)
    first = folder.current
    assert folder.current is first
    world.write("nyc/planes")
    assert set(folder.current.contracts) == {"nyc/flights", "nyc/planes"}
    file.write_text("broken: [")
    assert set(folder.current.contracts) == {"nyc/planes"}
    file.unlink()
    assert folder.current.broken == ()


def test_a_contract_heals_when_its_data_arrives(world):
    place = world.data / "late.parquet"
    world.write("nyc/late", place)
    folder = CatalogFolder(world.folder, check_every_s=0)
    assert folder.current.contracts == {}
    world.parquet("late.parquet")
    assert set(folder.current.contracts) == {"nyc/late"}


def test_files_are_looked_at_once_in_a_while(world):
    now = [0.0]
    folder = CatalogFolder(world.folder, check_every_s=1.0, clock=lambda: now[0])
    world.write("nyc/flights")
    assert folder.current.contracts == {}
    now[0] = 1.0
    assert set(folder.current.contracts) == {"nyc/flights"}


def test_contracts_survive_yaml_in_block_and_flow_style(world):
    file = world.write("nyc/flights")
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()), default_flow_style=True))
    assert set(load_catalog(world.folder).contracts) == {"nyc/flights"}
