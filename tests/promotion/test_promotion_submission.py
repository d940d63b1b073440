"""From a notebook to a signed package, through a real control, a real worker and a real clean run."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from promotion_world import REASON, World, add_kernelspec, check_of

from jupyter_guardrails.cli import review_text
from jupyter_guardrails.control.interface.messages import SubmissionCancel
from jupyter_guardrails.errors import BadRequest, Conflict, NotFound, Refused
from jupyter_guardrails.package import archive
from jupyter_guardrails.package.details import Details
from jupyter_guardrails.package.job import read_job
from jupyter_guardrails.package.signatures import read_trust
from jupyter_guardrails.package.verify import verify_archive
from jupyter_guardrails.review import evidence as review_evidence

pytestmark = pytest.mark.slow
DETAILS = {
    "contact": "ana",
    "schedule": "0 6 * * 1",
    "secrets": ["TOKEN"],
    "outputs": [{"name": "result", "path": "result.txt"}],
    "labels": {"team": "a"},
}


@pytest.fixture(scope="module")
def submitted(world: World) -> dict:
    """One good submission, for the tests that look at it."""
    world.dataset("nyc/flights")
    (world.workspace / "mine.py").write_text("def double(x):\n    return 2 * x\n")
    (world.workspace / "unused.txt").write_text("stays here")
    world.notebook(
        "factor = 3",
        "import guarded, mine\ntext = open(guarded.path('nyc/flights')).read()\nprint(mine.double(factor), text.count(','))",
        "open('result.txt', 'w').write(str(mine.double(factor)));",
        outputs={1: "6 2\n"},
        c0=["parameters"],
    )
    return world.submit(reason="a test", details=DETAILS)


def test_it_is_in_review_and_honest_about_it(submitted):
    assert submitted["state"] == "in_review", submitted
    assert submitted["label"] == "self-test: nobody else has approved this"
    states = {check["name"]: check["state"] for check in submitted["checks"]}
    assert states["clean_run"] == states["data"] == states["environment"] == states["secrets"] == states["packages"] == states["imports"] == "passed"
    assert states["vulnerabilities"] == "not_checked"
    assert check_of(submitted, "label")["detail"].startswith("internal, from nyc/flights 1.2.0")
    assert check_of(submitted, "clean_run")["progress"] is None
    assert check_of(submitted, "clean_run")["seconds"] > 0


def test_the_package_holds_what_runs_and_nothing_else(world, submitted, tmp_path):
    path = world.package(submitted["id"], tmp_path / "p.zip")
    found = verify_archive(path, read_trust(world.state_dir / "keys"))
    assert found.trusted, found.problems
    with zipfile.ZipFile(path) as zipped:
        envelope = json.loads(zipped.read("attestations/provenance.dsse.json"))
    built = json.loads(base64.b64decode(envelope["payload"]))["predicate"]["buildDefinition"]
    assert [item["uri"] for item in built["resolvedDependencies"]] == ["dataset://nyc/flights"]
    assert built["internalParameters"]["classification"] == "internal"
    assert (found.digests.content, found.digests.evidence) == (submitted["content_digest"], submitted["evidence_digest"])
    archive.unpack(path, tmp_path / "p")
    source = {entry.relative_to(tmp_path / "p" / "src").as_posix() for entry in (tmp_path / "p" / "src").rglob("*") if entry.is_file()}
    assert source == {"sales.ipynb", "mine.py"}
    notebook = json.loads((tmp_path / "p" / "src" / "sales.ipynb").read_text())
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in notebook["cells"])
    executed = json.loads((tmp_path / "p" / "evidence" / "executed.ipynb").read_text())
    assert executed["cells"][1]["outputs"][0]["text"] == ["6 2\n"]
    bill = json.loads((tmp_path / "p" / "evidence" / "sbom.cdx.json").read_text())
    assert {"pkg:pypi/ipykernel", "pkg:pypi/nbclient"} <= {part["purl"].partition("@")[0] for part in bill["components"]}
    assert next(part for part in bill["components"] if part["name"] == "ipykernel")["licenses"] == [{"license": {"id": "BSD-3-Clause"}}]
    event = json.loads((tmp_path / "p" / "evidence" / "openlineage.ndjson").read_text())
    assert ([one["name"] for one in event["inputs"]], [one["name"] for one in event["outputs"]]) == (["nyc/flights"], ["sales/result.txt"])
    job = read_job(tmp_path / "p")
    data = (world.root / "data" / "nyc-flights.csv").read_bytes()
    assert [(entry.name, entry.sha256, entry.size_bytes) for entry in job.inputs] == [("nyc/flights", hashlib.sha256(data).hexdigest(), len(data))]
    assert [(output.name, output.path) for output in job.outputs] == [("result", "result.txt")]
    assert job.modules == ["mine.py"]
    assert job.details == Details.model_validate(DETAILS)
    assert job.parameters.json_schema["properties"]["factor"] == {"type": "integer", "default": 3}


def test_no_place_of_this_machine_is_in_the_content(world, submitted, tmp_path):
    """But for the contract's own place of the data, which is the organisation's."""
    path = world.package(submitted["id"], tmp_path / "p.zip")
    with zipfile.ZipFile(path) as opened:
        for name in opened.namelist():
            text = opened.read(name).decode().replace(str(world.root / "data"), "")
            assert str(world.root) not in text, name
            assert str(Path.home()) + "/" not in text, name
            assert "://files." not in text, name


def test_the_same_notebook_again_has_the_same_digests(world, submitted):
    again = world.submit(reason="a test", details=DETAILS)
    assert again["version"] == submitted["version"] + 1
    assert again["content_digest"] == submitted["content_digest"]
    assert f"{submitted['name']}-{submitted['version']}" in check_of(again, "clean_run")["detail"]
    assert again["evidence_digest"] != submitted["evidence_digest"]  # which says that it is the first one's


def test_an_output_that_is_declared_and_not_made_fails_the_clean_run(world, tmp_path):
    """A table's columns are told; rows and bytes, which other data changes, are evidence only. Another table than was declared fails, too."""
    world.notebook("open('made.csv', 'w').write('month,mean\\n1,2.5\\n2,3\\n')\nopen('log.txt', 'w').write('9');", name="outputs.ipynb")
    found = world.submit("outputs.ipynb", details={"outputs": ["made.csv", "out/missing.txt"]})
    assert found["state"] == "checks_failed"
    assert [item["message"] for item in check_of(found, "clean_run")["findings"]] == ["it wrote no out/missing.txt"]
    made = {"name": "made", "path": "made.csv", "dataset": "nyc/made"}
    found = world.submit("outputs.ipynb", details={"outputs": [made | {"columns": {"month": "integer", "mean": "date", "n": "integer"}}]})
    assert [item["message"] for item in check_of(found, "clean_run")["findings"]] == [
        "made.csv: column n is gone",
        "made.csv: column mean was date, and is number",
    ]
    found = world.submit("outputs.ipynb", details={"outputs": [made]})
    assert found["state"] == "in_review", found
    assert "wrote 2 files: made.csv (2 columns, 2 rows)" in check_of(found, "clean_run")["detail"]
    archive.unpack(world.package(found["id"], tmp_path / "p.zip"), tmp_path / "p")
    outputs = {one.path: one for one in read_job(tmp_path / "p").outputs}
    assert (outputs["made.csv"].dataset, outputs["made.csv"].columns) == ("nyc/made", {"mean": "number", "month": "integer"})
    assert outputs["log.txt"].columns == {}
    (said,) = json.loads((tmp_path / "p" / "evidence" / "outputs.json").read_text())
    assert said == {"path": "made.csv", "format": "csv", "size_bytes": 21, "rows": 2, "problem": ""}
    shown = "\n".join(review_text.lines(review_evidence.gather(world.client, found["id"])))
    assert "makes made.csv, dataset nyc/made: csv, 2 rows, 21 bytes in its clean run\n    columns: mean number, month integer" in shown


