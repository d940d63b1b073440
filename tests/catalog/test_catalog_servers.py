"""Contracts for object stores and databases: which place each gives, every mistake with its line, and no secret in what is said."""

import json
import sqlite3
from pathlib import Path

import jsonschema
import open_data_contract_standard
import pytest
import yaml

from jupyter_guardrails.catalog import load_catalog
from jupyter_guardrails.catalog.servers import shown

S3 = {"server": "lake", "type": "s3", "location": "s3://lake/nyc/flights/", "format": "parquet"}
PG = {"server": "dwh", "type": "postgres", "host": "db.example.com", "port": 5432, "database": "warehouse", "schema": "nyc"}
SECRET = "hunter2-AKIAEXAMPLE"


def table(**changes):
    properties = [{"name": "origin", "logicalType": "string", "physicalName": "ORIGIN"}, {"name": "delay", "logicalType": "integer"}]
    return [{"name": "flights", "properties": properties} | changes]


def placed(world, server, **changes):
    """The place of a contract with one server; the contract has to be right."""
    world.write("nyc/flights", "/unused", servers=[server], **changes)
    catalog = load_catalog(world.folder)
    assert catalog.problems == (), catalog.problems
    return catalog.contracts["nyc/flights"]


def test_an_object_store(world):
    contract = placed(world, S3 | {"endpointUrl": "https://store.example.com/"})
    assert contract.place == {
        "kind": "objects",
        "url": "s3://lake/nyc/flights",
        "format": "parquet",
        "endpoint": "https://store.example.com",
    }
    assert (contract.path, contract.format, contract.delivery) == ("", "parquet", "brokered")
    assert shown(contract.place) == "s3://lake/nyc/flights at https://store.example.com"


@pytest.mark.parametrize(
    ("server", "url", "form"),
    [
        ({"type": "s3", "location": "s3://lake"} | {"format": "csv"}, "s3://lake", "csv"),
        ({"type": "gcs", "location": "gs://lake/a/b.jsonl"}, "gs://lake/a/b.jsonl", "json"),
        ({"type": "azure", "location": "abfss://box@account.dfs.core.example.com/a.parquet"}, None, "parquet"),
        ({"type": "sftp", "location": "sftp://files.example.com/a/b.csv"}, None, "csv"),
        ({"type": "custom", "location": "oss://lake/Ü/数据.arrow"}, None, "arrow"),
        ({"type": "custom", "location": "https://files.example.com/a.parquet"}, None, "parquet"),
    ],
)
def test_other_stores(world, server, url, form):
    place = placed(world, {"server": "x"} | server).place
    assert (place["url"], place["format"]) == (url or server["location"], form)


def test_a_table_of_a_database(world):
    contract = placed(world, PG, schema=table(physicalName="flights_2024"))
    expected = {"kind": "database", "dialect": "postgresql", "host": "db.example.com", "port": 5432, "database": "warehouse", "schema": "nyc"}
    assert contract.place == expected | {"table": "flights_2024", "physical": {"origin": "ORIGIN"}}
    assert (contract.path, contract.format, contract.delivery) == ("", "table", "brokered")
    assert json.loads(json.dumps(contract.place)) == contract.place


@pytest.mark.parametrize(
    ("server", "dialect", "port"),
    [
        (PG | {"type": "postgresql", "port": 6432, "schema": None}, "postgresql", 6432),
        ({"type": "mysql", "host": "db", "database": "d"}, "mysql", 3306),
        ({"type": "sqlserver", "host": "db", "database": "d", "schema": "dbo", "port": "1433"}, "mssql", 1433),
        ({"type": "oracle", "host": "10.0.0.5", "serviceName": "d"}, "oracle", 1521),
        ({"type": "postgres", "host": "/var/run/postgresql", "database": "d"}, "postgresql", 5432),
    ],
)
def test_other_databases(world, server, dialect, port):
    place = placed(world, {"server": "x"} | {key: value for key, value in server.items() if value is not None}, schema=table()).place
    assert (place["dialect"], place["port"], place["table"]) == (dialect, port, "flights")
    assert place.get("schema", "") == {"postgresql": "public", "mssql": "dbo"}.get(dialect, "")


