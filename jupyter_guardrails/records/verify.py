"""Checking a chain offline: any edit, deletion, reorder, cut or splice is found, and the first bad record is named.

Anchors vouch for what was there when they were signed. Log and anchors cut back together look whole from inside: only a witness
outside (`witnessed`) shows that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from jupyter_guardrails.records import anchors as anchoring
from jupyter_guardrails.records import tables
from jupyter_guardrails.records.anchors import KEY_ACTION, Anchor, by_seq
from jupyter_guardrails.records.chain import GENESIS, Link, NoRecord, link_of

REMOVE_ACTION = "audit.remove"
PAGE = 5000


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What somebody outside was told: anchors, and the hashes of single records."""

    anchors: tuple[Anchor, ...] = ()
    hashes: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verification:
    """What checking a chain found: its records, its head, the first problem, and who vouches up to where."""

    count: int
    head: str
    anchored_to: int
    problems: tuple[str, ...]
    first: int = 1
    last: int = 0
    key: str = ""  # the public key that the log names last
    witnessed_to: int | None = None  # None: no witness was given
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing was edited, deleted, reordered or cut."""
        return not self.problems


class Broken(Exception):
    """The first thing that is wrong with a chain, as a sentence that names the record."""


class Walk:
    """Follows a chain record by record; `feed` raises Broken at the first one that is wrong, `finish` at what is missing behind the last."""

    def __init__(
        self,
        anchored: Iterable[Anchor],
        *,
        pinned: Collection[str] = (),
        accepted: Collection[str] = (),
        witnessed: Witnessed | None = None,
        partial: bool = False,
    ) -> None:
        """`pinned`: one of these keys must have begun the log or signed an anchor; `accepted`: keys that may come unannounced."""
        self.count, self.last, self.head = 0, 0, GENESIS
        self.first, self.key, self.anchored_to, self.witnessed_to = 1, "", 0, 0
        self._anchored = by_seq(anchored)
        self._pinned, self._accepted, self._partial = frozenset(pinned), frozenset(accepted), partial
        self._vouching: set[str] = set()  # the first key, and those that signed an anchor that holds
        self._witness = by_seq(witnessed.anchors if witnessed else ())
        self._hashes = witnessed.hashes if witnessed else {}
        self._keys: set[str] = set()
        self._removed: list[tuple[int, int]] = []  # (record that says so, up to which record)

    def feed(self, link: Link) -> None:
        """Check the next record."""
        if self.count == 0:
            self._begin(link)
        if link.seq != self.last + 1:
            raise Broken(f"record {link.seq} stands where {self.last + 1} should: records are missing or out of order")
        if link.previous_hash != self.head:
            raise Broken(f"record {link.seq} does not follow the one before it")
        if link.hash != link.computed:
            raise Broken(f"record {link.seq} was altered")
        if link.action.startswith("audit."):
            self._note(link)
        if link.seq in self._anchored or link.seq in self._witness or link.seq in self._hashes:
            self._compare(link.seq, link.hash)
        self.count, self.last, self.head = self.count + 1, link.seq, link.hash

    def finish(self) -> None:
        """Nothing comes any more: what was anchored, witnessed or removed must fit to that."""
        self._require_its_end()
        self._require_its_witness()
        if self._pinned and self._keys and not self._pinned & self._vouching:
            named = ", ".join(sorted(self._keys))
            raise Broken(f"this is a log of the key {named}, not of the one that was expected: another log, or its key was exchanged")
        if self.first > 1 and not self._partial and not any(by <= self.anchored_to and to >= self.first - 1 for by, to in self._removed):
            raise Broken(f"the records before {self.first} are missing, and no signed record says that they were removed")

    def _require_its_end(self) -> None:
        """That it goes as far as its anchors."""
        beyond = min((seq for seq in self._anchored if seq > self.last), default=None)
        if beyond is not None:
            raise Broken(f"the log ends at {self.last}, but record {beyond} was anchored: it was cut")

    def _require_its_witness(self) -> None:
        """That it goes as far as others were told, and that they were told of this log."""
        told = max((seq for seq, found in self._witness.items() if any(self._is_ours(one) for one in found)), default=0)
        if told > self.last:
            raise Broken(f"the log ends at {self.last}, but a witness holds the anchor of record {told}: log and anchors were cut together")
        if self._witness and not told and self.last:
            raise Broken("the witness holds anchors, and none of them is of this log: another log stands here, or its key was exchanged")
        if max(self._hashes, default=0) > self.last:
            raise Broken(f"the log ends at {self.last}, but a witness was told record {max(self._hashes)}: it was cut")

    def _begin(self, link: Link) -> None:
        """A log that doesn't begin at its first record goes on from a signed anchor."""
        before = [one for one in self._anchored.get(link.seq - 1, ()) if one.hash == link.previous_hash]
        if link.seq > 1 and before and (before[0].signed or not before[0].key):
            self.first, self.last, self.head = link.seq, link.seq - 1, link.previous_hash
            self._anchored = {seq: found for seq, found in self._anchored.items() if seq >= link.seq}
            if before[0].key:
                self._trust(before[0].key)

    def _note(self, link: Link) -> None:
        """Records about the log itself: its keys, and what was removed of it."""
        record = link.record
        if link.action == KEY_ACTION and record["resource"] not in self._keys:
            if self.key and not anchoring.is_announced(self.key, record) and record["resource"] not in self._accepted:
                raise Broken(f"record {link.seq} brings a new key that the one before it did not announce: the key was exchanged")
            self._trust(str(record["resource"]))
        if link.action == REMOVE_ACTION:
            self._removed.append((link.seq, int(str(record["resource"]).rpartition("-")[2])))

    def _trust(self, key: str) -> None:
        if not self._keys:
            self._vouching.add(key)
        self._keys.add(key)
        self.key = key

    def _compare(self, seq: int, found: str) -> None:
        for one in self._anchored.pop(seq, ()):
            if one.hash != found:
                raise Broken(f"record {seq} is not the one that was anchored")
            if self._keys and not self._is_ours(one):
                raise Broken(f"the anchor of record {seq} is not signed by this log's key")
            self.anchored_to = seq
            self._vouching.add(one.key)
        for one in self._witness.get(seq, ()):
            if self._is_ours(one) and one.hash != found:
                raise Broken(f"record {seq} is not the one whose anchor a witness holds")
            self.witnessed_to = seq if self._is_ours(one) else self.witnessed_to
        if self._hashes.get(seq, found) != found:
            raise Broken(f"record {seq} is not the one that a witness was told")

    def _is_ours(self, one: Anchor) -> bool:
        return one.key in self._keys and one.signed


