"""`usage`, and how `control` takes its places from flags, environment and the admin's directory."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from jupyter_guardrails.cli import control, usage
from jupyter_guardrails.cli.main import build_parser
from jupyter_guardrails.cli.printing import plain_cell, print_csv
from jupyter_guardrails.control.interface import Settings
from jupyter_guardrails.errors import BadRequest

BUDGET = {
    "cpu_hours": {"used": 1.0, "limit": 40.0},
    "memory_gib_hours": {"used": 0.5, "limit": None},
    "gpu_hours": {"used": 0.0, "limit": None},
    "per_s": 7 * 86400,
    "window": "last 7 d",
    "shared_by": "",
    "rule": "p.yaml:9 analysts",
}


def chosen(monkeypatch, *flags, self_chosen=True):
    found = Settings(Path("/a/policy.yaml"), Path("/a/catalog"), Path("/a/state"), Path("/a/state/control.sock"), self_chosen)
    monkeypatch.setattr(control, "settings_from", lambda environ: found)
    return control.chosen_settings(build_parser().parse_args(["control", *flags]))


def test_flags_choose_where_nobody_else_did(monkeypatch):
    found = chosen(monkeypatch, "--policy=/b/p.yaml", "--state-dir=/b/state", "--as=ben")
    assert (found.policy_path, found.catalog_path, found.person) == (Path("/b/p.yaml"), Path("/a/catalog"), "ben")
    assert found.control_socket == Path("/b/state/control.sock")


def test_an_admins_directory_wins_over_flags(monkeypatch):
    found = chosen(monkeypatch, "--policy=/b/p.yaml", "--catalog=/b/c", "--state-dir=/b/state", "--socket=/b/s.sock", self_chosen=False)
    assert (found.policy_path, found.catalog_path) == (Path("/a/policy.yaml"), Path("/a/catalog"))
    assert (found.state_dir, found.control_socket) == (Path("/a/state"), Path("/a/state/control.sock"))
    assert len(found.ignored) == 4


def command(world, *arguments):
    places = {"GUARDRAILS_POLICY": world.policy, "GUARDRAILS_CATALOG": world.settings.catalog_path, "GUARDRAILS_STATE_DIR": world.settings.state_dir}
    environ = {**os.environ, **{name: str(path) for name, path in places.items()}, "GUARDRAILS_AS": "ana"}
    return subprocess.run([sys.executable, "-m", "jupyter_guardrails", *arguments], env=environ, capture_output=True, text=True, check=True)


@pytest.mark.skipif(Path("/etc/jupyter/guardrails").is_dir(), reason="this machine has an admin's policy, which wins over the test's")
def test_usage_asks_the_control_that_runs(world):
    own = world.start()
    found = json.loads(command(world, "usage", "--json").stdout)
    assert found["people"] == []
    assert found["budget"]["cpu_hours"] == {"used": 0.0, "reserved": 0.0, "limit": 2.0}
    assert "0.00 of 2 cpu-hours, 0.00 of 8 memory GiB-hours in the last 7 d (guardrails.yaml:17 analysts-large)" in command(world, "usage").stdout
    assert own.process.poll() is None


ROW = {"person": "ana", "key": "ana", "kernels": 3, "cpu_hours": 1.25, "memory_gib_hours": 10.0, "gpu_hours": 0.5}


def test_the_table_has_a_line_for_each_person():
    assert usage.table([], "person")[1][0] == "(nothing yet)"
    assert usage.table([ROW], "person")[1] == ("ana", "3", "1.25", "10.00", "0.50")
    assert usage.table([ROW | {"key": ""}], "notebook")[1] == ("ana", "(none)", "3", "1.25", "10.00", "0.50")


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1", "-1", "@x", " =1", "\t=1", "\n=1", "\uff1dcmd()", "|x", "\r=1", "\x1b[31mred.ipynb"])
def test_no_cell_of_a_csv_is_a_formula_or_steers_a_terminal(capsys, name):
    print_csv(("notebook", "cpu_hours"), [(name, -1.5)])
    text = capsys.readouterr().out
    (_, (cell, number)) = csv.reader(io.StringIO(text))
    assert cell[0] not in "=+-@|\t\r\n \uff1d\x1b" or cell[0] == "'"
    assert text.replace("\r\n", "").isprintable()
    assert float(number) == -1.5


def test_use_in_the_text_format_of_prometheus_is_read_back():
    rows = [ROW, ROW | {"person": 'b"e\\n', "key": "x"}]
    families = {family.name: family for family in text_string_to_metric_families(usage.exposition(rows, "person"))}
    samples = families["guardrails_usage_cpu_seconds"].samples
    assert {sample.labels["person"]: sample.value for sample in samples} == {"ana": 4500.0, 'b"e\\n': 4500.0}
    assert families["guardrails_usage_kernels"].type == "gauge"
    with pytest.raises(BadRequest, match="a series of each"):
        usage.exposition(rows, "notebook")


def test_ordinary_names_stay_what_they_are_in_a_csv():
    assert [plain_cell(cell) for cell in ("a, b.ipynb", "π/é.ipynb", 3, 1.5)] == ["a, b.ipynb", "π/é.ipynb", 3, 1.5]


@pytest.mark.skipif(Path("/etc/jupyter/guardrails").is_dir(), reason="this machine has an admin's policy, which wins over the test's")
def test_usage_by_day_as_csv(world):
    world.start()
    assert command(world, "usage", "--by", "day", "--since", "7d", "--csv").stdout == "person,day,kernels,cpu_hours,memory_gib_hours,gpu_hours\n"
    refused = subprocess.run([sys.executable, "-m", "jupyter_guardrails", "usage", "--since", "5x"], capture_output=True, text=True, check=False)
    assert (refused.returncode, "a time with one unit" in refused.stderr) == (2, True)


def test_the_budget_in_one_line_names_only_what_is_limited():
    assert usage.budget_line(BUDGET) == "budget: 1.00 of 40 cpu-hours in the last 7 d (p.yaml:9 analysts)"
    assert usage.budget_line(BUDGET | {"window": ""}) == "no budget is set"
    shared = BUDGET | {"window": "calendar month", "per_s": None, "shared_by": "analysts"}
    assert usage.budget_line(shared) == "budget: 1.00 of 40 cpu-hours in the calendar month, everyone of analysts together (p.yaml:9 analysts)"


def test_flags_that_were_not_given_change_nothing(monkeypatch):
    arguments = SimpleNamespace(policy=None, catalog=None, state_dir=None, socket=None, person=None)
    monkeypatch.setattr(control, "settings_from", lambda environ: Settings(Path("/p"), Path("/c"), Path("/s"), Path("/s/x.sock"), True, "ana"))
    found = control.chosen_settings(arguments)
    assert (found.control_socket, found.person) == (Path("/s/x.sock"), "ana")
