"""Where records go beside the table: the JSON lines and the witnesses. What permits something fails when a required one can't be written.

The table itself is the queue: each witness has a place in it up to which it was told, so that nothing piles up in memory, and a restart goes on
where the last one ended (a witness may hear something twice, never nothing).
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine, delete, insert, select

from jupyter_guardrails.errors import AuditAway
from jupyter_guardrails.records import anchors as anchoring
from jupyter_guardrails.records import audit, tables
from jupyter_guardrails.records.anchors import Anchor
from jupyter_guardrails.records.journal import Journal
from jupyter_guardrails.records.unwritable import explained

T = TypeVar("T")
log = logging.getLogger("jupyter_guardrails.records")
WAIT_S = 3.0  # how long a required witness may keep an action waiting
RETRY_S = 5.0  # after a failure nobody waits for that witness again so soon
PAGE = 200
NEXT_STEP = "ask your admin, who sees why with `jupyter guardrails doctor`; everything goes on by itself as soon as it can be written again"


@dataclass(frozen=True, slots=True)
class Told:
    """One line for a witness: an anchor, or a record."""

    seq: int
    hash: str
    time: str
    action: str  # "anchor" for an anchor
    allowed: bool
    text: str  # ASCII without control characters


class Witness(Protocol):
    """Somebody of another uid or host who is told; `send` returns when that is done as far as the protocol can tell, OSError when not."""

    name: str
    required: bool
    every_record: bool
    rule: str

    def send(self, lines: Sequence[Told]) -> None:
        """Tell these lines, in order, within WAIT_S."""

    def close(self) -> None:
        """Let go of connections."""


@dataclass
class _Place:
    """How far one witness was told, and what keeps it from more."""

    witness: Witness
    anchor_seq: int
    record_seq: int
    problem: str = ""
    retry_at: float = 0.0


class Sinks:
    """The JSON lines and the witnesses of one database; `deliver` is the writer thread's, witnesses that are not required have a thread."""

    def __init__(self, journal: Journal | None, reading: Engine, *, folder: Path | None = None) -> None:
        self.journal, self._folder = journal, folder
        self.strict: Callable[[], bool] = lambda: True  # whether losing a sink is the failure of what should be recorded
        self.recovered: list[str] = []  # a sentence for each loss that is over; whoever records it clears this
        self._reading, self._places, self._lock = reading, {}, threading.Lock()  # type: tuple[Engine, dict[str, _Place], threading.Lock]
        self._down, self._journal_problem, self._behind_since = None, "", ""  # type: tuple[AuditAway | None, str, str]
        self._wake, self._ended = threading.Event(), False
        self._thread: threading.Thread | None = None

    def guard(self, connection: Connection, operation: Callable[[Connection], T]) -> tuple[T, bool]:
        """What an operation returns, and whether it permitted something; AuditAway, which undoes it, where that can't be recorded."""
        before = audit.permitted(connection)
        result = operation(connection)
        permits = audit.permitted(connection) > before
        if permits and self._down is not None and self.strict():
            raise self._down
        return result, permits

    def deliver(self, fresh: Sequence[dict[str, Any]] = ()) -> AuditAway | None:
        """Bring the file and the required witnesses up to the table; what kept one from that, where it counts. `fresh`: the newest records."""
        found, rule = self._follow(fresh), ""
        for place in self._required():
            problem = self._serve(place)
            if problem and not found:
                found, rule = f"{place.witness.name} can't be told: {problem}", place.witness.rule
        self._remember(found, rule)
        self._wake.set()
        return self._down if self._down is not None and self.strict() else None

    @property
    def failing(self) -> bool:
        """Whether a required sink is behind."""
        return self._down is not None

    def retry(self) -> None:
        """Look again at what was down, before the next operation is refused for it."""
        if self._down is not None:
            self.deliver()

    def set_witnesses(self, witnesses: Sequence[Witness]) -> None:
        """From now on tell these; one that was told before goes on where it was."""
        with self._lock, self._reading.connect() as connection:
            gone = dict(self._places)
            saved = {row.name: (row.anchor_seq, row.record_seq) for row in connection.execute(select(tables.witnesses))}
            saved |= {name: (place.anchor_seq, place.record_seq) for name, place in gone.items()}
            fresh = (anchoring.newest(connection) - 1, audit.head(connection)[0])
            self._places = {one.name: _Place(one, *saved.get(one.name, fresh)) for one in witnesses}
        for place in gone.values():
            place.witness.close()
        if self._thread is None and any(not one.required for one in witnesses):
            self._thread = threading.Thread(target=self._tell_others, name="records-witnesses", daemon=True)
            self._thread.start()

    def places(self) -> dict[str, tuple[int, int]]:
        """Witness -> up to which anchor and record it was told."""
        with self._lock:
            return {name: (place.anchor_seq, place.record_seq) for name, place in self._places.items()}

    def state(self, connection: Connection) -> list[dict[str, Any]]:
        """Each sink: its name, whether it is required, by how many anchors and records it is behind, and why."""
        last, anchored = audit.head(connection)[0], anchoring.newest(connection)
        with self._lock:
            places = list(self._places.values())
        written = self.journal.seq if self.journal else last
        file = {"name": "audit.jsonl", "required": True, "behind": max(0, last - written), "problem": self._journal_problem}
        return [file, *(_state(place, last, anchored) for place in places)]

    def close(self) -> None:
        """Let go of the file and the witnesses; what they were not told yet they are told after the next start."""
        self._ended = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(WAIT_S * 2)
        for place in self._places.values():
            place.witness.close()
        if self.journal:
            self.journal.close()

    def _required(self) -> list[_Place]:
        with self._lock:
            return [place for place in self._places.values() if place.witness.required]

    def _follow(self, fresh: Sequence[dict[str, Any]]) -> str:
        if self.journal is None:
            return ""
        try:
            if not self.journal.go_on(fresh):
                with self._reading.connect() as connection:
                    self.journal.follow(connection)
            self._journal_problem = ""
        except (OSError, ValueError) as error:  # ValueError: the file was closed under us
            self._journal_problem = f"{self.journal.path.name} can't be written: {getattr(error, 'strerror', None) or error}"
            if explained(error, self._folder) is not error:  # a full disk, which keeps the table from being written too: told as such
                raise
        return self._journal_problem

    def _remember(self, problem: str, rule: str) -> None:
        """From the first failure on until everything is written again; both ends are in the log."""
        if problem and self._down is None:
            self._behind_since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            log.error("audit: %s", problem)
        if problem:
            text = f"what is done here must be recorded, and can't be: {problem}"
            self._down = AuditAway(text, next_step=NEXT_STEP, rule=rule or "built-in nothing-goes-unrecorded")
        elif self._down is not None:
            self.recovered.append(f"a sink was behind from {self._behind_since} on and holds everything again: {self._down.message}")
            log.warning("audit: %s", self.recovered[-1])
            self._down = None

    def _serve(self, place: _Place) -> str:
        """Tell a witness what it doesn't know yet; the reason why that is not possible, "" when it is."""
        if time.monotonic() < place.retry_at:
            return place.problem
        try:
            while lines := self._untold(place):
                place.witness.send(lines)
                _advance(place, lines)
            place.problem = ""
        except OSError as error:
            place.problem, place.retry_at = f"{error.strerror or error}", time.monotonic() + RETRY_S
        return place.problem

    def _untold(self, place: _Place) -> list[Told]:
        with self._reading.connect() as connection:
            anchors = anchoring.read(connection, after=place.anchor_seq, limit=PAGE)
            records = audit.following(connection, after=place.record_seq, limit=PAGE) if place.witness.every_record else []
        told = [told_record(record) for record in records] + [_of_anchor(anchor) for anchor in anchors]
        return sorted(told, key=lambda one: (one.seq, one.action == "anchor"))

    def _tell_others(self) -> None:
        """The thread of the witnesses that nobody waits for."""
        ended = False
        while not ended:
            self._wake.wait(RETRY_S)
            self._wake.clear()
            ended = self._ended  # once more then: it may have come with the last word
            with self._lock:
                waiting = [place for place in self._places.values() if not place.witness.required]
            for place in waiting:
                before = place.problem
                if (problem := self._serve(place)) != before:
                    log.warning("audit: %s %s", place.witness.name, f"can't be told: {problem}" if problem else "is told again")


