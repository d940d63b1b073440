"""How long checking a million audit records takes: the files (parts of JSON lines, all but one compressed) and the table, as `audit verify` does.

    python benchmarks/audit_verify.py [--records 1000000]

`measure` is what other benchmarks call. To hold: a million records in 20 s.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert

from jupyter_guardrails.records import audit, keys, offline, open_records, parts, tables
from jupyter_guardrails.records.anchors import ANCHOR_EVERY, signed, signer
from jupyter_guardrails.records.chain import hash_of
from jupyter_guardrails.records.verify import Verification, verify_links

START = datetime(2025, 1, 1, tzinfo=UTC)
PAGE = 10_000


def measure(records: int, folder: Path) -> dict[str, float]:
    """Seconds (by the clock, and of processor time) for the files, and for table and files, of a log of so many records made in this empty folder."""
    opened = open_records(folder / offline.DATABASE)
    opened.write_sync(keys.begin, folder, now=START)
    for first in range(2, records + 1, PAGE):
        opened.write_sync(_fill, first, min(PAGE, records + 1 - first))
    opened.close()
    written = open_records(folder / offline.DATABASE, journal=folder / parts.CURRENT)  # the file follows the table
    written.write_sync(keys.begin, folder, now=START)
    written.close()
    parts.compress(folder)
    files, took_files = _timed(lambda: verify_links(parts.links(parts.files_of(folder)), parts.read_anchors(folder)))
    both, took_both = _timed(lambda: offline.verify_state(folder))
    assert files.ok, files.problems
    assert both.ok, both.problems
    assert (files.last, both.last) == (records, records)
    (files_s, files_cpu_s), (both_s, both_cpu_s) = took_files, took_both
    return {"records": records, "files_s": files_s, "files_cpu_s": files_cpu_s, "both_s": both_s, "both_cpu_s": both_cpu_s}


def _fill(connection: Connection, first: int, count: int) -> None:
    """Records in bulk, with an anchor after each thousandth: what `append` would write."""
    _, previous = audit.head(connection)
    rows = list(_rows(first, count, previous))
    connection.execute(insert(tables.audit), rows)
    due = [row for row in rows if row["seq"] % ANCHOR_EVERY == 0]
    for row in due:
        one = signed(signer(connection), row["seq"], row["hash"], now=START)
        values = {"seq": one.seq, "hash": one.hash, "time": one.time, "key": one.key, "signature": one.signature}
        connection.execute(insert(tables.anchors).values(values))


def _rows(first: int, count: int, previous: str) -> Iterator[dict[str, Any]]:
    for seq in range(first, first + count):
        row: dict[str, Any] = {
            "seq": seq,
            "time": (START + timedelta(seconds=seq)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "principal": f"person{seq % 50}",
            "action": "data.read",
            "resource": f"nyc/flights{seq % 200}",
            "allowed": True,
            "mode": None,
            "reason": "classified internal, and everyone may read what is internal",
            "rule": "guardrails.yaml:31 everyone-internal",
            "policy_digest": "a" * 64,
            "kernel": "b51d3c1e-6a2e-4b0c-9d0f-0d2f1a5c7e11",
            "notebook": "reports/monthly.ipynb",
            "cell_digest": None,
            "code": None,
            "previous_hash": previous,
        }
        previous = row["hash"] = hash_of(row)
        yield row


def _timed(check: Callable[[], Verification]) -> tuple[Verification, tuple[float, float]]:
    """What a check found, and its seconds by the clock and of processor time."""
    begun, cpu = time.perf_counter(), time.process_time()
    found = check()
    return found, (time.perf_counter() - begun, time.process_time() - cpu)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(parser.parse_args().records, Path(folder))
    print(f"{found['records']} records, seconds by the clock (of processor time):")
    print(f"files {found['files_s']:.1f} ({found['files_cpu_s']:.1f}), table and files {found['both_s']:.1f} ({found['both_cpu_s']:.1f})")


if __name__ == "__main__":
    main()
