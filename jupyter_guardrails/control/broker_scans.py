"""What a worker of the broker does with an order: open a source, filter, mask, write into the reader's pipe. Arrow is loaded with this."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from jupyter_guardrails.catalog.cut import Cut
from jupyter_guardrails.catalog.measuring import measured
from jupyter_guardrails.catalog.plan import ScanPlan
from jupyter_guardrails.catalog.quality import QualityRule
from jupyter_guardrails.catalog.ring import Ring
from jupyter_guardrails.catalog.scan import Scan
from jupyter_guardrails.catalog.sources import Source, open_source
from jupyter_guardrails.catalog.sources.deadline import watched
from jupyter_guardrails.catalog.streams import WRITERS, Sink, write_table
from jupyter_guardrails.control.egress_link import Question
from jupyter_guardrails.errors import Conflict, GuardrailsError

log = logging.getLogger("broker")


def serve(order: Question, fds: tuple[int, ...], cut: Cut) -> Question:
    """One scan from its first to its last row, into `fds[0]` (shared: the first three); the others are the source's. All are closed in the end."""
    try:
        return _answered(order, fds[0], cut) if order["do"] == "sql" else _said(order, fds, cut)
    finally:
        for fd in fds:
            os.close(fd)


def _said(order: Question, fds: tuple[int, ...], cut: Cut) -> Question:
    plan = ScanPlan.from_json(order["plan"])
    if order.get("shared"):
        sink: Sink = Ring(*fds[:3], stall_s=order["stall_s"], cut=cut)
        fds = fds[3:]
    else:
        sink = Sink(fds[0], stall_s=order["stall_s"], most_bytes=order.get("most_bytes"), cut=cut)
        fds = fds[1:]
    with _in_our_words(plan.dataset, plan.owner, sink), watched(sink.check), closing(sink):
        return (_measured if order["do"] == "quality" else _scanned)(order, plan, sink, fds)


def _answered(order: Question, fd: int, cut: Cut) -> Question:
    """What one SELECT of a person gives, as their own account in the database; it is cancelled there when nobody reads any more."""
    from jupyter_guardrails.catalog.sources.person_sql import run_sql  # SQLAlchemy: 65 ms, and few workers ever speak to a database

    sink = Sink(fd, stall_s=order["stall_s"], cut=cut)
    with _in_our_words(order["dataset"], order["owner"], sink):
        return write_table(run_sql(order["place"], order["login"], order["sql"], look=sink.check), sink)


@contextmanager
def _in_our_words(dataset: str, owner: str, sink: Sink) -> Iterator[None]:
    """What libraries say quotes values, which may be behind a mask: only its kind is told."""
    try:
        yield
    except GuardrailsError as error:
        raise sink.failure or error from None
    except MemoryError:
        raise _too_large(dataset, owner) from None
    except Exception as error:  # noqa: BLE001 - as the docstring says
        if sink.failure is not None:
            raise sink.failure from None
        log.error("a read of %s failed: %s in %s", dataset, type(error).__name__, _where(error))
        raise Conflict(f"{dataset} cannot be read ({type(error).__name__})", next_step=f"tell its owner ({owner}) or an admin") from None


def _scanned(order: Question, plan: ScanPlan, sink: Sink, fds: tuple[int, ...]) -> Question:
    less: dict[str, Any] = {"columns": plan.needed, "predicate": plan.pushed, "most_rows": plan.most_rows}
    source = open_source(plan.place, credentials=order.get("credentials"), fds=fds, **less)
    try:
        return WRITERS[plan.form](Scan(plan, source, bytes.fromhex(order["salt"])), sink)
    finally:
        source.close()


def _measured(order: Question, plan: ScanPlan, sink: Sink, fds: tuple[int, ...]) -> Question:
    """Counts by the contract's quality rules; `fds[0]` is a file for what does not fit into memory."""
    rules = [QualityRule.from_json(said) for said in order["rules"]]
    credentials, files = order.get("credentials"), fds[1:]

    def opened(columns: Sequence[str] | None) -> Source:
        return open_source(plan.place, columns=columns, credentials=credentials, fds=files)

    return measured(rules, opened, fds[0], sink.check)


def _too_large(dataset: str, owner: str) -> Conflict:
    message = f"a part of {dataset} is larger than the broker's memory: a value, a page or a record batch in it"
    return Conflict(message, next_step=f"ask for fewer columns, or ask its owner ({owner}) to write it in smaller parts")


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_code.co_qualname if trace is not None and sys.version_info >= (3, 11) else "?"