def save_places(connection: Connection, places: dict[str, tuple[int, int]]) -> None:
    """Keep how far witnesses were told over a restart."""
    for name, (anchor_seq, record_seq) in places.items():
        connection.execute(delete(tables.witnesses).where(tables.witnesses.c.name == name))
        connection.execute(insert(tables.witnesses).values(name=name, anchor_seq=anchor_seq, record_seq=record_seq))


def _advance(place: _Place, lines: Sequence[Told]) -> None:
    for one in lines:
        if one.action == "anchor":
            place.anchor_seq = one.seq
        else:
            place.record_seq = one.seq


def _of_anchor(anchor: Anchor) -> Told:
    return Told(anchor.seq, anchor.hash, anchor.time, "anchor", True, json.dumps(anchor.to_json(), sort_keys=True, separators=(",", ":")))


def told_record(record: dict[str, Any]) -> Told:
    """A record as witnesses get it: its line, in which not even DEL stands, which JSON leaves as it is."""
    text = audit.line(record).replace("\x7f", "\\u007f")
    return Told(record["seq"], record["hash"], record["time"], record["action"], record["allowed"], text)


def _state(place: _Place, last: int, anchored: int) -> dict[str, Any]:
    behind = max(0, last - place.record_seq) if place.witness.every_record else int(anchored > place.anchor_seq)
    return {"name": place.witness.name, "required": place.witness.required, "behind": behind, "problem": place.problem}
