"""An index of advisories on loopback that speaks OSV's query, as a company's mirror would, and a proxy that is the public one to pip-audit."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@contextmanager
def serve_advisories(
    known: dict[str, dict[str, Any]], *, status: int = 200, asked: list[str] | None = None, certificate: Path | None = None
) -> Iterator[str]:
    """Its address; `known` is package -> {id, fixed}, `status` what it always answers, `asked` gets each name asked for; with a certificate: TLS."""
    names = [] if asked is None else asked

    class Index(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            name = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]["name"]
            names.append(name)
            one = known.get(name)
            body = json.dumps({"vulns": [_advisory(name, one)]} if one else {}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Index)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http{'s' if certificate else ''}://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _advisory(package: str, one: dict[str, Any]) -> dict[str, Any]:
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": one["fixed"]}]}]
    affected = [{"package": {"name": package, "ecosystem": "PyPI"}, "ranges": ranges}]
    return {"id": one["id"], "summary": "made for a test", "details": "", "published": "2026-01-02T00:00:00Z", "affected": affected}


@contextmanager
def serve_public_index(certificate: Path, *, known: set[str], asked: list[str]) -> Iterator[dict[str, str]]:
    """The environment of whoever comes to it by a company's proxy, which opens what is encrypted with that certificate. It has no advisory of
    `known`, and never heard of another package; `asked` gets each name asked for."""

    class Proxy(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            self.send_response(200)
            self.end_headers()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.connection = context.wrap_socket(self.connection, server_side=True)
            self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
            self.close_connection = False

        def do_GET(self) -> None:
            name = self.path.split("/")[2]
            asked.append(name)
            body = b'{"vulnerabilities": []}'
            self.send_response(200 if name in known else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield {"HTTPS_PROXY": f"http://127.0.0.1:{server.server_port}", "SSL_CERT_FILE": str(certificate)}
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
