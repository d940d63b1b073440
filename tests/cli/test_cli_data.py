"""`data list|show|check` as a person types them, over a control of their own."""

import json
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from jupyter_guardrails.cli.printing import table
from jupyter_guardrails.control.interface import Settings, start_own_control

POLICY = """\
apiVersion: guardrails/v1
admins: {users: [carol]}
rules:
  - {name: everyone, for: everyone, data: {read: ["nyc/*"], request: ["hr/*"]}}
"""


def make_place(root):
    """A policy, a catalogue with a granted and a requestable dataset, and their data."""
    (root / "catalog").mkdir()
    (root / "state").mkdir(mode=0o700)
    (root / "guardrails.yaml").write_text(POLICY)
    pq.write_table(pa.table({"origin": ["JFK", None], "delay": [1, 2]}), root / "flights.parquet")
    pq.write_table(pa.table({"people": [1]}), root / "people.parquet")
    contract(root, "nyc/flights", "flights.parquet")
    contract(root, "hr/people", "people.parquet")
    return root


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A place whose control runs already, for ana: so that each command need not start one."""
    place = make_place(tmp_path_factory.mktemp("d"))
    control = start_own_control(
        Settings(place / "guardrails.yaml", place / "catalog", place / "state", place / "state" / "control.sock", True, "ana")
    )
    yield place
    control.stop()


@pytest.fixture
def own(tmp_path):
    """A place of one test's own; commands start their control themselves."""
    return make_place(tmp_path)


def contract(place, name, file, **changes):
    domain, _, last = name.partition("/")
    data = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": name, "version": "1.0.0", "status": "active", "domain": domain}
    data |= {"description": {"purpose": f"All {last} \x1b[31mred"}, "team": {"name": "team", "members": [{"username": "dana", "role": "owner"}]}}
    data |= {"servers": [{"server": "here", "type": "local", "path": str(place.resolve() / file), "format": "parquet"}]}
    data |= {"schema": [{"name": last, "properties": [{"name": "origin", "logicalType": "string", "description": "airport"}]}]}
    data |= {"customProperties": [{"property": "guardrails.classification", "value": "internal"}]}
    (place / "catalog" / f"{last}.yaml").write_text(yaml.safe_dump(data | changes))