def verify(records: Iterable[Mapping[str, Any]], anchored: Mapping[int, str] | Iterable[Anchor] | None = None, **more: Any) -> Verification:
    """Check records in the order given; `anchored` is what `anchors` returned. `more` are the options of `Walk`."""
    found = [Anchor(seq, digest) for seq, digest in anchored.items()] if isinstance(anchored, Mapping) else list(anchored or ())
    return verify_links(map(link_of, records), found, **more)


def verify_links(links: Iterable[Link], anchored: Iterable[Anchor], **more: Any) -> Verification:
    """Check a chain of links; stops at the first bad one, since nothing behind it can be judged."""
    walk, problems = Walk(anchored, **more), []
    try:
        for link in links:
            walk.feed(link)
        walk.finish()
    except Broken as found:
        problems.append(str(found))
    except NoRecord as found:
        problems.append(f"what stands where record {walk.last + 1} should {found}")
    witnessed_to = walk.witnessed_to if more.get("witnessed") else None
    return Verification(
        walk.count,
        walk.head,
        walk.anchored_to,
        tuple(problems),
        first=walk.first,
        last=walk.last,
        key=walk.key,
        witnessed_to=witnessed_to,
        notes=tuple(_notes(walk)),
    )


def verify_table(connection: Connection, **more: Any) -> Verification:
    """Check the whole table against its anchors."""
    return verify_links(links_of_table(connection), anchoring.read(connection), **more)


def links_of_table(connection: Connection) -> Iterator[Link]:
    """Every row of the audit table, in order."""
    rows = connection.execute(select(tables.audit).order_by(tables.audit.c.seq).execution_options(yield_per=PAGE))
    names = tuple(rows.keys())
    for row in rows:
        yield link_of(dict(zip(names, row, strict=True)))


def _notes(walk: Walk) -> Iterator[str]:
    if walk.first > 1:
        yield f"complete from record {walk.first} on"
    if not walk.anchored_to and walk.count:
        yield "no anchor vouches for it: a log that was cut can't be told from a whole one"
    elif walk.anchored_to and not walk.key:
        yield "its anchors are not signed, as in the first version"
