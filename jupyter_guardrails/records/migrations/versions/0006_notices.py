"""Notices before anything is ended, and limits that are raised for a while."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from jupyter_guardrails.records.columns import Time

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing of what is there changes."""
    op.create_table(
        "runs",
        sa.Column("lease", sa.Text(), nullable=False),
        sa.Column("started_at", Time(), nullable=False),
        sa.Column("kept_at", Time()),
        sa.PrimaryKeyConstraint("lease", name="pk_runs"),
    )
    op.create_table(
        "notices",
        sa.Column("lease", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("enforced", sa.Boolean(), nullable=False),
        sa.Column("since", Time(), nullable=False),
        sa.Column("interrupt_at", Time()),
        sa.Column("end_at", Time()),
        sa.PrimaryKeyConstraint("lease", "cause", name="pk_notices"),
        sa.CheckConstraint("cause in ('budget', 'idle', 'lifetime')", name=op.f("ck_notices_cause")),
        sa.CheckConstraint("phase in ('warned', 'noticed', 'interrupted', 'ended', 'off')", name=op.f("ck_notices_phase")),
    )
    op.create_index("ix_notices_principal_since", "notices", ["principal", "since"])
    _allowances()


def _allowances() -> None:
    op.create_table(
        "allowances",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("amount", sa.Double()),
        sa.Column("request", sa.Text(), sa.ForeignKey("requests.id", name="fk_allowances_request"), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("granted_by", sa.Text(), nullable=False),
        sa.Column("granted_at", Time(), nullable=False),
        sa.Column("expires_at", Time(), nullable=False),
        sa.Column("ended_at", Time()),
        sa.PrimaryKeyConstraint("id", name="pk_allowances"),
    )
    op.create_index("ix_allowances_ended_at_expires_at", "allowances", ["ended_at", "expires_at"])
    op.add_column("requests", sa.Column("amount", sa.Double(), nullable=True))
    op.add_column("requests", sa.Column("until", Time(), nullable=True))
