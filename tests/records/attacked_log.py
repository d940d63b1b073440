"""A signed log with two files of its own, and ways to tamper with it: in the table, and in the file."""

import gzip
import json
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, insert, select, update

from jupyter_guardrails.records import anchors as anchoring
from jupyter_guardrails.records import audit, chain, keys, offline, open_records, parts, signing, tables, verify

START = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
SAID = {"principal": "ana", "action": "data.read", "allowed": True, "reason": "r", "rule": "p.yaml:1 x", "policy_digest": "d"}


class Log:
    """Ten records about datasets behind the record of the key; anchored at 6 and at the end."""

    def __init__(self, place, folder, said="read"):
        self.place, self.folder = place, folder
        folder.mkdir(exist_ok=True)
        self.records = open_records(place, journal=folder / parts.CURRENT)
        self.write(keys.begin, folder, now=START)
        for number in range(5):
            self.append(f"{said}{number}")
        self.write(audit.anchor, now=START)
        for number in range(5, 10):
            self.append(f"{said}{number}")
        self.write(audit.anchor, now=START)

    def append(self, resource, *, days=0, **more):
        return self.records.write_sync(audit.append, now=START + timedelta(days=days, seconds=1), resource=resource, **SAID | more)

    def write(self, fn, *args, **kwargs):
        return self.records.write_sync(fn, *args, **kwargs)

    @property
    def key(self):
        return (self.folder / signing.PUBLIC_KEY).read_text().strip()

    def anchors(self):
        return self.records.read_sync(anchoring.read)

    def rows(self):
        return self.records.read_sync(audit.newest, limit=1000)

    def verify_table(self, **more):
        return self.records.read_sync(verify.verify_table, pinned=[self.key], **more)

    def verify_file(self, **more):
        return offline.verify_file(self.folder / parts.CURRENT, pinned=[self.key], **more)

    def lines(self):
        return (self.folder / parts.CURRENT).read_bytes().splitlines(keepends=True)

    def put_lines(self, lines):
        (self.folder / parts.CURRENT).write_bytes(b"".join(lines))

    def sql(self, *statements):
        def run(connection):
            for statement in statements:
                connection.execute(statement)

        self.write(run)

    def put_rows(self, rows):
        """The table as somebody with the database's password would leave it."""
        self.sql(delete(tables.audit), *(insert(tables.audit).values({"code": None} | row) for row in rows))

    def close(self):
        self.records.close()


def rechained(rows, start):
    """The records from place `start` on with hashes made anew, as whoever knows this source would."""
    previous = rows[start - 1]["hash"] if start else chain.GENESIS
    for row in rows[start:]:
        row["previous_hash"] = previous
        previous = row["hash"] = chain.hash_of(row)
    return rows


def as_rows(lines):
    return [json.loads(line) for line in lines]


def as_lines(rows):
    return [(chain.line(row) + "\n").encode() for row in rows]


def unpacked(path):
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


__all__ = ["START", "Log", "as_lines", "as_rows", "rechained", "select", "unpacked", "update"]
