"""One notice as a POST of JSON to the address that the policy names: signed where there is a secret, never led elsewhere."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import ssl
from typing import Any
from urllib.parse import urlsplit

from jupyter_guardrails.control.conversation import READ_S, Line

MOST_ANSWER_BYTES = 64 << 10


def post(line: Line, url: str, event: dict[str, Any], *, secret: str, sent_at: int, tls: ssl.SSLContext) -> None:
    """Return when the receiver said 2xx; OSError with what it said otherwise. Runs in a thread.

    The signature is HMAC-SHA-256 over `TIMESTAMP.BODY`; the idempotency key is the event's id, for it may come twice.
    """
    place = urlsplit(url)
    body = json.dumps(event, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json", "Idempotency-Key": event["id"], "User-Agent": "jupyter-guardrails", "Connection": "close"}
    headers |= {"X-Guardrails-Timestamp": str(sent_at)}
    headers |= {"X-Guardrails-Signature": signature(secret, sent_at, body)} if secret else {}
    connection = _connection(line, url, tls)
    try:
        connection.request("POST", f"{place.path or '/'}{f'?{place.query}' if place.query else ''}", body, headers)
        answer = connection.getresponse()
        answer.read(MOST_ANSWER_BYTES)
    except http.client.HTTPException as error:
        raise OSError(f"the answer is no HTTP: {type(error).__name__}") from error
    finally:
        connection.close()
    if not 200 <= answer.status < 300:
        led = " (redirects are not followed)" if 300 <= answer.status < 400 else ""
        raise OSError(f"the receiver answered {answer.status}{led}")


def reach(line: Line, url: str, *, tls: ssl.SSLContext) -> None:
    """Connect, with TLS where the address says so, and send nothing; OSError when that fails."""
    _connection(line, url, tls).close()


def signature(secret: str, sent_at: int, body: bytes) -> str:
    """`sha256=HEX`: what a receiver computes to know that it came from here."""
    return "sha256=" + hmac.new(secret.encode(), f"{sent_at}.".encode() + body, hashlib.sha256).hexdigest()


def _connection(line: Line, url: str, tls: ssl.SSLContext) -> http.client.HTTPConnection:
    place = urlsplit(url)
    secure = place.scheme == "https"
    host, port = place.hostname or "", place.port or (443 if secure else 80)
    connection = http.client.HTTPConnection(host, port, timeout=READ_S)
    connected = line.connect(host, port)
    connection.sock = tls.wrap_socket(connected, server_hostname=host) if secure else connected
    return connection
