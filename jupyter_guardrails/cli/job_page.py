"""`jupyter guardrails job page`: the plain review page on a loopback port of its own, for as long as the command runs."""

from __future__ import annotations

import argparse
import os
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs

from jupyter_guardrails.cli.connection import connected
from jupyter_guardrails.cli.review_site import Reply, Site
from jupyter_guardrails.review.page import CSP

HOST = "127.0.0.1"
MOST_BYTES = 1 << 16
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Connection": "close",
}


def add_parser(commands: Any) -> None:
    """Below `job`."""
    text = "a plain review page for your browser, while this command runs; each decision is confirmed with a code that is shown here"
    parser = commands.add_parser("page", help=text, description=text)
    parser.add_argument("--port", type=int, default=0, help="a port of this machine's loopback (default: a free one)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    with connected(os.environ) as client:
        site = Site(client, say=lambda text: print(text, flush=True), clock=time.monotonic)
        with server(site, arguments.port) as serving:
            print(f"http://{HOST}:{serving.server_address[1]}/{site.key}/\nCtrl-C ends it", flush=True)
            try:
                serving.serve_forever()
            except KeyboardInterrupt:
                print("ended")
    return 0


def server(site: Site, port: int) -> ThreadingHTTPServer:
    """A server of this site on loopback, not serving yet."""
    kind = type("Handler", (_Handler,), {"site": site})
    return _Server((HOST, port), kind)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Called by socketserver: http.server's own would ask the network's directory for this address's name, for as long as that likes."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]


class _Handler(BaseHTTPRequestHandler):
    """One request a connection, of this very origin only."""

    site: ClassVar[Site]
    timeout = 10  # seconds that a browser may take to say what it wants
    server_version, sys_version = "guardrails", ""

    def do_GET(self) -> None:
        """Called by http.server."""
        if self._is_ours():
            self._send(self.site.get(self.path.partition("?")[0]))

    def do_POST(self) -> None:
        """Called by http.server: forms of pages of this origin, no larger than they can be."""
        length = self.headers.get("Content-Length", "")
        if not self._is_ours() or not self._from_ours():
            return
        if not length.isdigit() or int(length) > MOST_BYTES:
            self._send(Reply(413, "too long"))
            return
        form = parse_qs(self.rfile.read(int(length)).decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20)
        self._send(self.site.post(self.path, {name: values[-1] for name, values in form.items()}))

    def _origin(self) -> str:
        return f"http://{HOST}:{self.connection.getsockname()[1]}"

    def _is_ours(self) -> bool:
        """Another name for this address is a page that was rebound to it."""
        fine = f"http://{self.headers.get('Host', '')}" == self._origin()
        return fine or self._send(Reply(403, "this page has another address"))

    def _from_ours(self) -> bool:
        fine = self.headers.get("Origin") == self._origin()
        return fine or self._send(Reply(403, "this came from a page of somebody else"))

    def _send(self, reply: Reply) -> bool:
        body = reply.body.encode()
        self.send_response(reply.status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return False

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Called by http.server about what it takes for no request of this page: answered like all others, with nothing of what was said."""
        self._send(Reply(code, HTTPStatus(code).phrase))

    def log_message(self, format: str, *arguments: Any) -> None:
        """Called by http.server for each request: its address holds the secret, and the terminal is for codes."""
