"""Approved data in a governed kernel or job: find it, open it, ask for it. Standard library only.

guarded.datasets("flights")                      a table of what there is and how to get it
guarded.path("nyc/flights")                      a real path, for any library
guarded.open("nyc/flights").to_pandas()          a table (also .to_polars(), .to_arrow(), .read())
guarded.sql("dwh/warehouse", "SELECT …")         one SELECT, run by the database as your own account there
guarded.request("hr/salaries", purpose="…")      ask for access
guarded.request_package("polars", purpose="…")   ask for a Python package that jobs may not hold yet
guarded.publish(df, "team/churn", description="…")  hand derived data over: private until you propose it
guarded.labels()                                 what your workspace carries: what is made of data inherits from it
"""

from __future__ import annotations

from typing import Any

from guarded import explain as _explain
from guarded import sources as _sources
from guarded.bound import Bound
from guarded.errors import GuardedError, NotFound, Refused, Unavailable
from guarded.labels import Labels
from guarded.opened import Opened, is_anothers, open_dataset, too_late
from guarded.publishing import Publication
from guarded.publishing import publish as _publish
from guarded.scanned import Scanned
from guarded.scanned import sql as _scanned_sql
from guarded.tables import DatasetTable

__all__ = [
    "DatasetTable",
    "GuardedError",
    "Labels",
    "NotFound",
    "Opened",
    "Publication",
    "Refused",
    "Scanned",
    "Unavailable",
    "datasets",
    "labels",
    "open",
    "path",
    "publish",
    "request",
    "request_package",
    "sql",
]
__version__ = "0.1.0"


def datasets(query: str = "") -> DatasetTable:
    """The datasets that you may know of, those with `query` in them if you give one."""
    result, _ = _sources.current().call("datasets.search", q=query)
    return DatasetTable(result["datasets"], int(result.get("total", len(result["datasets"]))))


def path(name: str) -> str:
    """The path of a dataset's file or folder, readable in this kernel; raises Refused with the reason and what to do."""
    found, _ = _sources.current().call("datasets.path", name=name)
    if not found.get("readable", True):
        raise too_late(name, found)
    where = str(found["path"])
    if is_anothers(where):
        raise Refused(
            f"{name} belongs to another account of this machine, so its path ({where}) can't be opened here",
            next_step=f"open it through control, which gives the file without its path: guarded.open({name!r})",
        )
    return where


def open(name: str, file: str = "", purpose: str = "") -> Opened | Scanned:
    """A dataset to read, or one file of its folder: `.to_pandas(columns=…)`, `.to_polars()`, `.to_arrow()`, `.scan()`, `.read()`, `.file()`.

    `purpose`: what for, where its contract names what it may be used for.
    """
    return open_dataset(_sources.current(), name, file, purpose=purpose, in_job=Bound)


def sql(name: str, query: str, purpose: str = "") -> Any:
    """A pyarrow RecordBatchReader (`.read_pandas()`, `.read_all()`) over what one SELECT gives in a dataset's database, as your own account there.

    Refused where its contract doesn't open it for SQL, or you have no account there. Closing it early cancels the statement.
    """
    return _scanned_sql(_sources.current(), name, query, purpose)


def request(name: str, purpose: str, days: int = 30) -> dict[str, Any]:
    """Ask its owner for a dataset; gives the request with its state (`open`, or `granted` at once where policy says so)."""
    result, _ = _sources.current().call("requests.create", dataset=name, purpose=purpose, days=days)
    return result


def request_package(name: str, purpose: str, days: int = 90) -> dict[str, Any]:
    """Ask IT for a Python package that no job may hold yet; gives the request with its state. Refused where the policy denies it by name."""
    result, _ = _sources.current().call("requests.package", package=name, purpose=purpose, days=days)
    return result


def labels() -> Labels:
    """What this workspace carries and why: what you publish or submit from it inherits that."""
    result, _ = _sources.current().call("labels")
    return Labels(result)


def publish(data: Any, name: str, description: str) -> Publication:
    """Hand a table (pandas, polars, pyarrow) or a file over under a name; private to you until you propose it to a group."""
    return _publish(data, name, description)


_explain.install()