def test_a_host_that_the_policy_shuts_can_not_be_a_jobs(world):
    with pytest.raises(Refused, match=r"files\.example\.com"):
        world.create("sales.ipynb", details={"network": ["files.example.com:443"]})
    world.client.call(SubmissionCancel(id=world.create("sales.ipynb", details={"network": ["packages.example.com:443"]})["id"]))


def test_what_a_notebook_holds_later_is_no_part_of_what_was_submitted(world, tmp_path):
    notebook = world.notebook("first = 1", name="swapped.ipynb")
    handed_over = world.create("swapped.ipynb")["id"]
    world.notebook("second = 2", name="swapped.ipynb")
    found = world.wait(handed_over)
    assert found["state"] == "in_review", found
    archive.unpack(world.package(handed_over, tmp_path / "p.zip"), tmp_path / "p")
    assert "first = 1" in (tmp_path / "p" / "src" / "swapped.ipynb").read_text()
    assert "second = 2" in notebook.read_text()  # its author goes on with it


def test_another_notebook_has_another_digest(world, submitted):
    world.notebook("print(1)", name="other.ipynb", outputs={0: "1\n"})
    other = world.submit("other.ipynb")
    assert other["state"] == "in_review", other
    assert other["content_digest"] != submitted["content_digest"]


