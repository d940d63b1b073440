"""What an approval is worth: whose it is, of which data, under which conditions, until when, and control's signature of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """New columns alone. An approval of before has no signature and so counts no longer: its reviewer gives it once more."""
    op.add_column("submissions", sa.Column("uid", sa.BigInteger(), nullable=True))
    op.add_column("submissions", sa.Column("approved_at", sa.Double(), nullable=True))
    op.execute("UPDATE submissions SET approved_at = updated_at WHERE state IN ('approved', 'deployed')")
    op.add_column("decisions", sa.Column("uid", sa.BigInteger(), nullable=True))
    op.add_column("decisions", sa.Column("as_reviewer", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("decisions", sa.Column("datasets", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("decisions", sa.Column("conditions", sa.Text(), nullable=False, server_default=""))
    op.add_column("decisions", sa.Column("expires_at", sa.Double(), nullable=True))
    op.add_column("decisions", sa.Column("attestation", sa.Text(), nullable=False, server_default=""))
