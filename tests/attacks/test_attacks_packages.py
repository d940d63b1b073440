"""The published attacks on packages and parsers that call a function: each is given ours. And a submission that is changed after it was sent."""

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import library_targets
import pytest
from launched_server import TOKEN, Place
from test_attacks_published import ABSENT, PLAIN, SUITE, cases_of

from jupyter_guardrails.package import canonical
from jupyter_guardrails.policy import quantities

HERE = Path(__file__).parent
TABLE = HERE.parents[1] / "docs" / "reference" / "attacks.md"
LIBRARY = [name for name, found in PLAIN.items() if found["kind"] == "library" and name.startswith(("PKG-", "PARSE-"))]
QUANTITIES = ("parse_bytes", "parse_duration", "parse_share", "parse_amount")
TARGETS = {
    "unpack": "library_targets:unpack",
    "command": "library_targets:command",
    "canon": "jupyter_guardrails.package.canonical:loads",
    "yaml": "library_targets:policy",
}

beside = pytest.mark.skipif(SUITE is None, reason=ABSENT)


def said_by(case, tmp_path, **more):
    """What its snippet prints of our functions."""
    parameters = {"outside": str(tmp_path), **TARGETS, **more}
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(HERE), "GR_PARAMS": json.dumps(parameters)}
    command = [sys.executable, str(SUITE / "snippets" / f"{case}.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    return done.stdout.strip()


@beside
@pytest.mark.parametrize("case", [name for name in LIBRARY if name != "PARSE-07"] or ["none"])
def test_it_obtains_nothing(case, tmp_path):
    said = said_by(case, tmp_path)
    assert said.startswith("BLOCKED"), said
    assert "nothing obtained" not in said  # refused, in words


@beside
@pytest.mark.parametrize("quantity", QUANTITIES)
def test_no_odd_number_is_a_quantity(quantity, tmp_path):
    """PARSE-07."""
    assert said_by("PARSE-07", tmp_path, quantity=f"jupyter_guardrails.policy.quantities:{quantity}") == "BLOCKED all refused"


@beside
def test_the_suite_was_not_empty():
    assert len(LIBRARY) >= 8


def test_what_is_sound_gets_through_the_same_functions(tmp_path):
    """The twins."""
    with zipfile.ZipFile(tmp_path / "good.zip", "w") as made:
        made.writestr("main.py", "print('reviewed')")
    library_targets.unpack(str(tmp_path / "good.zip"), str(tmp_path / "d"))
    assert (tmp_path / "d" / "main.py").read_text() == "print('reviewed')"
    assert library_targets.policy("limits: {cpu: 1}\n") is not None
    assert canonical.loads('{"approved_by":"bob","cpu":1}') == {"approved_by": "bob", "cpu": 1}
    assert [getattr(quantities, name)(text) for name, text in zip(QUANTITIES, ("1B", "5s", "50%", 1.5), strict=True)] == [1, 5, 0.5, 1.5]


@pytest.mark.parametrize("text", ["a.ipynb; touch {mark}", "--inside {mark}", "$(touch {mark})", "plain"])
def test_a_name_gets_as_far_as_the_job_and_is_no_command(text, tmp_path):
    """PKG-10, with its twin: the same text is the parameter that the job is given, so it did get there."""
    mark = tmp_path / "mark"
    built, ran = library_targets.command(text.format(mark=mark))
    assert built[0] == 0, built[1]
    assert "No module named" in ran[1]  # an empty lock has nothing that could run a notebook
    assert not mark.exists()


def test_a_tar_is_no_package(tmp_path):
    """PKG-02 and PKG-07 bring one: there is nothing to get wrong where none is read."""
    with tarfile.open(tmp_path / "a.tar", "w") as made:
        made.add(__file__, "main.py")
    with pytest.raises(Exception, match="not a readable package"):
        library_targets.unpack(tmp_path / "a.tar", tmp_path / "d")


@pytest.fixture(scope="module")
def launched():
    """A governed server, where the suite is, with what its snippets are told of it."""
    place = Place()
    with place.serve("jupyter-guardrails", "server") as server:
        told = {"url": server.url.rstrip("/"), "token": TOKEN, "root_dir": str(place.work), "data_dir": str(place.home / ".local/share/jupyter")}
        yield server, place, told
    place.remove()


@beside
@pytest.mark.slow
def test_a_copy_that_was_handed_over_is_out_of_reach(launched):
    """PKG-12, on our own route; what the notebook holds later is no part of what was submitted (tests/promotion/test_promotion_submission.py)."""
    server, place, told = launched
    said = said_by("PKG-12", place.work, submit_ep="/guardrails/submissions", submit_body={"notebook": "job.ipynb", "draft": True}, **told)
    assert said == "BLOCKED no writable staged copy found", said
    submissions = server.rest("GET", "guardrails/submissions").json()["submissions"]
    assert [row["notebook"] for row in submissions] == ["job.ipynb"]  # it was taken
    assert server.run(f"import glob; print(glob.glob({str(place.root)!r} + '/state/**/*', recursive=True))").strip() == "[]"


@beside
@pytest.mark.slow
def test_a_deep_body_is_a_bad_request(launched):
    """PARSE-04, on our own route too."""
    _, place, told = launched
    for route in ("/api/kernels", "/guardrails/submissions", "/guardrails/requests"):
        assert said_by("PARSE-04", place.work, post_ep=route, **told) == "BLOCKED HTTP 400"


@beside
def test_the_table_of_packages_and_parsers_has_every_case():
    if not TABLE.exists():
        pytest.skip("the documentation is not beside these tests")
    rows = re.findall(r"^\| ((?:PKG|PARSE)-\d+) \|.* \| ([^|]+) \|$", TABLE.read_text(), re.MULTILINE)
    assert [name for name, _ in rows] == list(cases_of("PKG", "PARSE"))
    assert [end for _, end in rows if not re.search(r": \d+ passed$", end)] == []
