"""Masked and filtered data in clean runs and jobs: read over the channel, said in the package, and never looser for whoever runs it later."""

import base64
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from promotion_world import POLICY, World, check_of

from jupyter_guardrails.errors import BadRequest

pytestmark = pytest.mark.slow
BLANK = '    data: {read: ["nyc/*"], request: ["hr/*"]}'
MASKED = f"{BLANK}\n    mask: {{pii: hash}}"
SECRET, SHOWN = "ada@example.com", "Ada Lovelace"
TEXT = f"name,email,region\n{SHOWN},{SECRET},EU\nBob Stone,bob@example.com,EU\nCyd Moss,cyd@example.com,US\n"
READS = "import guarded\nfor row in guarded.open('nyc/people').rows():\n    print(row['name'], row['email'], row['region'])"


def people(world: World) -> None:
    world.dataset("nyc/people", TEXT)
    contract = world.contract("nyc/people")
    columns = [{"name": name, "logicalType": "string"} for name in ("name", "email", "region")]
    columns[1]["classification"] = "pii"
    contract["schema"][0]["properties"] = columns
    contract["customProperties"].append({"property": "guardrails.rowFilter", "value": "region = 'EU'"})
    world.put_up(contract)


def policy(world: World, text: str) -> None:
    (world.root / "guardrails.yaml").write_text(text)


@pytest.fixture(scope="module")
def submitted(world: World) -> dict:
    """A notebook that prints what it reads of a masked dataset."""
    policy(world, POLICY.replace(BLANK, MASKED))
    people(world)
    world.notebook(READS, name="people.ipynb")
    return world.submit("people.ipynb")


@pytest.fixture(scope="module")
def built(world: World, submitted: dict) -> Path:
    return world.package(submitted["id"], world.root / "people.zip")


