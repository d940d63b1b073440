"""The place behind a contract's `servers` entry that is not a path of this machine: an object store, or a table of a database.

Nothing here knows a secret: what opens the place is in control's credentials file. A contract that holds one is broken, and its line is never quoted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from open_data_contract_standard.model import SchemaObject, Server

from jupyter_guardrails.catalog.places import FILE_FORMATS, complaint_about, guess_format

# plain JSON-able: {"kind": "objects", "url", "format"} or {"kind": "database", "dialect", "table"}; columns that have another name there are in
# "physical" (ours: theirs), their logical types in "types" where the format has none
Place = dict[str, Any]

# type of a server -> the schemes of its location; none: any that fsspec knows
OBJECT_STORES: dict[str, tuple[str, ...]] = {
    "s3": ("s3",),
    "gcs": ("gs", "gcs"),
    "azure": ("az", "abfs", "abfss", "adl"),
    "sftp": ("sftp", "ssh"),
    "custom": (),
}
DATABASES = {  # type of a server -> SQLAlchemy's dialect, and the port where nobody says another
    "postgres": ("postgresql", 5432),
    "postgresql": ("postgresql", 5432),
    "mysql": ("mysql", 3306),
    "sqlserver": ("mssql", 1433),
    "oracle": ("oracle", 1521),
    "sqlite": ("sqlite", 0),
}
LOCAL = ("local", "file")
KNOWN = (*LOCAL, *OBJECT_STORES, *DATABASES)
SAME_SCHEME = {"gcs": "gs", "abfss": "abfs", "az": "abfs", "ssh": "sftp"}
# fsspec's ways to this machine's own files, to other protocols in disguise, and to code
OWN_SCHEMES = (
    *("file", "local", "asynclocal", "memory", "data", "dir", "dirfs", "reference", "generic", "async_wrapper", "asyncwrapper", "dask", "git"),
    *("zip", "tar", "libarchive", "cached", "blockcache", "filecache", "simplecache", "jupyter", "jlab", "dvc", "root", "pyscript", "dataset"),
)
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[?[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*\]?")
WILDCARDS = frozenset("*?[]{}")
SECRET = re.compile(r"pass(word|wd|phrase)|secret|token|credential|(access|account|private|sas).?key|connection.?string|\bpwd\b", re.IGNORECASE)
TO_CREDENTIALS = "put it into credentials.yaml beside the policy; a contract names the place and no secret"
DELIMITERS = {"json": ("new_line",), "csv": ("", ",", ";", "\t", "|", " ", ":")}


class Mistake(NamedTuple):
    """What is wrong at a key of the server."""

    key: str
    message: str
    hint: str = ""


def place_of(server: Server, table: SchemaObject | None) -> tuple[Place, list[Mistake]]:
    """The place of a server that is not of type local, and every mistake in it."""
    kind = server.type or ""
    mistakes = list(_secrets(server))
    if kind in OBJECT_STORES:
        place, wrong = _objects(server, kind)
        place |= _types(table) if place["format"] in ("csv", "json") else {}
    else:
        place, wrong = _sqlite(server, table) if kind == "sqlite" else _database(server, table)
    return place | _renamed(table), [*mistakes, *wrong]


def _renamed(table: SchemaObject | None) -> Place:
    """`physical`: what columns are called where the data is, of those that have another name there."""
    properties = (table.properties if table else None) or []
    renamed = {item.name: item.physicalName for item in properties if item.name and item.physicalName and item.name != item.physicalName}
    return {"physical": renamed} if renamed else {}


def identity(place: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """What two contracts must not share; None for local files, which have an inode."""
    if place.get("kind") == "objects":
        return (_plain_url(place), place.get("endpoint", "").lower())
    if place.get("kind") == "database":
        return tuple(str(place.get(key, "")).lower() for key in ("dialect", "host", "port")) + tuple(
            str(place.get(key, "")) for key in ("database", "path", "schema", "table")
        )
    return None


def shown(place: Mapping[str, Any]) -> str:
    """The place as a person reads it."""
    if place.get("kind") == "objects":
        return str(place["url"]) + (f" at {place['endpoint']}" if place.get("endpoint") else "")
    if place.get("kind") == "database":
        where = place.get("path") or f"{place.get('host')}:{place.get('port')}/{place.get('database')}"
        return f"table {'.'.join(filter(None, (place.get('schema'), place.get('table'))))} of {place['dialect']} {where}"
    return str(place.get("path", ""))


def _plain_url(place: Mapping[str, Any]) -> str:
    scheme, _, rest = str(place["url"]).partition("://")
    return f"{SAME_SCHEME.get(scheme, scheme)}://{rest}"


def _secrets(server: Server) -> Iterator[Mistake]:
    for item in server.customProperties or []:
        if SECRET.search(item.property or ""):
            yield Mistake("customProperties", f"{item.property} looks like a credential", TO_CREDENTIALS)


def _types(table: SchemaObject | None) -> Place:
    """What formats without types of their own need: a code such as 007 is text."""
    types = {item.name: item.logicalType for item in (table.properties if table else None) or [] if item.name and item.logicalType}
    return {"types": types} if types else {}


def _objects(server: Server, kind: str) -> tuple[Place, list[Mistake]]:
    url = (server.location or "").rstrip("/")
    wrong = list(_about_url(url, kind))
    place: Place = {"kind": "objects", "url": url, "format": guess_format("/" + url, server.format or "")}
    if place["format"] not in FILE_FORMATS:
        wrong.append(Mistake("format", f"the format {place['format'] or 'is not given and'} is not one of {', '.join(FILE_FORMATS)}"))
    if server.delimiter:
        wrong += _about_delimiter(server.delimiter, place["format"])
        place |= {"delimiter": server.delimiter} if place["format"] == "csv" else {}
    if server.endpointUrl:
        wrong += _about_endpoint(server.endpointUrl)
        place["endpoint"] = server.endpointUrl.rstrip("/")
    return place, wrong


def _about_url(url: str, kind: str) -> Iterator[Mistake]:
    """What keeps a location from being one object or one folder of a store; the first is enough."""
    scheme, found, rest = url.partition("://")
    schemes = OBJECT_STORES[kind]
    example = f"{schemes[0] if schemes else 'scheme'}://bucket/folder"
    if not found or not SCHEME.fullmatch(scheme):
        yield Mistake("location", "location is missing" if not url else "location is no URL", f"write it like {example}")
    elif "::" in url or scheme in OWN_SCHEMES:
        yield Mistake(
            "location",
            f"{'a chain of' if '::' in url else scheme} URLs leads to files of this machine or to another protocol",
            "files of this machine have a server of type local, with the whole path",
        )
    elif schemes and scheme not in schemes:
        yield Mistake("location", f"{scheme}:// is no location of type {kind}", f"write it like {example}, or give the server the type custom")
    else:
        yield from _about_rest(scheme, rest)


def _about_rest(scheme: str, rest: str) -> Iterator[Mistake]:
    store, _, path = rest.partition("/")
    container = store.partition("@")[0] if scheme in ("abfs", "abfss") and ":" not in store else ""  # container@account.dfs…: no secret
    if "@" in store and not container:
        yield Mistake("location", "location holds a user or a password", TO_CREDENTIALS)
    elif "?" in rest or "#" in rest:
        hint = "write the folder as it is; a signed address is a credential and has no place here"
        yield Mistake("location", "location has a query or a wildcard", hint)
    elif not store:
        yield Mistake("location", "location names no bucket", f"write it like {scheme}://bucket/folder")
    else:
        yield from _about_names(store, path)


def _about_names(store: str, path: str) -> Iterator[Mistake]:
    if set(store + path) & WILDCARDS:
        yield Mistake("location", "location has a wildcard, and a folder is read as a whole", "write the folder, and keep other objects out of it")
    elif path and any(part in ("", ".", "..") for part in path.split("/")):
        yield Mistake("location", "location is not in plain form", "leave out empty parts, . and ..")
    elif not (store + path).isprintable() or "\\" in store:
        yield Mistake("location", "location has a character that does not show", "write the name as it is")


def _about_delimiter(delimiter: str, form: str) -> Iterator[Mistake]:
    allowed = DELIMITERS.get(form)
    if allowed is None:
        yield Mistake("delimiter", f"delimiter means nothing for {form or 'this format'}", "remove it")
    elif delimiter not in allowed:
        known = "new_line: one object a line" if form == "json" else 'one of , ; | : a blank or "\\t"'
        yield Mistake("delimiter", f"this delimiter is not known for {form}", known)


def _about_endpoint(endpoint: str) -> Iterator[Mistake]:
    if "@" in endpoint or "?" in endpoint:
        yield Mistake("endpointUrl", "endpointUrl holds a user, a password or a query", TO_CREDENTIALS)
        return
    try:
        url = urlsplit(endpoint)
        right = url.scheme in ("http", "https") and bool(url.hostname) and not url.fragment and url.port != 0
    except ValueError:
        right = False
    if not right:
        yield Mistake("endpointUrl", "endpointUrl is no http(s) address", "write it like https://store.example.com")


def _database(server: Server, table: SchemaObject | None) -> tuple[Place, list[Mistake]]:
    dialect, usual_port = DATABASES[server.type or ""]
    key, database = ("serviceName", server.serviceName or "") if dialect == "oracle" else ("database", server.database or "")
    port, about_port = _port(server, usual_port)
    wrong = [*_about_host(server.host or "", dialect), *_about_database(database, key), *about_port]
    place = {"kind": "database", "dialect": dialect, "host": server.host or "", "port": port, "database": database}
    schema = server.schema_ or ("public" if dialect == "postgresql" else "")  # never what a search path says
    name, about_table = _table(table)
    return place | ({"schema": schema} if schema else {}) | {"table": name}, [*wrong, *about_table]


def _port(server: Server, usual: int) -> tuple[int, list[Mistake]]:
    """The port, 0 for what is none."""
    given = str(server.port or usual)
    port = int(given) if given.isdecimal() and len(given) <= 5 else 0
    return port, [] if 0 < port < 65536 else [Mistake("port", "port is no number from 1 to 65535")]


def _about_host(host: str, dialect: str) -> Iterator[Mistake]:
    if "@" in host or "://" in host:
        yield Mistake("host", "host is an address with more than a name", f"write the name alone; as for a user: {TO_CREDENTIALS}")
    elif not host:
        yield Mistake("host", "host is missing", "write the name of the database's machine")
    elif not (HOST.fullmatch(host) or (dialect == "postgresql" and re.fullmatch(r"/[A-Za-z0-9._/-]+", host))):
        yield Mistake("host", "host is not one name or address", "one host a contract, without its port")


def _about_database(database: str, key: str) -> Iterator[Mistake]:
    if not database:
        yield Mistake(key, f"{key} is missing", "write the database's name")
    elif "=" in database or "://" in database or not database.isprintable():
        yield Mistake(key, f"{key} is more than a name", f"write the name alone; as for a user: {TO_CREDENTIALS}")


def _sqlite(server: Server, table: SchemaObject | None) -> tuple[Place, list[Mistake]]:
    path = server.path or ""
    wrong = complaint_about(path) if path else ("path is missing", "write the whole path of the database's file")
    if path and not wrong and not os.path.isfile(path):
        wrong = f"{path} is a folder", "write the whole path of the database's file"
    name, about_table = _table(table)
    place = {"kind": "database", "dialect": "sqlite", "path": path, "table": name}
    return place, [*([Mistake("path", *wrong)] if wrong else []), *about_table]


def _table(table: SchemaObject | None) -> tuple[str, list[Mistake]]:
    """The table's name in the database, and what is wrong with it; the key `schema` is the contract's, not the server's."""
    name = (table.physicalName or table.name or "") if table else ""
    if not name:
        return "", [Mistake("", "the contract names no table", "give its one entry of `schema` the table's name as physicalName")]
    if "." in name or "\0" in name:
        return name, [Mistake("", f"{name!r} is no table's name", "write the database's schema under servers, and the table's name alone here")]
    return name, []
