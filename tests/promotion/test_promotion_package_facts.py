"""What is known of a package before it is allowed: read from a real index, by confined processes, without running anything of it."""

import os

import pytest
from package_index import Index, source, wheel

from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.promotion.package_facts import default_index, gather, json_api


@pytest.fixture(scope="module")
def index():
    """Packages of every kind; each test reads its own."""
    made = Index()
    made.add(
        "frames",
        wheel("frames", metadata="License-Expression: MIT\nRequires-Dist: frames-runtime>=1\nRequires-Dist: old\n", extra=os.urandom(300_000)),
    )
    made.add("frames-runtime", wheel("frames-runtime", metadata="Classifier: License :: OSI Approved :: Apache Software License\n"))
    made.add("old", wheel("old", metadata="License: UNKNOWN\n"))
    made.api["frames/1.0"] = {"vulnerabilities": []}
    worm = {"id": "PYSEC-2026-7", "aliases": ["CVE-2026-7"], "fixed_in": ["1.1"], "withdrawn": None}
    made.api["old/1.0"] = {"vulnerabilities": [worm, {"id": "PYSEC-2026-8", "aliases": [], "fixed_in": [], "withdrawn": "2026-02-01"}]}
    yield made
    made.stop()


def facts(index, name):
    """Facts by name."""
    return {one.name: one for one in gather(name, {**os.environ, "UV_DEFAULT_INDEX": index.simple})}


def test_a_package_and_what_it_needs_with_licences_sizes_and_advisories(index):
    found = facts(index, "Frames")
    assert list(found) == ["frames", "frames-runtime", "old"]
    assert {name: (one.version, one.license) for name, one in found.items()} == {
        "frames": ("1.0", "MIT"),
        "frames-runtime": ("1.0", "Apache Software License"),
        "old": ("1.0", None),
    }
    sizes = {name: len(next(iter(files.values()))) for name, files in index.files.items() if name in found}
    assert {name: one.size_bytes for name, one in found.items()} == sizes
    assert {name: one.advisories for name, one in found.items()} == {
        "frames": (),
        "frames-runtime": None,  # the index told nothing of it, which is not the same as none
        "old": ("CVE-2026-7 (PYSEC-2026-7), fixed in 1.1",),
    }


def test_an_index_without_ranges_tells_the_same(index):
    plain = Index(ranges=False)
    plain.files = index.files
    found = facts(plain, "frames")
    plain.stop()
    assert [one.license for one in found.values()] == ["MIT", "Apache Software License", None]
    assert [one.advisories for one in found.values()] == [None, None, None]


BROKEN = {
    "an answer that is no JSON": {"api": b"<html>"},
    "an answer of another shape": {"api": {"vulnerabilities": [5]}},
    "an answer without advisories": {"api": {"info": {}}},
    "an endless answer": {"api": b" " * (17 << 20)},
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_answer_is_not_known_and_loses_nothing_else(index, case):
    index.api["frames-runtime/1.0"] = BROKEN[case]["api"]
    found = facts(index, "frames-runtime")["frames-runtime"]
    del index.api["frames-runtime/1.0"]
    assert (found.license, found.advisories) == ("Apache Software License", None)


def test_more_advisories_than_a_decision_keeps_are_counted(index):
    many = [{"id": f"PYSEC-2026-{number}", "aliases": ["x" * 400], "fixed_in": [], "withdrawn": None} for number in range(103)]
    index.api["frames-runtime/1.0"] = {"vulnerabilities": many}
    told = facts(index, "frames-runtime")["frames-runtime"].advisories
    del index.api["frames-runtime/1.0"]
    assert (len(told), told[-1], {len(one) for one in told[:-1]}) == (101, "and 3 more", {300})


def test_a_long_licence_is_named_by_its_classifier(index):
    text = "License: " + "All the words of it. " * 50 + "\nClassifier: License :: OSI Approved :: BSD License\n"
    index.add("wordy", wheel("wordy", metadata=text))
    assert facts(index, "wordy")["wordy"].license == "BSD License"


def test_a_source_is_not_built_and_that_is_said(index, tmp_path):
    canary = tmp_path / "ran"
    index.add("only-source", source("only-source", str(canary)))
    with pytest.raises(BadRequest, match="no wheels of only-source"):
        facts(index, "only-source")
    assert not canary.exists()
    with pytest.raises(BadRequest, match="no wheels of not-there"):
        facts(index, "not-there")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, default_index().removesuffix("/simple/") + "/pypi"),
        ({"UV_DEFAULT_INDEX": "https://packages.example.com/api/pypi/all/simple/"}, "https://packages.example.com/api/pypi/all/pypi"),
        ({"UV_DEFAULT_INDEX": "https://packages.example.com/wheels"}, ""),
        ({"UV_DEFAULT_INDEX": "https://who:secret@packages.example.com/simple"}, ""),
    ],
)
def test_advisories_are_asked_of_the_index_alone(tmp_path, environ, expected):
    assert json_api({"HOME": str(tmp_path), **environ}) == expected


def test_with_an_index_in_uvs_file_nobody_else_is_asked(tmp_path):
    (tmp_path / ".config" / "uv").mkdir(parents=True)
    (tmp_path / ".config" / "uv" / "uv.toml").write_text('index-url = "https://packages.example.com/simple"\n')
    assert json_api({"HOME": str(tmp_path)}) == ""
