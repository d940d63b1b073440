"""Samples of kernels over time, and what ended leases used after they are removed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two tables; no row that is there changes."""
    op.create_table(
        "samples",
        sa.Column("lease", sa.Text(), nullable=False),
        sa.Column("every_s", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kernel_id", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("beats", sa.Integer(), nullable=False),
        sa.Column("cpu_percent", sa.Double(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("lease", "every_s", "at", name=op.f("pk_samples")),
    )
    op.create_index(op.f("ix_samples_kernel_id"), "samples", ["kernel_id"])
    op.create_index(op.f("ix_samples_every_s_at"), "samples", ["every_s", "at"])
    op.create_table(
        "past_use",
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("day", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("kernelspec", sa.Text(), nullable=False),
        sa.Column("notebook", sa.Text(), nullable=False),
        sa.Column("kernels", sa.Integer(), nullable=False),
        sa.Column("cpu_s", sa.Double(), nullable=False),
        sa.Column("memory_gib_s", sa.Double(), nullable=False),
        sa.Column("gpu_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("principal", "day", "kind", "profile", "kernelspec", "notebook", name=op.f("pk_past_use")),
    )
