"""The broker in the long run: big tables of databases in bounded memory, and its worker killed at any moment of a read: never a short result."""

import contextlib
import os
import random
import secrets
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from channel_world import Served
from data_world import Loop
from scan_world import CLIENT, Kernel, made

from jupyter_guardrails.control.credentials import CredentialsFile
from tests.records.conftest import fresh_database, postgres  # noqa: F401 - a fixture

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]
SOAK = bool(os.environ.get("GUARDRAILS_SOAK"))
ROWS, KILLS = (5_000_000, 50) if SOAK else (250_000, 5)
BIG_ROWS = 2_000_000  # of nyc/big
PEAK_KIB = 300_000
TABLE = "create table large (id bigint, mail text, x double precision)"
NUMBERS = f"with recursive n(i) as (select 1 union all select i + 1 from n where i < {ROWS}) select i, 'person ' || i, i * 0.5 from n"
SERIES = f"select i, 'person ' || i, i * 0.5 from generate_series(1, {ROWS}) i"
COLUMNS = [
    {"name": "id", "logicalType": "integer"},
    {"name": "mail", "logicalType": "string", "classification": "pii"},
    {"name": "x", "logicalType": "number"},
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = made(tmp_path_factory.mktemp("soak"))
    world.state()
    world._state.credentials = CredentialsFile(world.root / "credentials.yaml", shared_account=False)  # what `state` answers with are its copies
    yield world
    world.close()


@pytest.fixture(scope="module")
def served(world):
    loop = Loop()
    yield Served(world, loop)
    loop.run(world.state().brokers.stop())
    loop.close()


def sqlite_server(world, request):
    file = world.data / "large.sqlite"
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(TABLE)
        connection.execute(f"insert into large {NUMBERS}")
    return {"server": "x", "type": "sqlite", "path": str(file)}


def postgresql_server(world, request):
    url = fresh_database(request.getfixturevalue("postgres"))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TABLE)
        connection.execute(f"insert into large {SERIES}")
    name = url.partition("@/")[2].partition("?")[0]
    file = world.root / "credentials.yaml"
    file.write_text(f"sources: [{{for: 'postgresql:///{name}', user: records}}]\n")
    file.chmod(0o600)
    world.root.chmod(0o700)
    return {"server": "x", "type": "postgres", "host": url.partition("host=")[2], "database": name}


@pytest.mark.parametrize("server", [sqlite_server, postgresql_server])
def test_a_big_table_is_streamed_whole_and_in_bounded_memory(world, served, request, server):
    schema = [{"name": "large", "physicalName": "large", "properties": COLUMNS}]
    world.dataset("nyc/large", path="/", servers=[server(world, request)], schema=schema)
    kernel = Kernel(served.name)
    kernel.socket.settimeout(600)
    said, fds = kernel.ask("datasets.scan", name="nyc/large")
    assert fds, said
    rows = total = 0
    with open(fds[0], "rb") as file, pa.ipc.open_stream(file) as stream:
        for batch in stream:
            rows, total = rows + batch.num_rows, total + pc.sum(batch["id"]).as_py()
            assert batch.nbytes < 16 << 20
    assert kernel.ask("datasets.scan_end", scan=said["scan"])[0] == {"rows": ROWS}
    assert (rows, total) == (ROWS, ROWS * (ROWS + 1) // 2)
    lines = Path(f"/proc/{worker_of(world)}/status").read_text().splitlines()
    assert int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) < PEAK_KIB
    served.loop.run(world.state().brokers.stop())


def worker_of(world):
    pid = world.state().brokers.of("ana").pid
    assert pid > 1  # 0 before the first worker: a signal to that would be one to these tests
    return pid


READER = f"""
import sys, guarded
big, ALL = guarded.open("nyc/big"), {BIG_ROWS}
def held():
    batches = iter(big.scan())
    first = next(batches)
    print("held", flush=True)
    sys.stdin.readline()
    return first.num_rows + sum(batch.num_rows for batch in batches)
WAYS = {{
    "held": held,
    "batches": lambda: sum(batch.num_rows for batch in big.scan()),
    "table": lambda: big.to_arrow().num_rows,
    "pandas": lambda: len(big.to_pandas(columns=["delay"])),
    "polars": lambda: big.to_polars().shape[0],
    "rows": lambda: sum(1 for _ in big.rows(columns=["delay"], limit=ALL // 10)) * 10,
    "csv": lambda: sum(1 for _ in open(big.to_csv_file("big.csv", columns=["delay"]))) - 1,
}}
for line in sys.stdin:
    print("begins", flush=True)
    try:
        print("whole" if WAYS[line.strip()]() == ALL else "SHORT", flush=True)
    except guarded.GuardedError as error:
        print("broken", str(error).splitlines()[0], flush=True)
"""


@pytest.fixture
def reader(served, tmp_path):
    """A program with the client: told a way, it says `begins`, then `whole`, `broken …`, or what must never be."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CLIENT), "GUARDRAILS_CHANNEL": f"@{served.name}"}
    command = [sys.executable, "-c", READER]
    with subprocess.Popen(command, env=environment, cwd=tmp_path, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        yield program
        program.stdin.close()
        assert program.wait(60) == 0


def read(program, way, *, meanwhile=None):
    program.stdin.write(f"{way}\n")
    program.stdin.flush()
    assert program.stdout.readline() == "begins\n"
    if meanwhile:
        meanwhile()
    return program.stdout.readline().strip()


def test_a_worker_that_is_killed_at_any_moment_leaves_no_result_that_is_short(world, reader, tmp_path):
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    dice, said = random.Random(seed), []

    def kill():
        time.sleep(dice.uniform(0, 0.3))  # the moment is what is random
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker_of(world), signal.SIGKILL)

    ways = ("batches", "table", "pandas", "polars", "rows", "csv")
    assert read(reader, "batches") == "whole"  # there is a worker
    assert read(reader, "held") == "held"
    os.kill(worker_of(world), signal.SIGKILL)  # which waits to hand over the rest: there is more than its memory for that holds
    reader.stdin.write("\n")
    reader.stdin.flush()
    assert reader.stdout.readline().startswith("broken the data broker ended")
    for number in range(KILLS):
        way = ways[number % len(ways)]
        (tmp_path / "big.csv").unlink(missing_ok=True)
        said.append(read(reader, way, meanwhile=kill))
        assert said[-1] == "whole" or said[-1].startswith("broken the data broker ended"), (way, said[-1])
        assert said[-1] == "whole" or not (tmp_path / "big.csv").exists(), "a part of a table looks like one"
    print({word: sum(one.startswith(word) for one in said) for word in ("whole", "broken")})
    read(reader, "batches")  # the last kill may have met a worker at rest: whoever asks next learns of it
    assert {read(reader, way) for way in ways} == {"whole"}  # each way reads all of it once nobody kills
