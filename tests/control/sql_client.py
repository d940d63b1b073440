"""What the published DATA attacks call in place of DuckDB and gzip: the same text, offered to everything that takes text of a user's for data.

Run in a process with a kernel's channel: `GR_PARAMS='{"duck": "sql_client:connect", …}' python snippet.py`.
"""

import tempfile

import duckdb
import guarded

DATASET = "nyc/bound"


class Connection:
    """`execute` offers it wherever text is taken: a filter, a column, a dataset, and SQL for data that nobody has opened for it."""

    def execute(self, text, parameters=None):
        opened = guarded.open(DATASET)
        refusals = []
        for attempt in (
            lambda: opened.scan(filter=text).read_all(),
            lambda: opened.scan(columns=[text]).read_all(),
            lambda: guarded.open(text).scan().read_all(),
            lambda: guarded.sql(DATASET, text).read_all(),
        ):
            try:
                return attempt()
            except guarded.GuardedError as refusal:
                refusals.append(str(refusal))
        raise duckdb.Error(" | ".join(refusals))

    def interrupt(self):
        """Called by a snippet's timer."""


def connect(parameters):
    return Connection()


def gunzip(data):
    """As data of one's own: what comes back is what a reader gets."""
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(data)
        file.flush()
        guarded.publish(file.name, "team/bomb", description="a bomb")
    return guarded.open("team/bomb").read()
