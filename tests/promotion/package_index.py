"""A real package index on loopback, with wheels made here: PEP 691 pages, ranges or none, and PyPI's JSON API where it is given answers."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import tarfile
import threading
import zipfile
from typing import Any


def wheel(name: str, version: str = "1.0", *, metadata: str = "", extra: bytes = b"", without: bool = False) -> tuple[str, bytes]:
    """File name and bytes of a wheel; `metadata`: further lines; `extra`: a file that makes it bigger; `without`: it has no METADATA."""
    made, stem = io.BytesIO(), f"{name.replace('-', '_')}-{version}"
    said = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{metadata}"
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("module.py", "raise SystemExit('this must never run')\n")
        zipped.writestr(zipfile.ZipInfo("blob.bin"), extra)
        if not without:
            zipped.writestr(f"{stem}.dist-info/METADATA", said)
        zipped.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        zipped.writestr(f"{stem}.dist-info/RECORD", "")
    return f"{stem}-py3-none-any.whl", made.getvalue()


def source(name: str, canary: str) -> tuple[str, bytes]:
    """A source archive whose setup.py writes a file when it is run."""
    made, script = io.BytesIO(), f"open({canary!r}, 'w').close()\nfrom setuptools import setup\nsetup(name={name!r}, version='1.0')\n".encode()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        member = tarfile.TarInfo(f"{name}-1.0/setup.py")
        member.size = len(script)
        archive.addfile(member, io.BytesIO(script))
    return f"{name}-1.0.tar.gz", made.getvalue()


class Index:
    """`simple` is its address; `files` by project, `api` maps `NAME/VERSION` to what the JSON API answers, bytes or JSON."""

    def __init__(self, *, ranges: bool = True) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.api: dict[str, Any] = {}
        self.asked: list[str] = []
        self.ranges = ranges
        handler = type("Handler", (Handler,), {"index": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.simple = f"http://127.0.0.1:{self.server.server_port}/simple"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add(self, name: str, file: tuple[str, bytes]) -> None:
        """One more file of a project."""
        self.files.setdefault(name, {})[file[0]] = file[1]

    def stop(self) -> None:
        """Answers nobody any more."""
        self.server.shutdown()
        self.server.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers for an `Index`."""

    protocol_version = "HTTP/1.1"
    index: Index

    def do_HEAD(self) -> None:
        """uv asks how long a wheel is."""
        self.do_GET()

    def do_GET(self) -> None:
        """A project's page, a file, or the JSON API."""
        self.index.asked.append(self.path)
        kind, _, rest = self.path.strip("/").partition("/")
        name = rest.partition("/")[0]
        if kind == "simple" and name in self.index.files:
            self._answer(self._page(name).encode(), "application/vnd.pypi.simple.v1+json")
        elif kind == "files" and rest.partition("/")[2] in self.index.files.get(name, {}):
            self._answer(self.index.files[name][rest.partition("/")[2]], "application/octet-stream", ranges=self.index.ranges)
        elif kind == "pypi" and (said := self.index.api.get(rest.removesuffix("/json"))) is not None:
            self._answer(said if isinstance(said, bytes) else json.dumps(said).encode(), "application/json")
        else:
            self._answer(b"", "text/plain", status=404)

    def _page(self, name: str) -> str:
        files = [
            {"filename": file, "url": f"/files/{name}/{file}", "hashes": {"sha256": hashlib.sha256(data).hexdigest()}, "size": len(data)}
            for file, data in self.index.files[name].items()
        ]
        return json.dumps({"meta": {"api-version": "1.1"}, "name": name, "files": files, "versions": ["1.0"]})

    def _answer(self, data: bytes, kind: str, *, status: int = 200, ranges: bool = False) -> None:
        wanted = self.headers.get("Range", "") if ranges else ""
        headers = {"Accept-Ranges": "bytes"} if ranges else {}
        if wanted:
            first, last = wanted.removeprefix("bytes=").split("-")
            start, end = (max(0, len(data) - int(last)), len(data) - 1) if not first else (int(first), min(int(last or len(data)), len(data) - 1))
            headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
            status, data = 206, data[start : end + 1]
        self.send_response(status)
        for header, value in {**headers, "Content-Type": kind, "Content-Length": str(len(data))}.items():
            self.send_header(header, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Called for each request; the index remembers them itself."""