def test_the_same_key_gives_the_first_submission_back(world, submitted):
    first = world.create("other.ipynb", key="same", draft=True)
    assert world.create("other.ipynb", key="same", draft=True)["id"] == first["id"]
    world.wait(first["id"])
    folders = {entry.name for entry in (world.state_dir / "submissions").iterdir()}
    assert first["id"] in folders
    assert all(world.show(folder) for folder in folders)  # none without a row


def test_a_draft_is_checked_and_not_submitted(world):
    world.notebook("x = 1", name="draft.ipynb")
    found = world.submit("draft.ipynb", draft=True)
    assert found["state"] == "draft", found
    assert check_of(found, "clean_run")["state"] == "passed"
    with pytest.raises(Conflict):
        world.package(found["id"], Path("/nowhere"))


def test_submitted_parameters_are_used_and_kept(world, tmp_path):
    world.notebook("n = 1", "open('n.txt', 'w').write(str(n));", name="params.ipynb", c0=["parameters"])
    found = world.submit("params.ipynb", parameters={"n": 7})
    assert found["state"] == "in_review", found
    archive.unpack(world.package(found["id"], tmp_path / "p.zip"), tmp_path / "p")
    assert read_job(tmp_path / "p").parameters.values == {"n": 7}
    bad = world.submit("params.ipynb", parameters={"n": "seven"})
    assert (bad["state"], check_of(bad, "parameters")["state"]) == ("checks_failed", "failed")
    assert check_of(bad, "clean_run")["state"] == "not_checked"


def test_a_cell_that_fails_is_named(world):
    world.notebook("x = 1", "y = x / 0", "z = 1", name="fails.ipynb")
    found = world.submit("fails.ipynb")
    check = check_of(found, "clean_run")
    assert (found["state"], check["state"]) == ("checks_failed", "failed")
    assert check["findings"][0]["cell"] == 1
    assert "ZeroDivisionError" in check["findings"][0]["message"]
    assert found["next_step"]


def test_other_outputs_are_a_warning_with_both(world):
    world.notebook("print('now')", name="differs.ipynb", outputs={0: "then\n"})
    found = world.submit("differs.ipynb")
    check = check_of(found, "clean_run")
    assert (found["state"], check["state"]) == ("in_review", "warned")
    assert "'then' before, 'now' now" in check["findings"][0]["message"]
    assert found["reason"] == REASON
    silent = world.submit("differs.ipynb", reason=" ")
    assert (silent["state"], silent["package"]) == ("checks_failed", "")
    assert silent["error"] == f"there are warnings, and no reason to go on: {check['title']}"
    assert "--reason" in silent["next_step"]
    assert world.submit("differs.ipynb", reason="", draft=True)["state"] == "draft"


def test_the_clean_run_is_held_by_the_sandbox(world):
    """What it may do beside what it may not: each attempt prints what became of it."""
    outside = world.root / "outside.txt"
    outside.write_text("x")
    attempts = {
        "outside": f"open({str(outside)!r}).read()",
        "token": f"open({str(world.state_dir / 'control.token')!r}).read()",
        "workspace": f"open({str(world.workspace / 'unused.txt')!r}).read()",
        "network": "__import__('socket').create_connection(('127.0.0.1', 22), timeout=1)",
        "here": "open('own.txt', 'w').write('x')",
    }
    lines = [
        "import json",
        "found = {}",
        f"for name, text in {attempts!r}.items():",
        "    try:",
        "        eval(text)",
        "        found[name] = 'done'",
        "    except OSError as error:",
        "        found[name] = type(error).__name__",
        "print(sorted(found.items()))",
    ]
    source = "\n".join(lines)
    world.notebook(source, name="attempts.ipynb")
    (world.workspace / "unused.txt").write_text("stays here")
    found = world.submit("attempts.ipynb", draft=True)
    check = check_of(found, "clean_run")
    assert check["state"] in ("passed", "warned"), found
    executed = json.loads((world.state_dir / "submissions" / found["id"] / "executed.ipynb").read_text())
    said = "".join(executed["cells"][0]["outputs"][0]["text"])
    assert "('here', 'done')" in said
    assert said.count("done") == 1, said


