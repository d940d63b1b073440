"""The benchmark of the policy still runs, prints every figure, and Cedar answers as we do. How fast it is isn't looked at here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # left out of `make test-fast`

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "policy.py"
FIGURES = ["load_and_compile_s", "load_s", "compile_s", "decision_us", "effective_ms", "visible_ms", "names_ms", "readable", "peak_mb"]
CEDAR = ["cedar_policies", "cedar_questions", "cedar_agrees", "cedar_allowed", "cedar_us", "same_us", "cedar_ratio"]


def run(*options):
    done = subprocess.run([sys.executable, SCRIPT, "--scale", "0.01", "--questions", "200", *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def figures():
    return json.loads(run("--json"))


def test_every_figure_is_measured(figures):
    assert all(figures[key] > 0 for key in [*FIGURES, *CEDAR])
    assert all(figures[f"{action}_us"] > 0 for action in ("data_read", "data_request", "network_connect", "kernel_start"))
    assert figures["missed"] == []  # a part of the whole scale is not judged


def test_cedar_answers_the_same(figures):
    assert figures["cedar_agrees"] == figures["cedar_questions"] == 200
    assert figures["cedar_allowed"] == 100


def test_readers_get_each_target_with_its_figure():
    text = run()
    for part in (
        "load and compile",
        "decision",
        "visible",
        "peak",
        "<= 2 s",
        "<= 10 us",
        "<= 1 ms",
        "<= 300 mb",
        "cedarpy agrees in 200 of 200",
        "ratio",
    ):
        assert part in text