def test_a_table_of_sqlite(world):
    file = database(world)
    contract = placed(world, {"server": "x", "type": "sqlite", "path": str(file)}, schema=table())
    assert contract.place | {"physical": {}} == {"kind": "database", "dialect": "sqlite", "path": str(file), "table": "flights", "physical": {}}
    assert contract.path == ""


def database(world):
    file = world.data / "air.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute("create table flights (origin text)")
    connection.close()
    return file


WRONG = {
    "no location": ({"location": None}, "location is missing"),
    "no url": ({"location": "lake/nyc"}, "location is no URL"),
    "other scheme": ({"location": "gs://lake/nyc"}, "gs:// is no location of type s3"),
    "no bucket": ({"location": "s3:///nyc"}, "location names no bucket"),
    "wildcard": ({"location": "s3://lake/*.parquet"}, "location has a wildcard"),
    "question mark": ({"location": "s3://lake/a?.parquet"}, "has a query or a wildcard"),
    "upwards": ({"location": "s3://lake/a/../b"}, "not in plain form"),
    "empty part": ({"location": "s3://lake//b"}, "not in plain form"),
    "user": ({"location": f"s3://AKIA:{SECRET}@lake/b"}, "location holds a user or a password"),
    "signed": ({"location": f"s3://lake/b?X-Amz-Signature={SECRET}"}, "has a query or a wildcard"),
    "file through fsspec": ({"type": "custom", "location": "file:///etc/passwd"}, "leads to files of this machine"),
    "local through fsspec": ({"type": "custom", "location": "local:///etc/passwd"}, "leads to files of this machine"),
    "chain": ({"type": "custom", "location": "simplecache::s3://lake/b"}, "location is no URL"),
    "chain behind": ({"location": "s3://lake/a.zip::file:///etc"}, "leads to files of this machine"),
    "memory": ({"type": "custom", "location": "memory://a/b"}, "leads to files of this machine"),
    "our own": ({"type": "custom", "location": "dataset://hr/salaries"}, "leads to files of this machine"),
    "path": ({"type": "custom", "location": "/etc/passwd"}, "location is no URL"),
    "no format": ({"format": None}, "the format is not given"),
    "other format": ({"format": "xlsx"}, "the format xlsx is not one of"),
    "directory": ({"format": "directory"}, "the format directory is not one of"),
    "delimiter": ({"delimiter": ","}, "delimiter means nothing for parquet"),
    "long delimiter": ({"format": "csv", "delimiter": "ab"}, "this delimiter is not known for csv"),
    "array": ({"format": "json", "delimiter": "array"}, "this delimiter is not known for json"),
    "endpoint": ({"endpointUrl": "store.example.com"}, "endpointUrl is no http(s) address"),
    "user of the endpoint": ({"endpointUrl": f"https://a:{SECRET}@store.example.com"}, "endpointUrl holds a user"),
    "key": ({"customProperties": [{"property": "secretAccessKey", "value": SECRET}]}, "secretAccessKey looks like a credential"),
    "unknown key": ({"password": SECRET}, "unknown key password"),
    "key of another kind": ({"database": [SECRET]}, "database: input should be a valid string"),
}


@pytest.mark.parametrize(("changes", "sentence"), WRONG.values(), ids=WRONG.keys())
def test_mistakes_of_object_stores(world, changes, sentence):
    says(world, {key: value for key, value in (S3 | changes).items() if value is not None}, sentence)


WRONG_DATABASE = {
    "no host": ({"host": None}, "host is missing"),
    "address": ({"host": f"ana:{SECRET}@db.example.com"}, "host is an address with more than a name"),
    "url": ({"host": "postgresql://db"}, "host is an address with more than a name"),
    "two hosts": ({"host": "a,b"}, "host is not one name or address"),
    "path of another": ({"type": "mysql", "host": "/run/db"}, "host is not one name or address"),
    "port": ({"port": 70000}, "port is no number"),
    "port in words": ({"port": "9" * 5000}, "port is no number"),
    "no database": ({"database": None}, "database is missing"),
    "connection string": ({"database": f"d password={SECRET}"}, "database is more than a name"),
    "delivery": ({}, "direct is not one of view, brokered", {"customProperties": [{"property": "guardrails.delivery", "value": "direct"}]}),
    "no table": ({}, "the contract names no table", {"schema": None}),
    "table with a schema": ({}, "'nyc.flights' is no table's name", {"schema": table(physicalName="nyc.flights")}),
    "two tables": ({}, "2 tables in one contract", {"schema": [*table(), {"name": "planes"}]}),
}


