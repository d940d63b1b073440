"""Anchors with a signature, the code of cells, and how far each witness was told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Anchors from before stay unsigned; hashes of records stay what they were."""
    op.add_column("audit", sa.Column("code", sa.Text(), nullable=True))
    op.add_column("anchors", sa.Column("key", sa.Text(), nullable=True))
    op.add_column("anchors", sa.Column("signature", sa.Text(), nullable=True))
    op.create_table(
        "witnesses",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("anchor_seq", sa.BigInteger(), nullable=False),
        sa.Column("record_seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_witnesses"),
    )
