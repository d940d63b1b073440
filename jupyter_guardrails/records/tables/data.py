"""Data and packages that people ask for, what was given and made of it."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, Double, ForeignKey, Index, Integer, Table, Text, UniqueConstraint

from jupyter_guardrails.records.columns import Time
from jupyter_guardrails.records.tables.naming import metadata

requests = Table(
    "requests",
    metadata,
    Column("id", Text, primary_key=True),
    Column("principal", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("days", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("decided_by", Text, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("amount", Double),  # kind `more`: the limit that is asked for, and until when
    Column("until", Time),
    CheckConstraint("state in ('open', 'granted', 'refused', 'expired')", name="state"),
    Index(None, "principal", "created_at"),
)

grants = Table(
    "grants",
    metadata,
    Column("id", Text, primary_key=True),
    Column("principal", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("request", Text, ForeignKey("requests.id")),
    Column("rule", Text, nullable=False),
    Column("granted_by", Text, nullable=False),
    Column("granted_at", Time, nullable=False),
    Column("expires_at", Time, nullable=False),
    Column("revoked_at", Time),
    Index(None, "principal", "dataset"),
)

package_allowances = Table(  # a Python package that a job may hold for a while, though the policy's list doesn't name it
    "package_allowances",
    metadata,
    Column("id", Text, primary_key=True),
    Column("package", Text, nullable=False),  # as indexes compare names
    Column("for_group", Text, nullable=False),  # empty: for the person alone
    Column("principal", Text, nullable=False),  # who asked
    Column("request", Text, ForeignKey("requests.id"), nullable=False),
    Column("label", Text, nullable=False),
    Column("granted_by", Text, nullable=False),
    Column("granted_at", Time, nullable=False),
    Column("expires_at", Time, nullable=False),
    Column("ended_at", Time),
    Index(None, "ended_at", "expires_at"),
)

package_facts = Table(  # what somebody who may decide about a request for a package was told of it
    "package_facts",
    metadata,
    Column("request", Text, ForeignKey("requests.id"), primary_key=True),
    Column("seen_by", Text, primary_key=True),
    Column("seen_at", Time, nullable=False),
    Column("facts", Text, nullable=False),  # canonical JSON, so that its digest is that of these bytes
    Column("digest", Text, nullable=False),
)

marks = Table(
    "marks",
    metadata,
    Column("place", Text, primary_key=True),  # a workspace, or another folder that kernels may write: a real path
    Column("principal", Text, primary_key=True),
    Column("dataset", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("classification", Text, primary_key=True),
    Column("purposes", JSON, nullable=False),
    Column("expires_at", Time),  # of the grant or break-glass by which it was given last; null: the policy's own
    Column("kernel", Text, nullable=False),
    Column("since", Time, nullable=False),
    Index(None, "principal"),
)

publications = Table(
    "publications",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("author", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("audience", Text, nullable=False),  # the group that it is proposed or published to
    Column("description", Text, nullable=False),
    Column("classification", Text, nullable=False),
    Column("inherited", Text, nullable=False),  # the classification that it had before anybody reviewed it
    Column("purposes", JSON, nullable=False),
    Column("expires_at", Time),
    Column("inputs", JSON, nullable=False),
    Column("format", Text, nullable=False),
    Column("content", JSON, nullable=False),  # {digest, size_bytes, rows, columns, scan}: what was found in the file
    Column("digest", Text, nullable=False),  # of all that a reviewer decides about
    Column("produced_by", JSON),  # of what a job's run left: {job, version, content_digest, deployment, run, output, self_test}
    Column("decisions", JSON, nullable=False),
    Column("rule", Text, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Column("revision", Integer, nullable=False),
    CheckConstraint("state in ('private', 'proposed', 'published', 'superseded', 'withdrawn')", name="state"),
    UniqueConstraint("name", "version"),
    Index(None, "author", "state"),
)

quality = Table(
    "quality",
    metadata,
    Column("dataset", Text, primary_key=True),
    Column("checked_at", Time, primary_key=True),
    Column("version", Text, nullable=False),  # of the contract, of a product with those of its inputs
    Column("rules", Text, nullable=False),  # digest of the rules: results of other ones say nothing
    Column("checked_by", Text, nullable=False),
    Column("row_count", BigInteger, nullable=False),
    Column("results", JSON, nullable=False),  # [{state, count, percent, reason}] in the order of the rules; never a value of the data
)
