"""Anchors: the head of the chain, signed by control's own key. A log that is cut back behind an anchor no longer verifies.

The key that signs, and its successors, are records of the chain themselves (`audit.key`), so that an exchanged key is found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select

from jupyter_guardrails.records import signing, tables
from jupyter_guardrails.records.chain import GENESIS
from jupyter_guardrails.records.columns import iso
from jupyter_guardrails.records.signing import AuditKey

ANCHOR_EVERY = 1000
ANCHOR_EVERY_S = 300  # unless a policy says otherwise
SIGNER = "guardrails_signer"  # in Connection.info
KEY_ACTION = "audit.key"
HEAD = select(tables.audit.c.seq, tables.audit.c.hash).order_by(tables.audit.c.seq.desc()).limit(1)
FRESH = "guardrails_audit_fresh"  # in Connection.info: the records of this transaction; None: the table has to be asked
NEWEST = select(tables.anchors.c.seq).order_by(tables.anchors.c.seq.desc()).limit(1)
FOLLOWING = select(tables.anchors).where(tables.anchors.c.seq > bindparam("of_seq")).order_by(tables.anchors.c.seq)
FIRST_KEY = "the first key of this log"


@dataclass
class Signer:
    """Who signs the anchors of one database (None: nobody), and after how many records an anchor is due; shared by all its connections."""

    key: AuditKey | None = None
    every: int = ANCHOR_EVERY


@dataclass(frozen=True, slots=True)
class Anchor:
    """That record `seq` has this hash, as the owner of `key` said then; both texts are empty in anchors from before they were signed."""

    seq: int
    hash: str
    time: str = ""
    key: str = ""
    signature: str = ""

    @property
    def signed(self) -> bool:
        """Whether the signature is the key's over this very anchor."""
        return bool(self.key) and signing.holds(self.key, self.signature, signing.ANCHOR, self.seq, self.hash, self.time)

    def to_json(self) -> dict[str, Any]:
        """As it is written in files and sent to witnesses: `{"anchor": {…}}`."""
        return {"anchor": asdict(self)}


def from_json(value: Any) -> Anchor | None:
    """The anchor of `{"anchor": {…}}`; None for anything else."""
    said = value.get("anchor") if isinstance(value, Mapping) else None
    if not isinstance(said, Mapping) or {*said} != {"seq", "hash", "time", "key", "signature"}:
        return None
    if not isinstance(said["seq"], int) or not all(isinstance(said[name], str) for name in ("hash", "time", "key", "signature")):
        return None
    return Anchor(**said)


def head(connection: Connection) -> tuple[int, str]:
    """Sequence number and hash of the newest record in the table; (0, sixty-four zeros) before the first."""
    row = connection.execute(HEAD).first()
    return (row.seq, row.hash) if row else (0, GENESIS)


def signer(connection: Connection) -> Signer:
    """The signer of this connection's database."""
    found = connection.info.get(SIGNER)
    return found if isinstance(found, Signer) else Signer()


def every(connection: Connection) -> int:
    """After how many records an anchor is due."""
    return signer(connection).every


def anchor(connection: Connection, *, now: datetime) -> int:
    """Sign the head of the chain and note that beside it, unless it is noted already. Returns its sequence number."""
    seq, digest = head(connection)
    if seq > newest(connection):
        connection.info[FRESH] = None  # it stands between them
        connection.execute(insert(tables.anchors).values(asdict(signed(signer(connection), seq, digest, now=now))))
    return seq


def signed(by: Signer, seq: int, digest: str, *, now: datetime) -> Anchor:
    """A statement that record `seq` has this hash; without a key it is not signed."""
    if by.key is None:
        return Anchor(seq, digest, iso(now))
    return Anchor(seq, digest, iso(now), by.key.public, by.key.sign(signing.ANCHOR, seq, digest, iso(now)))


def newest(connection: Connection) -> int:
    """Sequence number of the newest anchor; 0 before the first."""
    return connection.execute(NEWEST).scalar() or 0


def read(connection: Connection, *, after: int = -1, limit: int | None = None) -> list[Anchor]:
    """Anchors of records behind `after`, oldest first."""
    query = FOLLOWING if limit is None else FOLLOWING.limit(limit)
    return [Anchor(row.seq, row.hash, row.time, row.key or "", row.signature or "") for row in connection.execute(query, {"of_seq": after})]


def anchors(connection: Connection) -> dict[int, str]:
    """Sequence number -> hash of every anchor."""
    return {one.seq: one.hash for one in read(connection)}


def announced_key(connection: Connection) -> str | None:
    """The public key that the chain named last, or (that record is removed) that signed the newest anchor."""
    query = select(tables.audit.c.resource).where(tables.audit.c.action == KEY_ACTION)
    named = connection.execute(query.order_by(tables.audit.c.seq.desc()).limit(1)).scalar()
    return named or connection.execute(select(tables.anchors.c.key).order_by(tables.anchors.c.seq.desc()).limit(1)).scalar()


def first_key_fields(key: AuditKey) -> dict[str, Any]:
    """`resource`, `reason` and `rule` of the record in which a log names its first key."""
    return {"resource": key.public, "reason": FIRST_KEY, "rule": ""}


def next_key_fields(old: AuditKey, new: AuditKey) -> dict[str, Any]:
    """The same of a key that the old one announces."""
    said = {"resource": new.public, "reason": f"takes the place of {old.public}, which signed this"}
    return said | {"rule": f"signature {old.sign(signing.KEY, new.public)}"}


def is_announced(old: str, record: Mapping[str, Any]) -> bool:
    """Whether the owner of the old key signed the new one that this record names."""
    return signing.holds(old, str(record["rule"]).removeprefix("signature "), signing.KEY, record["resource"])


def by_seq(found: Iterable[Anchor]) -> dict[int, tuple[Anchor, ...]]:
    """Sequence number -> every different anchor of it."""
    kept: dict[int, dict[Anchor, None]] = {}
    for one in found:
        kept.setdefault(one.seq, {})[one] = None
    return {seq: tuple(different) for seq, different in kept.items()}
