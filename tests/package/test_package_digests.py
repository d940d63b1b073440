"""Digests depend on names and bytes, each part on its own; a manifest that lies is found."""

import shutil

import pytest

from jupyter_guardrails.errors import PackageError
from jupyter_guardrails.package import canonical, manifest
from jupyter_guardrails.package.crate import CRATE, crate_text
from jupyter_guardrails.package.job import Job, read_job


@pytest.mark.parametrize(
    ("name", "moved"),
    [
        ("src/sales.ipynb", "content"),
        ("run.py", "content"),
        ("env/pylock.runner.toml", "content"),
        ("evidence/checks.json", "evidence"),
        ("job.json", "content"),
    ],
)
def test_each_digest_covers_its_part(folder, name, moved):
    before = manifest.write_manifest(folder)
    (folder / name).write_text("changed")
    after = manifest.write_manifest(folder)
    changed = {part for part in ("content", "evidence") if getattr(before, part) != getattr(after, part)}
    assert changed == {moved}
    assert before.manifest != after.manifest


def test_copies_have_the_same_digests_and_attestations_none(folder, tmp_path):
    before = manifest.write_manifest(folder)
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "attestations").mkdir()
    (tmp_path / "copy" / "attestations" / "x.dsse.json").write_text("{}")
    assert manifest.check(tmp_path / "copy") == (before, [])


def test_changed_missing_and_extra_files_are_named(folder):
    (folder / "run.py").write_text("other")
    (folder / "evidence" / "checks.json").unlink()
    (folder / "src" / "extra.py").write_text("")
    _, problems = manifest.check(folder)
    assert problems == ["evidence/checks.json is missing", "src/extra.py is not in the manifest", "run.py was changed"]


def test_the_manifest_is_sha256sum_s(folder):
    digest, name = (folder / manifest.MANIFEST).read_text().splitlines()[0].split("  ")
    assert manifest.hash_file(folder / name) == digest


def test_links_are_no_files(folder):
    (folder / "src" / "link").symlink_to(folder / "run.py")
    with pytest.raises(PackageError):
        manifest.check(folder)


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '{"a": NaN}', "{", "[" * 100_000])
def test_json_with_two_meanings_is_refused(text):
    with pytest.raises(PackageError):
        canonical.loads(text)


def test_one_text_for_one_value():
    assert canonical.dumps({"b": 1, "a": [1.5, "ü"]}) == canonical.dumps(canonical.loads('{"a":[1.5,"\\u00fc"],"b":1}'))


def test_the_job_survives_its_own_text(folder, job):
    assert read_job(folder) == job


@pytest.mark.parametrize("change", [{"name": "../x"}, {"name": "a b"}, {"extra": 1}, {"kind": "Other"}, {"python": {"version": "3"}}])
def test_a_job_that_is_not_ours_is_refused(folder, job, change):
    (folder / "job.json").write_text(canonical.dumps(job.model_dump() | change))
    with pytest.raises(PackageError):
        read_job(folder)


def test_the_crate_names_every_file_and_its_notebook(folder, job: Job):
    files = [name for name in manifest.list_files(folder) if name != manifest.MANIFEST]
    graph = {entity["@id"]: entity for entity in canonical.loads(crate_text(job, files, published="2026-01-02"))["@graph"]}
    assert graph[CRATE]["about"] == {"@id": "./"}
    assert graph["./"]["mainEntity"] == {"@id": "src/sales.ipynb"}
    assert {part["@id"] for part in graph["./"]["hasPart"]} == set(files)
    assert all(part["@id"] in graph for part in graph["./"]["hasPart"])
    assert {"name", "description", "datePublished", "license"} <= graph["./"].keys()  # RO-Crate 1.1, root data entity
