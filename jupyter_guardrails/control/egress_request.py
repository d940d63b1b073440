"""The head of a proxy request, parsed strictly and written anew: nothing reaches a server that we did not understand.

Sources: RFC 9110 and 9112; what is refused here beyond them (folded lines, blanks before a colon, two lengths) is what request
smuggling lives on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.policy.hosts import check_port, normal_host, split_port

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
TARGET = re.compile(r"(?i:http)://[^/?#@\\\x00-\x20\x7f-\xff]+([/?#][\x21-\x7e]*)?")
HOP_BY_HOP = frozenset(
    ("connection", "host", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer", "upgrade")
)
MAX_HEADERS = 200


@dataclass(frozen=True, slots=True)
class Request:
    """One request to the proxy. `body_bytes`: length of the body, None when it is chunked."""

    method: str
    host: str
    port: int
    path: str = ""
    authority: str = ""
    version: str = "HTTP/1.1"
    headers: tuple[tuple[str, str], ...] = ()
    body_bytes: int | None = 0

    @property
    def is_tunnel(self) -> bool:
        """Whether this is CONNECT."""
        return self.method == "CONNECT"

    @property
    def place(self) -> str:
        """`host:port`, an IPv6 address in brackets."""
        return f"{_bracketed(self.host)}:{self.port}"

    def head(self, *, upstream: bool = False, authorization: str = "") -> bytes:
        """The head for the server itself, or for a proxy on the way to it: one request, then the connection closes."""
        listed = {name.strip().lower() for key, value in self.headers if key.lower() == "connection" for name in value.split(",")}
        kept = [(key, value) for key, value in self.headers if key.lower() not in HOP_BY_HOP | listed - {"content-length", "transfer-encoding"}]
        target = f"http://{self.authority}{self.path}" if upstream else self.path
        lines = [f"{self.method} {target} {self.version}", f"Host: {self.authority}", "Connection: close", *(f"{k}: {v}" for k, v in kept)]
        lines += [f"Proxy-Authorization: {authorization}"] if authorization else []
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


def parse_request(data: bytes) -> Request:
    """The request in a head that ends with an empty line; BadRequest, as a sentence, when anything in it is odd."""
    line, *rest = data.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    parts = line.split(" ")
    if len(parts) != 3 or not TOKEN.fullmatch(parts[0]) or parts[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequest("the request line is malformed")
    method, target, version = parts
    headers = tuple(_header(item) for item in rest)
    if len(headers) > MAX_HEADERS:
        raise BadRequest(f"more than {MAX_HEADERS} header lines")
    if method == "CONNECT":
        host, port = _place(target)
        return Request(method, host, port, version=version)
    host, port, authority, path = _url(target)
    return Request(method, host, port, path, authority, version, headers, _body_bytes(headers, version))


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not TOKEN.fullmatch(name) or not VALUE.fullmatch(value):
        raise BadRequest("a header line is malformed")
    return name, value.strip(" \t")


def _place(text: str) -> tuple[str, int]:
    try:
        host, port = split_port(text)
        return normal_host(host), check_port(port)
    except ValueError as error:
        raise BadRequest(f"{text[:200]} is not host:port: {error}") from error


def _url(target: str) -> tuple[str, int, str, str]:
    """Host, port, authority and path of an absolute http:// URL."""
    if not TARGET.fullmatch(target):
        raise BadRequest("expected a whole http:// address without a user name, or CONNECT")
    try:
        url = urlsplit(target)
        name, port = url.hostname or "", 80 if url.port is None else url.port
    except ValueError as error:
        raise BadRequest(f"the address is malformed: {error}") from error
    host, port = _place(f"{_bracketed(name)}:{port}")
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return host, port, _bracketed(host) + (f":{port}" if port != 80 else ""), path


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _body_bytes(headers: tuple[tuple[str, str], ...], version: str) -> int | None:
    lengths = [value for name, value in headers if name.lower() == "content-length"]
    codings = [value for name, value in headers if name.lower() == "transfer-encoding"]
    if len(lengths) + len(codings) > 1:
        raise BadRequest("the length of the body is given twice")
    if codings:
        if codings[0].lower() != "chunked" or version != "HTTP/1.1":
            raise BadRequest(f"the transfer coding {codings[0][:50]} is not one that this proxy reads")
        return None
    if lengths and not re.fullmatch(r"[0-9]{1,15}", lengths[0]):
        raise BadRequest("the Content-Length is malformed")
    return int(lengths[0]) if lengths else 0
