"""The demo: its data, contracts, policy and notebooks are what they say, and the whole way runs without a browser."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import nbformat
import open_data_contract_standard
import pyarrow.csv
import pyarrow.parquet
import pytest
import yaml
from ipykernel.ipkernel import IPythonKernel

from jupyter_guardrails import errors, policy
from jupyter_guardrails.catalog import contracts as catalog_contracts
from jupyter_guardrails.cli import demo, demo_data, demo_job, demo_setup
from jupyter_guardrails.control.interface import find_settings, start_own_control

DEMO = Path(demo_setup.__file__).parents[1] / "demo"
NOTEBOOKS = sorted((DEMO / "notebooks").glob("*.ipynb"))
ODCS = json.loads((Path(open_data_contract_standard.__file__).parent / "schema.json").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The demo's data, policy, catalogue and workspace; the kernels' environment is the slow test's."""
    root = tmp_path_factory.mktemp("demo").resolve()
    demo_data.write_data(root / "data")
    made = demo_setup.DemoFolder(root)
    demo_setup._write_texts(made)
    return made


def test_all_flights_are_there_in_both_formats(folder):
    flights = pyarrow.parquet.read_table(folder.root / "data" / "nyc" / "flights.parquet")
    assert flights.num_rows == 336_776
    assert flights.schema.field("arr_delay").type == "int64"
    assert pyarrow.csv.read_csv(folder.root / "data" / "nyc" / "flights.csv").num_rows == 336_776


def test_salaries_are_the_same_made_up_ones_each_time():
    salaries = demo_data.made_up_salaries()
    assert salaries == demo_data.made_up_salaries()
    assert {len(column) for column in salaries.values()} == {demo_data.PEOPLE}


def test_data_is_written_once(folder):
    before = (folder.root / "data").stat().st_mtime_ns
    assert demo_data.write_data(folder.root / "data") is False
    assert (folder.root / "data").stat().st_mtime_ns == before


def test_each_contract_is_valid_by_the_standards_own_schema(folder):
    files = sorted((folder.root / "catalog").glob("*.yaml"))
    assert len(files) == 14
    for file in files:
        jsonschema.Draft201909Validator(ODCS).validate(yaml.safe_load(file.read_text()))


def test_the_schema_check_can_fail(folder):
    broken = {**yaml.safe_load((folder.root / "catalog" / "nyc_flights.odcs.yaml").read_text()), "status": 3}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft201909Validator(ODCS).validate(broken)


def test_the_catalogue_offers_every_dataset(folder):
    catalog = catalog_contracts.load_catalog(folder.root / "catalog")
    assert [str(problem) for problem in catalog.problems] == []
    assert {
        "nyc/flights",
        "nyc/flights_csv",
        "nyc/weather",
        "nyc/planes",
        "nyc/airports",
        "nyc/airlines",
        "hr/salaries",
        "hr/headcount",
        "hr/roster",
        "nyc/departures",
    } <= set(catalog.contracts)


def test_contracts_describe_the_columns_that_the_files_have(folder):
    contracts = catalog_contracts.load_catalog(folder.root / "catalog").contracts
    assert [name for name, contract in contracts.items() if not contract.path] == ["nyc/departures"], "a product has no file"
    for contract in (one for one in contracts.values() if one.path):
        read = pyarrow.parquet.read_schema if contract.format == "parquet" else lambda file: pyarrow.csv.open_csv(file).schema
        assert [column.name for column in contract.columns] == read(contract.path).names, contract.name


def test_an_edited_policy_is_kept_and_a_lost_one_comes_back(folder):
    policy = folder.root / "policy.yaml"
    original = policy.read_text()
    policy.write_text(original + "# mine\n")
    demo_setup._write_texts(folder)
    assert policy.read_text().endswith("# mine\n")
    policy.unlink()
    demo_setup._write_texts(folder)
    assert policy.read_text() == original


def test_an_untouched_text_of_an_older_version_is_renewed(folder):
    record = folder.root / "written.json"
    policy = folder.root / "policy.yaml"
    new, old = policy.read_text(), "# an older version\n"
    policy.write_text(old)
    record.write_text(json.dumps({**json.loads(record.read_text()), "policy.yaml": demo_setup.digest_of(old)}))
    demo_setup._write_texts(folder)
    assert policy.read_text() == new


