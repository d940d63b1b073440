"""Budgets as rows of sums, what leases hold of them, GPU time, and when a lease's process started."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

AMOUNTS = ("cpu_s", "memory_gib_s", "gpu_s")


def upgrade() -> None:
    """Leases from before hold nothing of a budget and are charged to their person; what was charged is what their servers said."""
    numbers: list[sa.Column[Any]] = [sa.Column(f"reserved_{name}", sa.Double(), nullable=False, server_default="0") for name in AMOUNTS]
    numbers += [sa.Column(name, sa.Double(), nullable=False, server_default="0") for name in ("gpu_s", "cpu_claimed_s")]
    op.add_column("leases", sa.Column("holder", sa.Text(), nullable=False, server_default=""))
    op.add_column("leases", sa.Column("gpus", sa.Integer(), nullable=False, server_default="0"))
    numbers.append(sa.Column("pid_started", sa.BigInteger(), nullable=True))
    for column in numbers:
        op.add_column("leases", column)
    op.execute("UPDATE leases SET holder = principal, cpu_claimed_s = cpu_s")
    op.add_column("charges", sa.Column("gpu_s", sa.Double(), nullable=False, server_default="0"))
    op.create_table(
        "budgets",
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("per", sa.Text(), nullable=False),
        sa.Column("first_hour", sa.BigInteger(), nullable=False),
        *(sa.Column(f"{part}_{name}", sa.Double(), nullable=False) for part in ("used", "reserved") for name in AMOUNTS),
        sa.PrimaryKeyConstraint("holder", "per", name=op.f("pk_budgets")),
    )