@pytest.mark.parametrize("case", WRONG_DATABASE.values(), ids=WRONG_DATABASE.keys())
def test_mistakes_of_databases(world, case):
    changes, sentence, *rest = case
    own = {"customProperties": [{"property": "guardrails.classification", "value": "internal"}]}
    extra = rest[0] if rest else {}
    extra = extra | {"customProperties": [*own["customProperties"], *extra.get("customProperties", [])]}
    says(world, {key: value for key, value in (PG | changes).items() if value is not None}, sentence, **({"schema": table()} | extra))


def says(world, server, sentence, **changes):
    """The contract is broken with that sentence at a line of its own, its neighbour isn't, and the secret is nowhere."""
    file = world.write("nyc/flights", "/unused", servers=[server], **changes)
    world.write("nyc/planes")
    catalog = load_catalog(world.folder)
    assert set(catalog.contracts) == {"nyc/planes"}
    found = [problem for problem in catalog.problems if sentence in problem.message]
    assert found, catalog.problems
    assert found[0].line > 1
    assert found[0].file == str(file)
    assert SECRET not in "".join(map(str, catalog.problems))


@pytest.mark.parametrize(("path", "sentence"), [(None, "path is missing"), ("{data}", "is a folder"), ("{data}/none.sqlite", "cannot be reached")])
def test_mistakes_of_sqlite(world, path, sentence):
    server = {"server": "x", "type": "sqlite"} | ({"path": path.format(data=world.data)} if path else {})
    says(world, server, sentence, schema=table())


def test_a_line_of_servers_is_not_quoted_and_others_are(world):
    world.write("nyc/flights", "/unused", servers=[S3 | {"format": "xlsx"}], status="live")
    quoted = {problem.message.split()[0]: problem.source for problem in load_catalog(world.folder).problems}
    assert quoted["the"] == ""
    assert "live" in quoted["live"]


SAME = {
    "slash at the end": (S3, S3 | {"location": "s3://lake/nyc/flights"}),
    "two names of one scheme": ({"type": "gcs", "location": "gs://a/b.csv"}, {"type": "gcs", "location": "gcs://a/b.csv"}),
    "default port": (PG, {key: value for key, value in PG.items() if key != "port"}),
    "default schema": (PG | {"schema": "public"}, {k: v for k, v in PG.items() if k != "schema"}),
    "capitals of a host": (PG, PG | {"host": "DB.example.com"}),
}


@pytest.mark.parametrize(("first", "second"), SAME.values(), ids=SAME.keys())
def test_two_contracts_for_one_place(world, first, second):
    for name, server in (("nyc/flights", first), ("nyc/planes", second)):
        world.write(name, "/unused", servers=[{"server": "x"} | server], schema=table())
    catalog = load_catalog(world.folder)
    assert catalog.contracts == {}
    assert all("is also the place of" in str(contract.problems[0]) for contract in catalog.broken)


OTHER = {
    "another bucket": (S3, S3 | {"location": "s3://lake2/nyc/flights"}),
    "another endpoint": (S3, S3 | {"endpointUrl": "https://store.example.com"}),
    "a name that begins alike": (S3, S3 | {"location": "s3://lake/nyc/flights-2"}),
    "another schema": (PG, PG | {"schema": "other"}),
    "another database": (PG, PG | {"database": "other"}),
}


@pytest.mark.parametrize(("first", "second"), OTHER.values(), ids=OTHER.keys())
def test_two_contracts_for_two_places(world, first, second):
    for name, server in (("nyc/flights", first), ("nyc/planes", second)):
        world.write(name, "/unused", servers=[server], schema=table())
    assert set(load_catalog(world.folder).contracts) == {"nyc/flights", "nyc/planes"}


def test_a_prefix_around_another_one_is_broken_and_the_inner_one_is_not(world):
    world.write("hr/all", "/unused", servers=[S3 | {"location": "s3://lake"}])
    world.write("hr/salaries", "/unused", servers=[S3 | {"location": "s3://lake/hr/salaries.parquet"}])
    catalog = load_catalog(world.folder)
    assert set(catalog.contracts) == {"hr/salaries"}
    assert "s3://lake holds the place of" in str(catalog.problems)


