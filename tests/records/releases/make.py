"""Makes `<revision>.sqlite.sql` and `<revision>.postgresql.sql` beside it with the code that is imported: run it with a release's checkout.

    PYTHONPATH=CHECKOUT python make.py sqlite > 0003.sqlite.sql
    PYTHONPATH=CHECKOUT python make.py postgresql://records@/empty?host=/run/postgresql > 0003.postgresql.sql

Each revision that was released has its two files, made once and never changed again.
"""

import sqlite3
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import insert

from jupyter_guardrails.records import audit, choices, leases, open_records, tables

NOW = datetime(2025, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
ODD = "péché/π 'quoted' \"twice\" \\ back\nline"


def fill(connection):
    """Rows in every table, by the release's own operations where it has them."""
    for number, state in enumerate(("starting", "active", "closing", "settled", "expired")):
        lease(connection, f"l{number}", state)
    choices.choose(connection, "ana", "a.ipynb", "large", now=NOW)
    choices.choose(connection, "ana", None, "small", now=NOW)
    charge = {"principal": "ben", "hour": int(NOW.timestamp() // 3600) - 5, "cpu_s": 0.1 + 0.2, "memory_gib_s": 1e-7, "kernels": 2}
    connection.execute(insert(tables.charges).values(charge))
    data(connection)
    for number in range(5):
        said = {"action": "data.read", "resource": ODD if number == 2 else "nyc/flights", "reason": "granted", "rule": "p.yaml:3 r"}
        audit.append(connection, now=NOW + timedelta(seconds=number), principal="ana", allowed=number != 3, policy_digest="d" * 64, **said)
    audit.anchor(connection, now=NOW + timedelta(minutes=1))
    audit.append(connection, now=NOW + timedelta(minutes=2), principal="ben", allowed=True, policy_digest="", **said)


def lease(connection, name, state):
    wanted = leases.Wanted(name, f"key-{name}", "ana", "kernel", f"kernel-{name}", "python3", "/w", "small", "p.yaml:9 r", "d" * 64, 2 << 30, 1.5)
    leases.reserve(connection, wanted, now=NOW, ttl_s=60, max_kernels=100)
    if state != "starting":
        leases.start(connection, name, "ana", now=NOW, ttl_s=60, pid=7, report={"guarantees": [{"name": "files", "held": True}], "odd": ODD})
        leases.beat(connection, {name: leases.Use(12.25, 1 << 30, 2 << 30)}, "ana", now=NOW + timedelta(seconds=30), ttl_s=60)
    if state == "closing":
        leases.close(connection, name, "ana")
    if state == "settled":
        leases.settle(connection, name, "ana", now=NOW + timedelta(seconds=40), ttl_s=60, reason=ODD)
    if state == "expired":
        connection.execute(tables.leases.update().where(tables.leases.c.id == name).values(expires_at=NOW - timedelta(days=1)))
        leases.sweep(connection, now=NOW - timedelta(hours=1))


def data(connection):
    request = {"id": "r1", "principal": "ana", "kind": "access", "dataset": "hr/salaries", "purpose": ODD, "days": 30, "state": "granted"}
    request |= {"reason": "", "rule": "p.yaml:4 r", "decided_by": "carol", "created_at": NOW, "updated_at": NOW, "revision": 2}
    connection.execute(insert(tables.requests).values(request))
    grant = {"id": "g1", "principal": "ana", "dataset": "hr/salaries", "request": "r1", "rule": "p.yaml:4 r", "granted_by": "carol"}
    connection.execute(insert(tables.grants).values(grant | {"granted_at": NOW, "expires_at": NOW + timedelta(days=30)}))
    texts = ("notebook_digest", "frozen", "reason", "error", "content_digest", "evidence_digest", "package", "package_path")
    submission = {"id": "s-1", "principal": "ana", "key": "k1", "name": "delays", "version": 1, "notebook": "delays.ipynb", "draft": False}
    submission |= dict.fromkeys(texts, "") | {"parameters": {"year": 2013, "odd": ODD}, "state": "in_review", "created_at": NOW}
    connection.execute(insert(tables.submissions).values(submission | {"updated_at": NOW, "revision": 7}))
    check = {
        "submission": "s-1",
        "name": "clean-run",
        "position": 1,
        "title": "Clean run",
        "state": "passed",
        "detail": ODD,
        "findings": [{"cell": 1}],
    }
    connection.execute(insert(tables.checks).values(check | {"progress": {"done": 3, "total": 3}, "seconds": 1.25, "updated_at": NOW}))


def dump(place):
    """SQL text of the database."""
    if "://" not in place:
        with sqlite3.connect(place) as connection:
            return "\n".join(connection.iterdump()) + "\n"
    command = ["pg_dump", "--inserts", "--no-owner", "--no-privileges", "--dbname", place]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return "\n".join(line for line in lines if line and not line.startswith(("--", "\\", "SET ", "SELECT pg_catalog.set_config"))) + "\n"


def main(place):
    with tempfile.TemporaryDirectory() as folder:
        place = place if "://" in place else str(Path(folder) / "records.sqlite")
        records = open_records(place)
        records.write_sync(fill)
        records.close()
        sys.stdout.write(dump(place))


if __name__ == "__main__":
    main(sys.argv[1])