POLICY_TABLE = [
    ("ana", "data.read", "nyc/flights", True, "everyone-starts-small"),
    ("ana", "data.read", "hr/salaries", False, "restricted-stays-shut"),
    ("ana", "data.read", "hr/headcount", False, ""),
    ("ana", "data.read", "hr/roster", True, "everyone-starts-small"),
    ("ana", "data.request", "hr/headcount", True, "analysts-may-grow"),
    ("ben", "data.request", "hr/headcount", False, ""),
    ("carol", "data.read", "hr/salaries", False, "restricted-stays-shut"),
]


@pytest.mark.parametrize(("who", "action", "dataset", "allowed", "rule"), POLICY_TABLE)
def test_the_policy_decides_as_the_demo_says(folder, who, action, dataset, allowed, rule):
    resource = catalog_contracts.load_catalog(folder.root / "catalog").resource(dataset)
    decision = policy.decide(policy.effective(policy.load(DEMO / "policy.yaml"), who), action, resource, datetime.now(UTC))
    assert decision.allowed is allowed
    assert rule in decision.rule.name


def test_each_person_has_the_role_that_the_demo_says():
    roles = {name: policy.effective(policy.load(DEMO / "policy.yaml"), name).roles for name in demo.PEOPLE}
    assert all(role in roles[name] for name, role in demo.PEOPLE.items())
    assert "admin" not in roles["ana"] | roles["ben"]


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.name)
def test_notebooks_are_stored_clean(file):
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == demo_setup.KERNELSPEC
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.name)
def test_a_notebook_of_the_demo_is_not_changed_by_being_opened(tmp_path, file):
    """JupyterLab notes what a kernel says of its language: a notebook that knows it already stays as it is."""
    made = demo_setup.DemoFolder(tmp_path)
    demo_setup._write_texts(made)
    notebook = nbformat.read(made.workspace / file.name, as_version=4)
    assert notebook.metadata.language_info == IPythonKernel.language_info
    assert notebook.cells == nbformat.read(file, as_version=4).cells


def test_the_job_has_one_cell_of_parameters():
    notebook = nbformat.read(DEMO / "notebooks" / "delays.ipynb", as_version=4)
    assert [cell.metadata.get("tags") for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])] == [["parameters"]]


@pytest.fixture
def place_for_everyone():
    """A folder that the job's account reaches too; pytest's own are closed to others, and closed again by each other run of it."""
    with tempfile.TemporaryDirectory(prefix="gr-demo-") as place:
        Path(place).chmod(0o755)
        yield place


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_main_job_runs_without_a_browser(place_for_everyone):
    place = place_for_everyone
    done = subprocess.run(
        [sys.executable, "-m", "jupyter_guardrails", "demo", "--check", f"--dir={place}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert {"files", "network"} <= set(report["enforced"])
    assert "restricted-stays-shut" in report["refusal"]
    assert report["memory_bomb"] == {"error": "MemoryError", "variable_kept": True}
    assert report["quality"] == "4 of 4 checks passed"
    assert set(report["data"]) == {"view", "product", "request", "published"}
    assert report["package"]["content_digest"] == report["package"]["content_digest_again"]
    assert report["job"]["rows"] == 16


@pytest.fixture
def running(folder, tmp_path):
    """Control of a demo that runs as ana; the environment that its start had."""
    environment = {**os.environ, **folder.environment(person="ana", state=tmp_path / "state")}
    settings = replace(find_settings([], environment, home=tmp_path), person="ana")
    own = start_own_control(settings)
    yield environment
    own.stop()


def test_a_second_person_is_told_who_runs_already(folder, running):
    with pytest.raises(errors.Conflict, match="runs as ana already"):
        demo._refuse_two_people(folder, running, "ben")


def test_the_same_person_may_start_again(folder, running):
    demo._refuse_two_people(folder, running, "ana")


def test_data_that_the_jobs_account_cannot_read_is_said_in_a_sentence(tmp_path):
    _, identity = demo_job._other_account()
    closed = tmp_path / "closed.csv"
    closed.write_text("a\n")
    closed.chmod(0)
    with pytest.raises(errors.GuardrailsError, match=r"can't read .*closed\.csv"):
        demo_job._unreadable([str(closed)], identity, {})
    demo_job._unreadable(["/etc/hostname"], identity, {})
