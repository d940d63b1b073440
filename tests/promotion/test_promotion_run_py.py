"""The package's own run.py: what it refuses before anything runs; and whole runs as another account, without this project."""

import hashlib
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from promotion_world import World

from jupyter_guardrails.engines.places import Place
from jupyter_guardrails.engines.places import drift as drift_of
from jupyter_guardrails.package import archive, manifest, tables
from jupyter_guardrails.package.job import Input, Job
from jupyter_guardrails.promotion import builder, inputs
from jupyter_guardrails.promotion.payload import run as payload

SYSTEM_PYTHON = "/usr/bin/python3"
OTHER = "nobody"  # an account that every machine has
JOB = {
    "name": "sales",
    "entry": "sales.ipynb",
    "owner": "ana",
    "python": {"version": "3.11", "implementation": "cpython", "system": "linux", "machine": "x86_64"},
    "parameters": {
        "json_schema": {"type": "object", "properties": {"n": {"type": "integer", "default": 1}, "who": {"type": "string", "default": ""}}}
    },
    "resources": {"memory_bytes": 1 << 30, "cpus": 1.0, "tasks": 64, "wall_s": 60},
    "inputs": [{"name": "nyc/flights", "path": None}],
    "policy_digest": "0" * 64,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A package whose locks nobody could install: what these tests reach comes before."""
    return package(tmp_path / "job", **JOB)


def package(folder: Path, **job: object) -> Path:
    for name, text in {"src/sales.ipynb": "{}", "env/pylock.kernel.toml": "", "env/pylock.runner.toml": "", "evidence/checks.json": "{}"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    builder.copy_program(folder)
    (folder / "job.json").write_text(Job.model_validate(job).to_text())
    manifest.write_manifest(folder)
    return folder


def run(folder: Path, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(folder.parent), "XDG_CACHE_HOME": str(folder.parent / "cache")} | environ
    return subprocess.run([SYSTEM_PYTHON, "-I", str(folder / "run.py"), *options], capture_output=True, text=True, env=environ, cwd=folder.parent)


def test_an_unchanged_package_is_said_to_be_so(folder):
    done = run(folder, "--check")
    assert done.returncode == 0
    assert "every file is as the manifest says" in done.stdout


@pytest.mark.parametrize("change", ["edit", "add", "remove", "link", "no manifest"])
def test_an_altered_package_runs_nothing(folder, change):
    changes = {
        "edit": lambda: (folder / "src" / "sales.ipynb").write_text("[]"),
        "add": lambda: (folder / "lib" / "json.py").write_text(""),
        "remove": lambda: (folder / "evidence" / "checks.json").unlink(),
        "link": lambda: (folder / "src" / "x").symlink_to("/etc/passwd"),
        "no manifest": lambda: (folder / manifest.MANIFEST).unlink(),
    }
    changes[change]()
    done = run(folder, "--check")
    assert done.returncode == 1
    assert "manifest" in done.stderr or "altered" in done.stderr


def test_what_runs_a_package_is_loaded_only_once_all_of_it_was_verified(folder):
    part, ran = folder / "lib" / "run_environments.py", folder.parent / "ran"
    part.write_text(f"{part.read_text()}\nopen({str(ran)!r}, 'w').close()\n")
    given = ("--dataset=nyc/flights=/etc/hostname",)
    assert ("altered" in run(folder, *given).stderr, ran.exists()) == (True, False)
    manifest.write_manifest(folder)
    assert ("altered" in run(folder, *given).stderr, ran.exists()) == (False, True), "the twin: as a package that was made with it"
    assert run(folder, "--check").returncode == 0, "nothing was left beside what was loaded"


def test_results_in_the_package_s_folder_do_not_alter_it(folder):
    (folder / "out").mkdir()
    (folder / "out" / "run.json").write_text("{}")
    assert run(folder, "--check").returncode == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "dataset nyc/flights is not resolved: nothing says where it is; start again with --dataset nyc/flights=PATH"),
        (["--dataset=nyc/flights=/not/there"], "/not/there can't be read here"),
        (["--dataset=nyc/flights=/etc/hostname", "--dataset=hr/x=/etc/hostname"], "this job reads no dataset hr/x"),
        (["--dataset=nyc/flights"], "--dataset takes NAME=VALUE"),
        (["--param=nope=1"], "there is no parameter nope; this job has: n, who"),
        (["--param=n=x"], "parameter n is integer: 'x' is not"),
        (["--param=n=1.5"], "parameter n is integer"),
        (["--param=n=true"], "parameter n is integer"),
        (["--masked=hr/x"], "this job reads no dataset hr/x"),
        (["--bindings=/not/there"], "the bindings /not/there can't be read"),
    ],
)
def test_what_is_missing_or_wrong_ends_it_before_any_cell(folder, options, words):
    done = run(folder, *options)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (folder.parent / "cache").exists()  # not even an environment was begun


def test_the_twin_gets_as_far_as_its_environment(folder):
    done = run(folder, "--dataset=nyc/flights=/etc/hostname", "--param=n=2", "--param=who=x")
    assert done.returncode != 2
    assert (folder.parent / "cache").exists()


def test_a_binding_counts_below_a_flag_and_above_the_contract(tmp_path):
    job = package(tmp_path / "job", **JOB | {"inputs": [{"name": "nyc/flights", "path": "/contract"}]})
    (tmp_path / "b.json").write_text(json.dumps({"nyc/flights": "/engine"}))
    assert "/contract can't be read" in run(job).stderr
    assert "/engine can't be read" in run(job, "--bindings", str(tmp_path / "b.json")).stderr
    assert "/engine can't be read" in run(job, GUARDRAILS_BINDINGS=str(tmp_path / "b.json")).stderr
    assert "/flag can't be read" in run(job, "--bindings", str(tmp_path / "b.json"), "--dataset=nyc/flights=/flag").stderr


def test_another_file_than_the_clean_run_read_is_told_and_not_refused(tmp_path, capsys):
    (tmp_path / "then.csv").write_text("a\n1\n")
    (tmp_path / "now.csv").write_text("a\n2\n")
    then = {"sha256": hashlib.sha256(b"a\n1\n").hexdigest(), "size_bytes": 4}
    job = {"inputs": [{"name": "nyc/flights", "version": "1", "path": None} | then]}
    said = {place: payload.inputs(job, {"nyc/flights": place}, [])[0] for place in (str(tmp_path / "then.csv"), str(tmp_path / "now.csv"), None)}
    assert [entry["same_file"] for entry in said.values()] == [True, False, None]
    told = capsys.readouterr().out
    assert f"{tmp_path / 'now.csv'} is not the file that the clean run read (4 bytes, sha256 {then['sha256'][:12]})" in told
    assert "then.csv" not in told
    assert payload.inputs({"inputs": [{"name": "nyc/flights", "version": "1"}]}, {"nyc/flights": str(tmp_path)}, [])[0]["same_file"] is None


def test_other_columns_than_the_clean_run_saw_are_told_and_the_package_stays_as_it_is(tmp_path, capsys, monkeypatch):
    lib = tmp_path / "job" / "lib" / "guarded_tables"
    shutil.copytree(Path(tables.__file__).parent, lib, ignore=shutil.ignore_patterns("__pycache__"))
    files = sorted(lib.rglob("*"))
    monkeypatch.setattr(payload, "HERE", tmp_path / "job")
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    texts = {"same": "a,b\n1,x\n", "rows": "a,b\n2,y\n3,z\n", "other": "a,c\n1.5,x\n", "broken": "a,b\n1\n"}
    for name, text in texts.items():
        (tmp_path / f"{name}.csv").write_text(text)
    found = [Input(name="nyc/x", version="1", path=str(tmp_path / "same.csv"))]
    assert inputs.pin(found, inputs.stamps(found)) == []
    wanted = found[0].model_dump()
    assert wanted["columns"] == {"a": "integer", "b": "string"}

    def drift(name, **changes):
        place = name and str(tmp_path / f"{name}.csv")
        return payload.inputs({"inputs": [wanted | changes]}, {"nyc/x": place}, [])[0]["drift"]

    assert drift("same") == drift("rows") == drift(None, columns={}) == drift("other", columns={}) == []
    assert "column b" not in capsys.readouterr().out
    assert drift("other") == ["column b is gone", "column a was integer, and is number", "column c (string) is new"]
    assert "nyc/x: column b is gone" in capsys.readouterr().out
    assert drift("broken") == ["its columns can't be told any more: its rows don't all have the columns that its first line names"]
    assert sorted(lib.rglob("*")) == files
    place = Place(tmp_path / "d")
    (place.run(1) / "out").mkdir(parents=True)
    said = [{"name": "nyc/x", "drift": drift("other") * 50}, {"name": "nyc/y", "drift": "no list"}, 7]
    (place.run(1) / "out" / "run.json").write_text(json.dumps({"inputs": said}))
    assert (len(drift_of(place, 1)), drift_of(place, 1)[0]) == (20, "nyc/x: column b is gone")


@pytest.mark.parametrize(
    ("path", "digest", "said"),
    [
        ("now.csv", "{then}", "has 4 bytes, sha256 {now}"),
        ("gone.csv", "{then}", "is no file"),
        (None, "{then}", "comes through control here"),
        ("then.csv", "", "sha256 "),  # a package that says nothing of the bytes holds to none
    ],
)
def test_a_pinned_dataset_is_these_bytes_or_nothing_runs(tmp_path, capsys, path, digest, said):
    for name, text in (("then.csv", "a\n1\n"), ("now.csv", "a\n2\n")):
        (tmp_path / name).write_text(text)
    then, now = (hashlib.sha256(text).hexdigest() for text in (b"a\n1\n", b"a\n2\n"))
    wanted = {"name": "nyc/flights", "version": "1", "path": None, "sha256": digest.format(then=then), "size_bytes": 4}
    place = str(tmp_path / path) if path else None
    with pytest.raises(SystemExit) as ended:
        payload.inputs({"inputs": [wanted], "pinned": ["nyc/flights"]}, {"nyc/flights": place}, [])
    told = capsys.readouterr().err
    assert ended.value.code == payload.USAGE == 2
    assert f"dataset nyc/flights is pinned to the 4 bytes that its clean run read, sha256 {wanted['sha256']}" in told
    assert said.format(now=now) in told
    assert "start again with --dataset nyc/flights=PATH" in told
    same = wanted | {"sha256": then}
    assert payload.inputs({"inputs": [same], "pinned": ["nyc/flights"]}, {"nyc/flights": str(tmp_path / "then.csv")}, [])[0]["same_file"]


def test_a_run_with_another_file_for_a_pinned_dataset_begins_nothing(tmp_path):
    (tmp_path / "then.csv").write_text("a\n1\n")
    wanted = {"name": "nyc/flights", "path": None, "sha256": hashlib.sha256(b"a\n1\n").hexdigest(), "size_bytes": 4}
    job = package(tmp_path / "job", **JOB | {"inputs": [wanted], "pinned": ["nyc/flights"]})
    done = run(job, "--dataset=nyc/flights=/etc/hostname")
    assert (done.returncode, "dataset nyc/flights is pinned" in done.stderr, (tmp_path / "cache").exists()) == (2, True, False), done.stderr
    assert run(job, f"--dataset=nyc/flights={tmp_path / 'then.csv'}").returncode != 2  # as far as its environment
    assert (tmp_path / "cache").exists()


SEEN = {"nyc/flights": {"masks": {"tail": "hash"}, "rows": "5e1f"}}


def test_a_masked_input_binds_only_to_the_same_masks_and_rows(tmp_path):
    job = package(tmp_path / "job", **JOB | {"inputs": [{"name": "nyc/flights", "path": "/etc/hostname"} | SEEN["nyc/flights"]]})
    for options in ((), ("--dataset=nyc/flights=/etc/hostname",)):
        assert "was seen masked (tail hash; only some of its rows (filter 5e1f))" in run(job, *options).stderr
    for said in ({}, {"masks": {"tail": "blank"}, "rows": "5e1f"}, {"masks": {"tail": "hash"}}, {"masks": {"tail": "hash"}, "rows": "0000"}):
        (tmp_path / "b.json").write_text(json.dumps({"nyc/flights": {"path": "/etc/hostname"} | said}))
        assert run(job, "--bindings", str(tmp_path / "b.json")).returncode == 2
    (tmp_path / "b.json").write_text(json.dumps({"nyc/flights": {"path": "/etc/hostname"} | SEEN["nyc/flights"]}))
    bound = run(job, "--bindings", str(tmp_path / "b.json"))
    assert bound.returncode != 2
    assert "was masked in the clean run: tail hash; only some of its rows (filter 5e1f); here by the word of --bindings" in bound.stdout
    said = run(job, "--dataset=nyc/flights=/etc/hostname", "--masked=nyc/flights")
    assert (said.returncode != 2, "here by the word of --masked" in said.stdout) == (True, True)


def test_outside_of_a_sandbox_of_ours_nothing_is_read_through_control(folder):
    assert "--brokered is for a sandbox of ours" in run(folder, "--brokered=nyc/flights").stderr
    inside = run(folder, "--brokered=nyc/flights", GUARDRAILS_CHANNEL="@there")
    assert inside.returncode != 2


def test_a_secret_that_nothing_has_set_ends_it_before_any_cell(tmp_path):
    job = package(tmp_path / "job", **JOB | {"inputs": [], "secrets": ["WAREHOUSE_TOKEN"]})
    for environ in ({}, {"WAREHOUSE_TOKEN": ""}):
        done = run(job, **environ)
        assert (done.returncode, "needs the secret WAREHOUSE_TOKEN" in done.stderr) == (2, True)
    assert not (tmp_path / "cache").exists()
    bound = run(job, WAREHOUSE_TOKEN="geheim")
    assert bound.returncode != 2
    assert "geheim" not in bound.stdout + bound.stderr


@pytest.mark.parametrize("python", [{"version": "3.2"}, {"machine": "vax"}, {"system": "plan9"}])
def test_a_machine_that_can_not_run_it_is_exit_3(tmp_path, python):
    job = package(tmp_path / "job", **JOB | {"inputs": [], "python": JOB["python"] | python})
    assert run(job).returncode == 3


@pytest.fixture(scope="module")
def built(world: World) -> Path:
    """A package that reads a dataset, a file and a module, and writes a file."""
    world.dataset("nyc/flights")
    (world.workspace / "mine.py").write_text("def double(x):\n    return 2 * x\n")
    world.notebook(
        "n = 1",
        "import guarded, mine\nlines = open(guarded.path('nyc/flights')).read().splitlines()",
        "open('result.txt', 'w').write(f'{mine.double(n)} {len(lines)}');",
        c0=["parameters"],
    )
    found = world.submit()
    assert found["state"] == "in_review", found
    return world.package(found["id"], world.root / "p.zip")


@pytest.fixture
def elsewhere(built: Path):
    """A folder of another account that holds the unpacked package and some data; and how to run things as that account."""
    if os.getuid() != 0:
        pytest.skip("needs root, to become another account")
    account = pwd.getpwnam(OTHER)
    root = Path(tempfile.mkdtemp(prefix="gr-other-", dir="/tmp"))
    archive.unpack(built, root / "job")
    (root / "data.csv").write_text("a,b\n1,2\n3,4\n")
    for path in [root, *root.rglob("*")]:
        os.chown(path, account.pw_uid, account.pw_gid)
    environ = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
    environ |= {"PATH": "/usr/bin:/bin", "HOME": str(root), "LANG": "C.UTF-8"}

    def go(*options: str, by: tuple[str, ...] = (SYSTEM_PYTHON, "run.py"), **more: str) -> subprocess.CompletedProcess[str]:
        identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        return subprocess.run([*by, *options], capture_output=True, text=True, env=environ | more, cwd=root / "job", **identity)

    yield root, go
    shutil.rmtree(root)


@pytest.mark.slow
def test_it_runs_as_another_account_without_uv_and_without_this_project(elsewhere):
    root, go = elsewhere
    assert subprocess.run([SYSTEM_PYTHON, "-I", "-c", "import jupyter_guardrails"], capture_output=True, cwd="/").returncode != 0
    first = go(f"--dataset=nyc/flights={root / 'data.csv'}")
    assert first.returncode == 0, first.stdout + first.stderr
    assert (root / "job" / "out" / "files" / "result.txt").read_text() == "2 3"
    status = json.loads((root / "job" / "out" / "run.json").read_text())
    assert (status["state"], status["files"]) == ("complete", ["result.txt"])
    assert all(cell["execution_count"] for cell in json.loads((root / "job" / "out" / "executed.ipynb").read_text())["cells"])
    script = ("/bin/sh", "engines/slurm.sbatch")
    again = go(f"--dataset=nyc/flights={root / 'data.csv'}", "--param=n=21", by=script, SLURM_JOB_ID="7")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "built" not in again.stdout  # from its cache
    assert (root / "job-runs" / "7" / "1" / "files" / "result.txt").read_text() == "42 3"
    (root / "data.csv").write_bytes(b"\xff\xfe")  # the notebook reads it as text: it fails in a cell
    failed = go(f"--dataset=nyc/flights={root / 'data.csv'}", "--out=../out3")
    assert failed.returncode == 1
    status = json.loads((root / "out3" / "run.json").read_text())
    assert status["state"] == "failed"
    assert "UnicodeDecodeError" in status["error"]
    assert [cell["state"] for cell in status["cells"]] == ["ok", "error"]


@pytest.mark.slow
def test_job_run_verifies_finds_granted_data_and_holds_the_job(world, built, tmp_path):
    """The same package through the local engine: the sandbox of the production profile around it."""
    settings = world.settings
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "GUARDRAILS_CONTROL": str(settings.control_socket)}
    environ |= {"GUARDRAILS_POLICY": str(settings.policy_path), "GUARDRAILS_CATALOG": str(settings.catalog_path)}
    environ |= {"GUARDRAILS_STATE_DIR": str(settings.state_dir)} | {name: value for name, value in os.environ.items() if name.startswith("SSL_")}

    def job_run(*options: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "jupyter_guardrails", "job", "run", str(built), *options]
        return subprocess.run(argv, capture_output=True, text=True, env=environ, cwd=tmp_path)

    done = job_run("--param", "n=4")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "out" / "files" / "result.txt").read_text() == "8 2"
    again = job_run("--param", "n=x", "--out", "out2")
    assert again.returncode == 2, again.stdout + again.stderr
    full = job_run()
    assert (full.returncode, "not empty" in full.stderr) == (1, True)
    (built.parent / "other.csv").write_text("1\n2\n3\n")
    other = job_run("--dataset", f"nyc/flights={built.parent / 'other.csv'}", "--out", "out3")
    assert other.returncode == 0, other.stdout + other.stderr
    assert (tmp_path / "out3" / "files" / "result.txt").read_text() == "2 3"
