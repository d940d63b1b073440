"""Real listeners that notices are sent to: HTTP with scripted answers, mail by aiosmtpd, TLS with a certificate of their own."""

from __future__ import annotations

import datetime
import http.server
import ipaddress
import queue
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from ports import free_port

WAIT_S = 20.0


class Webhook:
    """Keeps what was posted; answers with `answers` in turn, then 200. An answer is a status, or a callable that gets the handler."""

    def __init__(self, *answers: Any, port: int = 0, certificate: Path | None = None) -> None:
        self.posted: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()
        self.answers = list(answers)
        self.asked = 0
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.scheme = "https" if certificate else "http"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/hook?x=1"

    def next(self) -> tuple[dict[str, str], bytes]:
        """Headers and body of the next message; fails when none comes."""
        return self.posted.get(timeout=WAIT_S)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        webhook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                webhook.asked += 1
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = webhook.answers.pop(0) if webhook.answers else 200
                if callable(answer):
                    answer(self)
                    return
                self.send_response(answer)
                if answer == 302:
                    self.send_header("Location", webhook.url)
                self.send_header("Content-Length", "0")
                self.end_headers()
                if answer == 200:
                    webhook.posted.put((dict(self.headers), body))

            def log_message(self, *arguments: Any) -> None:
                """Quiet."""

        return Handler


class MailServer:
    """Keeps the mails; `tls`: offers STARTTLS with this certificate; `login`: takes mails from whoever says this name:password."""

    def __init__(self, *, tls: Path | None = None, login: str = "") -> None:
        self.mails: queue.Queue[Any] = queue.Queue()
        context = None
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
        more: dict[str, Any] = {"tls_context": context, "require_starttls": context is not None}
        if login:
            more |= {"auth_required": True, "authenticator": lambda *a: AuthResult(success=b":".join(a[4]).decode() == login)}
        self._controller = Controller(self, hostname="127.0.0.1", port=free_port(), **more)
        self._controller.start()
        self.refused: set[str] = set()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self._controller.port}"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address in self.refused:
            return "550 nobody here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.put(envelope)
        return "250 OK"

    def close(self) -> None:
        self._controller.stop()


class Drip:
    """Accepts, and then says one byte every tenth of a second for ever: no single read ever times out."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        self.ended = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def _run(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            try:
                while not self._over.wait(0.1):
                    connection.sendall(b"2")
            except OSError:
                self.ended.set()

    def close(self) -> None:
        self._over.set()
        self._listener.close()


def make_certificate(path: Path, *hosts: str) -> Path:
    """A certificate for 127.0.0.1 and these hosts, signed by itself, with its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver.example.com")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), *map(x509.DNSName, ("localhost", *hosts))]
    made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(key, hashes.SHA256())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    return path
