"""The line to type for a dataset, by library."""

from __future__ import annotations

from jupyter_guardrails.catalog.delivery import Bounds
from jupyter_guardrails.catalog.model import Contract

PANDAS = {"parquet": "read_parquet", "csv": "read_csv", "arrow": "read_feather", "json": "read_json"}
POLARS = {"parquet": "read_parquet", "csv": "read_csv", "arrow": "read_ipc", "json": "read_ndjson"}
DUCKDB = {"parquet": "read_parquet", "csv": "read_csv", "json": "read_json"}
R = {"parquet": "arrow::read_parquet", "csv": "read.csv", "arrow": "arrow::read_feather", "json": "jsonlite::fromJSON"}


def snippets(contract: Contract, bounds: Bounds | None = None) -> dict[str, str]:
    """Library or language -> code; those that cannot read the dataset's format, or what it is bound to, are left out."""
    name, form = contract.name, contract.format
    if bounds is not None and not bounds.raw:
        return _by_broker(name, bounds)
    found = {"path": f'import guarded\n\nguarded.path("{name}")'}
    if form in PANDAS:
        found["pandas"] = f'import pandas as pd\n\ndf = pd.{PANDAS[form]}("dataset://{name}")'
    if form in POLARS:
        found["polars"] = f'import guarded\nimport polars as pl\n\ndf = pl.{POLARS[form]}(guarded.path("{name}"))'
    if form in DUCKDB:
        query = f'duckdb.execute("SELECT * FROM {DUCKDB[form]}(?)", [path])'
        found["duckdb"] = f'import duckdb\nimport guarded\n\npath = guarded.path("{name}")\ndf = {query}.df()'
    if form in DUCKDB and contract.path:
        found["sql"] = f"SELECT *\nFROM {DUCKDB[form]}({_sql_text(contract.path)})\nLIMIT 100"  # DuckDB's dialect; it asks no one for the path
    if form in R:
        found["r"] = f'df <- {R[form]}(file.path(Sys.getenv("GUARDRAILS_DATA"), {_r_text(name)}))'  # also where it was granted after the start
    return found


def _by_broker(name: str, bounds: Bounds) -> dict[str, str]:
    """For data that has no path: masked, filtered, streamed or bound to a purpose."""
    purpose = f', purpose="{bounds.purposes[0]}"' if bounds.purposes else ""
    opened = f'guarded.open("{name}"{purpose})'
    return {
        "pandas": f"import guarded\n\ndf = {opened}.to_pandas()",
        "polars": f"import guarded\n\ndf = {opened}.to_polars()",
        "duckdb": f'import duckdb\nimport guarded\n\nrows = {opened}.scan()\ndf = duckdb.sql("SELECT * FROM rows").df()',
    }


def request_line(name: str) -> str:
    """What to type to ask for a dataset."""
    return f'guarded.request("{name}", purpose="…", days=30)'


def _r_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _sql_text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