def test_data_that_is_not_granted_fails_with_rule_and_next_step(world):
    world.dataset("hr/salaries")
    world.notebook("import guarded\nguarded.path('hr/salaries')", name="hr.ipynb")
    check = check_of(world.submit("hr.ipynb"), "data")
    assert check["state"] == "failed"
    assert check["findings"][0]["cell"] == 0
    assert check["findings"][0]["fix"]
    assert "hr/salaries" in check["findings"][0]["message"]


def test_a_dataset_that_was_not_declared_is_not_given(world):
    """The name is computed, so it isn't declared; the person may read it, the clean run may not."""
    world.dataset("nyc/flights")
    world.notebook("import guarded\nguarded.path('/'.join(['nyc', 'flights']))", name="computed.ipynb")
    found = world.submit("computed.ipynb")
    assert check_of(found, "data")["state"] == "warned"
    assert check_of(found, "clean_run")["state"] == "failed"
    silent = world.submit("computed.ipynb", reason="")
    assert check_of(silent, "clean_run")["detail"] == "not run, since there are warnings and no reason to go on"


@pytest.mark.parametrize("text", ["{", "[]", "no json"])
def test_a_bad_notebook_is_one_clear_failure(world, text):
    (world.workspace / "bad.ipynb").write_text(text)
    found = world.submit("bad.ipynb")
    assert found["state"] == "checks_failed"
    failed = [check for check in found["checks"] if check["state"] == "failed"]
    assert [check["name"] for check in failed] == ["notebook"]
    assert "no" in failed[0]["detail"]
    assert failed[0]["findings"][0]["fix"]


def test_a_missing_kernelspec_is_one_clear_failure(world):
    world.notebook("x = 1", name="nokernel.ipynb", kernel="gone")
    found = world.submit("nokernel.ipynb")
    failed = [check["name"] for check in found["checks"] if check["state"] == "failed"]
    assert failed == ["environment"]
    assert "'gone'" in check_of(found, "environment")["detail"]


def test_a_missing_module_is_named(world):
    world.notebook("import json\nimport not_there_at_all", "try:\n    import also_missing\nexcept ImportError:\n    pass", name="module.ipynb")
    check = check_of(world.submit("module.ipynb"), "imports")
    assert [finding["message"] for finding in check["findings"]] == ["the module not_there_at_all is not installed"]


def test_an_editable_package_from_elsewhere_is_refused_with_a_fix(world, tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("editable")
    subprocess.run([sys.executable, "-m", "uv", "venv", "-q", "--python", str(tiny), str(folder / "env")], check=True)
    site = next((folder / "env" / "lib").glob("python3*")) / "site-packages"
    info = site / "homemade-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: homemade\nVersion: 1.0\n")
    (info / "RECORD").write_text("")
    (info / "direct_url.json").write_text(json.dumps({"url": "file:///somewhere/homemade", "dir_info": {"editable": True}}))
    add_kernelspec(world.root / "jupyter", "editable", folder / "env" / "bin" / "python")
    world.notebook("x = 1", name="editable.ipynb", kernel="editable")
    check = check_of(world.submit("editable.ipynb"), "environment")
    assert check["state"] == "failed"
    words = "homemade 1.0 was installed from /somewhere/homemade, outside of the workspace"
    assert any(words in finding["message"] and finding["fix"] for finding in check["findings"])


@pytest.mark.parametrize("notebook", ["../outside.ipynb", "/etc/passwd", "gone.ipynb", "link.ipynb", "folder", "a\0b"])
def test_what_can_not_be_frozen_is_refused_and_leaves_nothing(world, notebook):
    (world.root / "outside.ipynb").write_text("{}")
    (world.workspace / "folder").mkdir(exist_ok=True)
    link = world.workspace / "link.ipynb"
    link.is_symlink() or link.symlink_to(world.root / "outside.ipynb")
    world.notebook("x = 1", name="fine.ipynb")
    assert world.submit("fine.ipynb", kernelspec="gone")["id"] in os.listdir(world.state_dir / "submissions")
    before = set(os.listdir(world.state_dir / "submissions"))
    with pytest.raises((NotFound, BadRequest, Refused)):
        world.create(notebook)
    assert set(os.listdir(world.state_dir / "submissions")) == before