def test_tables_of_one_file_stand_side_by_side_and_a_folder_around_it_is_broken(world):
    server = {"server": "x", "type": "sqlite", "path": str(database(world))}
    world.write("nyc/flights", "/unused", servers=[server], schema=table())
    world.write("nyc/planes", "/unused", servers=[server], schema=table(name="planes"))
    world.write("nyc/all", world.data)
    catalog = load_catalog(world.folder)
    assert set(catalog.contracts) == {"nyc/flights", "nyc/planes"}
    assert "holds the place of" in str(catalog.problems)


def test_a_database_s_file_is_no_file_dataset_too(world):
    file = database(world)
    world.write("nyc/flights", "/unused", servers=[{"server": "x", "type": "sqlite", "path": str(file)}], schema=table())
    world.write("nyc/file", file)
    catalog = load_catalog(world.folder)
    assert set(catalog.contracts) == {"nyc/flights"}
    assert catalog.by_path(file) is None


RICH = """
description: {purpose: Everything, limitations: none, usage: read, authoritativeDefinitions: [{type: privacy-statement, url: https://example.com}]}
tenant: Example
dataProduct: flights
contractCreatedTs: '2025-02-01T00:00:00+00:00'
price: {priceAmount: 9.95, priceCurrency: USD, priceUnit: megabyte}
support: [{channel: '#flights', tool: slack, url: https://example.com/slack, scope: interactive}, {channel: list, tool: email}]
roles: [{role: analyst, access: read, firstLevelApprovers: Dana, secondLevelApprovers: Carol}]
slaDefaultElement: flights.delay
slaProperties:
  - {property: latency, value: 4, unit: d, element: flights.delay, driver: regulatory}
  - {property: generalAvailability, value: '2022-05-12T09:30:10-08:00'}
schema:
  - name: flights
    physicalName: flights_v1
    physicalType: table
    businessName: Flights
    tags: [air]
    dataGranularityDescription: one row a flight
    relationships: [{type: foreignKey, from: flights.origin, to: airports.faa}]
    quality: [{metric: rowCount, mustBeBetween: [1, 1000000000]}, {type: sql, query: 'select count(*) from ${object}', mustBeGreaterThan: 0}]
    authoritativeDefinitions: [{url: https://example.com/d, type: businessDefinition}]
    properties:
      - name: origin
        logicalType: string
        logicalTypeOptions: {maxLength: 3, pattern: '^[A-Z]+$'}
        physicalType: varchar(3)
        required: true
        primaryKey: true
        primaryKeyPosition: 1
        partitioned: true
        partitionKeyPosition: 1
        criticalDataElement: true
        examples: [JFK]
        relationships: [{to: airports.faa}]
        quality:
          - {metric: nullValues, mustBe: 0}
          - {metric: invalidValues, arguments: {validValues: [JFK]}, mustBe: 0, severity: error, dimension: conformity}
      - {name: seats, logicalType: array, items: {logicalType: object, properties: [{name: row, logicalType: integer}]}}
      - {name: at, logicalType: timestamp, encryptedName: at_x, transformLogic: x, transformSourceObjects: [raw], transformDescription: y}
"""


def test_what_published_contracts_use_is_no_mistake(world):
    """The contract is right by the standard's own schema, and by us."""
    rich = yaml.safe_load(RICH)
    standard = json.loads((Path(open_data_contract_standard.__file__).parent / "schema.json").read_text())
    contract = placed(world, PG, **rich)
    jsonschema.validate(yaml.safe_load(Path(contract.file).read_text()), standard)
    assert contract.place["table"] == "flights_v1"
    assert [column.name for column in contract.columns] == ["origin", "seats", "seats[]", "seats[].row", "at"]


GUIDE = (Path(__file__).parents[2] / "docs" / "admins.md").read_text()
SHOWN = GUIDE[GUIDE.index("### Data in an object store or a database") :]
SERVERS = yaml.safe_load(SHOWN.partition("```yaml\n")[2].partition("```")[0])["servers"]


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server["server"])
def test_the_servers_of_the_admins_guide(world, server):
    if "path" in server:
        server = server | {"path": str(database(world))}
    placed(world, server, schema=table())
