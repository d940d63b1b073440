"""Packages that were retired for good; and of which approval's end its people were told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A new table, and a column: nobody was told of anything before this version."""
    op.create_table(
        "revocations",
        sa.Column("submission", sa.Text(), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("content_digest", sa.Text(), nullable=False),
        sa.Column("evidence_digest", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("retired_by", sa.Text(), nullable=False),
        sa.Column("retired_at", sa.Double(), nullable=False),
        sa.Column("attestation", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["submission"], ["submissions.id"], name=op.f("fk_revocations_submission_submissions")),
        sa.PrimaryKeyConstraint("submission", name=op.f("pk_revocations")),
    )
    op.create_index(op.f("ix_revocations_evidence_digest"), "revocations", ["evidence_digest"])
    op.add_column("decisions", sa.Column("told", sa.Text(), nullable=False, server_default=""))
