"""What the proxy lets itself be told: request heads, TLS server names, addresses. Each refusal beside what passes."""

import ipaddress
import socket
import ssl

import pytest

from jupyter_guardrails.control import addresses
from jupyter_guardrails.control.egress_request import parse_request
from jupyter_guardrails.control.tls_hello import NotTls, client_hello, server_name
from jupyter_guardrails.errors import BadRequest


def head(*lines: str) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def test_a_plain_request_is_written_anew():
    request = parse_request(
        head(
            "GET http://Host.example:80/a?b=c#d HTTP/1.1",
            "Host: other.example",
            "Accept: */*",
            "Connection: x-secret",
            "X-Secret: 1",
            "Proxy-Authorization: x",
        )
    )
    assert (request.host, request.port, request.place) == ("host.example", 80, "host.example:80")
    assert request.head() == b"GET /a?b=c HTTP/1.1\r\nHost: host.example\r\nConnection: close\r\nAccept: */*\r\n\r\n"


@pytest.mark.parametrize(
    ("target", "place"),
    [
        ("Host.Example.:443", "host.example:443"),
        ("[2001:DB8::1]:443", "[2001:db8::1]:443"),
        ("0x7f.1:80", "127.0.0.1:80"),
        ("[::ffff:10.0.0.1]:80", "10.0.0.1:80"),
    ],
)
def test_connect_gives_the_place_in_its_one_spelling(target, place):
    request = parse_request(head(f"CONNECT {target} HTTP/1.1"))
    assert request.is_tunnel
    assert request.place == place


@pytest.mark.parametrize(("header", "expected"), [(None, 0), ("Content-Length: 12", 12), ("Transfer-Encoding: chunked", None)])
def test_the_body_has_one_length(header, expected):
    assert parse_request(head("POST http://h.example/ HTTP/1.1", *([header] if header else []))).body_bytes == expected


def test_connection_may_not_strip_the_length_of_the_body():
    request = parse_request(head("POST http://h.example/ HTTP/1.1", "Connection: Content-Length", "Content-Length: 3"))
    assert b"Content-Length: 3\r\n" in request.head()


@pytest.mark.parametrize(
    "lines",
    [
        ["GET http://h.example/  HTTP/1.1"],
        ["GET http://h.example/ HTTP/2"],
        ["GET /only/a/path HTTP/1.1", "Host: h.example"],
        ["GET https://h.example/ HTTP/1.1"],
        ["GET http://user:pw@h.example/ HTTP/1.1"],
        ["GET http://h.example:0/ HTTP/1.1"],
        ["GET http://h.example:99999/ HTTP/1.1"],
        ["GET http://h.example:x/ HTTP/1.1"],
        ["GET http://h.example\\@evil.example/ HTTP/1.1"],
        ["GET http://h%2eexample/ HTTP/1.1"],
        ["GET http://h.example/ HTTP/1.1", "Host : evil.example"],
        ["GET http://h.example/ HTTP/1.1", "X: 1", " folded"],
        ["GET http://h.example/ HTTP/1.1", "X: a\nY: b"],
        ["GET http://h.example/ HTTP/1.1", "X: a\0b"],
        ["GET http://h.example/ HTTP/1.1", "no colon"],
        ["GET http://h.example/a\tb HTTP/1.1"],
        ["POST http://h.example/ HTTP/1.1", "Content-Length: 1", "Content-Length: 1"],
        ["POST http://h.example/ HTTP/1.1", "Content-Length: 1", "Transfer-Encoding: chunked"],
        ["POST http://h.example/ HTTP/1.1", "Content-Length: +1"],
        ["POST http://h.example/ HTTP/1.1", "Transfer-Encoding: gzip, chunked"],
        ["POST http://h.example/ HTTP/1.0", "Transfer-Encoding: chunked"],
        ["CONNECT h.example HTTP/1.1"],
        ["CONNECT h.example:443/x HTTP/1.1"],
        ["CONNECT *.example:443 HTTP/1.1"],
        ["CONNECT ::1:443 HTTP/1.1"],
        ["CONNECT h\xe9.example:443 HTTP/1.1"],
        ["GET http://h.example/ HTTP/1.1", *["X: y"] * 500],
        [""],
    ],
)
def test_odd_heads_are_refused(lines):
    with pytest.raises(BadRequest):
        parse_request(head(*lines))


def hello_for(name: str | None) -> bytes:
    """The bytes that OpenSSL itself sends first."""
    context = ssl.create_default_context()
    context.check_hostname = False
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize(
    ("name", "expected"), [("packages.example.com", "packages.example.com"), ("UPPER.example.com", "upper.example.com"), (None, "")]
)
def test_the_server_name_of_a_real_handshake(name, expected):
    assert server_name(client_hello(hello_for(name))) == expected


def test_a_handshake_may_come_in_pieces_and_in_several_records():
    data = hello_for("packages.example.com")
    assert all(client_hello(data[:count]) is None for count in range(len(data)))
    body = data[5:]
    records = b"".join(data[:3] + len(part).to_bytes(2, "big") + part for part in (body[:3], body[3:50], body[50:]))
    assert server_name(client_hello(records)) == "packages.example.com"


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"SSH-2.0-x\r\n",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x02\x01\x00\x05hello",
        b"\x17\x03\x03\x00\x01x",
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
        b"\x16\x03\x01\x00\x04\x01\xff\xff\xff",
    ],
)
def test_what_is_no_handshake_is_refused(data):
    with pytest.raises(NotTls):
        client_hello(data)


def test_altered_handshakes_are_refused_or_read_but_never_crash():
    hello = client_hello(hello_for("packages.example.com"))
    seen = set()
    for at in range(len(hello)):
        for cut in (hello[:at], hello[:at] + b"\xff" + hello[at + 1 :]):
            try:
                seen.add(server_name(cut))
            except NotTls:
                seen.add("refused")
    assert {"refused", "packages.example.com"} <= seen


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"])
def test_public_addresses_may_be_connected_to(address):
    assert addresses.objection(ipaddress.ip_address(address)) == ""


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "ff0e::1", "169.254.169.254", "fe80::1"),
        *(
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::",
            "::127.0.0.1",
            "64:ff9b::e000:1",
        ),
    ],
)
def test_some_addresses_never_are_even_if_the_entry_names_everything(address):
    assert addresses.objection(ipaddress.ip_address(address), ("0.0.0.0/0", "::/0"))


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "198.18.0.1",
        "240.0.0.1",
        "fd00::1",
        "fec0::1",
        "::ffff:10.1.2.3",
        "64:ff9b::a01:203",
        "64:ff9b:1::1",
        "2002:a01:203::",
        "2001:db8::1",
    ],
)
def test_private_addresses_need_an_entry_that_names_their_range(address):
    found = ipaddress.ip_address(address)
    where = addresses.unwrapped(found)
    assert "not public" in addresses.objection(found)
    assert "not public" in addresses.objection(found, ("11.0.0.0/8", "fc00::/120"))
    assert addresses.objection(found, (f"{where}/{where.max_prefixlen}",)) == ""


def test_the_machines_own_addresses_are_known():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("8.8.8.8", 9))
        except OSError:
            pytest.skip("this host has no route, so no address of its own")
        own = ipaddress.ip_address(probe.getsockname()[0])
    assert "this machine itself" in addresses.objection(own, ("0.0.0.0/0",))
    assert not addresses.is_own(ipaddress.ip_address("8.8.8.8"))
