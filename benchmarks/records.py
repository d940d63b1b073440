"""What records cost: leases reserved and settled, heartbeats, and what admission adds to a kernel's start, on a quiet machine.

    .venv/bin/python benchmarks/records.py [--pairs 5000] [--starts 200] [--dir .bench]

A pair is one lease: reserved under a limit of kernels and a budget, then settled with its audit record and its line in audit.jsonl, by 32 askers
at once, durably (fsync) on SQLite and, where its programs are on the PATH, on PostgreSQL. Beside it the plain thing: one INSERT and one UPDATE
of such a row by the sqlite3 module, each in a transaction of its own. To hold on SQLite: 1,000 pairs a second, p99 <= 50 ms; one transaction
for 200 heartbeats; admission and `started` through a real control's socket <= 5 ms (median); a million audit records verified in 20 s
(audit_verify.py). The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import json
import os
import pwd
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import audit_verify
from sqlalchemy import Connection

from jupyter_guardrails.control import usage
from jupyter_guardrails.control.interface import ControlClient, Settings, start_own_control
from jupyter_guardrails.control.interface.messages import KernelAdmit, KernelBeat, KernelSettle, KernelStarted
from jupyter_guardrails.records import Records, audit, leases, open_records
from jupyter_guardrails.records.leases import Use, Wanted
from jupyter_guardrails.records.windows import GIB, Limit, Window

PAIRS_A_SECOND, PAIR_P99_MS, ADMISSION_MS, VERIFY_S = 1000, 50.0, 5.0, 20.0
ASKERS, BEATS = 32, 200
LIMIT = Limit("ana", Window(7 * 86400), cpu_hours=1e6, memory_gib_hours=1e6)
TTL_S = 60.0
POLICY = """apiVersion: guardrails/v1
profiles: {small: {memory: 2GiB, cpus: 1}}
rules:
  - {name: all, for: everyone, kernels: {profiles: [small], max: 1000}, budget: {cpu_hours: 100000, memory_gib_hours: 100000}}