def members(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as zipped:
        return {name: zipped.read(name).decode() for name in zipped.namelist()}


def test_a_clean_run_reads_masked_and_filtered_data_that_it_declares(submitted):
    assert submitted["state"] == "in_review", submitted["checks"]
    assert check_of(submitted, "data")["detail"] == "granted: nyc/people (email hash; some of its rows)"


def test_a_masked_column_is_not_read_by_package_evidence(built):
    """Nor is a hidden row."""
    texts = members(built)
    for secret in (SECRET, "bob@example.com", "cyd@example.com", "Cyd Moss"):
        assert not [name for name, text in texts.items() if secret in text]


def test_a_column_without_a_mask_is_read_by_package_evidence(built):
    """The twin: of the same rows, in the clean run's notebook."""
    texts = members(built)
    assert SHOWN in texts["evidence/executed.ipynb"]
    assert "Bob Stone" in texts["evidence/executed.ipynb"]


def test_the_package_says_how_its_data_was_masked_and_control_signs_it(built):
    texts = members(built)
    (entry,) = json.loads(texts["job.json"])["inputs"]
    assert (entry["name"], entry["version"], entry["path"], entry["masks"]) == ("nyc/people", "1.2.0", None, {"email": "hash"})
    assert len(entry["rows"]) == 32
    assert entry["columns"] == entry["promised"] == {"name": "string", "email": "string", "region": "string"}
    assert json.loads(texts["evidence/checks.json"])["inputs"] == [{key: entry[key] for key in ("masks", "name", "rows", "version")}]
    signed = json.loads(base64.b64decode(json.loads(texts["attestations/provenance.dsse.json"])["payload"]))
    (dependency,) = [one for one in signed["predicate"]["buildDefinition"]["resolvedDependencies"] if one["name"] == "nyc/people"]
    assert (dependency["annotations"]["masks"], dependency["annotations"]["rows"]) == (entry["masks"], entry["rows"])


def test_what_a_clean_run_does_not_declare_is_not_streamed_to_it(world, submitted):
    name = "'/'.join(['nyc', 'people'])"
    world.notebook(f"import guarded\nprint(next(guarded.open({name}).rows()))", name="undeclared.ipynb")
    check = check_of(world.submit("undeclared.ipynb"), "clean_run")
    assert check["state"] == "failed"
    assert "nyc/people is not among the datasets that this job declares" in check["findings"][0]["message"]


def test_a_sample_by_rows_sees_the_first_rows_of_each_dataset_as_its_author_is_given_them(world, submitted):
    world.dataset("nyc/trips", "a,b\n" + "".join(f"{n},x\n" for n in range(500)))
    reads = "import guarded\nprint(len(open(guarded.path('nyc/trips')).readlines()), guarded.path('nyc/trips').endswith('nyc-trips.csv'))"
    masked = "rows = list(guarded.open('nyc/people').rows())\nprint(len(rows), '@' in rows[0]['email'], rows[0]['name'])"
    world.notebook(reads, masked, "import os\nprint(os.listdir('.'))\nassert len(rows) == 1, 'more than one'", name="sampled.ipynb")
    found = world.submit("sampled.ipynb", draft=True, sample_rows=1)
    check = check_of(found, "clean_run")
    assert (found["state"], check["state"]) == ("draft", "not_checked"), check
    assert check["detail"].startswith("a sample of the first 1 row of each dataset, in which all of it ran")
    assert "it tells nothing about the whole" in check["detail"]
    text = (world.state_dir / "submissions" / found["id"] / "executed.ipynb").read_text()
    assert ("2 True" in text, f"1 False {SHOWN}" in text, SECRET in text) == (True, True, False)
    whole = check_of(world.submit("sampled.ipynb", draft=True), "clean_run")
    assert (whole["state"], "more than one" in whole["findings"][0]["message"]) == ("failed", True), "the twin: the whole has two rows"
    with pytest.raises(BadRequest, match="a sample run is for a draft"):
        world.create("sampled.ipynb", sample_rows=1)


def job_run(world: World, package: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    settings = world.settings
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "GUARDRAILS_CONTROL": str(settings.control_socket)}
    environ |= {"GUARDRAILS_POLICY": str(settings.policy_path), "GUARDRAILS_CATALOG": str(settings.catalog_path)}
    environ |= {"GUARDRAILS_STATE_DIR": str(settings.state_dir), "XDG_CACHE_HOME": str(world.root / "cache")}
    environ |= {name: value for name, value in os.environ.items() if name.startswith("SSL_")}
    argv = [sys.executable, "-m", "jupyter_guardrails", "job", "run", str(package), *options]
    return subprocess.run(argv, capture_output=True, text=True, env=environ, cwd=folder)


def printed(folder: Path) -> str:
    (cell,) = json.loads((folder / "executed.ipynb").read_text())["cells"]
    return "".join("".join(output.get("text", "")) for output in cell["outputs"])


def test_a_job_reads_them_through_control_as_whoever_runs_it(world, built, tmp_path):
    done = job_run(world, built, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nyc/people 1.2.0 was masked in the clean run: email hash; only some of its rows (filter " in done.stdout
    assert "here by the word of control" in done.stdout
    assert SHOWN in printed(tmp_path / "out")
    assert SECRET not in printed(tmp_path / "out")
    (read,) = json.loads((tmp_path / "out" / "run.json").read_text())["inputs"]
    assert (read["path"], read["masks"], read["masked_by_word_of"], read["drift"]) == (None, {"email": "hash"}, "control", [])


def test_a_masked_copy_with_other_columns_is_told_without_a_value_of_it(world, built, tmp_path):
    before, contract = world.contract("nyc/people"), world.contract("nyc/people")
    path = Path(contract["servers"][0]["path"])
    try:
        contract["schema"][0]["properties"].append({"name": "seat", "logicalType": "integer"})
        world.put_up(contract)
        path.write_text("".join(f"{line},{'seat' if n == 0 else n}\n" for n, line in enumerate(TEXT.splitlines())))
        done = job_run(world, built, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "nyc/people: column seat (integer) is new" in done.stdout
        (read,) = json.loads((tmp_path / "out" / "run.json").read_text())["inputs"]
        assert read["drift"] == ["column seat (integer) is new"]
    finally:
        world.put_up(before)
        path.write_text(TEXT)


def test_stricter_masks_run_and_looser_ones_are_refused_before_any_cell(world, built, tmp_path):
    try:
        policy(world, POLICY.replace(BLANK, MASKED.replace("hash", "blank")))
        stricter = job_run(world, built, tmp_path, "--out", "stricter")
        assert stricter.returncode == 0, stricter.stdout + stricter.stderr
        policy(world, POLICY)
        looser = job_run(world, built, tmp_path, "--out", "looser")
        assert looser.returncode == 1
        assert "nyc/people was masked in the clean run of this job, and would be less so now: email (hash, now none)" in looser.stderr
        assert not (tmp_path / "looser" / "run.json").exists()
    finally:
        policy(world, POLICY.replace(BLANK, MASKED))


def test_other_rows_are_refused(world, built, tmp_path):
    before, contract = world.contract("nyc/people"), world.contract("nyc/people")
    contract["customProperties"][-1]["value"] = "region != 'EU'"
    try:
        world.put_up(contract)
        done = job_run(world, built, tmp_path)
        assert done.returncode == 1
        assert "saw only some rows of nyc/people, and now they would be others" in done.stderr
    finally:
        world.put_up(before)


def test_a_file_in_its_place_needs_somebody_s_word(world, built, tmp_path):
    (tmp_path / "masked.csv").write_text(f"name,email,region\n{SHOWN},3f1a,EU\n")
    option = ("--dataset", f"nyc/people={tmp_path / 'masked.csv'}")
    refused = job_run(world, built, tmp_path, *option, "--out", "refused")
    assert refused.returncode == 2, refused.stderr
    assert "was seen masked (email hash; only some of its rows" in refused.stderr
    done = job_run(world, built, tmp_path, *option, "--masked", "nyc/people", "--out", "said")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "here by the word of --masked" in done.stdout
    assert printed(tmp_path / "said") == f"{SHOWN} 3f1a EU\n"
