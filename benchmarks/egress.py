"""What the network proxy costs: bytes through one tunnel and through 64, against direct connections; control's latency while they are busy.

    .venv/bin/python benchmarks/egress.py [--mib 256] [--asks 300]

In network namespaces of its own: a server in one; control with its egress worker, and the client, in the other. Tunnels begin with a real
TLS handshake's first bytes, as the proxy wants it, and then carry plain bytes both with and without the proxy, so that encryption costs neither
anything. Latency is that of a `me` request to control: alone, while 64 direct connections are busy (what the machine's load does), and while
64 tunnels are. The last line is JSON; there is no target but the comparison.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import selectors
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jupyter_guardrails.control.interface import Settings, start_own_control
from jupyter_guardrails.control.interface.messages import Beat, KernelAdmit, KernelBeat, KernelStarted, Me

HERE, SERVER, PORT = "10.79.0.1", "10.79.0.2", 443
MANY, CHUNK_BYTES = 64, 256 << 10
ENDLESS = 1 << 50
READY = b"+"
POLICY = f"""\
apiVersion: guardrails/v1
mode: enforce
profiles: {{small: {{memory: 1GiB, cpus: 1}}}}
rules:
  - name: everyone
    for: everyone
    kernels: {{profiles: [small], default: small}}
    network: {{allow: [{{host: {SERVER}, port: {PORT}, private: {SERVER}/32}}]}}
