"""Each line about data in docs/scientists.md runs, over a real channel, as in a kernel that has pandas and pyarrow."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from channel_world import CLIENT, Served
from data_world import DataWorld, Loop

GUIDE = Path(__file__).parents[2] / "docs" / "scientists.md"
POLICY = """\
apiVersion: guardrails/v1
mode: enforce
groups: {analysts: [ana]}
rules:
  - name: everyone
    for: everyone
    data: {read: ["nyc/*", "hr/people", "hr/days"], request: ["hr/*"]}
    mask: {pii: partial}
"""
FLIGHTS = {"carrier": ["AA", "UA"], "arr_delay": [5, 7]}
PEOPLE = {"name": ["Annabel", "Benjamin"], "region": ["EU", "US"], "age": [41, 29]}


def blocks():
    """The Python of the section on data, block by block, as far as the label of a workspace."""
    section = GUIDE.read_text().partition("## Data\n")[2].partition("### Publish what you made")[0]
    return [part.partition("```")[0] for part in section.split("```python\n")[1:]]


@pytest.fixture
def served(tmp_path):
    world, loop = DataWorld(tmp_path, POLICY), Loop()
    place = {}
    for name, data in (("nyc/flights", FLIGHTS), ("hr/people", PEOPLE), ("hr/headcount", {"n": [1]})):
        place[name] = world.data / f"{name}.parquet"
        place[name].parent.mkdir(exist_ok=True)
        pq.write_table(pa.table(data), place[name])
        columns = [{"name": column, "logicalType": "string"} | ({"classification": "pii"} if column == "name" else {}) for column in data]
        world.dataset(name, path=place[name], schema=[{"name": "table", "properties": columns}])
    (world.data / "days").mkdir()
    (world.data / "days" / "may.csv").write_text("day,people\n1,7\n")
    world.dataset("hr/days", path=world.data / "days", form="csv")
    found = Served(world, loop, datasets={"nyc/flights": str(place["nyc/flights"])})
    yield found
    loop.run(world.state().brokers.stop())
    loop.close()
    world.close()


def test_the_guide_has_blocks():
    assert len(blocks()) == 3
    assert "guarded.path(" in blocks()[0]


def said_by(served, work, program):
    """What a program with the client prints."""
    work.mkdir()
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CLIENT), "GUARDRAILS_CHANNEL": f"@{served.name}", "HOME": str(work)}
    program = f"import guarded, pandas as pd\n{program}"
    done = subprocess.run([sys.executable, "-c", program], env=environment, cwd=work, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("number", range(3))
def test_every_line_of_it_runs(served, tmp_path, number):
    work = tmp_path / "work"
    lines = [line for line in blocks()[number].splitlines() if line.strip()]
    printed = said_by(served, work, "\n".join(f"{line}\nprint({index})" for index, line in enumerate(lines)))
    assert printed.split() == [str(index) for index in range(len(lines))]
    if number == 1:
        written = (work / "people.csv").read_text()
        assert ("A***" in written, "Annabel" in written, "41" in written) == (True, False, True)


def test_what_its_sentences_say_runs_as_well(served, tmp_path):
    """But for `guarded.sql`, which test_control_sql.py has a PostgreSQL for, and `…`, which stands for a choice."""
    prose = re.sub(r"```.*?```", "", GUIDE.read_text().partition("## Data\n")[2].partition("### Publish what you made")[0], flags=re.DOTALL)
    calls = sorted(set(re.findall(r"`(guarded\.[^`]*\))`", prose)))
    assert calls == ['guarded.open("hr/days", file="may.csv")', 'guarded.open("nyc/flights")', 'guarded.sql("dwh/warehouse", "SELECT …")']
    printed = said_by(served, tmp_path / "work", "".join(f"print({call}.read()[:4])\n" for call in calls[:2]))
    assert printed == "b'day,'\nb'PAR1'\n"


def test_sql_runs_in_the_kernel_over_what_one_was_given(served, tmp_path):
    """DuckDB over `.scan()`, say."""
    pytest.importorskip("duckdb")
    program = "import duckdb\npeople = guarded.open('hr/people').scan()\nprint(duckdb.sql('select name, age from people order by age').fetchall())"
    assert said_by(served, tmp_path / "work", program) == "[('B***', 29), ('A***', 41)]\n"
