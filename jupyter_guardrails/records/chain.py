"""One record as one text, and its hash: SHA-256 over the canonical JSON without the hash (RFC 8785 in spirit: sorted keys, no spaces, ASCII).

Fields that came later (`mode`, `code`) are not in the hash while they are null, so that older records keep theirs.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

GENESIS = "0" * 64
FIELDS = (
    "action",
    "allowed",
    "cell_digest",
    "hash",
    "kernel",
    "mode",
    "notebook",
    "policy_digest",
    "previous_hash",
    "principal",
    "reason",
    "resource",
    "rule",
    "seq",
    "time",
)
WITH_CODE = tuple(sorted((*FIELDS, "code")))
NEWER = ("mode", "code")  # null: not in the hash
_ALL = {*WITH_CODE}
_CODE, _MODE = '"code":', '"mode":'
_quoted = json.encoder.encode_basestring_ascii  # json's own, in C
_TEXT = rb'"(?:[^"\\]|\\.)*+"'
_NULLABLE = rb"(?:null|" + _TEXT + rb")"
_DIGEST = rb'"([0-9a-f]{64})"'
_CANONICAL = re.compile(
    rb'\{"action":(' + _TEXT + rb'),"allowed":(?:true|false),"cell_digest":' + _NULLABLE + rb'(?:,"code":' + _TEXT + rb")?"
    rb'(,"hash":' + _DIGEST + rb'),"kernel":' + _NULLABLE + rb'(?:(,"mode":null)|,"mode":' + _TEXT + rb'),"notebook":' + _NULLABLE + rb","
    rb'"policy_digest":' + _TEXT + rb',"previous_hash":' + _DIGEST + rb',"principal":' + _TEXT + rb',"reason":' + _TEXT + rb","
    rb'"resource":' + _TEXT + rb',"rule":' + _TEXT + rb',"seq":([1-9][0-9]{0,18}),"time":' + _TEXT + rb"\}\n?"
)


class Link(NamedTuple):
    """What checking needs of a record: its place in the chain, the hash that it carries and the one that it should."""

    seq: int
    previous_hash: str
    hash: str
    computed: str
    action: str
    raw: bytes | Mapping[str, Any]

    @property
    def record(self) -> Mapping[str, Any]:
        """The whole record."""
        return json.loads(self.raw) if isinstance(self.raw, bytes) else self.raw


class NoRecord(ValueError):
    """Text that is no record, with what is wrong about it."""


def line(record: Mapping[str, Any]) -> str:
    """One record as canonical JSON: never a raw control character, so never a second line. A `code` that isn't there is left out."""
    said = record if record.get("code") is not None else {key: value for key, value in record.items() if key != "code"}
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def hash_of(record: Mapping[str, Any]) -> str:
    """The hash that `record` must carry."""
    quick = _hashed_text(record)
    if quick is not None:
        return hashlib.sha256(quick.encode()).hexdigest()
    left_out = {"hash", *(name for name in NEWER if record.get(name) is None)}
    return hashlib.sha256(line({key: value for key, value in record.items() if key not in left_out}).encode()).hexdigest()


def _hashed_text(record: Mapping[str, Any]) -> str | None:
    """The text that is hashed, five times as fast as json makes it (a million records are checked at once); None for an odd record."""
    said, code, mode = {**record}, record.get("code"), record.get("mode")
    if not {*said} <= _ALL or len(said) < len(FIELDS) - 2 or type(said.get("seq")) is not int or type(said.get("allowed")) is not bool:
        return None
    try:
        return (
            f'{{"action":{_quoted(said["action"])},"allowed":{"true" if said["allowed"] else "false"},"cell_digest":{_nullable(said["cell_digest"])}'
            f"{'' if code is None else f',{_CODE}{_quoted(code)}'},"
            f'"kernel":{_nullable(said["kernel"])}{"" if mode is None else f",{_MODE}{_quoted(mode)}"},"notebook":{_nullable(said["notebook"])},'
            f'"policy_digest":{_quoted(said["policy_digest"])},"previous_hash":{_quoted(said["previous_hash"])},"principal":{_quoted(said["principal"])},'
            f'"reason":{_quoted(said["reason"])},"resource":{_quoted(said["resource"])},"rule":{_quoted(said["rule"])},"seq":{said["seq"]},'
            f'"time":{_quoted(said["time"])}}}'
        )
    except (KeyError, TypeError):
        return None


def _nullable(text: Any) -> str:
    return "null" if text is None else _quoted(text)


def link_of(record: Mapping[str, Any]) -> Link:
    """A record of the table; NoRecord when a value is none that a record can hold."""
    try:
        seq, previous, carried = int(record["seq"]), str(record["previous_hash"]), str(record["hash"])
        return Link(seq, previous, carried, hash_of(record), str(record["action"]), record)
    except (KeyError, TypeError, ValueError) as error:
        raise NoRecord(f"is no record: {error!r}") from error


def link_of_line(raw: bytes) -> Link:
    """A line of a file, hashed as it stands there, so that nothing can hide in how it is written; NoRecord when it isn't canonical."""
    found = _CANONICAL.fullmatch(raw)
    if found is None:
        return _link_of_odd_line(raw)
    start, end = found.span(2)
    mode_start, mode_end = found.span(4)
    before, last = raw[:start], raw[mode_end:] if mode_end >= 0 else raw[end:]
    between = raw[end:mode_start] if mode_end >= 0 else b""
    computed = hashlib.sha256(b"".join((before, between, last)).rstrip(b"\n")).hexdigest()
    return Link(int(found[6]), found[5].decode(), found[3].decode(), computed, found[1][1:-1].decode("ascii", "replace"), raw)


def _link_of_odd_line(raw: bytes) -> Link:
    """A record from before there were modes; everything else that isn't written as `line` does is none of ours."""
    try:
        record = json.loads(raw)
        known = isinstance(record, dict) and {*record} <= {*WITH_CODE}
        canonical = known and line(record).encode() == raw.rstrip(b"\n")
    except (ValueError, RecursionError) as error:
        raise NoRecord(f"is no JSON: {str(error)[:80]}") from error
    if not known:
        raise NoRecord("is no record")
    if not canonical:
        raise NoRecord("is not written as records are: it was altered")
    return link_of(record)
