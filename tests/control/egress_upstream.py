"""Servers in a network namespace of their own: HTTP on 80 that tells what it received, TLS on 443 that echoes, silence on 81,
and on 5432 a greeting before a plain echo.

Run by egress_network.py: waits for a line on stdin (its interface is there then), prints a line when it listens.
"""

import json
import socket
import ssl
import subprocess
import sys
import threading
import time

received: list[str] = []


def main(address: str, device: str, certificate: str) -> None:
    print("namespace", flush=True)
    sys.stdin.readline()
    for command in ("ip link set lo up", f"ip addr add {address}/24 dev {device}", f"ip link set {device} up"):
        subprocess.run(command.split(), check=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    for port, answer in (
        (80, http),
        (81, lambda connection: time.sleep(60)),
        (5432, greet),
        (443, lambda connection: echo(context.wrap_socket(connection, server_side=True))),
    ):
        listener = socket.create_server((address, port), backlog=256)
        threading.Thread(target=accept, args=(listener, answer), daemon=True).start()
    print("listening", flush=True)
    sys.stdin.readline()


def accept(listener, answer):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=one, args=(connection, answer), daemon=True).start()


def one(connection, answer):
    try:
        with connection:
            answer(connection)
    except OSError:
        return


def echo(connection):
    """All bytes back until the client ends."""
    while data := connection.recv(1 << 16):
        connection.sendall(data)


def greet(connection):
    """Speak first, as ssh and MySQL do."""
    connection.sendall(b"welcome\n")
    echo(connection)


def http(connection):
    """Answer one request; keep every byte that came, also what came behind it."""
    data = b""
    while not whole(data):
        part = connection.recv(1 << 16)
        if not part:
            return received.append(data.decode("latin-1")) if data else None
        data += part
    if data.startswith(b"GET /log "):
        body = json.dumps(received).encode()
    else:
        body = json.dumps({"got": data.decode("latin-1")}).encode() if not data.startswith(b"GET /big ") else b"x" * (8 << 20)
        received.append(data.decode("latin-1"))
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
    connection.shutdown(socket.SHUT_WR)
    rest = connection.recv(1 << 16)  # whatever was smuggled behind the request; empty when the proxy closed
    if rest:
        received.append("AFTER " + rest.decode("latin-1"))


def whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    if not end:
        return False
    if b"transfer-encoding: chunked" in lines:
        return body.endswith(b"0\r\n\r\n")
    length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")), 0)
    return len(body) >= length


if __name__ == "__main__":
    main(*sys.argv[1:])