"""


def main() -> int:
    """Measure in namespaces of our own, print a line for readers and one for programs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=256, help="bytes for each measurement of throughput (default: %(default)s)")
    parser.add_argument("--asks", type=int, default=300, help="requests for each measurement of latency (default: %(default)s)")
    parser.add_argument("--inside", choices=("measure", "server", "client"), help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs="*", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside == "server":
        serve()
    elif arguments.inside == "client":
        print(json.dumps(fetch(*json.loads(arguments.rest[0]))))
    elif arguments.inside == "measure":
        report = measure(arguments.mib << 20, arguments.asks)
        print(sentence(report))
        print(json.dumps(report))
    else:
        return subprocess.run(["unshare", "-Urn", "--kill-child", *ourselves("measure"), *sys.argv[1:]]).returncode
    return 0


def measure(count: int, asks: int) -> dict[str, float]:
    """Throughput in MiB/s, latency in ms."""
    with tempfile.TemporaryDirectory(prefix="gr-bench-") as place, server(), proxy(Path(place)) as (client, address):
        report: dict[str, float] = ask(client, "idle", asks)  # first: ending tunnels keeps control busy for a moment
        for connections in (1, MANY):
            for via, name in ((None, "direct"), (address, "proxied")):
                run_client(via, connections, (count >> 4) // connections)  # once for the caches
                seconds = run_client(via, connections, count // connections)
                report[f"{name}_{connections}_mib_s"] = count / seconds / (1 << 20)
            report[f"ratio_{connections}"] = report[f"proxied_{connections}_mib_s"] / report[f"direct_{connections}_mib_s"]
        for name, via in (("direct", None), ("proxied", address)):
            with busy_with(via):
                report |= ask(client, name, asks)
    return {key: round(value, 3) for key, value in report.items()} | {"load_average": round(os.getloadavg()[0], 1)}


def sentence(report: dict[str, float]) -> str:
    """The report for readers."""
    speed = [
        f"{n} at once {report[f'proxied_{n}_mib_s']:.0f} of {report[f'direct_{n}_mib_s']:.0f} MiB/s ({report[f'ratio_{n}']:.2f})" for n in (1, MANY)
    ]
    asks = [f"{name} {report[f'ask_{name}_p50_ms']:.1f} and {report[f'ask_{name}_p99_ms']:.1f}" for name in ("idle", "direct", "proxied")]
    return f"tunnels: {'; '.join(speed)}. A request to control, p50 and p99 in ms: {'; '.join(asks)}. Load {report['load_average']}"


def ask(client: Any, name: str, asks: int) -> dict[str, float]:
    """How long requests to control take, in ms."""
    times = sorted(ask_s(client) for _ in range(asks))
    return {f"ask_{name}_p50_ms": 1000 * statistics.median(times), f"ask_{name}_p99_ms": 1000 * times[int(0.99 * asks)]}


def ask_s(client: Any) -> float:
    """Seconds that one request to control takes."""
    begin = time.perf_counter()
    client.call(Me())
    return time.perf_counter() - begin


def ourselves(role: str) -> list[str]:
    """This program in another role."""
    return [sys.executable, __file__, "--inside", role]


def run_client(via: tuple[str, int] | None, connections: int, count: int) -> float:
    """Seconds for so many connections at once with `count` bytes each, in a process of its own."""
    done = subprocess.run([*ourselves("client"), "--", json.dumps([via, connections, count])], stdout=subprocess.PIPE, check=True)
    return float(json.loads(done.stdout))


@contextlib.contextmanager
def busy_with(via: tuple[str, int] | None) -> Iterator[None]:
    """64 connections that never rest."""
    with subprocess.Popen([*ourselves("client"), "--", json.dumps([via, MANY, ENDLESS])]) as process:
        try:
            time.sleep(1.0)  # until all of them flow
            assert process.poll() is None
            yield
        finally:
            process.kill()


def fetch(via: list[Any] | None, connections: int, count: int) -> float:
    """Seconds from the first request to the last byte; the connections are made before."""
    opened = [connect(via) for _ in range(connections)]
    buffer, left = bytearray(CHUNK_BYTES), len(opened) * count
    begin = time.perf_counter()
    with selectors.DefaultSelector() as waiting:
        for connection in opened:
            connection.sendall(count.to_bytes(8, "big"))
            waiting.register(connection, selectors.EVENT_READ)
        while left:
            for key, _ in waiting.select():
                received = key.fileobj.recv_into(buffer)  # type: ignore[union-attr]
                assert received, "cut"
                left -= received
    return time.perf_counter() - begin


def connect(via: list[Any] | None) -> socket.socket:
    """A connection to the server, directly or by a tunnel, behind its handshake."""
    connection = socket.create_connection((SERVER, PORT) if via is None else tuple(via))
    if via is not None:
        connection.sendall(f"CONNECT {SERVER}:{PORT} HTTP/1.1\r\n\r\n".encode())
        said = connection.recv(4096)
        assert said.startswith(b"HTTP/1.1 200 "), said
    connection.sendall(hello())
    assert connection.recv(1) == READY
    return connection


def hello() -> bytes:
    """What a TLS client sends first; an address has no name in it."""
    context = ssl._create_unverified_context()  # nothing is encrypted here
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()


@contextlib.contextmanager
def server() -> Iterator[None]:
    """A server in another network namespace, behind a veth pair."""
    run("ip link set lo up", "ip link add gr4 type veth peer name gr5")
    with subprocess.Popen(
        ["unshare", "-n", "--kill-child", *ourselves("server")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            assert process.stdout.readline() == "namespace\n"
            run(f"ip link set gr5 netns {process.pid}", f"ip addr add {HERE}/24 dev gr4", "ip link set gr4 up")
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "listening\n"
            yield
        finally:
            process.kill()


def serve() -> None:
    """To each connection the number of zero bytes that it asks for behind its handshake."""
    print("namespace", flush=True)
    sys.stdin.readline()
    run("ip link set lo up", f"ip addr add {SERVER}/24 dev gr5", "ip link set gr5 up")
    listener = socket.create_server((SERVER, PORT), backlog=256)
    print("listening", flush=True)
    while True:
        threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()


def answer(connection: socket.socket) -> None:
    """One connection's bytes."""
    zeros = bytes(CHUNK_BYTES)
    with connection, contextlib.suppress(ConnectionError), connection.makefile("rb") as incoming:
        head = incoming.read(5)
        incoming.read(int.from_bytes(head[3:5], "big"))
        connection.sendall(READY)
        left = int.from_bytes(incoming.read(8), "big")
        while left:
            left -= connection.send(zeros[: min(left, CHUNK_BYTES)])
        incoming.read()


@contextlib.contextmanager
def proxy(place: Path) -> Iterator[tuple[Any, tuple[str, int]]]:
    """A real control that serves one kernel's proxy: its client, and the proxy's address."""
    (place / "guardrails.yaml").write_text(POLICY)
    (place / "catalog").mkdir()
    kernel = subprocess.Popen(["sleep", "infinity"])  # what control may look at in its place
    own = start_own_control(Settings(place / "guardrails.yaml", place / "catalog", place / "state", place / "c.sock", True, "ana"))
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        address = listener.getsockname()
        lease = own.client.admit(KernelAdmit(kernel_id="k", kernelspec="python3", workspace=str(place), key="k")).lease
        guarantees = [{"name": name, "held": True, "how": "", "next_step": ""} for name in ("files", "network")]
        started = KernelStarted(lease=lease, pid=kernel.pid, report={"guarantees": guarantees}, listeners=["proxy"])
        own.client.call(started, fds=[listener.fileno()])
    over = threading.Event()
    beating = threading.Thread(target=beat, args=(own.client, lease, over))
    beating.start()
    try:
        yield own.client, address
    finally:
        over.set()
        beating.join()
        own.stop()
        kernel.kill()
        kernel.wait()


def beat(client: Any, lease: str, over: threading.Event) -> None:
    """A lease without beats ends after a minute."""
    while not over.wait(10.0):
        client.call(KernelBeat(beats=[Beat(lease=lease, cpu_s=0.0, memory_bytes=1, memory_peak_bytes=1)]))


def run(*commands: str) -> None:
    """Each of them, to its end."""
    for command in commands:
        subprocess.run(command.split(), check=True)


if __name__ == "__main__":
    sys.exit(main())
