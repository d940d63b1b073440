"""The mode of a refusal in the audit record: carried out, warned about or only observed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Records from before have none, and their hashes stay what they were."""
    op.add_column("audit", sa.Column("mode", sa.Text(), nullable=True))
