"""Decisions on submissions, suspensions, break-glass, and the outbox of notices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Four tables of their own; nothing that is there changes."""
    _decisions()
    _suspensions()
    _exemptions()
    _outbox()


def _decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("submission", sa.Text(), nullable=False),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("content_digest", sa.Text(), nullable=False),
        sa.Column("evidence_digest", sa.Text(), nullable=False),
        sa.Column("self_test", sa.Boolean(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("policy_digest", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("submission", "reviewer", "self_test", name=op.f("pk_decisions")),
        sa.ForeignKeyConstraint(["submission"], ["submissions.id"], name=op.f("fk_decisions_submission")),
    )


def _suspensions() -> None:
    op.create_table(
        "suspensions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("suspended_by", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("ends_kernels_at", sa.Double(), nullable=True),
        sa.Column("lifted_at", sa.Double(), nullable=True),
        sa.Column("lifted_by", sa.Text(), nullable=False),
        sa.Column("lifted_reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suspensions")),
        sa.CheckConstraint("kind in ('user', 'dataset', 'package', 'job')", name=op.f("ck_suspensions_kind")),
    )
    op.create_index(op.f("ix_suspensions_kind_name"), "suspensions", ["kind", "name"])


def _exemptions() -> None:
    op.create_table(
        "exemptions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("unmasked", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("given_by", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("begins_at", sa.Double(), nullable=False),
        sa.Column("ends_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exemptions")),
        sa.CheckConstraint("kind in ('dataset', 'profile')", name=op.f("ck_exemptions_kind")),
        sa.CheckConstraint("state in ('recorded', 'active', 'ended')", name=op.f("ck_exemptions_state")),
    )
    op.create_index(op.f("ix_exemptions_person_state"), "exemptions", ["person", "state"])


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("event", sa.JSON(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("next_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", "target", name=op.f("pk_outbox")),
        sa.CheckConstraint("state in ('waiting', 'sent', 'given_up')", name=op.f("ck_outbox_state")),
    )
    op.create_index(op.f("ix_outbox_state_next_at"), "outbox", ["state", "next_at"])
