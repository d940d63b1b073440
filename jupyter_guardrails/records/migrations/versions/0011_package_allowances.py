"""Python packages that jobs may hold for a while, on request."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from jupyter_guardrails.records.columns import Time

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A new table alone: nobody could ask for a package before this version."""
    op.create_table(
        "package_allowances",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("package", sa.Text(), nullable=False),
        sa.Column("for_group", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), sa.ForeignKey("requests.id", name="fk_package_allowances_request"), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("granted_by", sa.Text(), nullable=False),
        sa.Column("granted_at", Time(), nullable=False),
        sa.Column("expires_at", Time(), nullable=False),
        sa.Column("ended_at", Time()),
        sa.PrimaryKeyConstraint("id", name="pk_package_allowances"),
    )
    op.create_index("ix_package_allowances_ended_at_expires_at", "package_allowances", ["ended_at", "expires_at"])