"""
HELD = {"guarantees": [{"name": name, "held": True, "how": "", "next_step": ""} for name in ("files", "network")]}
Report = dict[str, float]


def main() -> int:
    """0 when every target is met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5000, help="leases (default: %(default)s)")
    parser.add_argument("--starts", type=int, default=200, help="admissions through the socket (default: %(default)s)")
    parser.add_argument("--audit", type=int, default=1_000_000, help="audit records to verify (default: %(default)s)")
    parser.add_argument("--dir", type=Path, default=Path(".bench"), help="where the databases are made: a real disk (default: %(default)s)")
    arguments = parser.parse_args()
    arguments.dir.mkdir(exist_ok=True)
    report: Report = {}
    with tempfile.TemporaryDirectory(dir=arguments.dir.resolve()) as place:
        report |= on_database("sqlite", str(Path(place) / "records.sqlite"), Path(place), arguments.pairs)
        report |= plain(Path(place) / "plain.sqlite", arguments.pairs // 5)
        with postgres() as url:
            report |= on_database("postgresql", url, Path(place), arguments.pairs) if url else {}
        report |= admission(arguments.starts)
    with tempfile.TemporaryDirectory(dir=arguments.dir.resolve()) as place:
        report |= {f"audit_{name}": value for name, value in audit_verify.measure(arguments.audit, Path(place)).items()}
    show(report)
    print(json.dumps({key: round(value, 3) for key, value in report.items()}))
    fast = report["sqlite_pairs_s"] >= PAIRS_A_SECOND and report["sqlite_p99_ms"] <= PAIR_P99_MS
    return 0 if fast and report["admission_ms"] <= ADMISSION_MS and report["audit_files_s"] <= VERIFY_S else 1


def show(report: Report) -> None:
    """The figures in words, each beside its target."""
    for name in ("sqlite", "postgresql"):
        if f"{name}_pairs_s" not in report:
            print(f"{name}: its programs (initdb, pg_ctl) are not on the PATH")
            continue
        of = {key.removeprefix(f"{name}_"): value for key, value in report.items() if key.startswith(f"{name}_")}
        print(
            f"{name}: {of['pairs_s']:,.0f} pairs a second by {ASKERS} askers, p50 {of['p50_ms']:.1f} ms, p99 {of['p99_ms']:.1f} ms a pair, "
            f"{of['cpu_ms']:.2f} ms of processor time; {of['beats_s']:,.0f} heartbeats a second, {BEATS} in one transaction"
        )
    ratio = report["sqlite_pairs_s"] / report["plain_pairs_s"]
    print(f"to hold on SQLite: {PAIRS_A_SECOND:,} a second, p99 {PAIR_P99_MS:.0f} ms")
    print(f"one INSERT and one UPDATE by hand, a transaction each: {report['plain_pairs_s']:,.0f} pairs a second, {1 / ratio:.1f} times as many")
    print(f"admission adds {report['admission_ms']:.2f} ms to a start, p95 {report['admission_p95_ms']:.2f} ms (to hold: {ADMISSION_MS:.0f} ms)")
    print(
        f"{report['audit_records']:,.0f} audit records verified in {report['audit_files_s']:.1f} s (to hold: {VERIFY_S:.0f} s), "
        f"table and files together in {report['audit_both_s']:.1f} s"
    )
    print(f"a request without work takes {report['empty_ms']:.2f} ms")


def on_database(name: str, url: str, place: Path, count: int) -> Report:
    """Pairs and heartbeats on one database."""
    records = open_records(url, journal=place / f"{name}.jsonl")
    try:
        asyncio.run(pairs(records, count // 10))  # statements are compiled, files are there
        begin, cpu_begin = time.perf_counter(), time.process_time()
        each_ms = sorted(asyncio.run(pairs(records, count)))
        took_s, cpu_s = time.perf_counter() - begin, time.process_time() - cpu_begin
        report = {"pairs_s": count / took_s, "p50_ms": each_ms[count // 2], "p99_ms": each_ms[count * 99 // 100]}
        report |= {"cpu_ms": 1e3 * cpu_s / count, "beats_s": beats(records)}
    finally:
        records.close()
    return {f"{name}_{key}": value for key, value in report.items()}


async def pairs(records: Records, count: int) -> list[float]:
    """Milliseconds of each pair, by askers that each wait for an answer before they ask again."""
    left, each_ms = iter(range(count)), []

    async def ask() -> None:
        for _ in left:
            begin, now = time.perf_counter(), datetime.now(UTC)
            row = await records.write(leases.reserve, wanted(), now=now, ttl_s=TTL_S, max_kernels=1000, limit=LIMIT)
            assert row is not None
            await records.write(end, row["id"])
            each_ms.append(1e3 * (time.perf_counter() - begin))

    await asyncio.gather(*(ask() for _ in range(ASKERS)))
    return each_ms


def end(connection: Connection, lease: str) -> None:
    """As control ends a lease: settled, with its audit record."""
    now = datetime.now(UTC)
    leases.settle(connection, lease, "ana", now=now, ttl_s=TTL_S, reason="shut down", cpu_s=1.0)
    said = {"principal": "ana", "action": "kernel.end", "resource": "small", "reason": "shut down", "rule": "p.yaml:3 all", "policy_digest": "d" * 64}
    audit.append(connection, now=now, allowed=True, kernel=lease, **said)


def beats(records: Records, *, rounds: int = 50) -> float:
    """Heartbeats a second with their samples of history, all of them in one transaction each round."""
    now = datetime.now(UTC)
    rows = [records.write_sync(leases.reserve, wanted(), now=now, ttl_s=TTL_S, max_kernels=1000, limit=LIMIT) for _ in range(BEATS)]
    begin = time.perf_counter()
    for number in range(rounds):
        uses = {row["id"]: Use(float(number), GIB, GIB) for row in rows if row}
        assert records.write_sync(usage.beat, uses, "ana", now=now + timedelta(seconds=10 * number), ttl_s=TTL_S) == []
    return rounds * BEATS / (time.perf_counter() - begin)


def wanted() -> Wanted:
    """One more kernel."""
    name = uuid.uuid4().hex
    said = {"kernel_id": name, "kernelspec": "python3", "workspace": "/w", "profile": "small", "rule": "p.yaml:3 all", "policy_digest": "d" * 64}
    return Wanted(id=name, key=name, principal="ana", kind="kernel", memory_limit_bytes=2 * GIB, cpus=1.0, **said)


def plain(path: Path, count: int) -> Report:
    """Pairs a second of the plainest thing that is as durable: no limit, no budget, no audit, one asker, one transaction each."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in ("pragma journal_mode=wal", "pragma synchronous=full", "create table leases (id text primary key, state text, cpu_s real)"):
            connection.execute(statement)
        begin = time.perf_counter()
        for number in range(count):
            connection.execute("insert into leases values (?, 'starting', 0)", (str(number),))
            connection.execute("update leases set state = 'settled', cpu_s = 1 where id = ?", (str(number),))
        return {"plain_pairs_s": count / (time.perf_counter() - begin)}


def admission(count: int) -> Report:
    """Milliseconds of `kernel.admit` and `kernel.started` through a real control's socket: what a start waits for."""
    with tempfile.TemporaryDirectory(prefix="gr-") as folder, subprocess.Popen(["sleep", "infinity"]) as kernel:
        place = Path(folder)
        (place / "guardrails.yaml").write_text(POLICY)
        (place / "catalog").mkdir()
        own = start_own_control(Settings(place / "guardrails.yaml", place / "catalog", place / "state", place / "c.sock", True, "ana"))
        try:
            starts = [start(own.client, kernel.pid) for _ in range(count + 10)][10:]
        finally:
            own.stop()
            kernel.kill()
    empty_ms, start_ms = zip(*starts, strict=True)
    p95_ms = sorted(start_ms)[count * 95 // 100]
    return {"admission_ms": statistics.median(start_ms), "admission_p95_ms": p95_ms, "empty_ms": statistics.median(empty_ms)}


def start(client: ControlClient, pid: int) -> tuple[float, float]:
    """Milliseconds of a request without work, and of a start's two, with the channel that a kernel hands over."""
    with socket.socket(socket.AF_UNIX) as channel:
        channel.bind(b"")  # the system finds a name
        channel.listen()
        name, begin = uuid.uuid4().hex, time.perf_counter()
        client.call(KernelBeat(beats=[]))
        empty = time.perf_counter()
        lease = client.admit(KernelAdmit(kernel_id=name, kernelspec="python3", workspace="/w", key=name)).lease
        client.call(KernelStarted(lease=lease, pid=pid, report=HELD, listeners=["channel"]), fds=[channel.fileno()])
        end = time.perf_counter()
        client.call(KernelSettle(lease=lease, reason="shut down"))
    return 1e3 * (empty - begin), 1e3 * (end - empty)


@contextlib.contextmanager
def postgres() -> Iterator[str | None]:
    """URL of a PostgreSQL of this run, durable as it comes; None where its programs are not on the PATH."""
    if not (shutil.which("initdb") and shutil.which("pg_ctl")):
        yield None
        return
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    who: dict[str, Any] = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
    home = Path(tempfile.mkdtemp(prefix="gr-pg-", dir="/tmp"))
    run = functools.partial(subprocess.run, check=True, stdout=subprocess.DEVNULL, cwd=home, **who)
    try:
        if account:
            os.chown(home, account.pw_uid, account.pw_gid)
        run(["initdb", "-D", home / "data", "-U", "records", "-A", "trust"])
        options = f"-c listen_addresses='' -c unix_socket_directories={home}"
        run(["pg_ctl", "-D", home / "data", "-w", "-o", options, "-l", home / "log", "start"])
        yield f"postgresql://records@/postgres?host={home}"
        run(["pg_ctl", "-D", home / "data", "-w", "-m", "fast", "stop"])
    finally:
        shutil.rmtree(home)


if __name__ == "__main__":
    sys.exit(main())
