"""`dataset://nyc/flights` for everything that speaks fsspec: pandas, dask, pyarrow. Read-only; a dataset may be a file or a folder."""

from __future__ import annotations

import os
from typing import Any, BinaryIO

from fsspec import AbstractFileSystem
from guarded import sources
from guarded.errors import NotFound, Refused
from guarded.opened import open_dataset


class DatasetFileSystem(AbstractFileSystem):
    """Found by fsspec through the entry point in our dist-info; each name is resolved by the broker, files are then read in place."""

    protocol = "dataset"
    root_marker = ""
    cachable = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._places: dict[str, str] = {}

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        """Called by fsspec: `dataset://nyc/flights/` is `nyc/flights`."""
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        return str(path).removeprefix("dataset://").strip("/")

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        """Called by fsspec: name, size, type of a file or folder in a dataset, or of a prefix that datasets have."""
        path = self._strip_protocol(path)
        try:
            name, inner = self._resolve(path)
        except NotFound:
            if self._below(path):
                return {"name": path, "size": 0, "type": "directory"}
            raise
        place = os.path.join(self._places[name], inner) if inner else self._places[name]
        return self._describe(path, name, inner, place)

    def isdir(self, path: str) -> bool:
        """Called by dask and others first; Refused for a dataset that may not be read, where fsspec's own says no more than False."""
        try:
            return bool(self.info(path)["type"] == "directory")
        except NotFound:
            return False

    def ls(self, path: str, detail: bool = True, **options: Any) -> list[Any]:
        """Called by fsspec: the files of a folder, or the datasets below a prefix."""
        path = self._strip_protocol(path)
        entry = self.info(path)
        if entry["type"] == "file":
            found = [entry]
        elif "place" in entry:
            found = [self.info(f"{path}/{file}") for file in self._names_in(path, entry["place"])]
        else:
            found = [{"name": name, "size": 0, "type": "directory"} for name in self._below(path)]
        return found if detail else [one["name"] for one in found]

    def _names_in(self, path: str, place: str) -> list[str]:
        """What lies in a folder; where this account can't list it, the broker does."""
        try:
            return sorted(os.listdir(place))
        except OSError:
            name, inner = self._resolve(path)
            below = [file.removeprefix(f"{inner}/") for file in self._files(name) if not inner or file.startswith(f"{inner}/")]
            return sorted({file.partition("/")[0] for file in below})

    def _files(self, name: str) -> list[str]:
        answer, fds = sources.current().call("datasets.open", name=name)
        for fd in fds:
            os.close(fd)
        if not answer.get("complete", True):
            raise Refused(
                f"{name} is a folder of too many files to be read one by one", next_step="ask its owner for a path that your account may open"
            )
        return list(answer.get("files") or ())

    def modified(self, path: str) -> float:
        """Called by fsspec and DuckDB: when a file was last written, in seconds since 1970."""
        return os.stat(self.info(path)["place"]).st_mtime

    def ukey(self, path: str) -> str:
        """Called by fsspec's caches: changes whenever the file does."""
        entry = self.info(path)
        return f"{entry['name']}-{entry['size']}-{entry.get('mtime')}"

    def _open(self, path: str, mode: str = "rb", **options: Any) -> BinaryIO:
        """Called by `fsspec.open`: the file itself, without copies or caches between."""
        if mode not in ("r", "rb"):
            raise Refused(f"dataset://{path} is read-only", next_step="write into your workspace and submit that for publication")
        name, inner = self._resolve(self._strip_protocol(path))
        return open_dataset(sources.current(), name, inner).file()

    def _resolve(self, path: str) -> tuple[str, str]:
        """The dataset that a path lies in and the rest of the path: the longest name that the broker knows."""
        parts = path.split("/")
        for count in range(len(parts), 0, -1):
            name, inner = "/".join(parts[:count]), "/".join(parts[count:])
            if name in self._places:
                return name, _beneath(inner)
            try:
                self._places[name] = sources.current().call("datasets.path", name=name)[0]["path"]
            except NotFound as error:
                missing = error
                continue
            return name, _beneath(inner)
        raise missing

    def _describe(self, path: str, name: str, inner: str, place: str) -> dict[str, Any]:
        try:
            status = os.stat(place)
        except OSError:  # not in this kernel's view: the broker can still hand over a descriptor
            files = [] if inner and "." in os.path.basename(inner) else self._files(name)
            if any(not inner or file.startswith(f"{inner}/") for file in files):
                return {"name": path, "size": 0, "type": "directory", "place": place}
            with open_dataset(sources.current(), name, inner).file() as file:
                return {"name": path, "size": file.seek(0, os.SEEK_END), "type": "file", "place": place}
        kind = "directory" if os.path.isdir(place) else "file"
        return {"name": path, "size": 0 if kind == "directory" else status.st_size, "type": kind, "mtime": status.st_mtime, "place": place}

    def _below(self, prefix: str) -> list[str]:
        rows = sources.current().call("datasets.search", q="")[0]["datasets"]
        return [row["name"] for row in rows if not prefix or row["name"].startswith(prefix + "/")]


def _beneath(inner: str) -> str:
    if ".." in inner.split("/"):
        raise NotFound(f"{inner} leads out of the dataset", next_step="name a file inside it")
    return inner