def data(place, *arguments, person="ana"):
    names = {"GUARDRAILS_POLICY": "guardrails.yaml", "GUARDRAILS_CATALOG": "catalog", "GUARDRAILS_STATE_DIR": "state"}
    environment = {"PATH": os.environ["PATH"], "HOME": str(place), "GUARDRAILS_AS": person} | {key: str(place / name) for key, name in names.items()}
    command = [sys.executable, "-m", "jupyter_guardrails", "data", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_list_is_a_table(place):
    done = data(place, "list")
    assert done.returncode == 0, done.stderr
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["name", "readable", "classification", "owner", "marks", "description"]
    assert rows[0].split()[:3] == ["hr/people", "on", "request"]
    assert rows[1].split()[:5] == ["nyc/flights", "yes", "internal", "dana", "advisory"]  # control is this account, too
    assert "\x1b" not in done.stdout


def test_list_finds_words_and_scopes(place):
    assert [row["name"] for row in json.loads(data(place, "list", "--json", "all", "people").stdout)["datasets"]] == ["hr/people"]
    assert [row["name"] for row in json.loads(data(place, "list", "--json", "--scope", "granted").stdout)["datasets"]] == ["nyc/flights"]
    assert data(place, "list", "nothing-like-this").stdout == "no datasets\n"


def test_list_goes_on_page_by_page(place):
    names = [row["name"] for row in json.loads(data(place, "list", "--json").stdout)["datasets"]]
    pages = [json.loads(data(place, "list", "--json", "--limit", "1", "--offset", str(number)).stdout) for number in range(len(names))]
    assert [row["name"] for page in pages for row in page["datasets"]] == names
    assert f"and {len(names) - 1} more" in data(place, "list", "--limit", "1").stdout
    wrong = data(place, "list", "--limit", "0")
    assert wrong.returncode == 2
    assert "--limit is 1 to 1000" in wrong.stderr


def test_show_has_columns_rows_and_the_line_to_type(place):
    shown = data(place, "show", "nyc/flights").stdout
    for words in (
        "owner:          dana",
        "origin",
        "airport",
        "JFK",
        str(place.resolve() / "flights.parquet"),
        'pd.read_parquet("dataset://nyc/flights")',
    ):
        assert words in shown
    assert json.loads(data(place, "show", "hr/people", "--json").stdout)["status"] == "requestable"


def test_show_of_what_is_not_there_says_so(place):
    done = data(place, "show", "no/such")
    assert done.returncode == 1
    assert "there is no dataset 'no/such'" in done.stderr


def test_check_is_zero_when_all_is_in_order_and_names_every_mistake_otherwise(own):
    place = own
    assert (data(place, "check", place / "catalog").returncode, data(place, "check", person="carol").returncode) == (0, 0)
    contract(place, "nyc/bad", "missing.parquet", status="live", team=None)
    for done in (data(place, "check", place / "catalog"), data(place, "check", person="carol")):
        assert done.returncode == 1
        assert done.stderr.count(f"{place}/catalog/bad.yaml:") == 3
        assert done.stdout == "2 contracts are in order, 1 has mistakes\n"
    found = json.loads(data(place, "check", place / "catalog", "--json").stdout)["contracts"]
    assert {row["name"]: len(row["problems"]) for row in found} == {"nyc/bad": 3, "nyc/flights": 0, "hr/people": 0}


def test_check_of_a_dataset_measures_its_rules_and_is_one_when_any_fails(own):
    rules = [{"metric": "nullValues", "mustBeLessThan": 60, "unit": "percent"}, {"metric": "nullValues", "mustBe": 0, "severity": "error"}]
    schema = [{"name": "flights", "properties": [{"name": "origin", "quality": rules}]}]
    contract(own, "nyc/flights", "flights.parquet", schema=schema)
    done = data(own, "check", "nyc/flights", person="dana")
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("nyc/flights quality: 1 of 2 checks passed, at 20")
    assert lines[2].split("  ")[0] == "passed"
    assert "FAILED  exactly 0 null values in origin       1 (50 %)  error" in done.stdout
    found = json.loads(data(own, "check", "nyc/flights", "--json", person="dana").stdout)
    assert [check["state"] for check in found["checks"]] == ["passed", "failed"]
    assert "1 of 2 checks passed" in data(own, "show", "nyc/flights").stdout
    contract(own, "nyc/flights", "flights.parquet", schema=[{"name": "flights", "properties": [{"name": "origin", "quality": rules[:1]}]}])
    assert data(own, "check", "nyc/flights", person="dana").returncode == 0
    refused = data(own, "check", "nyc/flights")
    assert refused.returncode == 1
    assert "checked by its owner (dana) and by admins" in refused.stderr
    (own / "nyc" / "flights").mkdir(parents=True)
    assert "0 contracts are in order" in data(own, "check", own / "nyc" / "flights").stdout, "a folder is a folder"


def test_check_of_the_catalogue_is_for_admins_and_a_missing_folder_is_a_mistake(place):
    assert "only admins" in data(place, "check").stderr
    done = data(place, "check", place / "none")
    assert done.returncode == 1
    assert "does not exist" in done.stderr


def test_a_table_is_cut_to_the_terminal_and_keeps_columns_aligned():
    shown = table(("name", "text"), [("a/b", "x" * 50), ("long/name", "y\ny")], 20).splitlines()
    assert [line.find(word) for line, word in zip(shown, ("text", "x", "y y"), strict=True)] == [11, 11, 11]
    assert max(map(len, shown)) == 20
