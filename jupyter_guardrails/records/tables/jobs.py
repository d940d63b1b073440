"""Notebooks on their way into production: submissions, decisions, deployments, runs."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, CheckConstraint, Column, Double, ForeignKey, Index, Integer, Table, Text, UniqueConstraint, true

from jupyter_guardrails.records.columns import Time
from jupyter_guardrails.records.tables.naming import metadata

submissions = Table(
    "submissions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("principal", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("notebook", Text, nullable=False),
    Column("notebook_digest", Text, nullable=False),
    Column("frozen", Text, nullable=False),
    Column("draft", Boolean, nullable=False),
    Column("uid", BigInteger),  # of the account that submitted it, where control has one of its own
    Column("approved_at", Time),  # when it had all its approvals; what was replaced before has none
    Column("parameters", JSON, nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("content_digest", Text, nullable=False),
    Column("evidence_digest", Text, nullable=False),
    Column("package", Text, nullable=False),
    Column("package_path", Text, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Column("revision", Integer, nullable=False),
    UniqueConstraint("principal", "key"),
    UniqueConstraint("principal", "name", "version"),
    Index(None, "principal", "created_at"),
)

checks = Table(
    "checks",
    metadata,
    Column("submission", Text, ForeignKey("submissions.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("findings", JSON, nullable=False),
    Column("progress", JSON(none_as_null=True)),
    Column("seconds", Double),
    Column("updated_at", Time, nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    Column("submission", Text, ForeignKey("submissions.id"), primary_key=True),
    Column("reviewer", Text, primary_key=True),
    Column("decision", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("content_digest", Text, nullable=False),
    Column("evidence_digest", Text, nullable=False),
    Column("self_test", Boolean, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("policy_digest", Text, nullable=False),
    Column("decided_at", Time, nullable=False),
    Column("uid", BigInteger),
    Column("as_reviewer", Boolean, nullable=False, server_default=true()),
    Column("datasets", JSON, nullable=False, server_default="[]"),  # inputs whose owner says this, or decides in their stead
    Column("conditions", Text, nullable=False, server_default=""),
    Column("expires_at", Time),
    Column("attestation", Text, nullable=False, server_default=""),  # of an approval: control's signature, a DSSE envelope
    Column("told", Text, nullable=False, server_default=""),  # of its end: "ahead", "lapsed"
)

revocations = Table(
    "revocations",
    metadata,
    Column("submission", Text, ForeignKey("submissions.id"), primary_key=True),
    Column("job", Text, nullable=False),
    Column("content_digest", Text, nullable=False),
    Column("evidence_digest", Text, nullable=False, index=True),
    Column("reason", Text, nullable=False),
    Column("retired_by", Text, nullable=False),
    Column("retired_at", Time, nullable=False),
    Column("attestation", Text, nullable=False),
)

deployments = Table(
    "deployments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("submission", Text, ForeignKey("submissions.id"), nullable=False, index=True),
    Column("engine", Text, nullable=False),
    Column("deployed_by", Text, nullable=False),
    Column("run_as", Text, nullable=False),  # whose rights its runs have
    Column("schedule", Text, nullable=False),  # five cron fields, "" = when somebody starts it
    Column("parameters", JSON, nullable=False),
    Column("self_test", Boolean, nullable=False),
    Column("content_digest", Text, nullable=False),
    Column("evidence_digest", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),  # why it ended
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    CheckConstraint("state in ('preparing', 'live', 'ended')", name="state"),
    Index(None, "deployed_by", "state"),
)

job_runs = Table(
    "job_runs",
    metadata,
    Column("deployment", Text, ForeignKey("deployments.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    Column("engine_job", Text, nullable=False),  # how the engine calls it
    Column("started_at", Time, nullable=False),
    Column("ended_at", Time),
    Column("exit_code", Integer),
    Column("peak_bytes", BigInteger),
    Column("cell", Integer),  # the one that failed, counted from 1
    Column("error", Text, nullable=False),
    Column("log_tail", Text, nullable=False),
    Column("attempts", Integer),  # how often it was tried
    Column("data", JSON),  # of its end: {outputs: [{path, sha256, size_bytes}], drift}, the files that it left, and how its data differed
    CheckConstraint("state in ('running', 'complete', 'failed', 'lost')", name="state"),
)
