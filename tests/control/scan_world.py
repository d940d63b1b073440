"""Masked, filtered, streamed and purpose-bound datasets over real files, a kernel's connection, and the client in a fresh interpreter."""

import os
import subprocess
import sys
import textwrap

import pyarrow as pa
import pyarrow.parquet as pq

from tests.control import channel_world
from tests.control.channel_world import CLIENT
from tests.control.data_world import DataWorld

SECRETS = ("ada@example.com", "bob@example.com", "Analytical Engine")
ROWS = {
    "name": ["Ada", "Bob", "Cyd"],
    "email": ["ada@example.com", "bob@example.com", None],
    "salary": [91_250, 48_700, 60_000],
    "region": ["EU", "EU", "US"],
    "note": ["Analytical Engine", "x", "y"],
}
COLUMNS = [
    {"name": "name", "logicalType": "string"},
    {"name": "email", "logicalType": "string", "classification": "pii"},
    {"name": "salary", "logicalType": "integer", "customProperties": [{"property": "guardrails.mask", "value": "blank"}]},
    {"name": "region", "logicalType": "string"},
    {"name": "note", "logicalType": "string", "customProperties": [{"property": "guardrails.mask", "value": "constant"}]},
]


class Kernel(channel_world.Kernel):
    """A connection on a kernel's channel that reads tables, too."""

    def table(self, name, **asked):
        """All rows of a scan, and how it ended."""
        said, fds = self.ask("datasets.scan", name=name, **asked)
        assert fds, said
        with open(fds[0], "rb") as file:
            data = file.read()
        end, _ = self.ask("datasets.scan_end", scan=said["scan"])
        return (pa.ipc.open_stream(data).read_all() if data else None), end


def made(root):
    """The world of the datasets."""
    world = DataWorld(root)
    people = world.data / "people.parquet"
    table = pa.table(ROWS).replace_schema_metadata({"who": "ada@example.com"})
    pq.write_table(table, people)
    world.dataset("nyc/people", path=people, schema=[{"name": "people", "properties": COLUMNS}], own={"rowFilter": "region = 'EU'"})
    world.dataset("nyc/flights")
    world.dataset("nyc/streamed", own={"delivery": "brokered"})
    world.dataset("nyc/bound", own={"purposes": ["churn", "audit"]})
    big = world.data / "big.parquet"
    pq.write_table(pa.table({"origin": ["JFK"] * 2_000_000, "delay": list(range(2_000_000))}), big, row_group_size=100_000)
    world.dataset("nyc/big", path=big, own={"delivery": "brokered"})
    return world


def add_pictures(world):
    """A dataset that is no table."""
    (world.data / "pictures").mkdir()
    (world.data / "pictures" / "a.png").write_bytes(b"x")
    world.dataset("nyc/pictures", path=world.data / "pictures", form="directory")


def guarded(served, program, *, blocked=()):
    """What a program prints in a fresh interpreter with the client that kernels get."""
    block = "".join(f"import sys; sys.modules[{name!r}] = None\n" for name in blocked)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CLIENT), "GUARDRAILS_CHANNEL": f"@{served}"}
    command = [sys.executable, "-c", block + textwrap.dedent(program)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def shows_nothing(text):
    assert not [secret for secret in SECRETS if secret in str(text)]


def links(pid):
    """What a process has open."""
    return [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd") if os.path.lexists(f"/proc/{pid}/fd/{fd}")]
