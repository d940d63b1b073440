"""Beginning and exchanging the key of an audit log: each key is a record of the chain, and a new one is announced by the old."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.records import anchors, audit, signing
from jupyter_guardrails.records.anchors import KEY_ACTION

CONTROL = "(control)"  # the principal of what control does by itself


def begin(connection: Connection, folder: Path, *, now: datetime) -> None:
    """Name the folder's key in the chain unless that is the one that it named last; `verify` finds a key that nobody announced."""
    named = anchors.announced_key(connection)
    signing.adopt_next(folder, named)
    key = signing.open_key(folder)
    anchors.signer(connection).key = key
    if key.public != named:
        _record(connection, now=now, **anchors.first_key_fields(key))
        audit.anchor(connection, now=now)


def exchange(connection: Connection, folder: Path, *, now: datetime, principal: str) -> str:
    """Announce a fresh key with the old one, and sign with it from the next anchor on; returns the public key. `adopted` ends the exchange."""
    old = anchors.signer(connection).key
    assert old is not None, "this log has no key to exchange"
    fresh = signing.prepare_next(folder)
    audit.anchor(connection, now=now)
    _record(connection, now=now, principal=principal, **anchors.next_key_fields(old, fresh))
    return fresh.public


def adopted(connection: Connection, folder: Path, *, now: datetime) -> None:
    """The announced key is in force, and signs the record that announced it."""
    signing.adopt_next(folder, anchors.announced_key(connection))
    anchors.signer(connection).key = signing.open_key(folder)
    audit.anchor(connection, now=now)


def _record(connection: Connection, *, now: datetime, principal: str = CONTROL, **said: Any) -> None:
    audit.append(connection, now=now, principal=principal, action=KEY_ACTION, allowed=True, policy_digest="", **said)
