"""The audit log and who is told; suspensions and break-glass."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, CheckConstraint, Column, Index, Integer, Table, Text, UniqueConstraint

from jupyter_guardrails.records.columns import Time
from jupyter_guardrails.records.tables.naming import metadata

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("time", Text, nullable=False),
    Column("principal", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("resource", Text, nullable=False),
    Column("allowed", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("policy_digest", Text, nullable=False),
    Column("kernel", Text),
    Column("notebook", Text),
    Column("cell_digest", Text),
    Column("mode", Text),
    Column("code", Text),  # of a cell, where the policy says `cells: code`; not in the hash while null
    Column("previous_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    UniqueConstraint("hash"),
    Index(None, "principal", "seq"),
)

anchors = Table(
    "anchors",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", Text, nullable=False),
    Column("time", Text, nullable=False),
    Column("key", Text),  # null: from before anchors were signed
    Column("signature", Text),
)

witnesses = Table(  # how far each place outside of control has been told
    "witnesses",
    metadata,
    Column("name", Text, primary_key=True),
    Column("anchor_seq", BigInteger, nullable=False),
    Column("record_seq", BigInteger, nullable=False),
)

suspensions = Table(
    "suspensions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("suspended_by", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("since", Time, nullable=False),
    Column("ends_kernels_at", Time),  # of people: when what runs is ended; of datasets: when kernels that were started with it are
    Column("lifted_at", Time),
    Column("lifted_by", Text, nullable=False),
    Column("lifted_reason", Text, nullable=False),
    CheckConstraint("kind in ('user', 'dataset', 'package', 'job')", name="kind"),
    Index(None, "kind", "name"),
)

exemptions = Table(
    "exemptions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("unmasked", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("given_by", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("begins_at", Time, nullable=False),
    Column("ends_at", Time, nullable=False),
    Column("ended_at", Time),
    Column("ended_by", Text, nullable=False),
    CheckConstraint("kind in ('dataset', 'profile')", name="kind"),
    CheckConstraint("state in ('recorded', 'active', 'ended')", name="state"),
    Index(None, "person", "state"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Text, primary_key=True),
    Column("target", Text, primary_key=True),
    Column("event", JSON, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("next_at", Time, nullable=False),
    CheckConstraint("state in ('waiting', 'sent', 'given_up')", name="state"),
    Index(None, "state", "next_at"),
)
