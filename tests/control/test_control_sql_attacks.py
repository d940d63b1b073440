"""The published DATA attacks, which send SQL to whatever takes it: nothing of ours does. Each escaped from plain DuckDB or gzip (plain.json)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from channel_world import CLIENT, Served
from data_world import POLICY, DataWorld, Loop

pytest.importorskip("duckdb")
HERE = Path(__file__).parent
PLACES = (HERE.parents[2] / "shared" / "attacks", HERE.parents[1] / "attacks")
SUITE = next((place for place in PLACES if (place / "attacks.py").is_file()), None)
PLAIN = json.loads((SUITE / "plain.json").read_text()) if SUITE else {}
CASES = [name for name, found in PLAIN.items() if name.startswith("DATA-") and found["result"] == "ESCAPED"]
MAY_PUBLISH = POLICY.replace("    mask: {pii: hash}\n", "    mask: {pii: hash}\n    publish: {to: [analysts]}\n")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run Python in a process with a kernel's channel: what it printed."""
    tmp_path = tmp_path_factory.mktemp("sql")
    world, loop = DataWorld(tmp_path, MAY_PUBLISH), Loop()
    world.dataset("nyc/bound", own={"rowFilter": "origin = 'JFK'"})
    served = Served(world, loop)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("CANARY")
    parameters = {"duck": "sql_client:connect", "gunzip": "sql_client:gunzip", "outside": str(outside), "secret": str(outside / "secret.txt")}
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{CLIENT}{os.pathsep}{HERE}", "GUARDRAILS_CHANNEL": f"@{served.name}"}

    def start(*arguments):
        command = [sys.executable, *map(str, arguments)]
        done = subprocess.run(command, env=environment | {"GR_PARAMS": json.dumps(parameters)}, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    yield start
    loop.run(world.state().brokers.stop())
    loop.close()
    world.close()


@pytest.mark.skipif(SUITE is None, reason="the published attacks are not beside this checkout")
@pytest.mark.parametrize("case", CASES or ["none"])
def test_it_obtains_nothing(run, case):
    said = run(SUITE / "snippets" / f"{case}.py")
    assert said.startswith("BLOCKED"), said
    assert "nothing obtained" not in said  # refused, in words


@pytest.mark.skipif(SUITE is None, reason="the published attacks are not beside this checkout")
def test_the_suite_was_not_empty():
    assert len(CASES) >= 6


def test_what_a_filter_may_say_is_answered_by_the_same_way(run):
    print_rows = "import sql_client; print(sql_client.connect({}).execute('delay < 10').num_rows)"
    assert run("-c", print_rows) == "5"
