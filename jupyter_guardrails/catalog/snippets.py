"""The line to type for a dataset, by library."""

from __future__ import annotations

from jupyter_guardrails.catalog.model import Contract

PANDAS = {"parquet": "read_parquet", "csv": "read_csv", "arrow": "read_feather", "json": "read_json"}
POLARS = {"parquet": "read_parquet", "csv": "read_csv", "arrow": "read_ipc", "json": "read_ndjson"}
DUCKDB = {"parquet": "read_parquet", "csv": "read_csv", "json": "read_json"}
R = {"parquet": "arrow::read_parquet", "csv": "read.csv", "arrow": "arrow::read_feather", "json": "jsonlite::fromJSON"}


def snippets(contract: Contract) -> dict[str, str]:
    """Library or language -> code; those that cannot read the dataset's format are left out."""
    name, form = contract.name, contract.format
    found = {"path": f'import guarded\n\nguarded.path("{name}")'}
    if form in PANDAS:
        found["pandas"] = f'import pandas as pd\n\ndf = pd.{PANDAS[form]}("dataset://{name}")'
    if form in POLARS:
        found["polars"] = f'import guarded\nimport polars as pl\n\ndf = pl.{POLARS[form]}(guarded.path("{name}"))'
    if form in DUCKDB:
        query = f'duckdb.execute("SELECT * FROM {DUCKDB[form]}(?)", [path])'
        found["duckdb"] = f'import duckdb\nimport guarded\n\npath = guarded.path("{name}")\ndf = {query}.df()'
    if form in R:
        found["r"] = f'df <- {R[form]}(file.path(Sys.getenv("GUARDRAILS_DATA"), {_r_text(name)}))'  # also where it was granted after the start
    return found


def request_line(name: str) -> str:
    """What to type to ask for a dataset."""
    return f'guarded.request("{name}", purpose="…", days=30)'


def _r_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
